"""An answer that was kept, as the relay takes answers: as if a provider gave it, in the client's own dialect.

So all that holds for a provider's answer holds for it: this caller's checks of the output, the usage that it asked for
or did not, the dialect's errors, settlement. Nobody is called for it.
"""

from collections.abc import AsyncIterator, Callable, Sequence

from tollway.contract.snapshot import ProviderAccess, Route, Target
from tollway.contract.usage import Outcome
from tollway.proxy.cache.tape import Following
from tollway.proxy.causes import Cause, Fault
from tollway.proxy.exchange import Called, Screened

EVENTS = "text/event-stream; charset=utf-8"
JSON = "application/json"


class CachedAnswer:
    """An :class:`~tollway.proxy.exchange.UpstreamAnswer` over what is in hand. ``warnings`` are those that the answer
    came with when it was given first."""

    status = 200
    secrets: tuple[str, ...] = ()

    def __init__(self, content_type: str, pieces: Sequence[bytes], warnings: tuple[str, ...] = ()) -> None:
        self.warnings = warnings
        self._content_type = content_type
        self._pieces = iter(pieces)
        self._left = len(pieces)

    @property
    def ended(self) -> bool:
        """Whether all of it has been handed out."""
        return self._left == 0

    def header(self, name: str) -> str | None:
        """What kind of answer it is, and nothing else: what a provider told of its own call is over."""
        return self._content_type if name == "content-type" else None

    async def piece(self) -> bytes | None:
        """The next bytes; ``None`` at the end."""
        piece = next(self._pieces, None)
        if piece is not None:
            self._left -= 1
        return piece

    def fault(self, body: bytes) -> Fault:
        """No error is ever kept, so it is a defect of ours."""
        return Fault(Cause.SERVER, "The answer that was kept is none.")

    def event_fault(self, payload: bytes) -> Fault:
        """As :meth:`fault`."""
        return self.fault(payload)

    async def close(self) -> None:
        """Nothing is left to be closed."""


class FlowingAnswer(CachedAnswer):
    """The same over pieces that come by and by."""

    def __init__(self, content_type: str, pieces: AsyncIterator[bytes], warnings: tuple[str, ...] = ()) -> None:
        super().__init__(content_type, (), warnings)
        self._flow = pieces
        self._has_ended = False

    @property
    def ended(self) -> bool:
        """As above; known when the end was met."""
        return self._has_ended

    async def piece(self) -> bytes | None:
        """The next bytes, when they are there."""
        try:
            return await anext(self._flow)
        except StopAsyncIteration:
            self._has_ended = True
            return None


class JoinedAnswer(CachedAnswer):
    """The answer to somebody else's call, as it comes. ``heard`` is called at its end."""

    def __init__(
        self, content_type: str, following: Following, heard: Callable[[], None], warnings: tuple[str, ...]
    ) -> None:
        super().__init__(content_type, (), warnings)
        self._following = following
        self._heard = heard

    @property
    def ended(self) -> bool:
        """As above."""
        return self._following.ended

    async def piece(self) -> bytes | None:
        """The next bytes, when they are there.

        Raises:
            tollway.errors.UpstreamBroken: the other call has failed, or this one is too slow to hear it.
        """
        piece = await self._following.piece()
        if piece is None:
            self._heard()
        return piece

    async def close(self) -> None:
        """Listens no longer."""
        self._heard()
        self._following.close()


class Unheld:
    """The place that nobody takes."""

    def end(self, outcome: Outcome | None) -> None:
        """Nobody was called."""


def stand_in(provider: str, model: str) -> Target:
    """Who has given the answer, for headers and the usage row; it can't be called."""
    return Target(ProviderAccess(provider, "simulator", "", None), model, 1, None)


def called(screened: Screened, route: Route, target: Target, answer: CachedAnswer, *, lasts_s: float = 0.0) -> Called:
    """The answer as one that was asked for by this call. ``lasts_s`` is how long it will take at the least."""
    arrival = screened.arrival
    task = arrival.connection.task
    deadline = task.get_loop().time() + max(route.timeouts.total_s, 2 * lasts_s)
    return Called(
        arrival,
        screened.request,
        route,
        target,
        answer,
        deadline,
        task,
        asked=arrival.operation,
        guard=screened.guard,
    )
