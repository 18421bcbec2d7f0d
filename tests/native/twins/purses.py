"""The slow twin of ``tollway._native.purses``: every hold kept with its worker, summed anew for each question."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Account:
    """One purse: what the bank granted and until when, what calls have missed, how long there is nothing more, and what
    the bank was last told to be spent."""

    granted: int = 0
    until_ms: int = 0
    short: int = 0
    exhausted_until_ms: int = 0
    told: int = 0


@dataclass(eq=False)
class Held:
    """One call: its worker, what it holds, and what it has cost."""

    names: tuple[str, ...]
    worker: int
    held: int
    cost: int = 0
    is_settled: bool = False


@dataclass
class Books:
    """One host's purses."""

    accounts: dict[str, Account] = field(default_factory=dict)
    calls: list[Held] = field(default_factory=list)

    def reserve(self, worker: int, names: Sequence[str], picousd: int, now_ms: int) -> Held | None:
        """Holds in all or in none; what is missing is noted."""
        for name in names:
            self.accounts.setdefault(name, Account())
        if self._lack(names, picousd, now_ms):
            return None
        call = Held(tuple(names), worker, picousd)
        self.calls.append(call)
        return call

    def grow(self, call: Held, picousd: int, now_ms: int) -> bool:
        """Raises what is held, in all or in none."""
        more = picousd - call.held
        if more <= 0 or call.is_settled:
            return True
        if self._lack(call.names, more, now_ms):
            return False
        call.held = picousd
        return True

    def settle(self, call: Held, picousd: int) -> None:
        """What it has cost takes the place of what it held."""
        call.held, call.cost, call.is_settled = 0, picousd, True

    def die(self, worker: int) -> None:
        """What a worker held is given back; what its calls have cost stays."""
        for call in self.calls:
            if call.worker == worker:
                call.held = 0

    def grant(self, name: str, granted: int, until_ms: int, exhausted_until_ms: int) -> None:
        """The bank's answer."""
        self.accounts[name] = Account(granted, until_ms, 0, exhausted_until_ms, self.accounts[name].told)

    def trim(self, name: str, keep: int) -> None:
        """What is granted beyond need goes back."""
        account = self.accounts[name]
        account.granted = min(account.granted, self.spent(name) + self.held(name) + keep)
        account.told = self.spent(name)

    def spent(self, name: str) -> int:
        return sum(call.cost for call in self.calls if name in call.names)

    def held(self, name: str) -> int:
        return sum(call.held for call in self.calls if name in call.names)

    def available(self, name: str, now_ms: int) -> int:
        account = self.accounts[name]
        if now_ms >= account.until_ms:
            return 0
        return max(0, account.granted - self.spent(name) - self.held(name))

    def _lack(self, names: Sequence[str], picousd: int, now_ms: int) -> bool:
        lacking = False
        for name in names:
            missing = picousd - self.available(name, now_ms)
            if missing > 0:
                self.accounts[name].short += missing
                lacking = True
        return lacking
