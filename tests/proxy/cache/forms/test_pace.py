"""Events at a pace, in a time that passes when nothing is left to do."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from tests.fakes.virtual_time import run
from tests.proxy.cache.forms.streams import DONE, chunk

from tollway.contract.snapshot import Operation
from tollway.proxy.cache import forms

ROLE, END = chunk({"role": "assistant", "content": ""}), chunk(finish="stop")


def arrivals(events: list[bytes], tokens_per_s: float, busy_s: float = 0.0) -> list[tuple[float, bytes]]:
    """When each piece came, in seconds from the beginning, to a client that is busy for so long with each."""

    async def main() -> list[tuple[float, bytes]]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        came = []
        async for piece in forms.paced(events, tokens_per_s):
            came.append((round(loop.time() - began, 6), piece))
            await asyncio.sleep(busy_s)
        return came

    return run(main())


def test_a_piece_comes_when_its_last_token_would_have_been_said() -> None:
    pieces = [chunk({"content": "four"}), chunk({"content": "and eight"[:8]}), chunk({"content": "ende"})]
    assert arrivals([ROLE, *pieces, END, DONE], tokens_per_s=2) == [
        (0.0, ROLE),
        (0.5, pieces[0]),
        (1.5, pieces[1]),
        (2.0, pieces[2] + END + DONE),
    ]


def test_a_slow_client_does_not_delay_what_is_due() -> None:
    pieces = [chunk({"content": "four"}) for _ in range(10)]
    came = arrivals([ROLE, *pieces], tokens_per_s=1, busy_s=2.5)
    assert [when for when, _ in came] == [0.0, 2.5, 5.0, 7.5, 10.0]
    assert b"".join(piece for _, piece in came) == b"".join([ROLE, *pieces])


def test_there_is_no_drift_over_many_pieces() -> None:
    pieces = [chunk({"content": "abc"}) for _ in range(1_000)]
    assert arrivals(pieces, tokens_per_s=100)[-1][0] == pytest.approx(7.5)


ANSWERS: dict[Operation, Any] = {
    "chat": {"choices": [{"message": {"role": "assistant", "content": "x" * 400}, "finish_reason": "stop"}]},
    "completions": {"choices": [{"text": "x" * 400, "finish_reason": "stop"}]},
    "messages": {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "x" * 400}],
        "stop_reason": "end_turn",
        "usage": {"output_tokens": 100},
    },
    "responses": {
        "status": "completed",
        "output": [{"id": "m", "type": "message", "content": [{"type": "output_text", "text": "x" * 400}]}],
    },
}


@pytest.mark.parametrize("operation", ANSWERS)
def test_an_answer_of_every_dialect_takes_its_time(operation: Operation) -> None:
    events = forms.events(operation, json.dumps(ANSWERS[operation]).encode(), is_paced=True)
    came = arrivals(events, tokens_per_s=10)
    assert came[-1][0] == pytest.approx(10.0)
    assert max(later - sooner for (sooner, _), (later, _) in itertools.pairwise(came)) < 0.5
    assert b"".join(piece for _, piece in came) == b"".join(events)


def test_a_call_takes_as_long_as_its_arguments() -> None:
    call = {"index": 0, "function": {"arguments": "y" * 40}}
    assert arrivals([chunk({"tool_calls": [call]})], tokens_per_s=10)[-1][0] == pytest.approx(1.0)


def test_what_is_no_event_takes_no_time() -> None:
    events = [b": comment\n\n", b"data: [1]\n\n", b'data: {"choices": [1], "delta": 1}\n\n', DONE]
    assert arrivals(events, tokens_per_s=0.001) == [(0.0, b"".join(events))]


async def test_without_a_pace_all_comes_at_once_in_few_pieces() -> None:
    events = [b"x" * 1_000] * 500
    pieces = [piece async for piece in forms.paced(events, None)]
    assert b"".join(pieces) == b"".join(events)
    assert len(pieces) == 8
    assert [piece async for piece in forms.paced([], None)] == []


async def test_a_single_event_that_is_large_is_one_piece() -> None:
    assert [piece async for piece in forms.paced([b"x" * 200_000], None)] == [b"x" * 200_000]
