"""A Redis in virtual time, and links to it that are slow, lose things and are cut: by chance, of a seed.

It knows the commands that hosts use among each other; the three scripts are done again in Python, and tests of the real
server hold both to the same.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from tollway.proxy.routing.grants import HOLD, REST, TAKE
from tollway.storage.commands import MEMORY, Argument, Command
from tollway.storage.redis import PATIENCE_S, SILENCE_S

LONGEST_PULSE_S = 0.5


def _bytes(value: Argument) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class ScriptedRedis:
    """What it remembers, until it is restarted."""

    def __init__(self) -> None:
        self.is_up = True
        self.starts = 0
        self.listeners: list[Callable[[bytes], None]] = []
        self._values: dict[str, bytes] = {}
        self._ends_ms: dict[str, int] = {}

    @property
    def memory(self) -> bytes:
        """A name for what is remembered since the last start."""
        return b"memory-%d" % self.starts

    def now_ms(self) -> int:
        """By its own clock."""
        return round(asyncio.get_running_loop().time() * 1000) + 123_456_789

    def restart(self) -> None:
        """Empty."""
        self.starts += 1
        self._values.clear()
        self._ends_ms.clear()

    def value(self, key: str) -> bytes | None:
        """What is under ``key`` now."""
        if self._ends_ms.get(key, self.now_ms() + 1) <= self.now_ms():
            self._forget(key)
        return self.memory if key == MEMORY else self._values.get(key)

    def do(self, command: Command) -> object:
        """One command's answer."""
        name, key, *rest = command
        key = str(key)
        match name, rest:
            case "GET", []:
                return self.value(key)
            case "MGET", _:
                return [self.value(str(each)) for each in (key, *rest)]
            case "DEL", _:
                return sum(self._forget(str(each)) for each in (key, *rest))
            case "SET", [value, *how]:
                return self._set_as(key, value, how)
            case "PEXPIREAT", [at_ms]:
                self._ends_ms[key] = int(at_ms)
                return 1
            case "PUBLISH", [data]:
                for listener in self.listeners:
                    listener(_bytes(data))
                return len(self.listeners)
            case "EVAL", _:
                return self._evaluate(key, rest)
        raise AssertionError(f"not a command that hosts use: {command}")

    def _set_as(self, key: str, value: Argument, how: list[Argument]) -> bool | None:
        match how:
            case ["NX"] if self.value(key) is not None:
                return None
            case [] | ["NX"]:
                return self._set(key, value, None)
        raise AssertionError(f"not how hosts set: {how}")

    def _evaluate(self, script: str, arguments: list[Argument]) -> object:
        match arguments:
            case 3, lease, waiting, _, host, memory, *times if script == TAKE:
                return self._take(str(lease), str(waiting), _bytes(host), _bytes(memory), *map(int, times))
            case 1, lease, host, for_ms if script == HOLD:
                if self.value(str(lease)) not in (None, _bytes(host)):
                    return 0
                self._set(str(lease), host, int(for_ms))
                return 1
            case 1, lease, host, at_ms if script == REST:
                if self.value(str(lease)) not in (None, b"-", _bytes(host)):
                    return 0
                self._set(str(lease), "-", None)
                self._ends_ms[str(lease)] = int(at_ms)
                return 1
        raise AssertionError("not a script that hosts use")

    def _take(
        self, lease: str, waiting: str, host: bytes, memory: bytes, for_ms: int, waits_ms: int, beyond_ms: int
    ) -> list[int]:
        if memory != self.memory:
            return [0, 0]
        holder, waits = self.value(lease), self.value(waiting)
        others_wait = waits is not None and waits != host
        if holder is not None and holder != host:
            if not others_wait:
                self._set(waiting, host, waits_ms)
            return [0, self._left_ms(lease)]
        if holder is not None and self._left_ms(lease) > beyond_ms:
            return [0, self._left_ms(lease) - beyond_ms]
        if others_wait:
            self._forget(lease)
            return [0, self._left_ms(waiting)]
        self._set(lease, host, for_ms)
        self._forget(waiting)
        return [1, 0]

    def _left_ms(self, key: str) -> int:
        return self._ends_ms[key] - self.now_ms() if key in self._ends_ms else -1

    def _set(self, key: str, value: Argument, for_ms: int | None) -> bool:
        self._values[key] = _bytes(value)
        self._ends_ms.pop(key, None)
        if for_ms is not None:
            self._ends_ms[key] = self.now_ms() + for_ms
        return True

    def _forget(self, key: str) -> bool:
        self._ends_ms.pop(key, None)
        return self._values.pop(key, None) is not None


class ScriptedLink:
    """A host's link. ``slowest_s`` is the longest that one way takes, ``loss`` the part of requests and answers
    that are lost, which costs the connection as it does with the real link, and ``message_loss`` that of messages."""

    def __init__(
        self,
        redis: ScriptedRedis,
        hear: Callable[[bytes], None],
        on_change: Callable[[bool], None],
        random: Random,
        slowest_s: float,
        loss: float,
        message_loss: float,
    ) -> None:
        self._redis = redis
        self._hear = hear
        self._on_change = on_change
        self._random = random
        self._slowest_s = slowest_s
        self._loss = loss
        self._message_loss = message_loss
        self._arrives_at_s = 0.0
        self._answered_at_s = 0.0
        self.is_reachable = True
        self.connected = False
        self.connections = 0
        self.memory = b""
        redis.listeners.append(self._deliver)

    def now_ms(self) -> int:
        return self._redis.now_ms()

    async def ask(self, *commands: Command) -> Sequence[object] | None:
        """Late, and sometimes never."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._travel()
                answers = [self._redis.do(command) for command in commands]
                await self._travel()
        except TimeoutError:
            self.connections += 1
            return None
        return answers

    async def run(self) -> None:
        """A pulse, now and then."""
        loop = asyncio.get_running_loop()
        start = -1
        while True:
            if self._redis.is_up and self.is_reachable:
                self._answered_at_s = loop.time()
                if start != self._redis.starts or not self.connected:
                    start = self._redis.starts
                    self.memory = self._redis.memory
                    self.connections += 1
                if not self.connected:
                    self.connected = True
                    self._on_change(True)
            elif self.connected and loop.time() - self._answered_at_s > SILENCE_S:
                self.connected = False
                self._on_change(False)
            await asyncio.sleep(self._random.uniform(0.1, LONGEST_PULSE_S))

    async def _travel(self) -> None:
        if self._random.random() < self._loss or not self._redis.is_up or not self.is_reachable:
            await asyncio.sleep(60)
        await asyncio.sleep(self._random.uniform(0.0, self._slowest_s))
        if not self._redis.is_up or not self.is_reachable:
            await asyncio.sleep(60)

    def _deliver(self, data: bytes) -> None:
        """In order, as a connection does."""
        if self._random.random() < self._message_loss or not self.is_reachable:
            return
        loop = asyncio.get_running_loop()
        self._arrives_at_s = max(self._arrives_at_s + 1e-6, loop.time() + self._random.uniform(0.0, self._slowest_s))
        loop.call_at(self._arrives_at_s, self._hear, data)
