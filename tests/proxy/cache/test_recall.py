"""Answers that were found, on their way: at their pace, for a client that may have heard comments meanwhile."""

import asyncio

import msgspec
import pytest
from tests.fakes.answers import screened
from tests.fakes.scripts import completion
from tests.fakes.telemetry import Recording
from tests.proxy.cache.hall import PARIS, WAY, Hall, streamed, whole
from tests.proxy.edge import Answer, Client, arrive, ask, principal, snapshot

from tollway.contract.cache import CachePolicy, CacheSpace, ExactCaching
from tollway.contract.snapshot import Timeouts
from tollway.proxy.exchange import Screened
from tollway.proxy.keep_alive import COMMENT
from tollway.telemetry.metrics import Metrics

EXACT = CachePolicy(exact=ExactCaching())


def from_client(client: Client, *, keep_alive_s: float | None = None) -> Screened:
    way = msgspec.structs.replace(WAY, timeouts=Timeouts(keep_alive_s=keep_alive_s))
    arrival = arrive(client, known=snapshot(way))
    messages = [{"role": "user", "content": "Capital?"}]
    return Screened(arrival, principal(cache=EXACT), ask("m", stream=True, messages=messages))


async def test_a_stream_comes_at_the_pace_that_is_asked_for(recording: Recording, metrics: Metrics) -> None:
    hall = Hall(recording, metrics, CacheSpace(pace=10))
    await hall.fill(screened("Capital?", policy=EXACT), completion("one two three four five six seven eight nine ten"))
    client = Client()
    served = await hall.serve(from_client(client))
    pieces = [message for message in client.sent if message.get("body")]
    assert served.result == "exact"
    assert len(pieces) > 2, "bit by bit"
    assert client.body.endswith(b"data: [DONE]\n\n")


async def test_without_a_pace_it_comes_at_once(recording: Recording, metrics: Metrics) -> None:
    hall = Hall(recording, metrics)
    await hall.fill(screened("Capital?", policy=EXACT), completion("one two three four five six seven eight nine ten"))
    client = Client()
    await hall.serve(from_client(client))
    assert len([message for message in client.sent if message.get("body")]) == 2, "all but the end, and the end"


async def test_who_waits_for_an_identical_call_hears_comments_and_then_its_answer(
    recording: Recording, metrics: Metrics
) -> None:
    hall = Hall(recording, metrics)
    gate = asyncio.Event()

    class Gated(Client):
        async def send(self, message: object) -> None:
            await gate.wait()

    first = asyncio.create_task(hall.serve(from_client(Gated()), streamed("Par", "is.")))
    await asyncio.sleep(0)
    # The first one's answer is whole only when its client has taken it, and nobody may hear it as it comes.
    client = Client()
    waiting = msgspec.structs.replace(from_client(client, keep_alive_s=0.02))
    waiting.arrival.headers[b"x-tollway-strict"] = b"true"
    second = asyncio.create_task(hall.serve(waiting))
    await asyncio.wait_for(client.has_body.wait(), 5)
    assert client.body.startswith(COMMENT)
    assert client.headers[b"x-tollway-cache"] == b"joined"
    gate.set()
    served = await second
    await first
    assert served.result == "joined"
    assert client.body.endswith(b"data: [DONE]\n\n")
    assert client.ends == 1


async def test_who_leaves_while_it_waits_leaves_nothing_behind(recording: Recording, metrics: Metrics) -> None:
    hall, client = Hall(recording, metrics), Client()

    async def serve(client: Client, answer: Answer | None = None) -> None:
        await hall.serve(from_client(client), answer)

    hanging = asyncio.create_task(serve(Client(), Answer(..., content_type="text/event-stream")))
    await asyncio.sleep(0)
    second = asyncio.create_task(serve(client))
    await asyncio.sleep(0)
    client.hang_up()
    with pytest.raises(asyncio.CancelledError):
        await second
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    assert len(hall.flights) == 0


async def test_a_joined_stream_that_breaks_before_its_first_word_is_asked_for_anew(
    recording: Recording, metrics: Metrics
) -> None:
    hall = Hall(recording, metrics)
    first = asyncio.create_task(hall.serve(screened(stream=True), whole({"error": {"message": "no"}}, status=500)))
    second = asyncio.create_task(hall.serve(screened(stream=True), streamed("Paris.")))
    assert [each.result for each in await asyncio.gather(first, second)] == ["miss", "miss"]
    assert (await hall.serve(screened())).answer["choices"] == PARIS["choices"]
