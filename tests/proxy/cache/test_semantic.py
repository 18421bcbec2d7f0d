"""Which of several candidates serves a question, and when a second embedder is asked."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.fakes.answers import entry_of

from tollway._native.questions import Question
from tollway.contract.cache import SemanticCaching, region_of
from tollway.proxy.cache import semantic
from tollway.proxy.cache.entry import Entry, Found, Near
from tollway.proxy.cache.port import EmbedderDown
from tollway.proxy.cache.semantic import matched

ASKED = "What is the capital of France?"
CLOSE = "What's the capital city of France?"
POLICY = SemanticCaching(threshold=0.6)


def near(text: str, number: int = 1, **changes: object) -> Near:
    question = Question(text)
    entry = entry_of(bytes([number]) * 32, question=text, **changes)
    return Near(entry, question, Question(ASKED).similarity(question))


class Embedder:
    """Says ``vector``; without one it is down, with an empty one it hangs."""

    name = "second"

    def __init__(self, vector: bytes | None) -> None:
        self.asked: list[str] = []
        self._vector = vector

    async def embed(self, text: str) -> bytes:
        self.asked.append(text)
        if self._vector is None:
            raise EmbedderDown
        if not self._vector:
            await asyncio.Event().wait()
        return self._vector


async def match(
    candidates: Sequence[Near],
    policy: SemanticCaching = POLICY,
    embedder: Embedder | None = None,
    serves: Sequence[Entry] | None = None,
    threshold: float | None = None,
) -> Found | None:
    return await matched(
        Question(ASKED),
        candidates,
        lambda entry: serves is None or entry in serves,
        policy,
        lambda policy, region: policy.threshold if threshold is None else threshold,
        embedder,
    )


async def test_the_surest_candidate_serves() -> None:
    found = await match([near("What is the capital of France like?", 1), near(ASKED, 2), near(CLOSE, 3)])
    assert found is not None
    assert (found.level, found.entry.key[0]) == ("semantic", 2)
    assert found.confidence == Question(ASKED).confidence(Question(ASKED))
    assert found.region == region_of("tenant-1", "m", 1.0)


async def test_without_a_candidate_nothing_does() -> None:
    assert await match([]) is None


async def test_a_threshold_that_is_learned_decides() -> None:
    sure = Question(ASKED).confidence(Question(CLOSE))
    assert await match([near(CLOSE)], threshold=sure) is not None
    assert await match([near(CLOSE)], threshold=sure + 0.001) is None


async def test_what_may_not_serve_does_not_however_sure_it_is() -> None:
    close, same = near(CLOSE, 1), near(ASKED, 2)
    found = await match([same, close], serves=[close.entry])
    assert found is not None
    assert found.entry is close.entry


async def test_numbers_and_negation_must_agree_whatever_the_threshold() -> None:
    other = near("What is not the capital of France?")
    assert not Question(ASKED).agrees(other.question)
    assert await match([other], SemanticCaching(threshold=0.0)) is None


async def test_a_second_opinion_is_asked_only_where_it_can_help() -> None:
    embedder = Embedder(b"\x01\x02")
    await match([near(CLOSE)], embedder=embedder)
    await match([near("How do I boil an egg in the morning?", vectors={"second": b"\x01\x02"})], embedder=embedder)
    await match([near("What is not the capital of France?", vectors={"second": b"\x01\x02"})], embedder=embedder)
    assert embedder.asked == [], "no vector, nothing alike, and no agreement"
    await match([near(CLOSE, vectors={"second": b"\x01\x02"}), near(ASKED, 2)], embedder=embedder)
    assert embedder.asked == [ASKED], "once for all"


@pytest.mark.parametrize("vector", [None, b""], ids=["down", "hangs"])
async def test_without_a_second_opinion_the_first_decides(
    monkeypatch: pytest.MonkeyPatch, vector: bytes | None
) -> None:
    monkeypatch.setattr(semantic, "EMBED_S", 0.01)
    embedder = Embedder(vector)
    found = await match([near(CLOSE, vectors={"second": b"\x01\x02"})], embedder=embedder)
    assert found is not None
    assert found.confidence == Question(ASKED).confidence(Question(CLOSE))
    assert embedder.asked == [ASKED]


async def test_a_second_opinion_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the verifier makes of it, it is given the cosine of the two vectors."""
    heard: list[float | None] = []

    class Listening:
        text = ASKED

        def agrees(self, other: Question) -> bool:
            return True

        def confidence(self, other: Question, second: float | None = None) -> float:
            heard.append(second)
            return 1.0

    candidates = [near(CLOSE, vectors={"second": b"\x00\x02"}), near(ASKED, 2, vectors={"second": b"\x01"})]
    embedder = Embedder(b"\x00\x05")
    question: Question = Listening()  # type: ignore[assignment]
    assert await matched(question, candidates, lambda _: True, POLICY, lambda policy, _: 0.5, embedder) is not None
    assert heard == [1.0, None], "vectors of another space say nothing"
