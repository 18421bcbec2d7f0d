"""Questions of the gateway's own: to servers of the configuration, and to models of its aliases.

In: a body. Out: a status and a body, of bounded size. Nobody's call, so neither limits nor rows know of it; who asks
keeps the time. No redirect is followed (``http.py``).
"""

from collections.abc import Mapping, Sequence

import msgspec

from tollway.contract.snapshot import Snapshot, Target
from tollway.errors import GatewayError, UpstreamBroken, UpstreamError, UpstreamUnreachable
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.port import Provider, Transport, UpstreamCall, UpstreamRequest

CONNECT_S = 1.0
"""A connection takes no longer."""


class Asking:
    """Asks servers over one worker's connections."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def ask(
        self, url: str, headers: Sequence[tuple[str, str]], body: bytes, limit_bytes: int
    ) -> tuple[int, bytes]:
        """Sends ``body`` by POST; status and body of what the server says.

        Raises:
            tollway.errors.UpstreamError: it can't be reached, does not speak HTTP, breaks off, or says more than
                ``limit_bytes``.
        """
        answer = await self._transport.send(UpstreamRequest(_rooted(url), list(headers), body, CONNECT_S, _sent))
        return answer.status, await _read(answer, limit_bytes)


class Moderating:
    """Asks the models of a snapshot's aliases for moderations. ``providers`` are by the names of provider and key."""

    def __init__(self, snapshot: Snapshot, providers: Mapping[tuple[str, str], Provider]) -> None:
        self._routes = snapshot.routes
        self._providers = providers

    async def moderate(self, model: str, body: bytes, limit_bytes: int) -> tuple[int, bytes]:
        """Asks what ``body`` asks, a JSON object with something in it and no model.

        Returns what the first target of the alias ``model`` says that can be reached and has no fault of its own (5xx,
        429, a refused key); else what the last one said.

        Raises:
            tollway.errors.UpstreamError: none could be reached, or what it says is more than ``limit_bytes``.
        """
        route = self._routes.get(model)
        said: tuple[int, bytes] | None = None
        fault: GatewayError = UpstreamUnreachable("There is nobody to ask for moderations.", inside=f"alias {model!r}")
        for target in sorted(route.targets if route is not None else (), key=lambda target: target.tier):
            for provider in self._of(target):
                asked = b'{"model":%b,%b' % (msgspec.json.encode(target.model), body[1:])
                call = UpstreamCall(target.model, asked, [], CONNECT_S, _sent, operation="moderations")
                try:
                    answer = await provider.send(call)
                    said = answer.status, await _read(answer, limit_bytes)
                except UpstreamError as error:
                    fault = error
                    continue
                if said[0] < 500 and said[0] not in (401, 403, 429):
                    return said
        if said is None:
            raise fault
        return said

    def _of(self, target: Target) -> list[Provider]:
        """The provider of a target with each of its keys, where it can be asked for moderations."""
        accesses = [key.access for key in target.keys] or [target.provider]
        providers = [self._providers[access.name, access.key_name] for access in accesses]
        return [provider for provider in providers if "moderations" in provider.speaks]


async def _read(answer: UpstreamAnswer, limit_bytes: int) -> bytes:
    pieces, held = [], 0
    try:
        while (piece := await answer.piece()) is not None:
            held += len(piece)
            if held > limit_bytes:
                raise UpstreamBroken("The answer is too large.", inside=f"over {limit_bytes} bytes")
            pieces.append(piece)
    finally:
        await answer.close()
    return b"".join(pieces)


def _rooted(url: str) -> str:
    """A target of a request has a path (RFC 9112, section 3.2.1)."""
    scheme, _, rest = url.partition("://")
    return url if "/" in rest else f"{scheme}://{rest}/"


def _sent() -> None:
    """Nobody counts what leaves."""
