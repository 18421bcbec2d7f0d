"""``GET /v1/models`` and ``/v1/models/<model>``: the aliases that the caller may use, as its SDK lists models.

A client that names ``anthropic-version`` hears them as Anthropic says them (platform.claude.com, "List models"), any
other as OpenAI does.
"""

from typing import Literal

import msgspec

from tollway.errors import ModelNotFound
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.exchange import Arrival

_PATH = "/v1/models/"
_CREATED = 1_700_000_000
_CREATED_AT = "1970-01-01T00:00:00Z"
"""Clients expect a time; an alias of a configuration has none of its own, so it is the same for all. Anthropic's own
word for an unknown one is the epoch."""


class _Model(msgspec.Struct):
    id: str
    object: Literal["model"] = "model"
    created: int = _CREATED
    owned_by: str = "tollway"


class _Models(msgspec.Struct):
    data: list[_Model]
    object: Literal["list"] = "list"


class _ModelInfo(msgspec.Struct, tag_field="type", tag="model"):
    id: str
    display_name: str
    created_at: str = _CREATED_AT
    lifecycle: Literal["active"] = "active"


class _ModelInfos(msgspec.Struct):
    data: list[_ModelInfo]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class ModelList:
    """The listing, for those who may call models."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def serve(self, arrival: Arrival) -> None:
        """Answers with the list, or with the one model that the path names.

        Raises:
            tollway.errors.ModelNotFound: there is no model of that name that the caller may use.
            tollway.errors.GatewayError: the caller is not known or not allowed.
        """
        identified = await self._authenticator.identify(arrival)
        allowed = identified.principal.record.allowed_models
        names = [name for name in arrival.snapshot.routes if allowed is None or name in allowed]
        wanted = arrival.path.removeprefix(_PATH) if arrival.path.startswith(_PATH) else None
        if wanted is not None and wanted not in names:
            raise ModelNotFound(
                f"The model {wanted[:128]!r} does not exist here. GET /v1/models lists those that do.", param="model"
            )
        is_anthropics = b"anthropic-version" in arrival.headers
        body = msgspec.json.encode(_said(names, wanted, is_anthropics=is_anthropics))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", arrival.request_id.encode("ascii")),
        ]
        if arrival.dialect.answer_id_header != b"x-request-id":
            headers.append((arrival.dialect.answer_id_header, arrival.request_id.encode("ascii")))
        await arrival.connection.start(200, headers)
        await arrival.connection.end(body)


def _said(names: list[str], wanted: str | None, *, is_anthropics: bool) -> msgspec.Struct:
    if is_anthropics:
        if wanted is not None:
            return _ModelInfo(wanted, wanted)
        infos = [_ModelInfo(name, name) for name in names]
        return _ModelInfos(infos, names[0] if names else None, names[-1] if names else None)
    return _Models([_Model(name) for name in names]) if wanted is None else _Model(wanted)
