"""Who is asked last: what a worker has found of targets and keys that nobody asked to be left alone.

A key that was refused, or a limit without a word of when to come back: others are better asked first. Where there are
no others they are asked all the same, so that the client hears the provider's own reason, and hears at once when it
is mended. What a provider does ask for (Retry-After) is the board's, and binds every worker.
"""

import random
from collections.abc import Iterable, Sequence

from tollway.contract.snapshot import Target

LONGEST_S = 30.0
"""A target that says 429 and not for how long is asked last for twice as long each time, up to this."""

IN_A_ROW_MS = 60_000
"""A 429 that comes this long after the last one is the first again."""


class Aside:
    """One worker's list, by the names of targets and keys: so its size is the configuration's."""

    def __init__(self) -> None:
        self._until_ms: dict[str, int] = {}
        self._in_a_row: dict[str, tuple[int, int]] = {}

    def put(self, names: Iterable[str], seconds: float, now_ms: int) -> bool:
        """Asks these last for so long; whether that is news."""
        until_ms = now_ms + int(seconds * 1000)
        is_news = False
        for name in names:
            is_news = is_news or not self.has(name, now_ms)
            self._until_ms[name] = until_ms
        return is_news

    def put_limited(self, name: str, seconds: float, now_ms: int) -> None:
        """Asks a target last that has said too often that too much is asked of it: longer each time in a row, and a
        part of it by chance, so that not all come back at once."""
        times, last_ms = self._in_a_row.get(name, (0, 0))
        times = min(times + 1, 10) if now_ms - last_ms < IN_A_ROW_MS else 0
        self._in_a_row[name] = (times, now_ms)
        self.put([name], min(seconds * 2**times, LONGEST_S) * random.uniform(1.0, 1.25), now_ms)  # noqa: S311

    def has(self, name: str, now_ms: int) -> bool:
        """Whether it is asked last now."""
        until_ms = self._until_ms.get(name)
        if until_ms is None:
            return False
        if until_ms <= now_ms:
            del self._until_ms[name]
            return False
        return True

    @property
    def is_empty(self) -> bool:
        """Whether nobody is asked last."""
        return not self._until_ms

    def last(self, order: bytes, targets: Sequence[Target], now_ms: int) -> list[int]:
        """The same order, with those of the list at its end."""
        return sorted(order, key=lambda index: self.has(targets[index].name, now_ms))
