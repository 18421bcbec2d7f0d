"""MiniLM itself, as its packages bring it."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.proxy.edge import record

from tollway.proxy.cache.embedders.minilm import minilm
from tollway.proxy.cache.embedders.onnx import MOST_TOKENS, Sentences
from tollway.proxy.cache.embedders.vectors import cosine
from tollway.proxy.cache.port import EmbedderDown
from tollway.settings.minilm import Model, find

PUBLISHED = {
    ("The weather is lovely today.", "It's so sunny outside!"): 0.6660,
    ("The weather is lovely today.", "He drove to the stadium."): 0.1046,
    ("It's so sunny outside!", "He drove to the stadium."): 0.1411,
}
"""Cosines of all-MiniLM-L6-v2 (Sentence Transformers' manual, "Quickstart"). Ours has weights of eight bits."""


@pytest.fixture(scope="module")
def files() -> Model:
    return find(None)


@pytest.fixture(scope="module")
def sentences(files: Model) -> Sentences:
    return Sentences(files.model, files.tokenizer)


@pytest.mark.parametrize(("pair", "published"), PUBLISHED.items())
def test_cosines_are_those_that_are_published(sentences: Sentences, pair: tuple[str, str], published: float) -> None:
    assert cosine(*map(sentences.vector, pair)) == pytest.approx(published, abs=0.01)


def test_a_vector_has_384_dimensions_and_is_the_same_each_time(sentences: Sentences) -> None:
    vector = sentences.vector("How do I reset my password?")
    assert len(vector) == 384
    assert sentences.vector("How do I reset my password?") == vector
    assert sentences.vector("How do I get a refund?") != vector


def test_what_stands_behind_so_many_tokens_does_not_count(sentences: Sentences) -> None:
    text = "word " * (MOST_TOKENS - 2)  # a text's tokens stand between two others
    assert sentences.vector(text + "and more of it") == sentences.vector(text)
    assert sentences.vector(text.removesuffix("word ") + "else") != sentences.vector(text)


@pytest.mark.parametrize("text", ["", " ", "\0", "\ufffd"])
def test_a_text_without_words_is_a_text(sentences: Sentences, text: str) -> None:
    assert len(sentences.vector(text)) == 384


def test_megabytes_of_text_are_cut(sentences: Sentences) -> None:
    assert len(sentences.vector("x" * 5_000_000)) == 384


async def test_the_thread_loads_it_and_answers(files: Model) -> None:
    made = minilm(files.model, files.tokenizer, files.mark)()
    question = "How do I reset my password?"
    vectors = await asyncio.gather(*(made.vector(question, record()) for _ in range(3)))
    assert vectors == [Sentences(files.model, files.tokenizer).vector(question)] * 3
    await made.close()


@pytest.mark.parametrize("broken", ["model", "tokenizer"])
async def test_files_that_are_none_make_it_down(broken: str, files: Model, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(json.dumps({"not": "a model"}).encode())
    found = {"model": files.model, "tokenizer": files.tokenizer, broken: bad}
    made = minilm(found["model"], found["tokenizer"], "bad")()
    with pytest.raises(EmbedderDown) as raised:
        await made.vector("a text", record())
    assert str(tmp_path) not in str(raised.value)
    await made.close()
