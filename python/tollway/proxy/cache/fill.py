"""What becomes of the answers of providers: those that are fit are kept, after they have left.

In: an answer whose row is written and whose last byte is on its way. Out: an entry, some time later. Nothing here makes
anybody wait or fail: what is too much at once is dropped, and a defect is a line of the log.
"""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from tollway._native.questions import Question
from tollway.contract.cache import CachePolicy
from tollway.contract.usage import UsageRow
from tollway.proxy.cache import forms
from tollway.proxy.cache.entry import Entry
from tollway.proxy.cache.fitness import is_fit, says_something
from tollway.proxy.cache.flights import Leading
from tollway.proxy.cache.port import Answers, Embedder, EmbedderDown
from tollway.proxy.cache.tape import Source
from tollway.proxy.exchange import Attempted, Called, Screened, Settled
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

INLINE_BYTES = 64 * 1024
"""Larger answers are made into entries off the event loop."""

MOST = 256
"""Answers that one worker is keeping at the same time; more are dropped."""

MOST_BYTES = 64 * 2**20
"""Of answers that are being heard or kept, in all."""

EVENTS_PER_BYTE = 16
"""A stream's events may be so much longer than the answer that they tell."""

EMBED_S = 1.0
"""An embedder has so long."""


class Asked(msgspec.Struct, frozen=True):
    """What a call is known by in the cache. ``question`` is set where an answer to another one may serve."""

    key: bytes
    policy: CachePolicy
    at_ms: int
    namespace: bytes = b""
    question: Question | None = None
    embedder: Embedder | None = None


class _Counted(msgspec.Struct, frozen=True):
    """As :class:`forms.Counted`."""

    prompt: int
    completion: int
    cached: int
    cache_write: int
    cache_write_1h: int
    reasoning: int


class Filler:
    """Keeps answers for one worker."""

    def __init__(
        self,
        answers: Answers,
        log: Log,
        metrics: Metrics,
        *,
        most_answer_bytes: int,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.most_answer_bytes = most_answer_bytes
        self._answers = answers
        self._log = log
        self._metrics = metrics
        self._most = most
        self._most_bytes = most_bytes
        self._held_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, size_bytes: int) -> bool:
        """Whether there is room for so much more; it is taken then, until it is given back."""
        if self._held_bytes + size_bytes > self._most_bytes:
            return False
        self._held_bytes += size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """That room is free again."""
        self._held_bytes -= size_bytes

    def count(self, result: str) -> None:
        """What an answer has come to, as the metrics name it."""
        self._metrics.filled(result)

    def keep(self, heard: "Heard", done: Callable[[Entry | None], None]) -> None:
        """Keeps an answer in the background. ``done`` is told what it has become, sooner or later."""
        if len(self._tasks) >= self._most or not self.take(len(heard.body)):
            self._metrics.filled("dropped")
            done(None)
            return
        task = asyncio.get_running_loop().create_task(self._run(heard, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, heard: "Heard", done: Callable[[Entry | None], None]) -> None:
        entry, result = None, "failed"
        try:
            entry, result = await self._kept(heard)
        except Exception as error:  # noqa: BLE001 -- a task of its own, so nobody else would tell of a defect
            self._log.error("defect", error=error, request_id=heard.request_id)
        finally:
            self.give_back(len(heard.body))
            self._metrics.filled(result)
            done(entry)

    async def _kept(self, heard: "Heard") -> tuple[Entry | None, str]:
        is_inline = len(heard.body) < INLINE_BYTES
        body = heard.whole() if is_inline else await asyncio.to_thread(heard.whole)
        if body is None:
            return None, "unfit"
        if len(body) > self.most_answer_bytes:
            return None, "large"
        asked = heard.asked
        entry = heard.entry(len(body), await self._vectors(asked))
        self._answers.keep(entry, asked.question, body)
        return entry, "kept"

    async def _vectors(self, asked: Asked) -> dict[str, bytes]:
        embedder = asked.embedder
        if embedder is None or asked.question is None:
            return {}
        try:
            async with asyncio.timeout(EMBED_S):
                return {embedder.name: await embedder.embed(asked.question.text)}
        except (EmbedderDown, TimeoutError):
            return {}  # the built-in embedder finds it all the same

    async def finish(self) -> None:
        """Returns when all that is being kept is."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)


class Heard(msgspec.Struct, frozen=True):
    """An answer that may be kept: ``body`` is what has left, events where ``is_stream``."""

    asked: Asked
    screened: Screened
    row: UsageRow
    warnings: tuple[str, ...]
    body: bytes
    is_stream: bool

    @property
    def request_id(self) -> str:
        """What the log names the call by."""
        return self.screened.arrival.request_id

    def whole(self) -> bytes | None:
        """The whole answer, if it is one that may be kept."""
        operation, row = self.screened.arrival.operation, self.row
        body: bytes | None = self.body
        if self.is_stream:
            used = _Counted(
                row.prompt_tokens,
                row.completion_tokens,
                row.cached_tokens,
                row.cache_write_tokens,
                row.cache_write_1h_tokens,
                row.reasoning_tokens,
            )
            body = forms.whole(operation, self.body, used)
        return body if body is not None and says_something(operation, body) else None

    def entry(self, body_bytes: int, vectors: dict[str, bytes]) -> Entry:
        """What it is found by.

        It counts as filled when its call came, not when it was answered: whatever was to be forgotten in between is
        forgotten with it, and its age is never told too low (RFC 9111, section 4.2.3).
        """
        asked, row, record = self.asked, self.row, self.screened.principal.record
        lasting = [part.ttl_s for part in (asked.policy.exact, asked.policy.semantic) if part is not None]
        return Entry(
            key=asked.key,
            tenant_id=record.tenant_id,
            key_id=record.key_id,
            model=row.model,
            operation=self.screened.arrival.operation,
            provider=row.provider,
            provider_model=row.provider_model,
            filled_at_ms=asked.at_ms,
            expires_at_ms=asked.at_ms + round(max(lasting) * 1000),
            body_bytes=body_bytes,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=row.completion_tokens,
            cost_picousd=row.cost_picousd,
            namespace=asked.namespace if asked.question is not None else b"",
            question="" if asked.question is None else asked.question.text,
            vectors=vectors,
            warnings=self.warnings,
        )


class Filling:
    """One call whose answer may be kept, as :class:`~tollway.proxy.exchange.Filling` says. A stream is heard as it
    leaves to the client, within bounds.

    With ``leading``, identical calls wait for the answer, or hear it as it comes.
    """

    def __init__(self, filler: Filler, screened: Screened, asked: Asked, leading: Leading | None = None) -> None:
        self._filler = filler
        self._screened = screened
        self._asked = asked
        self._leading = leading
        self._attempted: Attempted | None = None
        self._pieces: list[bytes] | None = []
        self._held_bytes = 0

    def __enter__(self) -> Self:
        if self._leading is not None:
            self._leading.carry(self._screened.arrival.connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screened.arrival.connection.tap = None
        self._forget()
        if self._leading is not None:
            self._leading.__exit__(kind, error, trace)

    def hear(self, attempted: Attempted) -> None:
        """The answer begins to leave."""
        self._attempted = attempted
        if not self._screened.request.stream:
            return
        self._screened.arrival.connection.tap = self._hear
        if self._leading is not None:
            called = attempted.begun.called
            self._leading.tell(Source(called.target.provider.name, called.target.model, _warnings(called)))

    def _hear(self, piece: bytes) -> None:
        if self._leading is not None:
            self._leading.say(piece)
        if self._pieces is None:
            return
        most = self._filler.most_answer_bytes * EVENTS_PER_BYTE
        if self._held_bytes + len(piece) > most or not self._filler.take(len(piece)):
            self._forget()
            self._pieces = None
            return
        self._pieces.append(piece)
        self._held_bytes += len(piece)

    def _forget(self) -> None:
        self._filler.give_back(self._held_bytes)
        self._held_bytes = 0
        if self._pieces is not None:
            self._pieces = []

    def keep(self, settled: Settled) -> None:
        """The answer has left. It is kept, if it is fit; who has heard it, hears its end."""
        relayed, leading = settled.relayed, self._leading
        is_stream = relayed.headers is None or _is_stream(relayed.headers)
        if leading is not None and relayed.outcome == "ok":
            if is_stream:
                leading.say(relayed.body)
            leading.finish(settled.row.cost_picousd)
        heard = self._fit(settled, is_stream=is_stream)
        if heard is not None:
            self._filler.keep(heard, self._landed)
        elif relayed.outcome == "ok":
            self._landed(None)

    def _fit(self, settled: Settled, *, is_stream: bool) -> "Heard | None":
        attempted, relayed, pieces = self._attempted, settled.relayed, self._pieces
        if attempted is None or not is_fit(self._screened, attempted.progress, settled):
            self._filler.count("unfit")
            return None
        whole_bytes = 0 if is_stream else len(relayed.body)
        if pieces is None or whole_bytes > self._filler.most_answer_bytes:
            self._filler.count("large")
            return None
        body = b"".join([*pieces, relayed.body])
        self._forget()
        warnings = _warnings(attempted.begun.called)
        return Heard(self._asked, self._screened, settled.row, warnings, body, is_stream)

    def _landed(self, entry: Entry | None) -> None:
        if self._leading is not None:
            self._leading.land(is_kept=entry is not None)


class Nothing:
    """The same where nothing is to be kept."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nobody waits."""

    def hear(self, attempted: Attempted) -> None:
        """Nothing of it."""

    def keep(self, settled: Settled) -> None:
        """Nothing of it."""


NOTHING = Nothing()


def _warnings(called: Called) -> tuple[str, ...]:
    """The fields of the request that were dropped on its way to the provider."""
    return (*called.warnings, *called.answer.warnings)


def _is_stream(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000
