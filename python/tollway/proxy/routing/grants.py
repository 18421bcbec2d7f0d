"""Probes over all hosts: who may let calls through to a target whose cooldown is over, one host at a time.

In: the board, and what Redis answers. Out: grants on the board. For each target Redis keeps one key, its *lease*: the
host that it names may try the target, and everybody else leaves it alone.

- A lease is taken by one worker of one host (:data:`TAKE`). It allows ``probes`` calls that begin within
  :func:`window_ms`, and is held for as long as they are under way (:data:`HOLD`), at most for :data:`REPORT_MS`; then
  it is left to end. A host that dies holds nothing: its lease ends by itself.
- A host that found no use for its window takes another one, but gives way when another host waits.
- While a target's cooldown lasts, and for a moment after its closing, the lease is nobody's (:data:`REST`), so that a
  host which has not heard of that yet cannot take it.
- Redis may forget all of this. Whoever sees that, or has made a new connection, takes nothing for :data:`SETTLE_S`, in
  which those who have probes under way take hold of their leases again.

Redis failing over to a copy that has not got a lease yet, or a host being cut off from Redis with its probes under way,
may cost a second host's probes at the same time. Nothing costs more than that.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Protocol

from tollway._native.routing import Board, Names
from tollway.contract.routing import Breaker
from tollway.storage.commands import MEMORY, Command

LEASE = "tollway:routing:probe:"
"""Before a target's name: the key of its lease. Its value is a host, or ``-`` while nobody may have it."""

WAITING = "tollway:routing:waiting:"

TAKE = """
if redis.call('GET', KEYS[3]) ~= ARGV[2] then return {0, 0} end
local holder, waits = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
local others_wait = waits and waits ~= ARGV[1]
if holder and holder ~= ARGV[1] then
    if not others_wait then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4]) end
    return {0, redis.call('PTTL', KEYS[1])}
end
local left = redis.call('PTTL', KEYS[1])
if holder and left > tonumber(ARGV[5]) then return {0, left - ARGV[5]} end
if others_wait then
    redis.call('DEL', KEYS[1])
    return {0, redis.call('PTTL', KEYS[2])}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return {1, 0}
"""
"""Keys: the lease, who waits for it, the memory of Redis. Arguments: the host, the memory it knows, for how long (ms),
how long it waits (ms), and what is left of a lease of its own when its window is over (ms): before, another worker's
probes may be under way. Answers: whether it has the lease, else how long (ms) that may be so."""

HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
"""Keys: the lease. Arguments: the host, for how long (ms)."""

REST = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and holder ~= '-' then return 0 end
redis.call('SET', KEYS[1], '-')
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return 1
"""
"""Makes a lease nobody's, unless it is another host's. Keys: the lease. Arguments: the host, until when (ms, by the
clock of Redis)."""

WINDOW_MS = 2_000
LONGEST_WINDOW_MS = 30_000

REPORT_MS = 28_000
"""So long after their window probes may take to report, before others may try."""

SETTLE_S = 2.5
"""Longer than a connection takes to be made again, and a lease to be held again."""

HOLD_EVERY_S = 0.5
MOST_AT_ONCE = 64
"""Leases that are asked for in one turn; the others have theirs in the next."""

_BEYOND_MS = 5_000
"""A lease lasts for so long after its window."""

_REPORTING_MS = 1_500
_WAITING_MS = 2_500
_ASK_EVERY_S = 1.0
_LATE_MS = 100


class Asks(Protocol):
    """The part of :class:`tollway.storage.redis.RedisLink` that is needed here."""

    @property
    def memory(self) -> bytes:
        """Another one: Redis has forgotten."""

    async def ask(self, *commands: Command) -> Sequence[object] | None:
        """The answers, or ``None``."""


def window_ms(probes: int) -> int:
    """How long the probes of a grant may take to begin. One that is not used should soon be another host's; but
    several must all succeed in one window, and calls may be rare."""
    return WINDOW_MS if probes == 1 else min(LONGEST_WINDOW_MS, 5 * WINDOW_MS * probes)


class Grants:
    """One worker's share in handing out probes for its host. ``host`` is the same for all workers of a host.

    Times are handed in: ``now_ms`` is Unix time in milliseconds, ``at_s`` a clock that is never set.
    """

    def __init__(self, board: Board, redis: Asks, host: str, random: Random) -> None:
        self._board = board
        self._redis = redis
        self._host = host
        self._random = random
        self._settled_at_s = 0.0
        self._hold_at_s = 0.0
        self._not_before_s: dict[str, float] = {}
        self._watched: set[str] = set()

    def settle(self, at_s: float) -> None:
        """Redis may have forgotten: take nothing new yet."""
        self._settled_at_s = at_s + SETTLE_S

    def watch(self, name: str) -> None:
        """It has opened: the probes that follow may be ours."""
        self._watched.add(name)

    async def hand_out(self, names: Names, known: Mapping[str, Breaker], now_ms: int, at_s: float) -> None:
        """One turn: holds what this host has, and asks for what is due."""
        if at_s >= self._hold_at_s:
            await self.hold(now_ms, at_s)
        due = self._board.due(names, now_ms)
        self._watched.update(due)
        if at_s < self._settled_at_s:
            return
        due = [name for name in due if self._not_before_s.get(name, 0.0) <= at_s]
        if not due:
            return
        asked = [  # nor again while probes of its last window are under way
            name
            for name, state, until_ms, in_flight, *_ in self._board.status(Names(due), now_ms)
            if not _has_probes(state, until_ms, in_flight, now_ms - _LATE_MS)
        ]
        if asked:
            await self._take(asked[:MOST_AT_ONCE], known, now_ms, at_s)

    async def hold(self, now_ms: int, at_s: float) -> None:
        """Holds the leases of this host's probes, also those that Redis has forgotten."""
        self._hold_at_s = at_s + HOLD_EVERY_S
        if not self._watched:
            return
        held: list[Command] = []
        for name, state, until_ms, in_flight, *_ in self._board.status(Names(sorted(self._watched)), now_ms):
            if state == "closed":
                self._watched.discard(name)
                self._not_before_s.pop(name, None)
            elif _has_probes(state, until_ms, in_flight, now_ms):
                left_ms = min(max(until_ms - now_ms, _REPORTING_MS if in_flight else 0), LONGEST_WINDOW_MS)
                held.append(("EVAL", HOLD, 1, LEASE + name, self._host, left_ms + _BEYOND_MS))
        if held:
            await self._redis.ask(*held)

    async def _take(self, asked: Sequence[str], known: Mapping[str, Breaker], now_ms: int, at_s: float) -> None:
        memory = self._redis.memory
        questions: list[Command] = []
        for name in asked:
            keys = (LEASE + name, WAITING + name, MEMORY)
            lease_ms = window_ms(known[name].probes) + _BEYOND_MS
            questions.append(("EVAL", TAKE, 3, *keys, self._host, memory, lease_ms, _WAITING_MS, _BEYOND_MS))
        for name, answer in zip(asked, await self._redis.ask(*questions) or (), strict=False):
            is_taken, left_ms = answer if isinstance(answer, list) and len(answer) == 2 else (0, 0)
            if is_taken == 1:
                self._grant(name, known[name].probes, now_ms)
            else:
                left_s = max(0, left_ms) / 1_000 if isinstance(left_ms, int) else 0.0
                self._not_before_s[name] = at_s + min(left_s, _ASK_EVERY_S) + self._random.uniform(0.0, 0.1)

    def _grant(self, name: str, probes: int, now_ms: int) -> None:
        """Counted from before Redis was asked, so that the window is over before the lease is. Another worker of the
        host may have been faster, and have its probes under way."""
        ((_, state, until_ms, in_flight, *_),) = self._board.status(Names((name,)), now_ms)
        if not _has_probes(state, until_ms, in_flight, now_ms - _LATE_MS):
            self._board.grant(name, probes, now_ms + window_ms(probes), now_ms)


def _has_probes(state: str, until_ms: int, in_flight: int, now_ms: int) -> bool:
    """Whether probes are allowed or under way on this host. Calls from before the opening are taken for probes, too:
    they cannot be told apart."""
    return state == "half_open" and (until_ms > now_ms or (in_flight > 0 and until_ms + REPORT_MS > now_ms))
