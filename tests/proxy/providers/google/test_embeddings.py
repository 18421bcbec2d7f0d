"""Vectors of Google's models, asked for and answered as OpenAI has it."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.identity import account
from tests.fakes.media import ServedMedia
from tests.proxy.edge import Answer

from tollway.contract.snapshot import GoogleCredentials, ProviderAccess
from tollway.errors import InvalidRequest, UpstreamBroken
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.google.api import GeminiApi
from tollway.proxy.providers.google.embeddings import MAX_TEXTS, read_embedding
from tollway.proxy.providers.google.provider import GoogleProvider
from tollway.proxy.providers.google.vectors import gemini_shape, vertex_shape
from tollway.proxy.providers.google.vertex import VertexApi
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest

TOKEN_URL = "https://oauth2.googleapis.com/token"


class Google:
    """Answers each call with what ``answers`` has next; keeps what it was asked."""

    def __init__(self, *answers: Any, status: int = 200) -> None:
        self.requests: list[UpstreamRequest] = []
        self.given: list[Answer] = []
        self._answers = [answer if isinstance(answer, bytes) else json.dumps(answer).encode() for answer in answers]
        self._status = status

    @property
    def asked(self) -> list[tuple[str, Any]]:
        """Method and body of each call."""
        return [(request.url.rpartition(":")[2], json.loads(request.body)) for request in self.requests]

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        request.sent()
        if request.url == TOKEN_URL:
            return Answer(b'{"access_token": "t", "expires_in": 3599}')
        self.requests.append(request)
        self.given.append(Answer(self._answers.pop(0), status=self._status))
        return self.given[-1]


def gemini(wire: Google) -> GoogleProvider:
    return GoogleProvider(GeminiApi(ProviderAccess("g", "google", "http://g.test", "key"), wire), ServedMedia())


def vertex(wire: Google) -> GoogleProvider:
    held = account()
    known = GoogleCredentials("p", "global", held["client_email"], held["private_key"], TOKEN_URL)
    return GoogleProvider(
        VertexApi(ProviderAccess("v", "vertex", "http://v.test", None, google=known), wire), ServedMedia()
    )


def call(texts: Any, model: str = "gemini-embedding-001", *, strict: bool = False, **fields: Any) -> UpstreamCall:
    body = json.dumps({"model": model, "input": texts, **fields}).encode()
    return UpstreamCall(model, body, [], 1.0, lambda: None, strict, "embeddings")


async def answered(provider: GoogleProvider, asked: UpstreamCall) -> tuple[UpstreamAnswer, Any]:
    given = await provider.send(asked)
    body = await given.piece()
    assert body is not None
    return given, json.loads(body)


def batch(*vectors: list[float], **more: Any) -> dict[str, Any]:
    return {"embeddings": [{"values": values} for values in vectors], **more}


async def test_gemini_is_asked_for_all_texts_at_once() -> None:
    wire = Google(batch([0.5, -0.25], [1, 2]))
    given, said = await answered(gemini(wire), call(["one", "two"], dimensions=2))
    content = [{"parts": [{"text": text}]} for text in ("one", "two")]
    model = "models/gemini-embedding-001"
    assert wire.asked == [
        (
            "batchEmbedContents",
            {"requests": [{"model": model, "content": each, "outputDimensionality": 2} for each in content]},
        )
    ]
    assert wire.requests[0].url == f"http://g.test/v1beta/{model}:batchEmbedContents"
    assert given.status == 200
    assert said == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]},
            {"object": "embedding", "index": 1, "embedding": [1.0, 2.0]},
        ],
        "model": "gemini-embedding-001",
        "usage": None,
    }


async def test_one_text_need_not_stand_in_a_list_and_tokens_are_told_where_google_tells_them() -> None:
    wire = Google(batch([1.0], usageMetadata={"promptTokenCount": 4}))
    _, said = await answered(gemini(wire), call("one"))
    assert wire.asked[0][1]["requests"][0]["content"] == {"parts": [{"text": "one"}]}
    assert said["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


async def test_vectors_in_base64_are_numbers_of_32_bits() -> None:
    _, said = await answered(gemini(Google(batch([0.5, -0.25, 3]))), call("one", encoding_format="base64"))
    assert struct.unpack("<3f", base64.b64decode(said["data"][0]["embedding"])) == (0.5, -0.25, 3.0)


async def test_many_texts_become_several_calls_in_order() -> None:
    texts = [str(number) for number in range(250)]
    answers = [
        batch(
            *[[float(number)] for number in range(start, min(start + 100, 250))], usageMetadata={"promptTokenCount": 5}
        )
        for start in (0, 100, 200)
    ]
    wire = Google(*answers)
    _, said = await answered(gemini(wire), call(texts))
    assert [len(body["requests"]) for _, body in wire.asked] == [100, 100, 50]
    assert [(each["index"], each["embedding"]) for each in said["data"]] == [(n, [float(n)]) for n in range(250)]
    assert said["usage"]["prompt_tokens"] == 15
    assert [answer.closed for answer in wire.given[:2]] == [1, 1]


async def test_vertex_asks_geminis_models_for_one_or_for_several() -> None:
    wire = Google({"embedding": {"values": [1.0]}, "usageMetadata": {"promptTokenCount": 3}}, batch([1.0], [2.0]))
    provider = vertex(wire)
    _, one = await answered(provider, call("one", dimensions=1))
    _, two = await answered(provider, call(["one", "two"]))
    assert wire.asked == [
        (
            "embedContent",
            {"content": {"parts": [{"text": "one"}]}, "embedContentConfig": {"outputDimensionality": 1}},
        ),
        ("batchEmbedContents", {"requests": [{"content": {"parts": [{"text": text}]}} for text in ("one", "two")]}),
    ]
    assert one["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert [each["embedding"] for each in two["data"]] == [[1.0], [2.0]]


async def test_vertex_asks_older_models_for_predictions() -> None:
    def predicted(values: list[float], tokens: float) -> dict[str, Any]:
        return {"embeddings": {"values": values, "statistics": {"token_count": tokens, "truncated": False}}}

    wire = Google({"predictions": [predicted([1.0], 2.0), predicted([2.0], 3)], "metadata": {}})
    _, said = await answered(vertex(wire), call(["one", "two"], "text-embedding-005", dimensions=256))
    assert wire.asked == [
        (
            "predict",
            {"instances": [{"content": "one"}, {"content": "two"}], "parameters": {"outputDimensionality": 256}},
        )
    ]
    assert said["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    assert [each["embedding"] for each in said["data"]] == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2], [3]]}, "input"),
        ({"input": ["a", 5]}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a"] * (MAX_TEXTS + 1)}, "input"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": True}, "dimensions"),
        ({"dimensions": "8"}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"encoding_format": []}, "encoding_format"),
    ],
)
def test_what_google_can_not_embed_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_embedding({"model": "m", "input": "a", **fields}, "m")
    assert caught.value.param == param


async def test_what_is_left_out_is_told_or_refused() -> None:
    wire = Google(batch([1.0]))
    given, _ = await answered(gemini(wire), call("one", user="u"))
    assert given.warnings == ("user",)
    with pytest.raises(InvalidRequest) as caught:
        await gemini(wire).send(call("one", strict=True, user="u"))
    assert caught.value.param == "user"
    with pytest.raises(InvalidRequest):
        await gemini(wire).send(
            UpstreamCall("m", b'{"input": "\\ud800"}', [], 1.0, lambda: None, operation="embeddings")
        )


@pytest.mark.parametrize("texts", [1, 150])
async def test_a_refusal_is_read_as_googles(texts: int) -> None:
    error = {"error": {"code": 404, "message": "models/x is not found", "status": "NOT_FOUND"}}
    given, said = await answered(gemini(Google(error, error, status=404)), call(["a"] * texts))
    assert (given.status, said["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        b"",
        b"{",
        b"[" * 100_000,
        {"embeddings": []},
        {"embeddings": None},
        {"embeddings": [{"values": ["a"]}]},
        batch([1.0], [2.0]),
    ],
)
@pytest.mark.parametrize("texts", [1, 150])
async def test_an_answer_without_the_vectors_is_broken(answer: Any, texts: int) -> None:
    with pytest.raises(UpstreamBroken):
        await answered(gemini(Google(answer, batch([1.0]))), call(["a"] * texts))


async def test_a_number_that_32_bits_can_not_hold_is_broken() -> None:
    with pytest.raises(UpstreamBroken):
        await answered(gemini(Google(batch([1e300]))), call("a", encoding_format="base64"))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["embeddings", "embedding", "values", "predictions", "statistics", "token_count", "usageMetadata"]
            ),
            below,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_comes_is_vectors_or_a_value_error(told: Any) -> None:
    shapes = [gemini_shape("models/m"), vertex_shape("m", 1), vertex_shape("gemini", 1), vertex_shape("gemini", 2)]
    for shape in shapes:
        try:
            shape.read(json.dumps(told).encode())
        except ValueError:
            continue
