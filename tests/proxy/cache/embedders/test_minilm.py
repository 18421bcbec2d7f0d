"""The thread that MiniLM runs on: it is asked by the loop, which never waits for it."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from tests.proxy.edge import record

from tollway.proxy.cache.embedders import minilm as thread_of
from tollway.proxy.cache.embedders.minilm import MOST_WAITING, Minilm
from tollway.proxy.cache.embedders.source import NotThis
from tollway.proxy.cache.port import EmbedderDown


class Model:
    """Embeds a text as itself, while it ``may`` go on."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.begun = threading.Event()
        self.loaded = 0
        self.seen: list[str] = []
        self.threads: set[str] = set()

    def load(self) -> Callable[[str], bytes]:
        """Counts."""
        self.loaded += 1
        return self.embed

    def embed(self, text: str) -> bytes:
        """Or raises, if the text says so."""
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        assert self.may.wait(10)
        self.seen.append(text)
        if text == "nothing":
            raise NotThis("no vector")
        if text == "defect":
            raise RuntimeError("a text: defect")
        return text.encode()


@pytest.fixture
def model() -> Model:
    return Model()


async def ended(minilm: Minilm) -> None:
    """Ends it, and waits for its thread."""
    await minilm.close()
    for thread in threading.enumerate():
        if thread.name == "minilm":
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()


async def test_a_text_is_embedded_on_a_thread_of_its_own(model: Model) -> None:
    minilm = Minilm(model.load, "mark")
    assert minilm.name == "minilm/mark"
    assert model.loaded == 0, "nothing is loaded before it is needed"
    assert await asyncio.gather(*(minilm.vector(f"{at}", record()) for at in range(20))) == [
        str(at).encode() for at in range(20)
    ]
    assert (model.loaded, model.threads) == (1, {"minilm"})
    await ended(minilm)


async def test_it_is_loaded_once_and_before_a_text_comes_if_that_is_wished(model: Model) -> None:
    minilm = Minilm(model.load, "mark")
    for _ in range(3):
        await minilm.prepare()
    assert (model.loaded, model.seen) == (1, [])
    assert await minilm.vector("a text", record()) == b"a text"
    assert model.loaded == 1
    await ended(minilm)


async def test_what_a_model_raises_tells_nothing_of_the_text_and_ends_nothing(model: Model) -> None:
    minilm = Minilm(model.load, "mark")
    with pytest.raises(EmbedderDown, match=r"^RuntimeError$"):
        await minilm.vector("defect", record())
    with pytest.raises(NotThis):
        await minilm.vector("nothing", record())
    assert await minilm.vector("fine", record()) == b"fine"
    await ended(minilm)


async def test_a_model_that_can_not_be_loaded_is_down() -> None:
    def load() -> Callable[[str], bytes]:
        raise OSError("/a/path")

    minilm = Minilm(load, "mark")
    await minilm.prepare()
    for _ in range(2):
        with pytest.raises(EmbedderDown, match=r"^OSError$"):
            await minilm.vector("a text", record())
    await ended(minilm)


async def test_where_too_many_wait_the_next_is_turned_away_at_once(model: Model) -> None:
    minilm = Minilm(model.load, "mark")
    model.may.clear()
    first = asyncio.create_task(minilm.vector("first", record()))
    await asyncio.to_thread(model.begun.wait, 10)
    waiting = [asyncio.create_task(minilm.vector(f"{at}", record())) for at in range(MOST_WAITING)]
    await asyncio.sleep(0)
    for _ in range(100):
        with pytest.raises(EmbedderDown, match="busy"):
            await minilm.vector("one too many", record())
    model.may.set()
    assert len(await asyncio.gather(first, *waiting)) == MOST_WAITING + 1
    await ended(minilm)


async def test_whoever_gave_up_is_passed_over(model: Model) -> None:
    minilm = Minilm(model.load, "mark")
    model.may.clear()
    asking = [asyncio.create_task(minilm.vector(text, record())) for text in ("first", "second", "third")]
    await asyncio.to_thread(model.begun.wait, 10)
    for gone in asking[:2]:
        gone.cancel()
    await asyncio.wait(asking[:2])
    model.may.set()
    assert await asking[2] == b"third"
    assert model.seen == ["first", "third"], "the first was begun"
    await ended(minilm)


async def test_the_end_waits_for_a_text_but_not_for_ever(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_of, "CLOSE_S", 0.01)
    minilm = Minilm(model.load, "mark")
    await minilm.close()
    model.may.clear()
    asking = asyncio.create_task(minilm.vector("hanging", record()))
    await asyncio.to_thread(model.begun.wait, 10)
    others = [asyncio.create_task(minilm.vector(f"{at}", record())) for at in range(MOST_WAITING)]
    await asyncio.sleep(0)
    await minilm.close()
    for task in (asking, *others):
        task.cancel()
    await asyncio.wait([asking, *others])
    model.may.set()
    await ended(minilm)
    assert model.seen == ["hanging"]


def test_a_loop_that_is_closed_by_then_is_not_told(model: Model) -> None:
    minilm = Minilm(model.load, "mark")

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await minilm.vector("hanging", record())

    model.may.clear()
    asyncio.run(leave())
    model.may.set()
    asyncio.run(ended(minilm))
