"""Amazon's frames: the same out of any chunking, checked against a slow twin and against botocore's own reader."""

from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.twins import eventstream as twin

from tollway._native import eventstream

Frame = tuple[dict[str, bool | int | bytes | str], bytes]

VALUES = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=20), st.text(max_size=9))
NAMES = st.sampled_from([":event-type", ":content-type", ":message-type", "n", "\N{SNOWMAN}"])
FRAMES = st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=4), st.binary(max_size=60)), max_size=4)


def read(stream: bytes, size: int, max_frame_bytes: int = 1 << 20) -> list[Frame]:
    frames = eventstream.Frames(max_frame_bytes)
    found = [frame for at in range(0, len(stream), size) for frame in frames.feed(stream[at : at + size])]
    frames.finish()
    return found


@given(FRAMES, st.integers(1, 400))
def test_frames_are_read_as_the_twin_wrote_them(written: list[Frame], size: int) -> None:
    stream = b"".join(twin.frame(*frame) for frame in written)
    assert read(stream, size) == written == list(twin.frames(stream))


@given(FRAMES)
def test_botocore_reads_the_same_frames(written: list[Frame]) -> None:
    buffer: Any = EventStreamBuffer()  # its stubs hold the headers for a number
    buffer.add_data(b"".join(twin.frame(*frame) for frame in written))
    assert [(message.headers, message.payload) for message in buffer] == written


def test_every_size_of_piece_gives_the_same_frames() -> None:
    written: list[Frame] = [({":event-type": f"number {n}", "n": n, "odd": n % 2 == 1}, b"x" * n) for n in range(40)]
    stream = b"".join(twin.frame(*frame) for frame in written)
    for size in (*range(1, 65), len(stream)):
        assert read(stream, size) == written


@settings(max_examples=300)
@given(FRAMES.filter(bool), st.data())
def test_a_broken_stream_is_told_or_reads_as_the_twin_reads_it(written: list[Frame], data: st.DataObject) -> None:
    stream = bytearray(b"".join(twin.frame(*frame) for frame in written))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(eventstream.BadFrame):
        read(bytes(stream), data.draw(st.integers(1, 100)))
    with pytest.raises(ValueError, match=r"prelude|sum|cut"):
        list(twin.frames(bytes(stream)))


@given(st.binary(max_size=200), st.integers(1, 50))
def test_rubbish_is_no_stream(rubbish: bytes, size: int) -> None:
    if rubbish:
        with pytest.raises(eventstream.BadFrame):
            read(rubbish, size)


def test_a_cut_stream_hands_out_what_was_whole() -> None:
    frame = twin.frame({"a": "b"}, b"{}")
    frames = eventstream.Frames()
    assert frames.feed(frame + frame[:-1]) == [({"a": "b"}, b"{}")]
    with pytest.raises(eventstream.BadFrame, match="ended within"):
        frames.finish()
    assert frames.feed(frame[-1:]) == [({"a": "b"}, b"{}")]
    frames.finish()


def test_a_frame_beyond_the_bound_is_refused_before_it_has_come() -> None:
    frame = twin.frame({}, b"x" * 100)
    assert len(read(frame, 7, max_frame_bytes=116)) == 1
    with pytest.raises(eventstream.BadFrame, match="more than 115 bytes"):
        eventstream.Frames(115).feed(frame[:12])


def test_a_failed_stream_stays_failed() -> None:
    frames = eventstream.Frames()
    good = twin.frame({}, b"{}")
    for stream in (good[:-1] + bytes([good[-1] ^ 1]), good):
        with pytest.raises(eventstream.BadFrame, match="checksum"):
            frames.feed(stream)
    with pytest.raises(eventstream.BadFrame, match="checksum"):
        frames.finish()
