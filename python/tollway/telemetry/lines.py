"""A bounded queue of lines and the one thread that writes them: nobody who logs ever waits for a reader.

What comes in: finished lines, from any thread. What goes out: the same lines, whole and in order, to a file
descriptor. When the reader is too slow, lines are dropped and counted, and the next line written says how many.
It never raises into the caller and never holds more than its bounds.
"""

import atexit
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable

MOST_LINES = 10_000
MOST_BYTES = 8 << 20

_WRITE_BYTES = select.PIPE_BUF  # at most this much in one write: pipes don't mix such writes of several workers
_GATHER_S = 0.05
_FILE_WRITE_BYTES = 64 * 1024  # a file opened for appending takes any write whole
_POLL_MS = 100


class LineWriter:
    """Writes lines to ``descriptor`` from a daemon thread of its own.

    ``dropped_notice`` makes the line that reports drops, of their number; ``on_drop`` is called with the number of
    lines just dropped (under the queue's lock: it must only count). At exit of the interpreter what is queued is
    written for at most two seconds.

    Lines are handed over as bytes, encoded by the caller: encoding is a microsecond, freezes the values as they
    are now, and gives the queue its bound in bytes; the thread is left with ``write``, which frees the interpreter.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        most_lines: int = MOST_LINES,
        most_bytes: int = MOST_BYTES,
        dropped_notice: Callable[[int], bytes],
        on_drop: Callable[[int], None] | None = None,
    ) -> None:
        self._descriptor = descriptor
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._dropped_notice = dropped_notice
        self._on_drop = on_drop
        self._write_bytes = _FILE_WRITE_BYTES if stat.S_ISREG(os.fstat(descriptor).st_mode) else _WRITE_BYTES
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._closing = threading.Event()
        self._given_up = threading.Event()
        self._untold = 0
        self.dropped_lines = 0
        """How many lines were lost since the start, told or not."""
        self._thread = threading.Thread(target=self._drain, name="tollway-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def put(self, line: bytes) -> None:
        """Queue one line, newline included; drop and count it when the queue is full."""
        with self._lock:
            if len(self._lines) >= self._most_lines or self._bytes + len(line) > self._most_bytes:
                self._count_dropped(1)
                return
            self._lines.append(line)
            self._bytes += len(line)
            first = len(self._lines) == 1
        if first:
            self._filled.set()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout_s``; what is left then is lost. Safe to call twice."""
        self._closing.set()
        self._filled.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        self._given_up.set()
        atexit.unregister(self.close)

    def _drain(self) -> None:
        while True:
            self._filled.wait()
            # One wake-up gathers the lines of 50 ms: waking for every line would cost each request a thread switch.
            self._closing.wait(_GATHER_S)
            self._filled.clear()
            while self._write_next():
                pass
            if self._closing.is_set() and not self._filled.is_set():
                return

    def _write_next(self) -> bool:
        """Write some whole lines at once; whether there were any. They count against the bounds until they are out."""
        with self._lock:
            told = self._untold if self._lines else 0
            piece = self._take(told)
        left = memoryview(b"".join(piece))
        size = len(left)
        lost = 0
        try:
            while left and not self._given_up.is_set():
                left = left[self._write_some(left) :]
        except OSError:  # the reader is gone, or the disk is full: there is nobody left to tell
            lost = len(piece) - bool(told)
        with self._lock:
            self._bytes -= size
            if lost:
                self._untold += told
                self._count_dropped(lost)
        return bool(piece)

    def _take(self, told: int) -> list[bytes]:
        piece = [self._dropped_notice(told)] if told else []
        size = sum(map(len, piece))
        self._bytes += size
        self._untold -= told
        while self._lines and (not piece or size + len(self._lines[0]) <= self._write_bytes):
            line = self._lines.popleft()
            piece.append(line)
            size += len(line)
        return piece

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # someone made our stdout non-blocking; wait, but notice the end
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            poll.poll(_POLL_MS)
            return 0

    def _count_dropped(self, lines: int) -> None:
        self.dropped_lines += lines
        self._untold += lines
        if self._on_drop is not None:
            self._on_drop(lines)
