"""``GET /v1/models``: the aliases that the caller may use, as OpenAI lists models."""

import msgspec

from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.exchange import Arrival

_CREATED = 1_700_000_000
"""Clients expect a time; an alias of a configuration has none of its own, so it is the same for all."""


class _Model(msgspec.Struct):
    id: str
    object: str = "model"
    created: int = _CREATED
    owned_by: str = "tollway"


class _Models(msgspec.Struct):
    data: list[_Model]
    object: str = "list"


class ModelList:
    """The listing, for those who may call models."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def serve(self, arrival: Arrival) -> None:
        """Answers with the list.

        Raises:
            tollway.errors.GatewayError: the caller is not known or not allowed.
        """
        identified = await self._authenticator.identify(arrival)
        allowed = identified.principal.record.allowed_models
        names = [name for name in arrival.snapshot.routes if allowed is None or name in allowed]
        body = msgspec.json.encode(_Models([_Model(name) for name in names]))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", arrival.request_id.encode("ascii")),
        ]
        await arrival.connection.start(200, headers)
        await arrival.connection.end(body)
