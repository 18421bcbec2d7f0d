"""An alias as an embedder: every answer is a vector, or nothing that anybody waits for."""

import asyncio
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.edge import record

from tollway.contract.keys import KeyRecord
from tollway.proxy.cache.embedders.provider import INLINE_BYTES, ByAlias
from tollway.proxy.cache.embedders.source import NotThis
from tollway.proxy.cache.port import EmbedderDown


class Models:
    """Says what it is told to, while it serves anything."""

    def __init__(self, *said: tuple[int, bytes]) -> None:
        self.serves = True
        self.said = list(said)
        self.asked: list[tuple[str, bytes, str]] = []

    def model(self, alias: str) -> str | None:
        """Always the same."""
        return "embed-1" if self.serves else None

    async def embed(self, alias: str, body: bytes, limit_bytes: int, record: KeyRecord) -> tuple[int, bytes]:
        """The next answer."""
        self.asked.append((alias, body, record.tenant_id))
        return self.said.pop(0)


def answer(*vectors: list[float]) -> bytes:
    """As /v1/embeddings says them."""
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return json.dumps({"object": "list", "data": data, "model": "embed-1", "usage": {"prompt_tokens": 3}}).encode()


def embedder(*said: tuple[int, bytes]) -> ByAlias:
    return ByAlias("ours", "embed-1", Models(*said))


async def test_a_question_is_asked_as_openai_is_and_its_vector_is_bytes() -> None:
    models = Models((200, answer([0.5, -1.0, 0])))
    by_alias = ByAlias("ours", "embed-1", models)
    assert await by_alias.vector('a "question"', record()) == bytes([64, 129, 0])
    assert models.asked == [("ours", b'{"input":"a \\"question\\""}', "tenant-1")]
    assert by_alias.name == "ours/embed-1", "another model of the same alias has another name"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (answer([float("nan")]), "bad answer"),
        (b'{"data":[{"embedding":[1e999]}]}', "bad answer"),
        (answer([0.0, 0.0]), "bad answer"),
        (answer([]), "bad answer"),
        (answer(), "bad answer"),
        (answer([1.0], [1.0]), "bad answer"),
        (answer([1.0] * 4097), "bad answer"),
        (b'{"data":[{"embedding":"gD8="}]}', "bad answer"),
        (b'{"data":[{"embedding":[true]}]}', "bad answer"),
        (b'{"error":{"message":"overloaded"}}', "bad answer"),
        (b"<html>", "bad answer"),
        (b"\xff", "bad answer"),
        (b"", "bad answer"),
        (b"[" * 5_000, "bad answer"),
    ],
)
async def test_an_answer_that_is_no_vector_is_none(body: bytes, cause: str) -> None:
    with pytest.raises(EmbedderDown, match=f"^{cause}$"):
        await embedder((200, body)).vector("a question", record())


@pytest.mark.parametrize("status", [500, 503, 429, 401, 404, 302])
async def test_a_refusal_is_no_vector(status: int) -> None:
    with pytest.raises(EmbedderDown, match=f"^status {status}$"):
        await embedder((status, answer([1.0]))).vector("a question", record())


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refusal_of_this_very_text_is_told_apart(status: int) -> None:
    with pytest.raises(NotThis):
        await embedder((status, b"{}")).vector("a question", record())


async def test_vectors_of_another_length_than_the_first_are_none() -> None:
    by_alias = embedder((200, answer([1.0, 2.0])), (200, answer([1.0, 2.0, 3.0])), (200, answer([2.0, 2.0])))
    await by_alias.vector("one", record())
    with pytest.raises(EmbedderDown, match="dimensions"):
        await by_alias.vector("two", record())
    assert await by_alias.vector("three", record()) == bytes([127, 127])


async def test_a_long_answer_is_a_vector_too() -> None:
    body = answer([0.123456789] * 4096)
    assert len(body) > INLINE_BYTES
    assert len(await embedder((200, body)).vector("a question", record())) == 4096


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.just([0.5, 1.0]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "embedding", "index", "x"]), inside, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON | st.builds(lambda data: {"data": data}, JSON))
def test_whatever_is_said_is_a_vector_or_none(said: object) -> None:
    body = msgspec.json.encode(said)

    async def outcome() -> bytes | EmbedderDown:
        try:
            return await embedder((200, body)).vector("a question", record())
        except EmbedderDown as error:
            return error

    told = asyncio.run(outcome())
    assert told if isinstance(told, bytes) else str(told) == "bad answer"
