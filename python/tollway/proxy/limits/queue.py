"""The queue: calls that a limit holds back for a moment wait here, instead of being refused.

In: a call that was refused, and how to ask for it again. Out: its admission, or its refusal when it has waited long
enough. Who waits is served by weighted fair queueing over tenants (start-time fair queueing: Goyal, Vin and Cheng,
1996): each tenant's next call is dated by the tokens that it has had, divided by its weight, and the earliest goes
first. A tenant that its own limit holds back holds up nobody else; a call that waits for a limit which many share is
not overtaken by others that need it. Bounded in number and in time, and per worker.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from heapq import heapify, heappop, heappush
from typing import Literal

from tollway._native.limits import Admission, Refusal
from tollway.contract.keys import KeyRecord
from tollway.contract.limits import Queueing

Attempt = Callable[[], Awaitable[Admission | Refusal]]
"""Asks the limits for a call, once."""

Result = Literal["admitted", "refused", "full"]

SOONEST_S, LATEST_S, MANY = 0.002, 0.02, 100
"""The pause between two looks at what waits: a slot that came free, or tokens that were returned, tell nobody. It is
longer where more tenants than ``MANY`` wait, so that looking costs no more."""


class _Waiting:
    """A call that waits."""

    __slots__ = ("answer", "attempt", "shared", "tokens", "until")

    def __init__(self, attempt: Attempt, tokens: int, shared: frozenset[str], until: float) -> None:
        self.attempt = attempt
        self.tokens = max(1, tokens)
        self.shared = shared
        self.until = until
        self.answer: asyncio.Future[Admission | Refusal] = asyncio.get_running_loop().create_future()


class _Line:
    """The calls of one tenant, in the order in which they came. ``date``: what the next one is dated."""

    __slots__ = ("calls", "date", "tenant_id", "weight")

    def __init__(self, tenant_id: str, weight: int, date: float) -> None:
        self.tenant_id = tenant_id
        self.weight = weight
        self.date = date
        self.calls: deque[_Waiting] = deque()

    def first(self) -> _Waiting | None:
        """The first that has not left."""
        while self.calls and self.calls[0].answer.done():
            self.calls.popleft()
        return self.calls[0] if self.calls else None


class Queue:
    """One worker's. ``queueing`` says how long and how many may wait; ``tell`` hears what became of each."""

    def __init__(self, queueing: Queueing, tell: Callable[[Result], None]) -> None:
        self._queueing = queueing
        self._tell = tell
        self._lines: dict[str, _Line] = {}
        self._dates: dict[str, float] = {}
        """Of tenants that wait no more, while they are ahead of those who do."""
        self._date = 0.0
        self._count = 0
        self._woken = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits: else who comes must wait behind them."""
        return self._count == 0

    def may_help(self, refusal: Refusal) -> bool:
        """Whether waiting could let the call pass."""
        return _is_soon(refusal, self._queueing.max_wait_s)

    async def wait(
        self, record: KeyRecord, tokens: int, shared: frozenset[str], attempt: Attempt, refusal: Refusal | None
    ) -> Admission | Refusal:
        """Waits for an admission; the refusal if there is none in time. ``shared`` are the scopes of its limits that
        other tenants have, too; ``refusal`` is what it has heard already. Who is cancelled leaves nothing behind.

        Raises:
            DependencyUnavailable: the limits can't be asked.
        """
        if not self._has_room(record.tenant_id):
            self._tell("full")
            return refusal if refusal is not None else await attempt()
        until = time.monotonic() + self._queueing.max_wait_s
        call = _Waiting(attempt, tokens, shared, until)
        self._line(record).calls.append(call)
        self._count += 1
        self._wake()
        try:
            answer = await self._answer(call)
        finally:
            self._count -= 1
        self._tell("admitted" if isinstance(answer, Admission) else "refused")
        return answer

    async def _answer(self, call: _Waiting) -> Admission | Refusal:
        """What the call hears in time, else how its limits stand then."""
        try:
            await asyncio.wait([call.answer], timeout=self._queueing.max_wait_s)
        except asyncio.CancelledError:
            if not call.answer.cancel() and call.answer.exception() is None:
                _give_back(call.answer.result())
            raise
        if call.answer.done():
            try:
                return call.answer.result()
            except _Displaced:
                return await call.attempt()
        call.answer.cancel()
        return await call.attempt()

    def _has_room(self, tenant_id: str) -> bool:
        """Whether one more may wait: of a full queue the tenant with the most in it gives up its newest."""
        if self._count < self._queueing.max_waiting:
            return True
        lengths = {line.tenant_id: len(line.calls) for line in self._lines.values()}
        longest = max(lengths, key=lambda each: lengths[each], default=tenant_id)
        if lengths.get(longest, 0) <= lengths.get(tenant_id, 0) + 1:
            return False
        newest = self._lines[longest].calls.pop()
        if not newest.answer.done():
            newest.answer.set_exception(_Displaced())
        return True

    def _line(self, record: KeyRecord) -> _Line:
        line = self._lines.get(record.tenant_id)
        if line is None:
            weights: Mapping[str, int] = self._queueing.weights
            weight = weights.get(record.tenant_name) or weights.get(record.tenant_id) or 1
            date = max(self._date, self._dates.pop(record.tenant_id, 0.0))
            line = self._lines[record.tenant_id] = _Line(record.tenant_id, weight, date)
        return line

    def _wake(self) -> None:
        self._woken.set()
        if self._serving is None or self._serving.done():
            self._serving = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        while self._count:
            self._woken.clear()
            pause_s = await self._round()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause_s)
        self._lines.clear()
        self._dates.clear()
        self._date = 0.0

    async def _round(self) -> float:
        """Lets pass who may, the earliest first; how long to wait for the next round."""
        kept: set[str] = set()
        pause_s = LATEST_S * max(1.0, len(self._lines) / MANY)
        order = [(line.date, tenant_id) for tenant_id, line in self._lines.items()]
        heapify(order)
        while order:
            line = self._lines[heappop(order)[1]]
            call = line.first()
            if call is None:
                self._leave(line)
                continue
            if call.shared & kept:
                continue
            outcome = await self._asked(call)
            if isinstance(outcome, Refusal) and _is_soon(outcome, call.until - time.monotonic()):
                if outcome.scope in call.shared:
                    kept.add(outcome.scope)
                pause_s = min(pause_s, max(SOONEST_S, outcome.retry_after_ms / 1000))
                continue
            if outcome is not None:
                call.answer.set_result(outcome)
            if isinstance(outcome, Admission):
                self._date = max(self._date, line.date)
                line.date += call.tokens / line.weight
            heappush(order, (line.date, line.tenant_id))
        return pause_s

    def _leave(self, line: _Line) -> None:
        del self._lines[line.tenant_id]
        if line.date > self._date:
            self._dates[line.tenant_id] = line.date
        if len(self._dates) > self._queueing.max_waiting:
            self._dates = {tenant: date for tenant, date in self._dates.items() if date > self._date}

    async def _asked(self, call: _Waiting) -> Admission | Refusal | None:
        """What the limits say; ``None`` where the call has left meanwhile, or hears why they can't be asked."""
        try:
            outcome = await call.attempt()
        except Exception as error:  # noqa: BLE001 -- it is the call's own to raise
            if not call.answer.done():
                call.answer.set_exception(error)
            return None
        if call.answer.done():
            _give_back(outcome)
            return None
        return outcome


class _Displaced(Exception):
    """Another tenant, with fewer calls in the queue, has taken the place."""


def _is_soon(refusal: Refusal, wait_s: float) -> bool:
    if refusal.too_large:
        return False
    return refusal.kind == "concurrency" or refusal.retry_after_ms <= wait_s * 1000


def _give_back(outcome: Admission | Refusal) -> None:
    if isinstance(outcome, Admission):
        outcome.cancel(time.time_ns() // 1_000_000)
