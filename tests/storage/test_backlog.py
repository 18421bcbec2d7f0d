"""What waits in the journal: exact, and every record looked at once."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tollway.storage.backlog import Backlog
from tollway.storage.segments import HEADER_BYTES, SegmentReader, SegmentWriter


class Counting(SegmentReader):
    """A reader that counts the records it was asked for."""

    looked_at = 0

    def records(self, offset: int) -> Iterator[tuple[int, bytes | None]]:
        for each in super().records(offset):
            self.looked_at += 1
            yield each


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SegmentWriter]:
    with closing(SegmentWriter(tmp_path / "a.journal", 64 * 1024)) as made:
        yield made


@pytest.fixture
def segment(writer: SegmentWriter) -> Iterator[Counting]:
    with closing(Counting(writer.path)) as opened:
        yield opened


def append(writer: SegmentWriter, count: int) -> None:
    for number in range(count):
        writer.append(b"row %d" % number)


def ship(backlog: Backlog, segment: SegmentReader, count: int) -> None:
    """What the shipper does with a batch."""
    ends = [end for (end, _), _ in zip(segment.records(segment.shipped), range(count), strict=False)]
    backlog.shipped(segment, ends[-1], len(ends))
    segment.mark_shipped(ends[-1])


def test_each_record_is_looked_at_once_however_often_it_is_asked(writer: SegmentWriter, segment: Counting) -> None:
    backlog = Backlog()
    append(writer, 1_000)
    assert [backlog.count(segment) for _ in range(50)] == [1_000] * 50
    assert segment.looked_at == 1_000
    append(writer, 3)
    assert [backlog.count(segment) for _ in range(50)] == [1_003] * 50
    assert segment.looked_at == 1_003


def test_what_is_shipped_waits_no_more(writer: SegmentWriter, segment: Counting) -> None:
    backlog = Backlog()
    append(writer, 10)
    assert backlog.count(segment) == 10
    ship(backlog, segment, 4)
    assert backlog.count(segment) == 6
    append(writer, 5)
    ship(backlog, segment, 100)
    assert backlog.count(segment) == 0
    append(writer, 2)
    assert backlog.count(segment) == 2


def test_a_mark_that_somebody_else_has_moved_is_counted_from(writer: SegmentWriter, segment: Counting) -> None:
    backlog = Backlog()
    append(writer, 10)
    ship(backlog, segment, 10)
    assert backlog.count(segment) == 0
    segment.mark_shipped(HEADER_BYTES)
    assert backlog.count(segment) == 10


def test_a_segment_that_is_gone_is_forgotten(writer: SegmentWriter, segment: Counting) -> None:
    backlog = Backlog()
    append(writer, 3)
    backlog.count(segment)
    backlog.keep([segment.path])
    backlog.count(segment)
    assert segment.looked_at == 3
    backlog.keep([])
    assert backlog.count(segment) == 3
    assert segment.looked_at == 6
