"""Where graphs are built: a thread beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


class Building(Protocol):
    """Does work elsewhere, one after another, and comes back with what came of it."""

    @property
    def pause_s(self) -> float:
        """How long the work rests after each insertion, so that one core serves both it and the event loop."""
        ...

    def do(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Does ``work``, then calls ``then`` on the event loop."""
        ...

    def close(self) -> None:
        """Nothing is begun any more; what has begun is waited for."""
        ...


class BuildingThread:
    """One thread. Its first work must be given while the event loop runs."""

    pause_s = 0.0003

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cache")
        self._is_closed = False
        self._pending = 0

    @property
    def is_at_work(self) -> bool:
        """Whether something is yet to be done, or to be heard of."""
        return self._pending > 0

    def do(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Does ``work`` in the thread. What it raises is told to the loop's handler of exceptions."""
        if not self._is_closed:
            self._pending += 1
            loop = asyncio.get_running_loop()
            loop.run_in_executor(self._thread, work).add_done_callback(lambda done: self._done(done, then))

    def close(self) -> None:
        """The piece that is at work is waited for: some ten milliseconds."""
        self._is_closed = True
        self._thread.shutdown(cancel_futures=True)

    def _done(self, done: "asyncio.Future[T]", then: Callable[[T], None]) -> None:
        self._pending -= 1
        if not self._is_closed and not done.cancelled():
            then(done.result())
