"""The embedders of a worker: made once, when a policy names them, and for each caller its own."""

import asyncio
from collections.abc import Callable

import pytest
from tests.fakes.telemetry import Recording
from tests.fakes.virtual_time import run
from tests.proxy.cache.embedders.scripted import VECTOR, Scripted
from tests.proxy.cache.embedders.test_provider import Models, answer
from tests.proxy.edge import record

from tollway.proxy.cache.embedders.opening import MOST, MOST_MISSING, Embedders
from tollway.proxy.cache.embedders.provider import Models as Port
from tollway.proxy.cache.port import EmbedderDown
from tollway.telemetry.metrics import Metrics


@pytest.fixture
def opened(recording: Recording, metrics: Metrics) -> Callable[[Port, Scripted | None], Embedders]:
    def opening(models: Port, source: Scripted | None = None) -> Embedders:
        made = [] if source is None else [source]
        return Embedders(models, made.pop if source is not None else None, recording.log, metrics)

    return opening


Opening = Callable[[Port, Scripted | None], Embedders]


async def test_the_built_in_one_is_no_second_opinion(opened: Opening) -> None:
    assert opened(Models(), None).of("builtin", record()) is None


async def test_minilm_is_made_once_and_remembers_for_a_tenant(opened: Opening) -> None:
    source = Scripted()
    embedders = opened(Models(), source)
    for tenant_id in ("acme", "acme", "other"):
        embedder = embedders.of("minilm", record(tenant_id=tenant_id))
        assert embedder is not None
        assert (embedder.name, await embedder.embed("a question")) == ("scripted/1", VECTOR)
    assert source.asked == [("acme", "a question"), ("other", "a question")]
    await embedders.close()
    assert source.closed == 1


async def test_what_takes_long_to_load_is_loaded_before_calls_come(opened: Opening, recording: Recording) -> None:
    source = Scripted()
    embedders = opened(Models(), source)
    await embedders.prepare(["minilm", "builtin", "ours", "minilm"])
    assert (source.prepared, source.asked) == (1, [])
    assert embedders.of("minilm", record()) is not None
    assert recording.events() == []


async def test_any_other_name_is_an_alias(opened: Opening) -> None:
    models = Models((200, answer([1.0, -1.0])))
    embedder = opened(models, None).of("ours", record(tenant_id="acme"))
    assert embedder is not None
    assert (embedder.name, await embedder.embed("a question")) == ("ours/embed-1", bytes([127, 129]))
    assert models.asked == [("ours", b'{"input":"a question"}', "acme")]


async def test_what_can_not_be_had_is_said_once(opened: Opening, recording: Recording) -> None:
    models = Models()
    models.serves = False
    embedders = opened(models, None)
    for name in ("minilm", "ours", "ours", "minilm"):
        assert embedders.of(name, record()) is None
    assert [line["embedder"] for line in recording.lines()] == ["minilm", "ours"]


async def test_names_that_can_not_be_had_take_no_places_and_do_not_flood_the_log(
    opened: Opening, recording: Recording
) -> None:
    models = Models()
    embedders = opened(models, None)
    models.serves = False
    for at in range(1_000):
        assert embedders.of(f"nonsense-{at}", record()) is None
    models.serves = True
    assert embedders.of("ours", record()) is not None
    assert len(recording.lines()) == MOST_MISSING


async def test_so_many_and_no_more_are_opened(opened: Opening) -> None:
    embedders = opened(Models(), None)
    assert all(embedders.of(f"ours-{at}", record()) is not None for at in range(MOST))
    assert embedders.of("another", record()) is None
    assert embedders.of("ours-0", record()) is not None


def test_a_hundred_calls_of_one_that_hangs_wait_a_second_at_most_and_later_ones_not_at_all(
    recording: Recording, metrics: Metrics
) -> None:
    source = Scripted(*[...] * 1_000)

    async def waited(embedders: Embedders, text: str) -> float:
        began = asyncio.get_running_loop().time()
        embedder = embedders.of("minilm", record())
        assert embedder is not None
        with pytest.raises(EmbedderDown):
            await embedder.embed(text)
        return asyncio.get_running_loop().time() - began

    async def scene() -> None:
        embedders = Embedders(Models(), lambda: source, recording.log, metrics)
        first = await asyncio.gather(*(waited(embedders, f"question {at}") for at in range(100)))
        assert max(first) <= 1.001
        later = [await waited(embedders, f"another {at}") for at in range(100)]
        assert max(later) == 0.0
        await embedders.close()

    run(scene())
