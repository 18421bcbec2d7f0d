"""What limits over many hosts promise, said as plainly as can be: all that was spent, added up anew each time."""

from dataclasses import dataclass, field


@dataclass
class SharedLog:
    """Every unit that any host has spent of one counter."""

    window_ms: int
    spent: list[tuple[int, int]] = field(default_factory=list)

    def add(self, at_ms: int, amount: int) -> None:
        """Some host has spent so much."""
        self.spent.append((at_ms, amount))

    def within(self, now_ms: int) -> int:
        """What was spent within the window that ends now."""
        return sum(amount for at_ms, amount in self.spent if now_ms - self.window_ms < at_ms <= now_ms)
