"""Hosts that hold limits together, in virtual time: real ledgers and real workers' parts, a Redis done in Python, links
that are slow, lose things and are cut, wall clocks that are set."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec
from tests.fakes.scripted_grants import ScriptedGrants

from tollway._native.limits import Admission, Ledger, LimitSet, Refusal, Short
from tollway.proxy.limits.granting import COUNTER, GRANT, Message
from tollway.proxy.limits.sharing import Sharer
from tollway.storage.commands import Command
from tollway.storage.redis import PATIENCE_S, SILENCE_S
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

NOON_MS = 1_800_000_000_000


def steady_ms() -> int:
    """All hosts' steady clocks."""
    return round(asyncio.get_running_loop().time() * 1000)


class Redis:
    """What answers, while it does."""

    def __init__(self) -> None:
        self.starts = 0
        self.is_up = True
        self.questions = 0
        self.grants = ScriptedGrants(b"memory-0")

    def restart(self) -> None:
        """Empty."""
        self.starts += 1
        self.grants = ScriptedGrants(b"memory-%d" % self.starts)

    def answer(self, command: Command) -> bytes:
        """One ``EVAL``."""
        name, script, count, _, _, *rest = command
        assert (name, script) == ("EVAL", GRANT)
        keys, (host, memory, *_, packed) = rest[: int(count) - 2], rest[int(count) - 2 :]
        assert isinstance(host, str)
        assert isinstance(memory, bytes)
        assert isinstance(packed, bytes)
        self.questions += 1
        messages = msgspec.msgpack.decode(packed, type=list[Message])
        named = [(str(key).removeprefix(COUNTER), message) for key, message in zip(keys, messages, strict=True)]
        reply = self.grants.answer(steady_ms() + NOON_MS, host, memory, named)
        return msgspec.msgpack.encode(reply)


class Link:
    """One worker's way to it."""

    def __init__(self, redis: Redis, random: Random, slowest_s: float, loss: float) -> None:
        self._redis = redis
        self._random = random
        self._slowest_s = slowest_s
        self.loss = loss
        self._answered_s = 0.0
        self._memory = b""
        self.is_reachable = True

    @property
    def connected(self) -> bool:
        """As the real one: until it was silent for a while."""
        return asyncio.get_running_loop().time() - self._answered_s < SILENCE_S

    @property
    def memory(self) -> bytes:
        return self._memory

    async def pulse(self) -> None:
        """For ever."""
        while True:
            if self._redis.is_up and self.is_reachable:
                self._answered_s = asyncio.get_running_loop().time()
                self._memory = self._redis.grants.memory
            await asyncio.sleep(self._random.uniform(0.3, 0.7))

    async def ask(self, *commands: Command) -> Sequence[object] | None:
        """Late, and sometimes never."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._travel()
                answers = [self._redis.answer(command) for command in commands]
                await self._travel()
        except TimeoutError:
            return None
        self._answered_s = asyncio.get_running_loop().time()
        return answers

    async def _travel(self) -> None:
        if self._random.random() < self.loss:
            await asyncio.sleep(60)
        await asyncio.sleep(self._random.uniform(0.0, self._slowest_s))
        if not self._redis.is_up or not self.is_reachable:
            await asyncio.sleep(60)


@dataclass
class Passed:
    """One call that was let through."""

    at_s: float
    host: "Host"
    admission: Admission
    tokens: int
    until_s: float = float("inf")


@dataclass
class Host:
    """One host of some workers, and what it has let through."""

    ledger: Ledger
    workers: list[tuple[Sharer, Link]]
    off_ms: int = 0
    passed: list[Passed] = field(default_factory=list)
    refused: int = 0
    undecided: int = 0

    async def call(self, limits: LimitSet, worker: int, tokens: int) -> Passed | None:
        """One call, as station 2 decides it."""

        def attempt() -> Admission | Refusal | Short:
            wall_ms = steady_ms() + NOON_MS + self.off_ms
            return self.ledger.admit(limits, tokens, 0, wall_ms, steady_ms=steady_ms())

        outcome = attempt()
        if isinstance(outcome, Short):
            outcome = await self.workers[worker][0].decide(outcome, attempt)
        if isinstance(outcome, Admission):
            passed = Passed(asyncio.get_running_loop().time(), self, outcome, tokens)
            self.passed.append(passed)
            return passed
        self.refused += isinstance(outcome, Refusal)
        self.undecided += isinstance(outcome, Short)
        return None

    def end(self, passed: Passed, tokens: int) -> None:
        """The call has used so many tokens."""
        passed.tokens, passed.until_s = tokens, asyncio.get_running_loop().time()
        passed.admission.release()
        passed.admission.settle(tokens, 0, steady_ms() + NOON_MS + self.off_ms)


def open_host(
    path: Path, redis: Redis, random: Random, log: Log, metrics: Metrics, *, slowest_s: float = 0.01, loss: float = 0.0
) -> Host:
    """A host of two workers, not yet at work."""
    ledger, name = Ledger(path, 64), uuid.UUID(int=random.getrandbits(128)).hex
    links = [Link(redis, random, slowest_s, loss) for _ in range(2)]
    workers = [(Sharer(ledger, name, link, log, metrics, steady_ms=steady_ms), link) for link in links]
    return Host(ledger, workers)


def most_within(passed: Sequence[Passed], window_s: float, *, tokens: bool) -> int:
    """The most that was let through within any window."""
    worst, total, first = 0, 0, 0
    ordered = sorted(passed, key=lambda each: each.at_s)
    for each in ordered:
        total += each.tokens if tokens else 1
        while each.at_s - ordered[first].at_s >= window_s:
            total -= ordered[first].tokens if tokens else 1
            first += 1
        worst = max(worst, total)
    return worst
