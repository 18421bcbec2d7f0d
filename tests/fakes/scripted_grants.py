"""The script of :mod:`tollway.proxy.limits.granting` done again in Python: plainly, for tests in virtual time.

Tests of the real server hold both to the same.
"""

from dataclasses import dataclass, field
from typing import Literal

from tollway.proxy.limits.granting import HOST_MS, SETTLING_MS, Granted, Message, Reply


@dataclass
class _Own:
    """What one host has of one counter, and the number of its last question."""

    asked: int = 0
    spent: dict[int, int] = field(default_factory=dict)


@dataclass
class _Units:
    head: int
    hosts: dict[str, _Own] = field(default_factory=dict)


@dataclass
class ScriptedGrants:
    """What Redis remembers of limits, by the name ``memory``."""

    memory: bytes
    born_ms: int | None = None
    settling_for_ms: int = SETTLING_MS
    seen: dict[str, int] = field(default_factory=dict)
    units: dict[str, _Units] = field(default_factory=dict)
    slots: dict[str, dict[str, tuple[int, int, int]]] = field(default_factory=dict)

    def answer(self, now_ms: int, host: str, memory: bytes, messages: list[tuple[str, Message]]) -> Reply:
        """As the script does, in the same order."""
        if memory != self.memory:
            return Reply(self.memory.decode())
        if self.born_ms is None:
            self.born_ms = now_ms
        if self.born_ms > now_ms:
            self.born_ms = 0
        last = self.seen.get(host)
        if last is None or last > now_ms or now_ms - last >= 1_000:
            self.seen[host] = now_ms
            self.seen = {name: at for name, at in self.seen.items() if now_ms - at <= HOST_MS}
        hosts = sum(now_ms - at <= HOST_MS for at in self.seen.values())
        settling_ms = max(0, self.born_ms + self.settling_for_ms - now_ms)
        granted = [self._one(now_ms, host, hosts, settling_ms, *each) for each in messages]
        return Reply(memory.decode(), now_ms, hosts, settling_ms, granted)

    def counted(self, key: str, now_ms: int, width_ms: int, span: int) -> int:
        """What is counted of a windowed counter now."""
        state = self.units.get(key)
        if state is None:
            return 0
        oldest = max(now_ms // width_ms, state.head) - span
        return sum(amount for own in state.hosts.values() for at, amount in own.spent.items() if at >= oldest)

    def _one(self, now_ms: int, host: str, hosts: int, settling_ms: int, key: str, message: Message) -> Granted:
        if message.window_ms == 0:
            return self._slots(now_ms, host, hosts, settling_ms, key, message)
        return self._units(now_ms, host, hosts, settling_ms, key, message)

    def _slots(self, now_ms: int, host: str, hosts: int, settling_ms: int, key: str, message: Message) -> Granted:
        holders = self.slots.setdefault(key, {})
        if host in holders and holders[host][0] >= message.asked:
            return Granted(0)
        held = message.told[1] if message.told else 0
        for name, (_, at, _) in list(holders.items()):
            if name != host and now_ms - at > HOST_MS:
                del holders[name]
        total = held + sum(amount for name, (_, _, amount) in holders.items() if name != host)
        more, is_tight = _grant(message.limit - total, message.need, message.want, hosts, settling_ms)
        holders[host] = (message.asked, now_ms, held + more)
        free = max(0, message.limit - total - more)
        return Granted(1, 0, held + more, free, _bit(is_tight or free == 0), _bit(more >= message.need), 1000)

    def _units(self, now_ms: int, host: str, hosts: int, settling_ms: int, key: str, message: Message) -> Granted:
        width_ms, span = message.width_ms, message.span
        bucket = now_ms // width_ms
        state = self.units.setdefault(key, _Units(bucket))
        if state.head > bucket + span:
            state.head, state.hosts = bucket, {}
        state.head = bucket = max(bucket, state.head)
        own = state.hosts.setdefault(host, _Own())
        if own.asked >= message.asked:
            return Granted(0)
        own.asked = message.asked
        told = dict(zip(message.told[::2], message.told[1::2], strict=True))
        own.spent = {at: amount for at, amount in own.spent.items() if at <= message.bucket}
        own.spent |= {at: amount for at, amount in told.items() if bucket - span <= at <= bucket}
        ahead = sum(amount for at, amount in told.items() if at > bucket)
        has = own.spent.get(bucket, 0)
        own.spent[bucket] = has + ahead
        for each in state.hosts.values():
            each.spent = {at: amount for at, amount in each.spent.items() if at >= bucket - span and amount > 0}
        # Whoever has nothing is forgotten, and what it was asked last: an old question could only be granted more.
        state.hosts = {name: each for name, each in state.hosts.items() if each.spent or name == host}
        total = sum(amount for each in state.hosts.values() for amount in each.spent.values())
        more, is_tight = _grant(message.limit - total, message.need, message.want, hosts, settling_ms)
        retry_ms = 0 if more >= message.need else self._retry_ms(state, message, total, now_ms)
        if has + ahead + more:
            own.spent[bucket] = has + ahead + more
        free = max(0, message.limit - total - more)
        is_met = more >= message.need
        return Granted(1, bucket, has + more, free, _bit(is_tight or free == 0), _bit(is_met), retry_ms)

    def _retry_ms(self, state: _Units, message: Message, total: int, now_ms: int) -> int:
        excess, freed = total + message.need - message.limit, 0
        for at in range(state.head - message.span, state.head + 1):
            freed += sum(own.spent.get(at, 0) for own in state.hosts.values())
            if freed >= excess:
                return max(1, (at + message.span + 1) * message.width_ms - now_ms)
        return 1


def _grant(free: int, need: int, want: int, hosts: int, settling_ms: int) -> tuple[int, bool]:
    if settling_ms > 0 or free <= 0:
        return 0, want > 0 and free <= 0
    part = free // (2 * hosts)
    return min(free, need if part < want else want), part < want


def _bit(value: bool) -> Literal[0, 1]:
    return 1 if value else 0
