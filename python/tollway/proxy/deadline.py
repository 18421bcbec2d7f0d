"""A time limit on what the current task awaits: :func:`asyncio.timeout` for the hot path, at a fraction of its cost.

It knows its task (the boundary looked it up once), so it needs neither a look-up nor an ``await`` of its own. What is
the same: the timer cancels the task, and the cancellation becomes a :class:`TimeoutError` unless somebody else wants
the task cancelled as well.

To set a timer of uvloop's and to clear it again costs 2 µs, and nearly all are cleared. So they wait in a line first,
which costs a tenth of it, and only what is still there after a while gets a timer.
"""

import asyncio
from abc import ABC, abstractmethod
from itertools import takewhile
from types import TracebackType
from typing import Any, Protocol, Self


class Waiting(Protocol):
    """What stands in a line."""

    def passed(self) -> None:
        """It has stood there for as long as the line lasts, and has left it."""
        ...


class Line:
    """Waits of one length, in seconds, most of which are over before it has passed: the loop has one timer for all."""

    __slots__ = ("_has_timer", "_loop", "_waiting", "wait_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, wait_s: float) -> None:
        self.wait_s = wait_s
        self._loop = loop
        self._waiting: dict[Waiting, float] = {}
        self._has_timer = False

    def enter(self, waiting: Waiting) -> float:
        """Tells ``waiting`` when the wait has passed, unless it leaves before; returns when that is, by the loop's
        clock. Nobody stands in it twice."""
        when = self._loop.time() + self.wait_s
        self._waiting[waiting] = when
        if not self._has_timer:
            self._has_timer = True
            self._loop.call_at(when, self._look)
        return when

    def leave(self, waiting: Waiting) -> None:
        """Nothing is told. Again, or when it has passed: nothing more."""
        self._waiting.pop(waiting, None)

    def _look(self) -> None:
        now = self._loop.time()
        passed = list(takewhile(lambda waiting: self._waiting[waiting] <= now, self._waiting))
        for waiting in passed:
            del self._waiting[waiting]
        first = next(iter(self._waiting.values()), None)
        self._has_timer = first is not None
        if first is not None:
            self._loop.call_at(first, self._look)
        for waiting in passed:
            waiting.passed()


class Timer(ABC):
    """One timer that may be set again and again; while it has long to go, it stands in ``line`` if there is one."""

    __slots__ = ("_handle", "_line", "_looked_at", "_loop", "when")

    def __init__(self, loop: asyncio.AbstractEventLoop, line: Line | None) -> None:
        self._loop = loop
        self._line = line
        self._handle: asyncio.TimerHandle | None = None

    @abstractmethod
    def due(self) -> None:
        """It has gone off."""

    def passed(self) -> None:
        """From the line: now it is worth a timer of the loop's."""
        self._arm()

    def _set(self, when: float) -> None:
        line, self.when = self._line, when
        if line is None or when - self._loop.time() <= line.wait_s:
            self._arm()
        else:
            self._looked_at = line.enter(self)

    def _arm(self) -> None:
        self._looked_at = self.when
        self._handle = self._loop.call_at(self.when, self.due)

    def _clear(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        elif self._line is not None:
            self._line.leave(self)


class Deadline(Timer):
    """``with Deadline(task, when):`` ends with :class:`TimeoutError` at ``when``, in seconds of the loop's clock."""

    __slots__ = ("_cancelling", "_expired", "_task")

    def __init__(self, task: "asyncio.Task[Any]", when: float, line: Line | None = None) -> None:
        self._loop = task.get_loop()
        self._line = line
        self._handle = None
        self._task = task
        self.when = when
        self._expired = False

    def __enter__(self) -> Self:
        self._cancelling = self._task.cancelling()
        self._set(self.when)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def move(self, when: float) -> None:
        """Another time. A timer that fires too early is set anew then, so moving to a later time costs nothing; where
        it surely is later, to set ``when`` will do."""
        self.when = when
        if when < self._looked_at:
            self._clear()
            self._arm()

    def due(self) -> None:
        """From the loop."""
        if self._loop.time() < self.when:
            self._arm()
            return
        self._expired = True
        self._task.cancel()
