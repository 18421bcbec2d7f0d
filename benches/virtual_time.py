"""An event loop whose clock jumps: where it would wait, the time has come at once. An hour takes what its work takes.

For worlds without sockets, threads and processes: nothing from outside can wake it but what is ready already.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

_Result = TypeVar("_Result")
BEGINNING_MS = 1_700_000_000_000
"""The Unix time of the loop's beginning."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Asyncio's own loop on a clock of its own."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        """Seconds since the loop was made. It counts from zero: far from it, floats have no room for a short wait."""
        return self._now_s

    def unix_ms(self) -> int:
        """Unix time in this world."""
        return BEGINNING_MS + int(self._now_s * 1_000)

    def _jump(self, seconds: float) -> None:
        self._now_s += seconds


class _Jumping(selectors.BaseSelector):
    """The system's selector, which never waits: it tells how long it would have."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        self._real = selectors.DefaultSelector()
        self._jump = jump

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Raises ``RuntimeError`` where the loop would wait for ever: no timer is set, so nothing can happen here."""
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing is to come")
        self._jump(timeout)
        return ready


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """``asyncio.run`` on a :class:`VirtualLoop`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
