"""Limits over many hosts: this worker's part in asking Redis for slices, and in waiting for one.

In: what the ledger says is to be asked (:class:`tollway._native.leases.Leases`), a link to Redis. Out: answers, told to
the ledger, where all workers of the host find them. Most calls never come here: their units are in the ledger. A call
that lacks some waits for one answer, which many calls share, and never longer than :data:`WAIT_S`.

Where Redis does not answer, each host keeps to its share of each limit; the ledger knows when. It is logged once, and
once that it is over.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec

from tollway._native.leases import Leases, Question
from tollway._native.limits import Admission, Ledger, LedgerError, Refusal, Short
from tollway.proxy.limits.granting import (
    COUNTER,
    GRANT,
    HOST_MS,
    HOSTS,
    SEEN_EVERY_MS,
    SETTLING_MS,
    Granted,
    Message,
    Reply,
)
from tollway.storage.commands import MEMORY, Command
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

WAIT_S = 0.9
"""A call waits no longer for units: by then Redis counts as lost, and shares hold (``LOST_MS`` in
``rust/core/src/leases/region.rs``). Mostly it waits for one round trip."""

TURN_S = 0.05
"""How often a worker looks whether something is to be told."""

STARTING_S = 3.0
"""A worker that has not heard of Redis for so long serves all the same, by the host's share."""

LONGEST_MEMORY_BYTES = 32
"""The ledger keeps no longer name; see :attr:`tollway.storage.redis.RedisLink.memory`."""

_LOOK_S = 0.005
"""How soon a call looks whether another worker of the host was answered; after that it takes its time."""

Told: TypeAlias = tuple[str, int, int, int, int, int, int, int, int, list[int]]
Outcome: TypeAlias = Admission | Refusal | Short


class Link(Protocol):
    """What is needed of a :class:`tollway.storage.redis.RedisLink`."""

    @property
    def connected(self) -> bool:
        """Whether Redis answers."""

    @property
    def memory(self) -> bytes:
        """The name of what Redis remembers."""

    async def ask(self, *commands: Command) -> Sequence[object] | None:
        """Answers, or none."""


class Lessee(Protocol):
    """Who gets units for a call that lacks them."""

    @property
    def state(self) -> str | None:
        """``ok``, ``starting`` (not to be served yet), ``by share`` (Redis is out of reach); ``None``: no Redis."""

    async def decide(self, short: Short, attempt: Callable[[], Outcome]) -> Outcome:
        """What ``attempt`` says once it has what it lacks; ``Short`` when that takes too long."""

    async def follow(self) -> None:
        """Keeps the leases, for ever."""


class Sole:
    """There is no Redis: limits are this host's own."""

    state = None

    async def decide(self, short: Short, attempt: Callable[[], Outcome]) -> Outcome:
        """Nobody grants anything."""
        return attempt()

    async def follow(self) -> None:
        """Nothing is kept."""
        await asyncio.Event().wait()


class Sharer:
    """One worker's view of limits that hosts share over Redis. ``host`` names this one, as a UUID in hexadecimal."""

    def __init__(
        self,
        ledger: Ledger,
        host: str,
        link: Link,
        log: Log,
        metrics: Metrics,
        *,
        steady_ms: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._leases = Leases(ledger)
        self._link = link
        self._log = log
        self._metrics = metrics
        self._steady_ms = steady_ms
        self._wake = asyncio.Event()
        self._news = asyncio.Event()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Reply, strict=False)
        self._memory = b""
        self._is_connected = False
        self._is_shared = False
        self._is_told = False
        self._was_answered = False
        self._began_s = time.monotonic()
        self._leases.begin(host, steady_ms())
        metrics.limits_shared(shared=False)

    @property
    def state(self) -> str:
        """As of the last look."""
        if not self._was_answered and time.monotonic() - self._began_s < STARTING_S:
            return "starting"
        return "by share" if self._is_shared else "ok"

    async def decide(self, short: Short, attempt: Callable[[], Outcome]) -> Outcome:
        """Tries again with what Redis grants, for :data:`WAIT_S`."""
        outcome: Outcome = short
        self._metrics.limits_waited()
        deadline_s = asyncio.get_running_loop().time() + WAIT_S
        while isinstance(outcome, Short):
            is_answered = await self._answer_to(outcome, deadline_s)
            outcome = attempt()
            if not is_answered:
                break
        return outcome

    async def follow(self) -> None:
        """Asks what is to be asked, for ever; ends when it is cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.turn()
            except LedgerError as error:
                self._log.warning("limits_not_shared", error=error)
            try:
                async with asyncio.timeout(TURN_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """Asks until nothing is left to ask. One is made at least every :data:`TURN_S`."""
        if self._link.connected != self._is_connected:
            self._is_connected = self._link.connected
            self._leases.connect(self._is_connected)
        if self._link.memory != self._memory:  # it has forgotten, or this is the first that is heard of it
            self._memory = self._link.memory
            self._remember(self._memory)
        self._look()
        while self._link.connected:
            question = self._leases.question(self._steady_ms())
            if question is None or not await self._ask(question):
                break
        self._look()

    async def _ask(self, question: Question) -> bool:
        """Whether Redis has answered."""
        answers = await self._link.ask(self._command(question))
        reply = None if answers is None else self._understood(answers[0])
        is_heeded = reply is not None and reply.memory.encode() == question.memory
        self._metrics.limits_asked(answered=is_heeded)
        if reply is None or not is_heeded:
            self._leases.unanswered(question)
            return reply is not None and self._remember(reply.memory.encode())
        self._leases.answered(
            question, reply.redis_ms, reply.hosts, reply.settling_ms, granted_of(reply), self._steady_ms()
        )
        self._was_answered = True
        self._news.set()
        self._news = asyncio.Event()
        return True

    def _remember(self, memory: bytes) -> bool:
        """Whether that is a name of what Redis remembers."""
        is_name = 0 < len(memory) <= LONGEST_MEMORY_BYTES and 0 not in memory
        if is_name:
            self._leases.remember(memory)
        return is_name

    def _command(self, question: Question) -> Command:
        messages = question.messages
        keys = [COUNTER + key for key, *_ in messages]
        packed = self._encoder.encode([message_of(each) for each in messages])
        limits_ms = (SETTLING_MS, SEEN_EVERY_MS, HOST_MS)
        return (
            "EVAL", GRANT, 2 + len(keys), MEMORY, HOSTS, *keys, question.host, question.memory, *limits_ms, packed,
        )  # fmt: skip

    def _understood(self, answer: object) -> Reply | None:
        if not isinstance(answer, bytes):
            return None
        try:
            return self._decoder.decode(answer)
        except ValueError:  # not the answer of this script
            return None

    async def _answer_to(self, short: Short, deadline_s: float) -> bool:
        """Whether Redis answers before the deadline what the call waits for, to this worker or to another."""
        loop, look_s = asyncio.get_running_loop(), _LOOK_S
        self._wake.set()
        while not self._leases.is_answered(short):
            left_s = deadline_s - loop.time()
            if left_s <= 0:
                return False
            try:
                async with asyncio.timeout(min(left_s, look_s)):
                    await self._news.wait()
            except TimeoutError:
                look_s = min(2 * look_s, TURN_S)
        return True

    def _look(self) -> None:
        """Tells when the reign changes."""
        reign, hosts = self._leases.reign(self._steady_ms())
        is_shared = reign == "shared"
        if is_shared == self._is_shared:
            return
        self._is_shared = is_shared
        self._metrics.limits_shared(shared=is_shared)
        if is_shared and self._was_answered:
            self._is_told = True
            self._log.warning("limits_by_share", hosts=hosts, connected=self._is_connected)
        elif self._is_told:
            self._is_told = False
            self._log.info("limits_leased_again", hosts=hosts)


def message_of(told: Told) -> Message:
    """What the script takes, of what the ledger tells of a counter."""
    _, window_ms, width_ms, span, limit, asked, bucket, need, want, amounts = told
    return Message(window_ms, width_ms, span, limit, asked, bucket, need, want, amounts)


def granted_of(reply: Reply) -> list[tuple[int, int, int, bool, bool, int] | None]:
    """What the ledger takes, of what the script answers."""
    return [_told(each) for each in reply.granted]


def _told(granted: Granted) -> tuple[int, int, int, bool, bool, int] | None:
    if not granted.heeded:
        return None
    return granted.bucket, granted.granted, granted.free, bool(granted.tight), bool(granted.met), granted.retry_ms


def open_lessee(ledger: Ledger, host: str, link: Link | None, log: Log, metrics: Metrics) -> Lessee:
    """Who keeps the leases of ``ledger``: nobody without a link to a Redis.

    Raises:
        LedgerError: the ledger is out of reach.
    """
    return Sole() if link is None else Sharer(ledger, host, link, log, metrics)
