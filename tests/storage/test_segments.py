"""The journal's file format: whole records or none, whatever kills the writer."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tollway.storage.segments import HEADER_BYTES, SegmentFull, SegmentReader, SegmentWriter, disk_bytes, segments


def payloads_of(path: Path) -> list[bytes | None]:
    reader = SegmentReader(path)
    try:
        return [payload for _, payload in reader.records(HEADER_BYTES)]
    finally:
        reader.close()


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_what_was_appended_is_read_back_in_order(tmp_path: Path, payloads: list[bytes]) -> None:
    path = tmp_path / "a.journal"
    path.unlink(missing_ok=True)
    writer = SegmentWriter(path, 64 * 1024)
    for payload in payloads:
        writer.append(payload)
    assert payloads_of(path) == payloads
    writer.close()


def test_a_record_that_does_not_fit_is_refused_and_leaves_the_segment_as_it_was(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "a.journal", 16 * 1024)
    writer.append(b"x" * 4000)
    with pytest.raises(SegmentFull):
        writer.append(b"y" * 16_000)
    assert payloads_of(tmp_path / "a.journal") == [b"x" * 4000]
    writer.close()


def test_a_reader_follows_a_writer_that_is_still_adding(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "a.journal", 16 * 1024)
    reader = SegmentReader(tmp_path / "a.journal")
    assert not reader.pending()
    writer.append(b"one")
    (end, payload), *rest = reader.records(reader.shipped)
    assert (payload, rest) == (b"one", [])
    reader.mark_shipped(end)
    assert not reader.pending()
    writer.append(b"two")
    assert [payload for _, payload in reader.records(reader.shipped)] == [b"two"]
    reader.close()
    writer.close()


def test_the_shipped_mark_is_there_after_reopening(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "a.journal", 16 * 1024)
    writer.append(b"one")
    writer.append(b"two")
    writer.close()
    reader = SegmentReader(tmp_path / "a.journal")
    first_end = next(reader.records(reader.shipped))[0]
    reader.mark_shipped(first_end)
    reader.close()
    again = SegmentReader(tmp_path / "a.journal")
    assert [payload for _, payload in again.records(again.shipped)] == [b"two"]
    again.close()


def test_a_segment_is_abandoned_only_when_its_writer_is_done(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "a.journal", 16 * 1024)
    reader = SegmentReader(tmp_path / "a.journal")
    assert not reader.abandoned()
    writer.close()
    assert reader.abandoned()
    reader.close()


def test_damaged_bytes_are_told_and_the_records_behind_them_still_read(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    writer = SegmentWriter(path, 16 * 1024)
    writer.append(b"first")
    writer.append(b"second")
    writer.close()
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + 8)
        file.write(b"F")
    assert payloads_of(path) == [None, b"second"]


def test_a_damaged_length_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    writer = SegmentWriter(path, 16 * 1024)
    writer.append(b"first")
    writer.append(b"second")
    writer.close()
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + 3)
        file.write(b"\xff")
    assert payloads_of(path) == [None]
    reader = SegmentReader(path)
    assert reader.pending()
    reader.close()


def test_a_file_that_is_no_segment_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(ValueError, match="no journal segment"):
        SegmentReader(path)


def test_a_segment_whose_writer_died_while_making_it_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(b"")
    reader = SegmentReader(path)
    assert not reader.pending()
    assert reader.abandoned()
    reader.close()


def test_a_writer_killed_at_any_moment_leaves_whole_records_only(tmp_path: Path) -> None:
    """Ten writers append as fast as they can and are killed; each has told how many records were complete."""
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from tollway.storage.segments import SegmentWriter
        writer = SegmentWriter(Path(sys.argv[1]), 64 * 1024 * 1024)
        n = 0
        while True:
            writer.append(b"%08d" % n + b"x" * (n % 97))
            n += 1
            if n % 100 == 0:
                sys.stdout.write(f"{n}\\n")
                sys.stdout.flush()
        """
    )
    for round_number in range(10):
        path = tmp_path / f"{round_number}.journal"
        with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            told = 0
            for _ in range(3 + round_number * 5):
                told = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
            process.stdout.read()
        found = payloads_of(path)
        assert len(found) >= told
        assert found == [b"%08d" % n + b"x" * (n % 97) for n in range(len(found))]
        reader = SegmentReader(path)
        assert reader.abandoned()
        reader.close()


def test_segments_are_listed_oldest_first_and_their_disk_space_is_known(tmp_path: Path) -> None:
    for name in ("002-1-0.journal", "001-1-0.journal"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "rejected.jsonl").write_bytes(b"")
    assert [path.name for path in segments(tmp_path)] == ["001-1-0.journal", "002-1-0.journal"]
    assert disk_bytes(tmp_path) == 2 * 4 * 1024 * 1024


def half_seen(path: Path, at: int, seen: bytes) -> bytes:
    """Puts ``seen`` where another process's view is behind, and returns what the writer wrote there."""
    with path.open("r+b") as file:
        file.seek(at)
        written = file.read(len(seen))
        file.seek(at)
        file.write(seen)
    return written


SECOND = HEADER_BYTES + 8 + len(b"first")
"""Where the second record begins."""


@pytest.mark.parametrize(
    ("at", "seen"),
    [(SECOND + 8, bytes(6)), (SECOND + 4, bytes(4)), (SECOND + 3, b"\xff"), (SECOND, b"\x01")],
    ids=["its bytes are not there yet", "its checksum is not", "its length is half there", "its length is another"],
)
def test_a_record_of_a_living_writer_is_waited_for_until_it_is_whole(tmp_path: Path, at: int, seen: bytes) -> None:
    path = tmp_path / "a.journal"
    writer = SegmentWriter(path, 16 * 1024)
    for payload in (b"first", b"second", b"third"):
        writer.append(payload)
    written = half_seen(path, at, seen)
    assert payloads_of(path) == [b"first"]
    half_seen(path, at, written)
    assert payloads_of(path) == [b"first", b"second", b"third"]
    writer.close()


def test_a_record_that_never_became_whole_is_damage_once_its_writer_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    writer = SegmentWriter(path, 16 * 1024)
    for payload in (b"first", b"second", b"third"):
        writer.append(payload)
    half_seen(path, SECOND + 8, bytes(6))
    reader = SegmentReader(path)
    reader.mark_shipped(SECOND)
    assert not reader.pending(), "its writer may still be at it"
    writer.close()
    assert reader.pending()
    assert [payload for _, payload in reader.records(SECOND)] == [None, b"third"]
    reader.close()


def test_its_end_is_behind_the_last_record_wherever_one_begins_to_look(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "a.journal", 16 * 1024)
    reader = SegmentReader(tmp_path / "a.journal")
    assert reader.end(HEADER_BYTES) == HEADER_BYTES
    for payload in (b"one", b"two", b"three"):
        writer.append(payload)
    ends = [end for end, _ in reader.records(HEADER_BYTES)]
    assert {reader.end(offset) for offset in (HEADER_BYTES, *ends)} == {ends[-1]}
    writer.close()
    reader.close()


def test_the_end_of_a_segment_with_a_length_that_lies_is_its_size(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "a.journal", 16 * 1024)
    writer.append(b"one")
    writer.close()
    with (tmp_path / "a.journal").open("r+b") as file:
        file.seek(HEADER_BYTES)
        file.write((2**31).to_bytes(4, "little"))
    reader = SegmentReader(tmp_path / "a.journal")
    assert reader.end(HEADER_BYTES) == 16 * 1024
    reader.close()
