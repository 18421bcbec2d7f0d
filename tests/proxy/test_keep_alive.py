"""Silences: how long they are, what is said into them, and that nothing is ever said into the middle of a message."""

import asyncio
import itertools
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import in_no_time

from tollway.proxy.keep_alive import KeepAlive

Message = MutableMapping[str, Any]
WORD: Message = {"word": True}


class Line:
    """Takes a while for each message; two at once would mix."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.takes_s = takes_s
        self.heard: list[tuple[float, Message]] = []
        self._is_busy = False

    async def send(self, message: Message) -> None:
        assert not self._is_busy, "in the middle of another message"
        self._is_busy = True
        try:
            await asyncio.sleep(self.takes_s)
            self.heard.append((now(), message))
        finally:
            self._is_busy = False


def now() -> float:
    return asyncio.get_running_loop().time()


def keeper(line: Line, wait_s: float = 5.0, *words: Message) -> KeepAlive:
    """One that says ``words`` into each silence."""
    return KeepAlive(asyncio.get_running_loop(), wait_s, line.send, lambda: words)


@given(
    wait_s=st.sampled_from([0.5, 1.0, 3.0]),
    takes_s=st.sampled_from([0.0, 0.3, 2.0]),
    pauses_s=st.lists(st.floats(0.0, 10.0), max_size=12),
)
@settings(max_examples=60, deadline=None)
@in_no_time
async def test_whatever_the_pauses_messages_never_mix_and_no_silence_lasts(
    wait_s: float, takes_s: float, pauses_s: list[float]
) -> None:
    line, began = Line(takes_s), now()
    keep = keeper(line, wait_s, WORD)
    for number, pause_s in enumerate(pauses_s):
        await asyncio.sleep(pause_s)
        await keep.send({"part": number})
    keep.stop()
    await asyncio.sleep(100.0)
    parts = [message["part"] for _, message in line.heard if "part" in message]
    assert parts == list(range(len(pauses_s)))
    times = [began, *(when for when, _ in line.heard)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap <= wait_s + 2 * takes_s + 1e-6 for gap in gaps)
    words = [gap for gap, (_, message) in zip(gaps, line.heard, strict=True) if message is WORD]
    assert all(gap >= wait_s - 1e-6 for gap in words)


@in_no_time
async def test_what_is_said_in_several_messages_is_said_in_one_go() -> None:
    line = Line(takes_s=1.0)
    keep = keeper(line, 5.0, {"word": 1}, {"word": 2})
    await asyncio.sleep(5.5)
    await keep.send({"part": 1})
    assert [message for _, message in line.heard] == [{"word": 1}, {"word": 2}, {"part": 1}]


@in_no_time
async def test_with_nothing_to_say_it_is_silent_for_good() -> None:
    asked: list[float] = []
    line = Line()

    def due() -> list[Message]:
        asked.append(now())
        return []

    began = now()
    KeepAlive(asyncio.get_running_loop(), 5.0, line.send, due)
    await asyncio.sleep(100.0)
    assert asked == [began + 5.0]
    assert line.heard == []


@in_no_time
async def test_what_goes_wrong_with_a_word_is_told_to_whoever_sends_next() -> None:
    async def broken(message: Message) -> None:
        raise ConnectionResetError

    keep = KeepAlive(asyncio.get_running_loop(), 5.0, broken, lambda: [WORD])
    await asyncio.sleep(60.0)
    with pytest.raises(ConnectionResetError):
        await keep.send({"part": 1})


@in_no_time
async def test_a_part_that_is_given_up_ends_its_silence_too() -> None:
    line = Line(takes_s=3.0)
    keep = keeper(line, 5.0, WORD)
    sending = asyncio.create_task(keep.send({"part": 1}))
    await asyncio.sleep(1.0)
    sending.cancel()
    given_up = now()
    await asyncio.sleep(20.0)
    assert line.heard[0] == (given_up + 5.0 + 3.0, WORD)


@in_no_time
async def test_once_cut_nothing_is_said_and_what_was_on_its_way_is_given_up() -> None:
    line = Line(takes_s=3.0)
    keep = keeper(line, 5.0, WORD)
    await asyncio.sleep(6.0)
    keep.cut()
    await asyncio.sleep(60.0)
    assert line.heard == []
    keep.cut()
