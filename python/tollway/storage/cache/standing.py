"""What one worker knows of the Redis that answers are shared over: whether it answers, what it remembers, how many
removals it has counted.

That it was lost and is back is logged, once each, and not more often than every :data:`TOLD_EVERY_S`.
"""

import time
from collections import deque

from tollway.storage.cache.marks import Mark
from tollway.telemetry.logs import Log

TOLD_EVERY_S = 30.0
_MOST_MARKS = 256


class Standing:
    """Away until something is heard of it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._marks: deque[tuple[int, Mark]] = deque(maxlen=_MOST_MARKS)
        self._told_at_s = -TOLD_EVERY_S
        self._is_told = False
        self.is_away = True

    @property
    def memory(self) -> bytes:
        """The name of what it remembers; empty while nothing is known of it."""
        return self._marks[-1][1].memory if self._marks else b""

    @property
    def number(self) -> int:
        """The highest number of a removal that is known of."""
        return self._marks[-1][1].number if self._marks else 0

    def learn(self, memory: bytes, number: int) -> None:
        """What was read of it."""
        if memory != self.memory or number > self.number:
            self._marks.append((time.monotonic_ns(), Mark(memory, number)))

    def mark(self, begun_ns: int) -> Mark | None:
        """What was known at ``begun_ns``, by ``time.monotonic_ns()``; ``None`` where nothing was."""
        for known_ns, mark in reversed(self._marks):
            if known_ns <= begun_ns:
                return mark
        return None

    def answered(self) -> None:
        """It answers."""
        self.is_away = False
        if self._is_told:
            self._is_told = False
            self._log.info("cache_redis_back")

    def failed(self, error: Exception) -> None:
        """It has not answered, or not in time. No text of an error is shown: it may be the password's."""
        now_s = time.monotonic()
        if not self._is_told and now_s - self._told_at_s >= TOLD_EVERY_S:
            self._is_told, self._told_at_s = True, now_s
            self._log.warning("cache_redis_lost", cause=type(error).__name__)
        self.is_away = True
