"""Questions of the gateway's own: to servers of the configuration, and to models of its aliases.

In: a body. Out: a status and a body, of bounded size. Nobody's call, so limits know nothing of it, and rows only of
what providers bill; who asks keeps the time. No redirect is followed (``http.py``).
"""

import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from tollway.contract.keys import KeyRecord
from tollway.contract.snapshot import Operation, Route, Snapshot, Target
from tollway.errors import GatewayError, UpstreamBroken, UpstreamError, UpstreamUnreachable
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.own_calls import Books, OwnCall
from tollway.proxy.providers.port import Provider, Transport, UpstreamCall, UpstreamRequest

CONNECT_S = 1.0
"""A connection takes no longer."""

Answer: TypeAlias = tuple[int, bytes]
"""A status and a body."""


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
        said: Answer | None = None
        fault: GatewayError = UpstreamUnreachable("There is nobody to ask for moderations.", inside=f"alias {model!r}")
        for target in _ordered(route):
            for provider in _of(self._providers, target, "moderations"):
                call = UpstreamCall(target.model, _for(target, body), [], CONNECT_S, _sent, operation="moderations")
                try:
                    answer = await provider.send(call)
                    said = answer.status, await _read(answer, limit_bytes)
                except UpstreamError as error:
                    fault = error
                    continue
                if not _is_at_fault(said[0]):
                    return said
        if said is None:
            raise fault
        return said


class Embedding:
    """Asks the models of a snapshot's aliases for embeddings. ``providers`` are by the names of provider and key."""

    def __init__(self, snapshot: Snapshot, providers: Mapping[tuple[str, str], Provider], books: Books) -> None:
        self._routes = snapshot.routes
        self._providers = providers
        self._books = books

    def model(self, alias: str) -> str | None:
        """The model of the first target that serves embeddings; ``None`` where none does."""
        return next((target.model for target in self._serving(alias)), None)

    async def embed(self, alias: str, body: bytes, limit_bytes: int, record: KeyRecord) -> Answer:
        """Asks what ``body`` asks, a JSON object with something in it and no model, for a call of ``record``.

        Returns what the first target of :meth:`model` says that can be reached and has no fault of its own (5xx, 429, a
        refused key); else what the last one said. Whatever left is written down.

        Raises:
            tollway.errors.UpstreamError: none could be reached, or what it says is more than ``limit_bytes``.
            tollway.errors.DependencyUnavailable: calls can't be written down now, so none is made.
        """
        said: Answer | None = None
        fault: GatewayError = UpstreamUnreachable("There is nobody to ask for embeddings.", inside=f"alias {alias!r}")
        model = self.model(alias)
        for target in self._serving(alias):
            if target.model != model:
                continue  # its vectors are of another space
            for provider in _of(self._providers, target, "embeddings"):
                self._books.check_room()
                try:
                    own = OwnCall(record, alias, target, "embeddings", len(body))
                    said = await self._once(provider, own, body, limit_bytes)
                except UpstreamError as error:
                    fault = error
                    continue
                if not _is_at_fault(said[0]):
                    return said
        if said is None:
            raise fault
        return said

    async def _once(self, provider: Provider, own: OwnCall, body: bytes, limit_bytes: int) -> Answer:
        left_us: list[int] = []
        began_ns = time.perf_counter_ns()
        said: Answer | None = None

        def sent() -> None:
            left_us.append(time.time_ns() // 1_000)

        model, asked = own.target.model, _for(own.target, body)
        try:
            answer = await provider.send(UpstreamCall(model, asked, [], CONNECT_S, sent, operation=own.operation))
            said = answer.status, await _read(answer, limit_bytes)
            return said
        finally:  # also when whoever asked has given up: the provider may bill it
            if left_us:
                status, whole = said or (0, None)
                took_ms = (time.perf_counter_ns() - began_ns) // 1_000_000
                self._books.record(
                    msgspec.structs.replace(own, at_us=left_us[0], took_ms=took_ms, status=status, body=whole)
                )

    def _serving(self, alias: str) -> list[Target]:
        targets = _ordered(self._routes.get(alias))
        return [target for target in targets if _of(self._providers, target, "embeddings")]


def _ordered(route: Route | None) -> list[Target]:
    return sorted(route.targets if route is not None else (), key=lambda target: target.tier)


def _of(providers: Mapping[tuple[str, str], Provider], target: Target, operation: Operation) -> list[Provider]:
    """The provider of a target with each of its keys, where it can be asked for this."""
    accesses = [key.access for key in target.keys] or [target.provider]
    found = [providers[access.name, access.key_name] for access in accesses]
    return [provider for provider in found if operation in provider.speaks]


def _for(target: Target, body: bytes) -> bytes:
    return b'{"model":%b,%b' % (msgspec.json.encode(target.model), body[1:])


def _is_at_fault(status: int) -> bool:
    return status >= 500 or status in (401, 403, 429)


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
