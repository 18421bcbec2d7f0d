"""One request's way through targets and aliases: who is asked, in which order, and when to stop.

In: a plan. Out: the first good answer, else the last refusal. Bounds: the route's attempts for each alias, its share
of retries, the request's deadline, and each alias once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tollway._native.routing import Board
from tollway.errors import GatewayError, UpstreamLimited, UpstreamUnavailable
from tollway.proxy.connection import Headers
from tollway.proxy.exchange import ATTEMPTS, Arrival, Attempted, Planned, Progress
from tollway.proxy.routing.attempts import Asker, Failure, limit_s
from tollway.proxy.routing.race import Leg, hedge_after_s, is_affordable, race
from tollway.proxy.routing.slots import Slot
from tollway.proxy.routing.verdict import Verdict
from tollway.telemetry.metrics import Metrics

RESERVE = 10
"""Retries in any ten seconds that an alias may make however few its calls are: a share of little is nothing."""

MOST_ALIASES = 8
"""So many aliases are tried for one request."""

NO_TIME_S = 0.001
"""With less than this left nobody is asked any more."""


EarlyHead = Callable[[Arrival], Headers]
"""Makes the head of a stream of which nothing is known yet."""


class Planning(Protocol):
    """What plans a request anew."""

    def fallback(self, planned: Planned, alias: str) -> Planned:
        """As :meth:`tollway.proxy.routing.plan.Planner.fallback`."""
        ...


class Attempts:
    """Station 6 of one worker."""

    def __init__(self, board: Board, planner: Planning, asker: Asker, early_head: EarlyHead, metrics: Metrics) -> None:
        self.board = board
        self.planner = planner
        self.asker = asker
        self.metrics = metrics
        self._early_head = early_head

    async def run(self, planned: Planned, progress: Progress) -> Attempted:
        """The answer to be relayed: the first good one, else the last refusal.

        Raises:
            UpstreamError: no provider gave any answer, and why.
            InvalidRequest: it can't be said in any provider's terms, or the client's timeout is none.
        """
        arrival, keep_alive_s = planned.arrival, planned.route.timeouts.keep_alive_s
        connection, task = arrival.connection, arrival.connection.task
        seconds, is_clients = limit_s(planned)
        deadline = task.get_loop().time() + seconds
        if planned.request.stream and keep_alive_s is not None:
            connection.keep_alive(keep_alive_s, lambda: [*self._early_head(arrival), _attempts(progress)])
        try:
            turn = _Turn(planned, self.asker.slots.order(planned))
            progress.trail.plans.append(planned)
            if turn.fresh and planned.route.hedge is None:  # the first call is nearly always all that is needed
                index = turn.fresh.pop(0)
                slot = self.asker.slots.take(planned, index, progress, is_first=True)
                if slot is not None:
                    result = await self.asker.ask(planned, index, slot, progress, task, deadline, is_clients=is_clients)
                    if isinstance(result, Attempted):
                        return result
                    turn.failed(index, result)
            return await _Walk(self, planned, progress, deadline, is_clients=is_clients).run(turn)
        finally:
            connection.answer_headers.append(_attempts(progress))


def _is_slow(planned: Planned, fresh: int, again: int) -> bool:
    """Whether a target that was not asked yet is so much slower than one that failed by chance that it is worth asking
    that one again."""
    if planned.route.strategy != "latency":
        return False
    latencies = {index: latency_us for index, _, _, _, latency_us, _ in planned.ranking.states()}
    slow, failed = latencies.get(fresh), latencies.get(again)
    return slow is not None and failed is not None and slow > 3 * failed


def _has_other_key(last: Failure) -> bool:
    """Whether it was the key that failed, so that nobody need be left alone before another one is used."""
    return last.verdict.cools is not None and not last.verdict.counts


def _attempts(progress: Progress) -> tuple[bytes, bytes]:
    return ATTEMPTS, b"%d" % len(progress.trail.tried)


class _Turn:
    """The turn of one alias: who was not asked yet, who may be asked again, and what the last one said."""

    __slots__ = ("again", "fresh", "last", "made", "planned")

    def __init__(self, planned: Planned, fresh: list[int]) -> None:
        self.planned = planned
        self.fresh = fresh
        self.again: list[int] = []
        self.last: Failure | None = None
        self.made = 0

    def failed(self, index: int, failure: Failure) -> None:
        """A target was asked, and there is no good answer."""
        self.made += 1
        self.last = failure
        if failure.verdict.again:
            self.again.append(index)

    @property
    def is_over(self) -> bool:
        """Whether nobody is left who may be asked."""
        if self.last is not None and not self.last.verdict.elsewhere:
            return True
        return self.made >= self.planned.route.retries.attempts or not (self.fresh or self.again)


class _Walk:
    """The state of one request's way, where its first call did not do."""

    __slots__ = (
        "_asker",
        "_deadline",
        "_first",
        "_is_clients",
        "_known",
        "_loop",
        "_progress",
        "_station",
        "_task",
        "_trail",
        "_waiting",
    )

    def __init__(
        self, station: Attempts, planned: Planned, progress: Progress, deadline: float, *, is_clients: bool
    ) -> None:
        self._station = station
        self._asker = station.asker
        self._first = planned
        self._progress = progress
        self._trail = progress.trail
        self._deadline = deadline
        self._is_clients = is_clients
        self._task = planned.arrival.connection.task
        self._loop = self._task.get_loop()
        self._waiting: list[str] = []
        self._known: set[str] = set()

    async def run(self, turn: _Turn) -> Attempted:
        """Aliases in turn."""
        failure: Failure | None = None
        while True:
            result = await self._route(turn, failure)
            if isinstance(result, Attempted):
                return result
            planned = self._fallback(turn.planned, result)
            if planned is None:
                return result.told()
            self._trail.plans.append(planned)
            turn, failure = _Turn(planned, self._asker.slots.order(planned)), result

    async def _route(self, turn: _Turn, before: Failure | None) -> Attempted | Failure:
        """The targets of one alias, best first; those that may be asked again come after all others."""
        planned, fresh, again = turn.planned, turn.fresh, turn.again
        while not turn.is_over:
            last = turn.last
            is_again = not fresh or (bool(again) and _is_slow(planned, fresh[0], again[0]))
            times = turn.made if is_again and last is not None and not _has_other_key(last) else 0
            if last is not None and not await self._may_go_on(planned, last, times):
                return last
            index = (again if is_again else fresh).pop(0)
            slot = self._asker.slots.take(planned, index, self._progress, is_first=last is None, is_again=is_again)
            if slot is None:
                continue
            if last is not None:
                self._went("retry" if is_again else "fail_over")
            if planned.route.hedge is None or not fresh:
                result = await self._leg(planned, index, slot, self._progress, self._task)
            else:
                result = await self._hedged(planned, index, slot, fresh)
            if isinstance(result, Attempted):
                return result
            turn.failed(index, result)
        return turn.last or self._nobody(planned, before)

    async def _may_go_on(self, planned: Planned, last: Failure, times: int) -> bool:
        """Whether another call may be made; ``times``: how often this alias was asked before it is asked again, so
        that it is left a little first."""
        wait_s = 0.0
        if times:
            retries = planned.route.retries
            longest_s = min(retries.backoff_s * 2 ** (times - 1), retries.max_backoff_s)
            wait_s = random.uniform(0, longest_s)  # noqa: S311 -- all of it by chance, so that callers come apart
        if not self._has_time(wait_s):
            return self._stopped("deadline")
        if not self._may_retry(planned, last.verdict):
            return self._stopped("retry_budget")
        if wait_s:
            await asyncio.sleep(wait_s)
        return True

    def _may_retry(self, planned: Planned, verdict: Verdict) -> bool:
        """Takes a retry from the budget of the alias that is asked, which is a share of its own calls, a fallback's
        too. What is the request's own doing (too long, against a policy) is free: no storm comes of it."""
        if verdict.fallback in ("context_window", "content_policy"):
            return True
        permille = round(planned.route.retries.budget * 1000)
        return self._station.board.retry(planned.pool, permille, RESERVE, self._asker.clock_ms())

    def _has_time(self, wait_s: float) -> bool:
        return self._loop.time() + wait_s + NO_TIME_S < self._deadline

    def _stopped(self, why: str) -> bool:
        self._trail.tried[-1].then = why
        return False

    def _went(self, how: str) -> None:
        if self._trail.tried:
            self._trail.tried[-1].then = how
        self._station.metrics.retried(self._first.route.alias, how)

    def _fallback(self, planned: Planned, failure: Failure) -> Planned | None:
        """The plan of the next alias that may take over for this request; each has its turn once.

        It takes nothing of the retry budget: whoever has named a fallback wants it used, each is asked but once, and
        its own breakers see to the rest.
        """
        cause = failure.verdict.fallback
        if cause is None:
            return None
        self._known.add(planned.route.alias)
        for alias in planned.route.fallbacks.get(cause, ()):
            if alias not in self._known and len(self._known) < MOST_ALIASES:
                self._known.add(alias)
                self._waiting.append(alias)
        while self._waiting:
            alias = self._waiting.pop(0)
            try:
                following = self._station.planner.fallback(planned, alias)
            except GatewayError as error:
                self._trail.refused.append((alias, error.code))
                continue
            if self._trail.tried and not self._has_time(0.0):
                self._stopped("deadline")
                return None
            self._went("fallback")
            return following
        return None

    def _nobody(self, planned: Planned, before: Failure | None) -> Failure:
        """Why nobody of this alias was asked; what an alias before it said is worth more to the client."""
        ranking, now_ms = planned.ranking, self._asker.clock_ms()
        if before is not None:
            return before
        wait_s = max(1.0, (ranking.retry_at_ms - now_ms) / 1000) if ranking.retry_at_ms else None
        alias = planned.route.alias
        if ranking.limited:
            message = f"Every provider of the model {alias!r} has said that too much is asked of it."
            verdict = Verdict(again=False, elsewhere=True, fallback="rate_limit")
            return Failure(verdict, UpstreamLimited(message, retry_after_s=wait_s))
        message = f"No provider of the model {alias!r} can be asked now."
        error = UpstreamUnavailable(message, inside="all targets are open, cooling or drained", retry_after_s=wait_s)
        return Failure(Verdict(again=False, elsewhere=True, fallback="error"), error)

    async def _hedged(self, planned: Planned, index: int, slot: Slot, fresh: list[int]) -> Attempted | Failure:
        def first(progress: Progress, task: "asyncio.Task[Any]") -> Awaitable[Attempted | Failure]:
            return self._leg(planned, index, slot, progress, task)

        wait_s = hedge_after_s(self._station.board, planned, index)
        if wait_s is None:
            return await first(self._progress, self._task)
        return await race(self._progress, first, lambda progress: self._second(planned, fresh, progress), wait_s)

    def _second(self, planned: Planned, fresh: list[int], progress: Progress) -> Leg | None:
        """A call of the next target beside the one that is waited for, if it may be made."""
        index, hedge = fresh[0], planned.route.hedge
        if hedge is None or not is_affordable(planned, index, self._asker.clock_ms()):
            return None
        if not self._station.board.hedge(planned.pool, round(hedge.budget * 1000), self._asker.clock_ms()):
            return None
        slot = self._asker.slots.take(planned, index, progress, is_first=False)
        if slot is None:
            return None
        fresh.pop(0)
        self._went("hedge")
        return lambda own, task: self._leg(planned, index, slot, own, task)

    def _leg(
        self, planned: Planned, index: int, slot: Slot, progress: Progress, task: "asyncio.Task[Any]"
    ) -> Awaitable[Attempted | Failure]:
        return self._asker.ask(planned, index, slot, progress, task, self._deadline, is_clients=self._is_clients)
