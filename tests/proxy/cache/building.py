"""Building without a thread: at once, or when the test says so."""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class AtOnce:
    """Does everything when it is given."""

    pause_s = 0.0

    def do(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        then(work())

    def close(self) -> None:
        pass


class OneByOne:
    """Does the next piece when it is told to: the test is between any two, as the event loop is."""

    pause_s = 0.0

    def __init__(self) -> None:
        self.pieces: deque[Callable[[], Callable[[], None]]] = deque()
        self._ends: deque[Callable[[], None]] = deque()

    def do(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        def piece() -> Callable[[], None]:
            result = work()
            return lambda: then(result)

        self.pieces.append(piece)

    def close(self) -> None:
        self.pieces.clear()

    @property
    def is_at_work(self) -> bool:
        """Whether something is yet to be done, or to be heard of."""
        return bool(self.pieces or self._ends)

    def work(self) -> None:
        """The thread does a piece; the loop has not heard of it yet."""
        if self.pieces:
            self._ends.append(self.pieces.popleft()())

    def hear(self) -> None:
        """The loop hears of what is done."""
        while self._ends:
            self._ends.popleft()()

    def finish(self) -> None:
        """All there is to do, and what follows from it."""
        while self.pieces or self._ends:
            self.work()
            self.hear()
