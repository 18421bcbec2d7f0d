"""Station 8, settle: once per call, on every exit path: tokens, cost, reservation, journal, metrics, log.

In: a relayed answer, or whatever cut the call short. Out: its usage row, in the journal. A call that never reached
a provider leaves no row and gives back all it had reserved. One that the cache answered has a row at no cost, and takes
no tokens of its limits. It never waits for PostgreSQL.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import msgspec

from tollway._native.chat import ChatRequest
from tollway.contract.guardrails import Found
from tollway.contract.prices import owed
from tollway.contract.snapshot import Target
from tollway.contract.usage import Costs, Outcome, Try, UsageRole, UsageRow
from tollway.errors import UpstreamTimeout, label_of
from tollway.proxy.exchange import Admitted, Progress, Relayed, Reserved, Settled, Trail, Tried
from tollway.proxy.notes import tags_of
from tollway.proxy.usage.journal import Journal
from tollway.proxy.usage.price import cost_owed, total_picousd
from tollway.proxy.usage.used import Tokens, Used
from tollway.proxy.vocabularies import Vocabularies
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

Learn = Callable[[ChatRequest, str, int], None]
"""Hears of a request, the alias that answered, and the tokens of the answer."""

MOST_TRIES = 32
"""So many calls of providers are in a row."""


class Bookkeeper:
    """Opens an account per call; knows where rows and figures go. ``describe`` says where a call has been, for the
    log; ``learn`` hears how many tokens an answer had."""

    def __init__(
        self,
        journal: Journal,
        vocabularies: Vocabularies,
        log: Log,
        metrics: Metrics,
        describe: Callable[[Trail], Mapping[str, object]],
        learn: Learn = lambda request, alias, tokens: None,
    ) -> None:
        self.learn = learn
        self.describe = describe
        self.journal = journal
        self.vocabularies = vocabularies
        self.log = log
        self.metrics = metrics
        self._late: set[asyncio.Task[None]] = set()

    def account(self, admitted: Admitted, role: UsageRole = "answer") -> "Account":
        """The account of an admitted call; leaving its ``with`` block settles it.

        Raises:
            DependencyUnavailable: rows can't be written down now. The reservation goes back.
        """
        try:
            self.journal.check_room()
        except Exception:
            if admitted.reservation is not None:
                admitted.reservation.cancel(_now_ms())
            raise
        return Account(self, admitted, role)

    def later(self, account: "Account", outcome: Outcome) -> None:
        """Settles an interrupted call whose tokens take long to count, without holding up the event loop."""
        task = asyncio.get_running_loop().create_task(account.write_counted(outcome))
        self._late.add(task)
        task.add_done_callback(self._written)

    def _written(self, task: "asyncio.Task[None]") -> None:
        self._late.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("usage_row_lost", error=error)

    async def finish(self) -> None:
        """Returns when every interrupted call is written down."""
        while self._late:
            await asyncio.gather(*self._late, return_exceptions=True)


class Account:
    """One call's account. ``progress`` is filled by the stations on the way; where several calls were made at the same
    time, station 6 says whose counts."""

    def __init__(self, bookkeeper: Bookkeeper, admitted: Admitted, role: UsageRole) -> None:
        self._bookkeeper = bookkeeper
        self._admitted = admitted
        self._role = role
        self._settled = False
        self._code: str | None = None
        self.progress = Progress(Trail(growth=admitted.growth))
        self.reserved: Reserved | None = None
        """The money that is held for this call, where it is under budgets."""
        self.findings: Callable[[], Sequence[Found]] = tuple
        """What the guardrails have found in this call so far: station 3 knows whom to ask."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Settles what was not settled on the way."""
        if self._settled:
            return
        self._settled = True
        reservation = self._admitted.reservation
        if self.progress.dispatched_at_us is None:  # of two calls at once, the second may be the one that left
            self.progress = next((leg for leg in self.progress.trail.legs if leg.dispatched_at_us), self.progress)
        if self.progress.dispatched_at_us is None:
            if reservation is not None:
                reservation.cancel(_now_ms())
            if self.reserved is not None:
                self.reserved.cancel()
            return
        if reservation is not None:
            reservation.release()
        outcome = self._interrupted(error)
        self._admitted.arrival.connection.settled = True
        self._code = label_of(error) if isinstance(error, Exception) else outcome
        self.write_soon(outcome)

    def write_soon(self, outcome: Outcome) -> None:
        """Writes the row of an interrupted call, now or when its tokens are counted."""
        used = self._used()
        if used.is_costly(outcome):
            self._bookkeeper.later(self, outcome)
        else:
            self._write(used.tokens(outcome), outcome)

    async def settle(self, relayed: Relayed) -> Settled:
        """Writes the row of an answer that came to its end."""
        outcome, counted = relayed.outcome, self._used()
        used = counted.told()
        if used is None and counted.is_costly(outcome):
            used = await asyncio.to_thread(counted.tokens, outcome)
        self._settled = self._admitted.arrival.connection.settled = True
        if self._admitted.reservation is not None:
            self._admitted.reservation.release()
        row = self._write(used or counted.tokens(outcome), outcome)
        return Settled(relayed, row)

    async def write_counted(self, outcome: Outcome) -> None:
        """Counts in a thread, then writes the row."""
        self._write(await asyncio.to_thread(self._used().tokens, outcome), outcome)

    def _interrupted(self, error: BaseException | None) -> Outcome:
        if self.progress.reader is not None and self.progress.reader.failed:
            return "error"  # clients hang up when they hear of it
        if self._admitted.arrival.connection.gone:
            return "client_gone"
        if isinstance(error, UpstreamTimeout):
            return "timeout"
        return "cut" if isinstance(error, asyncio.CancelledError) else "error"

    def _used(self) -> Used:
        return Used(self._admitted.request, self.progress, self._bookkeeper.vocabularies)

    def _write(self, used: Tokens, outcome: Outcome) -> UsageRow:
        reservation = self._admitted.reservation
        recalled = self.progress.recalled
        if reservation is not None:
            prompt, completion = (used.prompt, used.completion) if recalled is None else (0, 0)
            reservation.settle(prompt, completion, _now_ms())
        row = self._row(used, outcome)
        if self.reserved is not None:
            # Before the row: killed in between, money is spent that nobody was billed, and never the other way round.
            self.reserved.pay(row.cost_picousd or 0)
        if outcome == "ok" and recalled is None:
            self._bookkeeper.learn(self._admitted.request, row.model, used.completion)
        self._bookkeeper.journal.append(row)
        self._report(row)
        if self.progress.trail.beside and self._role != "hedge":
            for own in self._others():
                own.write_soon("cut")
        return row

    def _others(self) -> Iterator["Account"]:
        """The accounts of calls that were made beside the one that counted: each has a row of its own."""
        others = [progress for progress in self.progress.trail.beside if progress is not self.progress]
        for number, progress in enumerate(others, 1):
            arrival = msgspec.structs.replace(self._admitted.arrival, id=f"{self._admitted.arrival.id}-{number}")
            admitted = msgspec.structs.replace(self._admitted, arrival=arrival, reservation=None)
            account = Account(self._bookkeeper, admitted, "hedge")
            account.progress = progress
            account.reserved = self.reserved
            yield account

    def _row(self, used: Tokens, outcome: Outcome) -> UsageRow:
        arrival, record, progress = self._admitted.arrival, self._admitted.principal.record, self.progress
        # Filled before the call left, and a call that did not leave gets no row: for the type checker.
        assert progress.target is not None  # noqa: S101
        assert progress.route is not None  # noqa: S101
        assert progress.dispatched_at_us is not None  # noqa: S101
        costs, price_version = self._costs(used, progress.route.alias, progress.target, progress.dispatched_at_us)
        return UsageRow(
            id=arrival.id,
            request_id=arrival.request_id,
            at_us=progress.dispatched_at_us,
            tenant_id=record.tenant_id,
            api_key_id=record.key_id,
            user_id=record.user_id,
            model=progress.route.alias,
            provider=progress.target.provider.name,
            provider_model=progress.target.model,
            prompt_tokens=used.prompt,
            completion_tokens=used.completion,
            cached_tokens=used.cached,
            cache_write_tokens=used.cache_write,
            reasoning_tokens=used.reasoning,
            cost_picousd=None if costs is None else total_picousd(costs),
            price_version=price_version,
            usage_source=used.source,
            outcome=outcome,
            http_status=progress.http_status,
            stream=self._admitted.request.stream,
            latency_ms=arrival.timing.elapsed_ns() // 1_000_000,
            first_token_ms=None if progress.first_piece_ns is None else progress.first_piece_ns // 1_000_000,
            attempts=1 if self._role == "hedge" else len(progress.trail.tried),
            cache_write_1h_tokens=used.cache_write_1h,
            role=self._role,
            findings=tuple(self.findings()),
            tags=tags_of(arrival.headers, self._admitted.request),
            charged=() if self.reserved is None else self.reserved.charged,
            tried=() if self._role == "hedge" else _tries(progress.trail.tried),
            costs=costs,
            audio_input_tokens=used.audio_input,
            audio_output_tokens=used.audio_output,
            image_input_tokens=used.image_input,
            image_output_tokens=used.image_output,
            service_tier=used.service_tier,
            cache="none" if progress.recalled is None else progress.recalled.cache,
            saved_picousd=None if progress.recalled is None else progress.recalled.saved_picousd,
        )

    def _costs(self, used: Tokens, alias: str, target: Target, at_us: int) -> tuple[Costs | None, str | None]:
        """What the call costs, and by which prices; ``None`` where that is not known."""
        if self.progress.recalled is not None:
            return Costs(), None
        # A copy is the operator's own affair: no tenant has agreed upon its price.
        prices = None if self._role == "shadow" else self._admitted.principal.record.prices
        price, at_ms = owed(prices, alias, target.price), at_us // 1_000
        costs = cost_owed(price, used, at_ms)
        return Costs() if costs is None and self._used().is_given_away else costs, price.version(at_ms)

    def _report(self, row: UsageRow) -> None:
        timing = self._admitted.arrival.timing
        metrics, log, elapsed_ns = self._bookkeeper.metrics, self._bookkeeper.log, timing.elapsed_ns()
        for found in row.findings:
            if found.direction == "output":  # those of the input are counted when they are found: it may be refused
                metrics.found(found.direction, found.check, found.kind, found.action, found.count)
        if row.outcome == "blocked":
            checks = {found.check for found in row.findings if (found.direction, found.action) == ("output", "block")}
            for check in checks or {"none"}:  # none: one could not look
                metrics.blocked("output", check)
        if row.role == "answer":
            metrics.answered(
                row.model,
                row.provider,
                row.outcome,
                self._code or ("none" if row.outcome == "ok" else row.outcome),
                elapsed_ns / 1e9,
                max(0, elapsed_ns - timing.upstream_ns()) / 1e9,
                None if self.progress.first_piece_ns is None else self.progress.first_piece_ns / 1e9,
            )
        if self.progress.recalled is not None:
            metrics.saved(row.model, row.saved_picousd or 0)
        else:
            metrics.settled(
                row.model,
                row.provider,
                prompt_tokens=row.prompt_tokens,
                completion_tokens=row.completion_tokens,
                cached_tokens=row.cached_tokens,
                reasoning_tokens=row.reasoning_tokens,
                cost_picousd=row.cost_picousd,
            )
        log.facts(
            "request",
            {
                "request_id": row.request_id if row.request_id == row.id else log.shown(row.request_id),
                "tenant": row.tenant_id,
                "key_id": row.api_key_id,
                "model": row.model,
                "provider": row.provider,
                "outcome": row.outcome,
                "status": row.http_status,
                "stream": row.stream,
                "prompt_tokens": row.prompt_tokens,
                "completion_tokens": row.completion_tokens,
                "latency_ms": row.latency_ms,
                "role": row.role,
                "route": self._bookkeeper.describe(self.progress.trail),
                **({"findings": {_said(found): found.count for found in row.findings}} if row.findings else {}),
            },
        )


def _said(found: Found) -> str:
    """``input pii email redact``"""
    return f"{found.direction} {found.check} {found.kind} {found.action}"


def _tries(tried: Sequence[Tried]) -> tuple[Try, ...]:
    """The calls that were made, where there was more than one; of very many the last."""
    if len(tried) < 2:
        return ()
    return tuple(Try(each.target, each.status, each.result, each.took_ns // 1_000_000) for each in tried[-MOST_TRIES:])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
