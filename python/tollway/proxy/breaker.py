"""A breaker for who is asked: after failures in a row nobody waits for another one for a while."""

from collections.abc import Callable

FAILURES = 5
"""So many in a row, and it is left out."""

LEFT_OUT_S = 5.0
"""So long; then one question tries, and the others go on without until it is answered."""


class Breaker:
    """One worker's, of one check or one embedder. ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float], *, failures: int = FAILURES, left_out_s: float = LEFT_OUT_S) -> None:
        self._clock = clock
        self._most_failures = failures
        self._left_out_s = left_out_s
        self._failures = 0
        self._left_out_until = 0.0
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether failures have opened it, and no answer has closed it since."""
        return self._failures >= self._most_failures

    def may_ask(self) -> bool:
        """Whether a question may be asked; if so, its outcome must be told."""
        if not self.is_open:
            return True
        if self._is_trying or self._clock() < self._left_out_until:
            return False
        self._is_trying = True
        return True

    def answered(self) -> None:
        """A question was answered."""
        self._failures = 0
        self._is_trying = False

    def failed(self) -> None:
        """A question was not."""
        self._failures += 1
        self._left_out_until = self._clock() + self._left_out_s
        self._is_trying = False

    def given_up(self) -> None:
        """Whoever asked left before the outcome: it says nothing."""
        self._is_trying = False
