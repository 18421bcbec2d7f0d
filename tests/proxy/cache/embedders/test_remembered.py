"""Vectors of late, and one question for those who ask the same."""

import asyncio

import pytest
from tests.fakes.telemetry import Recording
from tests.proxy.cache.embedders.scripted import VECTOR, Scripted
from tests.proxy.edge import record

from tollway.proxy.cache.embedders.remembered import Remembered
from tollway.proxy.cache.embedders.steady import Steady
from tollway.proxy.cache.port import EmbedderDown
from tollway.telemetry.metrics import Metrics


def remembering(source: Scripted, recording: Recording, metrics: Metrics, most_bytes: int = 10_000) -> Remembered:
    return Remembered(Steady(source, recording.log, metrics), most_bytes=most_bytes)


async def test_a_text_is_embedded_once(recording: Recording, metrics: Metrics) -> None:
    source = Scripted(b"\1", b"\2")
    remembered = remembering(source, recording, metrics)
    assert [await remembered.vector(text, record()) for text in "aabba"] == [b"\1", b"\1", b"\2", b"\2", b"\1"]
    assert [text for _, text in source.asked] == ["a", "b"]
    await remembered.close()
    assert source.closed == 1


async def test_no_tenant_is_answered_faster_for_what_another_has_asked(recording: Recording, metrics: Metrics) -> None:
    source = Scripted()
    remembered = remembering(source, recording, metrics)
    for tenant_id in ("acme", "other", "acme"):
        await remembered.vector("a question", record(tenant_id=tenant_id))
    assert source.asked == [("acme", "a question"), ("other", "a question")]


async def test_a_tenants_name_and_a_text_are_not_taken_for_others(recording: Recording, metrics: Metrics) -> None:
    source = Scripted()
    remembered = remembering(source, recording, metrics)
    await remembered.vector("bc", record(tenant_id="a"))
    await remembered.vector("c", record(tenant_id="ab"))
    assert len(source.asked) == 2


async def test_those_who_ask_the_same_at_once_are_answered_by_one_question(
    recording: Recording, metrics: Metrics
) -> None:
    source = Scripted()
    source.goes_on.clear()
    remembered = remembering(source, recording, metrics)
    asking = [asyncio.create_task(remembered.vector("a question", record())) for _ in range(500)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.wait([asking[0]])
    source.goes_on.set()
    assert await asyncio.gather(*asking[1:]) == [VECTOR] * 499, "the first one's leaving is not theirs"
    assert len(source.asked) == 1


async def test_a_failure_is_everybodys_who_waited_and_is_not_remembered(recording: Recording, metrics: Metrics) -> None:
    source = Scripted(EmbedderDown("status 500"))
    source.goes_on.clear()
    remembered = remembering(source, recording, metrics)
    asking = [asyncio.create_task(remembered.vector("a question", record())) for _ in range(3)]
    await asyncio.sleep(0)
    source.goes_on.set()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert [str(error) for error in told] == ["status 500"] * 3
    assert await remembered.vector("a question", record()) == VECTOR


async def test_what_was_not_asked_for_longest_is_forgotten_when_there_is_no_room(
    recording: Recording, metrics: Metrics
) -> None:
    source = Scripted()
    remembered = remembering(source, recording, metrics, most_bytes=2_000)
    for number in range(100):
        await remembered.vector("kept", record())
        await remembered.vector(f"{number}", record())
        assert remembered.held_bytes <= 2_000
    assert sum(text == "kept" for _, text in source.asked) == 1
    await remembered.vector("0", record())
    assert sum(text == "0" for _, text in source.asked) == 2


async def test_the_end_cuts_what_is_under_way(recording: Recording, metrics: Metrics) -> None:
    source = Scripted(...)
    remembered = remembering(source, recording, metrics)
    asking = asyncio.create_task(remembered.vector("a question", record()))
    await asyncio.sleep(0.01)
    await remembered.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (source.cancelled, source.closed) == (1, 1)
