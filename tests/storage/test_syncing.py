"""Rows that wait are brought to the disk at the second look, and rows that PostgreSQL has never are."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tollway.storage.segments import HEADER_BYTES, SegmentReader, SegmentWriter
from tollway.storage.syncing import Syncing

SEGMENT_BYTES = 64 * 1024


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the segments that were synced, in order."""
    names: list[str] = []
    really = SegmentReader.sync

    def sync(segment: SegmentReader) -> None:
        names.append(segment.path.name)
        really(segment)

    monkeypatch.setattr(SegmentReader, "sync", sync)
    return names


@pytest.fixture
def errors() -> list[OSError]:
    return []


@pytest.fixture
def syncing(tmp_path: Path, errors: list[OSError]) -> Syncing:
    return Syncing(tmp_path, errors.append)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SegmentWriter]:
    with closing(SegmentWriter(tmp_path / "1-1-0.journal", SEGMENT_BYTES)) as made:
        yield made


def ship(path: Path) -> None:
    with closing(SegmentReader(path)) as segment:
        segment.mark_shipped(segment.end(HEADER_BYTES))


def test_what_waited_since_the_last_look_is_synced_once(
    writer: SegmentWriter, syncing: Syncing, synced: list[str]
) -> None:
    assert syncing.look() == 0, "there is nothing in it"
    writer.append(b"one")
    assert syncing.look() == 0, "it may be shipped before the next look"
    assert syncing.look() == 1
    assert syncing.look() == 0
    writer.append(b"two")
    assert [syncing.look(), syncing.look(), syncing.look()] == [0, 1, 0]
    assert synced == [writer.path.name] * 2


def test_what_postgresql_has_is_not_synced(writer: SegmentWriter, syncing: Syncing, synced: list[str]) -> None:
    for _ in range(5):
        writer.append(b"a row")
        syncing.look()
        ship(writer.path)
    assert syncing.look() == 0
    assert synced == []


def test_while_rows_go_on_coming_every_other_look_syncs_all_that_are_there(
    writer: SegmentWriter, syncing: Syncing
) -> None:
    looks = []
    for _ in range(6):
        writer.append(b"a row")
        looks.append(syncing.look())
    assert looks == [0, 1, 0, 1, 0, 1]
    assert [syncing.look(), syncing.look()] == [0, 0]


def test_a_segment_that_nobody_writes_any_more_is_synced_to_its_end_and_then_left_alone(
    tmp_path: Path, syncing: Syncing, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(tmp_path / "1-1-0.journal", SEGMENT_BYTES)
    writer.append(b"a row")
    writer.close()
    assert syncing.look() == 1
    opened: list[object] = []
    monkeypatch.setattr(SegmentReader, "__init__", lambda self, path: opened.append(path))
    assert syncing.look() == 0
    assert (synced, opened) == ([writer.path.name], [])


def test_many_segments_are_synced_each(tmp_path: Path, syncing: Syncing) -> None:
    for number in range(5):
        with closing(SegmentWriter(tmp_path / f"{number}-1-0.journal", SEGMENT_BYTES)) as writer:
            writer.append(b"a row")
    assert syncing.look() == 5
    assert syncing.look() == 0


def test_what_is_no_segment_is_passed_over(tmp_path: Path, syncing: Syncing, errors: list[OSError]) -> None:
    (tmp_path / "0-1-0.journal").write_bytes(b"something else" * 1_000)
    (tmp_path / "1-1-0.journal").write_bytes(b"")
    assert [syncing.look(), syncing.look()] == [0, 0]
    assert errors == []


def test_a_disk_that_fails_is_told_and_tried_again(
    writer: SegmentWriter, syncing: Syncing, errors: list[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: SegmentReader) -> None:
        raise OSError("the disk is gone")

    writer.append(b"a row")
    with monkeypatch.context() as patched:
        patched.setattr(SegmentReader, "sync", fail)
        assert [syncing.look(), syncing.look(), syncing.look()] == [0, 0, 0]
    assert len(errors) == 2
    assert syncing.look() == 1
