"""A bank in memory, as PostgreSQL would keep it: leases by host and purse, which lapse."""

import asyncio
from collections.abc import Callable, Sequence

from tollway.contract.budgets import Ask, Granted, Purse
from tollway.errors import DependencyUnavailable
from tollway.proxy.budgets.port import LEASE_S


class Lease:
    """What one host has of one purse."""

    def __init__(self) -> None:
        self.granted = 0
        self.spent = 0
        self.until_ms = 0
        self.turn = 0


class ScriptedBank:
    """``down`` refuses questions; ``deaf`` loses answers on their way back; ``gate`` holds them up, and
    ``asking`` is set once there was one."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self.asked: list[tuple[str, tuple[Ask, ...]]] = []
        self.leases: dict[str, dict[str, Lease]] = {}
        self.down = False
        self.deaf = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.asking = asyncio.Event()
        self.under_way = 0
        self.most_under_way = 0

    async def renew(self, host: str, asked: Sequence[Ask]) -> Sequence[Granted]:
        """Answers at once, but for the gate."""
        self.asked.append((host, tuple(asked)))
        self.asking.set()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gate.wait()
            if self.down:
                raise DependencyUnavailable("out of reach", inside="connection refused")
            answers = [self._answer(host, ask) for ask in asked]
            if self.deaf:
                raise DependencyUnavailable("out of reach", inside="connection reset")
            return answers
        finally:
            self.under_way -= 1

    def _answer(self, host: str, ask: Ask) -> Granted:
        lease = self.leases.setdefault(ask.purse.name, {}).setdefault(host, Lease())
        assert ask.turn > lease.turn
        assert ask.spent >= lease.spent
        now_ms = self._clock_ms()
        # A lapsed lease is worth what was spent of it: the rest may be another's by now.
        told = ask.granted if now_ms < lease.until_ms else ask.spent
        lease.granted, lease.spent, lease.turn = max(told, ask.spent), ask.spent, ask.turn
        lease.until_ms = now_ms + int(LEASE_S * 1000)
        more = min(ask.wanted, self.available(ask.purse))
        lease.granted += more
        return Granted(ask.purse.name, lease.granted, more < ask.wanted)

    def available(self, purse: Purse) -> int:
        """What nobody has leased."""
        now_ms, leases = self._clock_ms(), self.leases.get(purse.name, {}).values()
        taken = sum(lease.granted if now_ms < lease.until_ms else lease.spent for lease in leases)
        return max(0, purse.budget.amount_picousd - taken)

    def outage_ends(self) -> None:
        """It can be reached again: what has lapsed meanwhile is good for a while more."""
        self.down = False
        grace_ms = self._clock_ms() + int(LEASE_S * 1000)
        for leases in self.leases.values():
            for lease in leases.values():
                lease.until_ms = max(lease.until_ms, grace_ms)
