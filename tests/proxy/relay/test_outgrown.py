"""Streams that outgrow their limits: the relay tells how long they become, and ends those that may not go on."""

import json

import msgspec
import pytest
from tests.fakes.scripts import deltas
from tests.proxy.edge import Answer, Client, Kept, called, dispatched, relayed

from tollway.contract.snapshot import Operation
from tollway.errors import RateLimited
from tollway.proxy.dialects.table import dialects
from tollway.proxy.exchange import Called

SAID = ["word " * 2] * 30
"""Of ten bytes each."""


class Scale:
    """Lets an answer become so many bytes long."""

    def __init__(self, most: int = 1_000_000, step: int = 50) -> None:
        self.next_bytes = step
        self.is_over = False
        self.told: list[int] = []
        self._most = most
        self._step = step

    def reach(self, said_bytes: int) -> None:
        """Keeps it."""
        self.told.append(said_bytes)
        if said_bytes > self._most:
            self.is_over = True
            raise RateLimited("The answer has outgrown its limit.", retry_after_s=5.0)
        self.next_bytes = said_bytes + self._step


def call(client: Client, *texts: str) -> Called:
    script = [b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in deltas(*texts)]
    answer = Answer(*script, b"data: [DONE]\n\n", content_type="text/event-stream")
    return called(answer, stream=True, client=client)


async def test_a_stream_tells_how_long_it_has_become_and_no_more_often_than_it_is_asked_to() -> None:
    scale, progress = Scale(), dispatched()
    progress.trail.growth = scale
    given = await relayed(call(Client(), *SAID), progress)
    assert given.outcome == "ok"
    assert scale.told == [50, 100, 150, 200, 250, 300]


async def test_a_stream_that_may_not_go_on_ends_as_an_error_and_the_target_is_not_to_blame() -> None:
    scale, progress, client, kept = Scale(most=100), dispatched(), Client(), Kept()
    progress.trail.growth = scale
    answering = call(client, *SAID)
    given = await relayed(answering, progress, kept)
    assert (given.status, given.outcome, given.headers) == (200, "cut", None)
    ((event),) = [line for line in given.body.split(b"\n\n") if line.startswith(b"data: ")][:1]
    error = json.loads(event.removeprefix(b"data: "))["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert b'finish_reason": "length' not in client.body + given.body
    assert client.body.count(b"word") == 2 * 15, "what was said until then has left"
    assert kept.ends == [None]
    assert isinstance(answering.answer, Answer)
    assert answering.answer.closed == 1


@pytest.mark.parametrize("operation", ["messages", "responses"])
async def test_a_translated_stream_ends_in_its_clients_own_words(operation: Operation) -> None:
    scale, progress, client = Scale(most=100), dispatched(), Client()
    progress.trail.growth = scale
    asked = {"model": "m", "max_tokens": 900, "messages": [{"role": "user", "content": "Hi"}], "input": "Hi"}
    writer = dialects()[operation].writer(json.dumps(asked).encode(), "m")
    assert writer is not None
    given = await relayed(msgspec.structs.replace(call(client, *SAID), writer=writer), progress)
    assert given.outcome == "cut"
    assert b"rate_limit" in given.body
    assert b"word" in client.body


async def test_a_stream_without_limits_is_not_measured() -> None:
    assert (await relayed(call(Client(), *SAID))).outcome == "ok"
