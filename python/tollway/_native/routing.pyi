"""Which target is asked, and what all worker processes of one host know of each: in flight, latencies, breakers.

Times are Unix milliseconds and ``chance`` is 64 random bits, both passed in: the module has no clock and no random
number generator. What is known lies in the ledger's file; of a name that found no room there (8,192 are kept, those of
no use for longest are given up) nothing is known, which is no error. Every method of ``Board`` and ``Lease`` raises
``LedgerError`` when the file's lock cannot be had or the ledger is closed.
"""

from collections.abc import Sequence
from typing import Literal, final

from tollway._native.limits import Ledger

__all__ = ["Board", "BreakerPolicy", "Change", "Lease", "Names", "Pool", "Ranking"]

@final
class BreakerPolicy:
    """When a target is left alone, and how it comes back: ``tollway.contract.routing.Breaker`` in whole numbers."""

    def __new__(
        cls,
        *,
        consecutive: int,
        failure_permille: int,
        minimum_calls: int,
        window_ms: int,
        cooldown_ms: int,
        max_cooldown_ms: int,
        probes: int,
        slow_start_ms: int,
    ) -> BreakerPolicy:
        """All but ``slow_start_ms`` are at least 1. Raises ``ValueError``, and ``OverflowError`` for a negative one."""

@final
class Pool:
    """A route's targets, ready for ranking. Immutable; build it once for each snapshot, not for each request."""

    def __new__(
        cls,
        route: str,
        strategy: str,
        targets: Sequence[tuple[str, int, int, int | None, int | None, BreakerPolicy]],
        /,
    ) -> Pool:
        """Each target is ``(name, weight, tier, input_price, output_price, policy)``: ``provider/model``; its share,
        where 0 puts it behind all others under any strategy; the lowest tier comes first under ``priority``;
        picodollars per token, None when unknown; its breaker.

        What is known of a target is shared by all pools it stands in; turns and budgets by all pools of one ``route``.
        Raises ``ValueError`` for an unknown strategy or more than 64 targets, ``OverflowError`` for a negative number.
        """

    @property
    def names(self) -> list[str]:
        """The targets' names, in the order given."""

@final
class Names:
    """Names of targets (``provider/model``) and keys (``provider#key``), ready to be looked up again and again."""

    def __new__(cls, names: Sequence[str], /) -> Names: ...

@final
class Ranking:
    """Who may be asked, best first, and how all of the mask stand. As of the moment it was made."""

    @property
    def order(self) -> bytes:
        """Indices into the pool of those that may be asked now, best first."""

    @property
    def retry_at_ms(self) -> int:
        """When the first of those that may not be asked now may be; 0 when nobody knows."""

    @property
    def limited(self) -> bool:
        """All that may not be asked, and there are some, are cooling because of a rate limit."""

    def states(self) -> list[tuple[int, str, float | None, int, int | None, int]]:
        """``(index, state, score, in_flight, latency_us, until_ms)`` of each target of the mask.

        The state is ``closed``, ``open``, ``half_open`` (also one whose cooldown is over, and that the next call may
        try) or ``cooling``. The lower the score the better: calls in flight per weight, microseconds, picodollars,
        tier, or distance; None for ``weighted`` and ``round_robin``, and for a cost that is not known.
        ``latency_us`` is of the kind asked for: a mean that follows a rise at once and a fall within ten seconds.
        """

@final
class Change:
    """A breaker has opened, until ``until_ms``, or closed."""

    @property
    def state(self) -> Literal["open", "closed"]: ...
    @property
    def until_ms(self) -> int: ...
    @property
    def name(self) -> str: ...

@final
class Lease:
    """One call of one target, in flight until it is ended. Dropped before, it ends as neutral."""

    @property
    def is_probe(self) -> bool:
        """It tries a target whose breaker is half open."""

    def heard(self, latency_us: int, stream: bool, now_ms: int) -> Change | None:
        """The answer has begun well: the call's success, and a sample of the latency. Only the first time counts."""

    def end(
        self,
        outcome: Literal["ok", "failed", "neutral"],
        now_ms: int,
        latency_us: int | None = None,
        stream: bool = False,
    ) -> Change | None:
        """Ends the call; only the first end counts.

        ``ok`` is the success, with its latency, of a call that was not ``heard``. ``failed`` counts a failure of the
        target, also after ``heard`` (a stream that died). ``neutral`` says nothing about the target (the client's own
        fault, a lost race): a probe's place goes to another call.

        A call that was begun before the last opening says nothing about the target as it is now: it is only no longer
        in flight. Raises ``ValueError`` for another outcome.
        """

@final
class Board:
    """What this host knows of targets, keys and routes. Safe for threads, processes and fork."""

    def __new__(cls, ledger: Ledger, /) -> Board:
        """The board in the ledger's own file, under its lock; the process's seat is the ledger's."""

    @property
    def grants_itself(self) -> bool:
        """Whether a target is half open as soon as its cooldown is over (as at first), or once it is granted.

        It is this object's, not the host's.
        """

    @grants_itself.setter
    def grants_itself(self, value: bool) -> None: ...
    def rank(
        self,
        pool: Pool,
        mask: int,
        now_ms: int,
        chance: int,
        *,
        stream: bool = False,
        sticky: int = 0,
        prompt_tokens: int = 0,
        output_tokens: int = 0,
    ) -> Ranking:
        """Those of the mask (bit *n* is target *n*; bits beyond the pool say nothing) that may be asked, best first.

        ``stream`` says which latency matters; ``sticky`` is the hash that ``sticky`` puts to one target; the tokens are
        what ``cost`` is reckoned from. ``round_robin`` takes a turn.
        """

    def begin(self, pool: Pool, index: int, now_ms: int, *, first: bool = True, stream: bool = False) -> Lease | None:
        """Begins a call; None when the target may not be asked any more: it has opened, or all probes are under way.

        ``first`` counts a call of the route, of which retries and hedges are a share. ``stream`` says for which of the
        two latencies it waits: while nothing is heard of a target that somebody waits for, ``latency`` takes it to be
        as slow as that at least. Raises ``ValueError`` for an index that is not the pool's.
        """

    def retry(self, pool: Pool, permille: int, reserve: int, now_ms: int) -> bool:
        """Takes a retry: those of late are at most ``permille`` of the route's calls of late, and ``reserve`` besides.

        Both are forgotten with a time constant of ten seconds, and are the whole host's.
        """

    def hedge(self, pool: Pool, permille: int, now_ms: int) -> bool:
        """The same for hedges, with a reserve of one."""

    def p95_us(self, pool: Pool, index: int, stream: bool) -> int | None:
        """What 95 of 100 of a target's latencies were not longer than, within a fifth, of the last few thousand.

        None when fewer than 20 are known.
        """

    def cool(self, name: str, until_ms: int, now_ms: int, *, limited: bool) -> bool:
        """Leaves a target or a key alone until then, though its breaker is closed; ``limited``: for a rate limit.

        Never shortens: True when that is later than what was known.
        """

    def open(self, name: str, until_ms: int, now_ms: int) -> bool:
        """Opens a breaker until then, as heard from another host or a person (2**53 - 1: until it is closed).

        Never shortens: True when it was not open, or not for so long.
        """

    def close(self, name: str, now_ms: int, slow_start_ms: int) -> bool:
        """Closes a breaker and forgets that the target is cooling; slow start begins if it was not closed.

        False when there was nothing to do.
        """

    def due(self, names: Names, now_ms: int) -> list[str]:
        """Those whose cooldown is over and which wait for a grant, or whose last probes did not report in time."""

    def grant(self, name: str, probes: int, until_ms: int, now_ms: int) -> None:
        """Half-opens a target that is due, for so many calls, which have until then to report."""

    def probed(self, name: str, policy: BreakerPolicy, ok: bool, now_ms: int) -> Change | None:
        """Counts an active probe: a failure as a call's; a success closes a target whose cooldown is over, else it ends
        the failures in a row.
        """

    def claim(self, name: str, every_ms: int, now_ms: int) -> bool:
        """Whether no process of the host has claimed the name within ``every_ms``; then it is the caller's."""

    def status(self, names: Names, now_ms: int) -> list[tuple[str, str, int, int, int | None, int | None, int, float]]:
        """``(name, state, until_ms, in_flight, stream_latency_us, whole_latency_us, consecutive_failures, ramp)`` of
        each name, in order: ``tollway.contract.routing.TargetStatus``. Changes nothing.
        """
