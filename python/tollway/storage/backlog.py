"""What waits in the journal, counted as it grows: each record is looked at once, however long an outage lasts.

In: segments as the shipper opens them, and how far it has shipped them. Out: how many rows wait. Bounded by the number
of segments.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tollway.storage.segments import SegmentReader


class _Counted(msgspec.Struct):
    """``rows`` lie between ``shipped`` and ``end``."""

    shipped: int
    end: int
    rows: int = 0


class Backlog:
    """The segments of one journal, and what was counted in each."""

    def __init__(self) -> None:
        self._segments: dict[Path, _Counted] = {}

    def count(self, segment: SegmentReader) -> int:
        """The rows of ``segment`` that PostgreSQL does not have yet."""
        counted = self._of(segment)
        for end, _ in segment.records(counted.end):
            counted.end = end
            counted.rows += 1
        return counted.rows

    def shipped(self, segment: SegmentReader, offset: int, rows: int) -> None:
        """The next ``rows`` of ``segment`` have been stored, up to ``offset``, and are about to be marked."""
        counted = self._of(segment)
        if offset >= counted.end:
            counted.end, counted.rows = offset, 0
        else:
            counted.rows -= rows
        counted.shipped = offset

    def keep(self, paths: Iterable[Path]) -> None:
        """Forgets the segments that are there no more."""
        there = set(paths)
        self._segments = {path: counted for path, counted in self._segments.items() if path in there}

    def _of(self, segment: SegmentReader) -> _Counted:
        counted = self._segments.get(segment.path)
        if counted is None or counted.shipped != segment.shipped:  # its mark was moved by somebody else
            counted = self._segments[segment.path] = _Counted(segment.shipped, segment.shipped)
        return counted
