"""An embedder that hangs, dies, or is flooded holds nobody up, and is taken back when it answers again."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.fakes.telemetry import Recording, counted
from tests.fakes.virtual_time import run
from tests.proxy.cache.embedders.scripted import VECTOR, Scripted
from tests.proxy.edge import record

from tollway.errors import UpstreamUnreachable
from tollway.proxy.cache.embedders.source import NotThis
from tollway.proxy.cache.embedders.steady import FAILURES, LEFT_OUT_S, MOST_AT_ONCE, PATIENCE_S, Steady
from tollway.proxy.cache.port import EmbedderDown
from tollway.telemetry.metrics import Metrics

Scene = Callable[[Steady], Awaitable[None]]


def play(source: Scripted, scene: Scene, recording: Recording, metrics: Metrics) -> None:
    """A scene in virtual time."""

    async def played() -> None:
        steady = Steady(source, recording.log, metrics, clock=asyncio.get_running_loop().time)
        await scene(steady)
        await steady.close()

    run(played())


async def cause(steady: Steady, text: str = "a question") -> tuple[str, float]:
    """Why there is no vector, and how long it took to know it."""
    began = asyncio.get_running_loop().time()
    with pytest.raises(EmbedderDown) as raised:
        await steady.vector(text, record())
    return str(raised.value), asyncio.get_running_loop().time() - began


def test_an_embedder_that_hangs_costs_a_second_twice_and_then_nothing(recording: Recording, metrics: Metrics) -> None:
    source = Scripted(*[...] * 100)

    async def scene(steady: Steady) -> None:
        for _ in range(FAILURES):
            why, took_s = await cause(steady)
            assert (why, round(took_s, 6)) == ("timeout", PATIENCE_S)
        for _ in range(50):
            assert await cause(steady) == ("left out", 0.0)
        assert len(source.asked) == source.cancelled == FAILURES

    play(source, scene, recording, metrics)
    name = Scripted.name
    assert counted(metrics, "tollway_cache_embedder_total") == {(name, "late"): FAILURES, (name, "left_out"): 50}
    (line,) = recording.lines()
    assert (line["event"], line["embedder"], line["cause"]) == ("embedder_left_out", name, "timeout")


def test_after_a_pause_one_question_finds_out_beside_the_calls(recording: Recording, metrics: Metrics) -> None:
    source = Scripted(..., ..., ...)

    async def scene(steady: Steady) -> None:
        for _ in range(FAILURES):
            await cause(steady)
        await asyncio.sleep(LEFT_OUT_S)
        assert await cause(steady) == ("left out", 0.0), "not even the one that tries waits"
        assert await cause(steady) == ("left out", 0.0)
        await asyncio.sleep(PATIENCE_S)
        assert len(source.asked) == FAILURES + 1
        assert await cause(steady) == ("left out", 0.0), "it has failed again"
        await asyncio.sleep(LEFT_OUT_S)
        assert await cause(steady) == ("left out", 0.0)
        await asyncio.sleep(0.1)
        assert await steady.vector("a question", record()) == VECTOR

    play(source, scene, recording, metrics)
    assert recording.events() == ["embedder_left_out", "embedder_answers"]


@pytest.mark.parametrize(
    "error", [EmbedderDown("status 500"), UpstreamUnreachable("No.", inside="refused"), EmbedderDown("bad answer")]
)
def test_one_that_fails_is_left_out_for_it(error: Exception, recording: Recording, metrics: Metrics) -> None:
    source = Scripted(*[error] * FAILURES)

    async def scene(steady: Steady) -> None:
        for _ in range(FAILURES):
            assert (await cause(steady))[0] != "left out"
        assert (await cause(steady))[0] == "left out"

    play(source, scene, recording, metrics)
    assert counted(metrics, "tollway_cache_embedder_total")[Scripted.name, "failed"] == FAILURES


def test_a_text_that_has_no_vector_is_nobodys_fault(recording: Recording, metrics: Metrics) -> None:
    source = Scripted(*[NotThis("status 400")] * 20)

    async def scene(steady: Steady) -> None:
        for _ in range(20):
            assert (await cause(steady))[0] == "status 400"
        assert await steady.vector("another", record()) == VECTOR

    play(source, scene, recording, metrics)
    assert recording.events() == []


def test_a_flood_is_turned_away_at_once_and_is_nobodys_fault(recording: Recording, metrics: Metrics) -> None:
    source = Scripted()

    async def scene(steady: Steady) -> None:
        source.goes_on.clear()
        waiting = [asyncio.create_task(steady.vector(f"{at}", record())) for at in range(MOST_AT_ONCE)]
        await asyncio.sleep(0)
        for _ in range(1_000):
            assert await cause(steady) == ("busy", 0.0)
        source.goes_on.set()
        assert await asyncio.gather(*waiting) == [VECTOR] * MOST_AT_ONCE
        assert await steady.vector("again", record()) == VECTOR

    play(source, scene, recording, metrics)
    assert len(source.asked) == MOST_AT_ONCE + 1


def test_whoever_leaves_says_nothing_of_the_embedder(recording: Recording, metrics: Metrics) -> None:
    source = Scripted(*[...] * 20)

    async def scene(steady: Steady) -> None:
        for _ in range(20):
            asking = asyncio.create_task(steady.vector("a question", record()))
            await asyncio.sleep(0.5)
            asking.cancel()
            await asyncio.wait([asking])
        assert await steady.vector("a question", record()) == VECTOR

    play(source, scene, recording, metrics)


def test_a_defect_is_seen_and_told(recording: Recording, metrics: Metrics) -> None:
    source = Scripted(..., ..., KeyError("x"), KeyError("x"))

    async def scene(steady: Steady) -> None:
        for _ in range(FAILURES):
            await cause(steady)
        await asyncio.sleep(LEFT_OUT_S)
        await cause(steady)
        await asyncio.sleep(0)

    play(source, scene, recording, metrics)
    assert recording.events() == ["embedder_left_out", "defect"]


def test_at_the_end_nothing_is_under_way(recording: Recording, metrics: Metrics, tmp_path: Path) -> None:
    source = Scripted(*[...] * 3)

    async def scene(steady: Steady) -> None:
        for _ in range(FAILURES):
            await cause(steady)
        await asyncio.sleep(LEFT_OUT_S)
        await cause(steady)
        await asyncio.sleep(0)

    play(source, scene, recording, metrics)
    assert (source.cancelled, source.closed) == (FAILURES + 1, 1)
