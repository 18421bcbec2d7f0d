"""An answer that was found, on its way to the client: it is begun as a provider's is, and station 6 never knows.

In: an entry, or the call of somebody else that is under way. Out: an answer of which nothing has left yet, and the
headers that say where it comes from; ``None`` where it can't be had after all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from tollway.contract.snapshot import Route
from tollway.errors import GatewayError
from tollway.proxy.cache import forms
from tollway.proxy.cache.directives import CACHE
from tollway.proxy.cache.entry import Entry, Found
from tollway.proxy.cache.fill import INLINE_BYTES, now_ms
from tollway.proxy.cache.hit import EVENTS, JSON, CachedAnswer, FlowingAnswer, JoinedAnswer, Unheld, called, stand_in
from tollway.proxy.cache.port import Answers
from tollway.proxy.cache.tape import Following
from tollway.proxy.exchange import ATTEMPTS, Attempted, Begun, Called, Progress, Recalled, Screened
from tollway.telemetry.logs import Log

Begin = Callable[[Called, Progress], Awaitable[Begun]]

JOINED = ((CACHE, b"joined"), (ATTEMPTS, b"0"))
"""What the client of an identical call hears."""


class Recaller:
    """Begins answers for one worker. ``pace`` is in tokens a second, of streams."""

    def __init__(
        self,
        answers: Answers,
        begin: Begin,
        pace: int | None,
        log: Log,
        *,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._answers = answers
        self._begin = begin
        self._pace = pace
        self._log = log
        self._clock_ms = clock_ms

    async def found(
        self,
        screened: Screened,
        route: Route,
        found: Found,
        progress: Progress,
        hear: Callable[[bytes], None] | None = None,
    ) -> Attempted | None:
        """The answer of an entry, which ``hear`` hears when it is going to be served."""
        entry, stream = found.entry, screened.request.stream
        body = await self._answers.body(entry)
        if body is None:
            return None
        pace = self._pace if stream else None
        try:
            answer = await _answer(entry, body, pace, stream=stream)
        except ValueError:
            return None  # it can't be told as a stream
        lasts_s, target = (
            entry.completion_tokens / pace if pace else 0.0,
            stand_in(entry.provider, entry.provider_model),
        )
        begun = await self._begun(called(screened, route, target, answer, lasts_s=lasts_s), progress)
        if begun is None:
            return None
        if pace is not None:
            screened.arrival.connection.watch()
        self._answers.served(entry)
        if hear is not None:
            hear(body)
        recalled = Recalled("semantic" if found.level == "semantic" else "exact", entry.cost_picousd)
        return _attempted(begun, progress, recalled, self._told(found))

    async def joined(
        self, screened: Screened, route: Route, following: Following, progress: Progress
    ) -> Attempted | None:
        """The answer to somebody else's call, piece by piece as it comes."""
        source = following.source
        if source is None:
            return None
        recalled = Recalled("exact")

        def ended() -> None:
            recalled.saved_picousd = following.cost_picousd

        target = stand_in(source.provider, source.provider_model)
        answer = JoinedAnswer(EVENTS, following, ended, source.warnings)
        begun = await self._begun(called(screened, route, target, answer), progress)
        return None if begun is None else _attempted(begun, progress, recalled, JOINED)

    async def _begun(self, call: Called, progress: Progress) -> Begun | None:
        progress.planned(call.route, call.target)
        try:
            begun = await self._begin(call, progress)
        except GatewayError as error:
            self._log.warning("cached_answer_broken", cause=error.inside, request_id=call.arrival.request_id)
            return None
        if begun.fault is None:
            return begun
        await begun.close()
        return None

    def _told(self, found: Found) -> list[tuple[bytes, bytes]]:
        """What the client hears of a hit."""
        entry = found.entry
        headers = [
            (CACHE, found.level.encode()),
            (b"age", b"%d" % max(0, (self._clock_ms() - entry.filled_at_ms) // 1000)),
            (b"x-tollway-cache-key", entry.key.hex().encode()),
            (ATTEMPTS, b"0"),
        ]
        if found.level == "semantic":
            headers.append((b"x-tollway-cache-similarity", b"%.3f" % found.confidence))
            headers.append((b"x-tollway-cache-region", found.region.encode()))
        return headers


def _attempted(
    begun: Begun, progress: Progress, recalled: Recalled, headers: Iterable[tuple[bytes, bytes]]
) -> Attempted:
    """From here on it is an answer: it has a row, whatever happens."""
    progress.recalled = recalled
    progress.trail.growth = None  # nothing of it is taken from limits and budgets
    progress.http_status = begun.called.answer.status
    progress.sent()
    begun.called.arrival.connection.answer_headers.extend(headers)
    return Attempted(begun, Unheld(), progress)


async def _answer(entry: Entry, body: bytes, pace: int | None, *, stream: bool) -> CachedAnswer:
    if not stream:
        return CachedAnswer(JSON, [body], entry.warnings)
    is_paced = pace is not None
    if len(body) < INLINE_BYTES:
        events = forms.events(entry.operation, body, is_paced=is_paced)
        if not is_paced:
            return CachedAnswer(EVENTS, [b"".join(events)], entry.warnings)
    else:
        events = await asyncio.to_thread(forms.events, entry.operation, body, is_paced=is_paced)
    return FlowingAnswer(EVENTS, forms.paced(events, pace), entry.warnings)
