"""Failure 11: streams that stall after one token end at the idle limit, and nobody else notices."""

import asyncio

from tests.e2e.conftest import Start
from tests.fakes.gateway import models
from tests.fakes.records import payloads
from tests.fakes.routed import answering, ask, ask_all
from tests.fakes.scripts import hang_after
from tests.fakes.upstream import FakeUpstream

STREAMS, OTHERS = 200, 100
IDLE_S = 2.0


async def test_two_hundred_stalled_streams_end_at_the_idle_limit_and_another_model_answers(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.scripts = {"stalls": hang_after(1), "well": answering()}
    timeouts = {"idle": f"{IDLE_S:g}s", "keep_alive": "500ms"}
    gateway = await asyncio.to_thread(start, models=models("stalls", timeouts=timeouts) | models("well"))
    stalled = asyncio.create_task(ask_all([gateway], "stalls", STREAMS, at_once=STREAMS, stream=True))
    await upstream.until(lambda: upstream.hits_of("stalls") == STREAMS, 30)
    others = await ask_all([gateway], "well", OTHERS, at_once=10)
    assert {answer.status_code for answer in others} == {200}
    assert {answer.headers["x-tollway-attempts"] for answer in others} == {"1"}
    for answer in await stalled:
        events = payloads(answer.text)
        told = [event["choices"][0]["delta"].get("content") for event in events if event.get("choices")]
        assert [text for text in told if text] == ["word0 "]
        assert [("error" in event) for event in events].count(True) == 1
        assert "error" in events[-1]
        assert '"stop"' not in answer.text
    assert upstream.hits_of("stalls") == STREAMS, "what has begun is not asked for again"
    await upstream.until(lambda: len(upstream.aborts) == STREAMS)
    assert all((seen.aborted_at or 0.0) - seen.arrived_at >= IDLE_S for seen in upstream.aborts)
    rows = await asyncio.to_thread(gateway.wait_for_rows, STREAMS + OTHERS)
    assert sorted({(row["model"], row["status"]) for row in rows}) == [("stalls", "timeout"), ("well", "ok")]
    assert (await asyncio.to_thread(ask, gateway, "well")).status_code == 200
