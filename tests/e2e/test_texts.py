"""The doors for plain texts, ``/v1/completions`` and ``/v1/embeddings``: what a client of OpenAI's SDK reads there."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from tests.e2e.conftest import Start, StartFor
from tests.fakes.gateway import KEY, Gateway, config, models
from tests.fakes.records import needs_records, records, replay
from tests.fakes.scripts import Script, sse, whole
from tests.fakes.upstream import FakeUpstream

HEADERS = {"authorization": f"Bearer {KEY}"}


@pytest.fixture
def gateway(start: Start) -> Gateway:
    return start(models=models("recorded"))


@pytest.fixture(scope="module")
def lasting(start_for: StartFor, lasting_dsn: str, lasting_upstream: FakeUpstream) -> Gateway:
    """One for tests whose calls leave nothing behind that the next would see."""
    return start_for(config(lasting_dsn, lasting_upstream.base_url, models=models("recorded")))


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as opened:
        yield opened


def continuation(text: str, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "recorded",
        "choices": [{"index": index, "text": text, "logprobs": None, "finish_reason": finish}],
    }


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


@needs_records
@pytest.mark.parametrize(
    ("provider", "operation"),
    [
        ("openai", "completions"),
        ("vllm", "completions"),
        ("openai", "embeddings"),
        ("azure", "embeddings"),
        ("perplexity", "embeddings"),
    ],
)
def test_recorded_answers_arrive_as_they_were(
    lasting: Gateway, lasting_upstream: FakeUpstream, provider: str, operation: str
) -> None:
    found = records(provider, operation)
    assert found
    with httpx2.Client(base_url=lasting.base_url, headers=HEADERS, timeout=30) as plain:
        for record in found:
            lasting_upstream.default = replay(record)
            asked = {**record.asked, "model": "recorded"}
            asked.pop("stream", None)  # one record says that it was a stream, and holds a whole answer
            answer = plain.post(f"/{operation}", json=asked)
            assert (answer.status_code, answer.content) == (record.status, record.body.encode()), record.id
            assert lasting_upstream.requests[-1].json == asked
            assert lasting_upstream.requests[-1].path == f"/v1/{operation}"


def test_the_sdk_reads_vectors_and_their_tokens_are_billed(
    gateway: Gateway, client: OpenAI, upstream: FakeUpstream
) -> None:
    vectors = [{"object": "embedding", "index": at, "embedding": [0.5, -0.25]} for at in range(2)]
    upstream.default = whole(
        {"object": "list", "data": vectors, "model": "e", "usage": {"prompt_tokens": 9, "total_tokens": 9}}
    )
    answer = client.embeddings.create(model="recorded", input=["one", "two"], encoding_format="float")
    assert [vector.embedding for vector in answer.data] == [[0.5, -0.25]] * 2
    (row,) = gateway.wait_for_rows(1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"], row["status"]) == (9, 0, "told", "ok")


def test_vectors_without_usage_are_counted(gateway: Gateway, client: OpenAI, upstream: FakeUpstream) -> None:
    upstream.default = whole({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}]})
    client.embeddings.create(model="recorded", input="Hello there.", encoding_format="float")
    client.embeddings.create(model="recorded", input=[1, 2, 3, 4], encoding_format="float")
    rows = gateway.wait_for_rows(2)
    counts = [(row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) for row in rows]
    assert sorted(counts) == [(3, 0, "counted"), (4, 0, "counted")]


def test_continuations_are_streamed_and_their_usage_is_hidden(
    gateway: Gateway, client: OpenAI, upstream: FakeUpstream
) -> None:
    chunks = [continuation("Hello"), continuation(" there."), continuation("", "stop")]
    upstream.default = sse([*chunks, {**continuation(""), "choices": [], "usage": USAGE}])
    stream = client.completions.create(model="recorded", prompt="Say hello.", stream=True)
    heard = [json.loads(chunk.to_json(exclude_unset=True, warnings=False)) for chunk in stream]
    assert heard == chunks
    assert upstream.requests[-1].json["stream_options"] == {"include_usage": True}
    (row,) = gateway.wait_for_rows(1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) == (5, 2, "told")
    assert row["first_token_ms"] is not None


def test_a_stream_of_several_prompts_ends_when_all_have_ended(client: OpenAI, upstream: FakeUpstream) -> None:
    both = [continuation("a", "stop", 0), continuation("b", "stop", 1)]
    upstream.default = sse(both, done=False)
    assert len(list(client.completions.create(model="recorded", prompt=["1", "2"], stream=True))) == 2
    upstream.default = sse(both[:1], done=False)
    with pytest.raises(openai.APIError, match="cut"):
        list(client.completions.create(model="recorded", prompt=["1", "2"], stream=True))


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/embeddings", {"model": "recorded"}, "input"),
        ("/embeddings", {"model": "recorded", "input": []}, "input"),
        ("/embeddings", {"model": "recorded", "input": {"text": "x"}}, "input"),
        ("/completions", {"model": "recorded", "messages": []}, "prompt"),
        ("/completions", {"prompt": "x"}, "model"),
    ],
)
def test_what_is_no_request_is_told_why(
    lasting: Gateway, lasting_upstream: FakeUpstream, path: str, body: dict[str, Any], param: str
) -> None:
    hits = lasting_upstream.hits
    answer = httpx2.post(f"{lasting.base_url}{path}", json=body, headers=HEADERS, timeout=30)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert lasting_upstream.hits == hits


def test_texts_are_screened_like_messages(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(
        models=models("recorded"), guardrails={"default": {"input": [{"check": "pii", "action": "redact"}]}}
    )
    upstream.default = Script(200, (("content-type", "application/json"),), (("send", b'{"data": []}'),))
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as client:
        client.embeddings.create(model="recorded", input=["write to jane@example.com"], encoding_format="float")
        assert upstream.requests[-1].json["input"] == ["write to [EMAIL]"]
        client.completions.create(model="recorded", prompt="write to jane@example.com")
        assert upstream.requests[-1].json["prompt"] == "write to [EMAIL]"
        with pytest.raises(openai.BadRequestError, match="Token numbers"):
            client.embeddings.create(model="recorded", input=[1, 2, 3])


def test_a_model_of_a_provider_without_vectors_says_so(start: Start) -> None:
    gateway = start(
        providers={"sim": {"kind": "simulator"}}, models={"m": {"targets": [{"provider": "sim", "model": "m"}]}}
    )
    answer = httpx2.post(
        f"{gateway.base_url}/embeddings", json={"model": "m", "input": "x"}, headers=HEADERS, timeout=30
    )
    assert answer.status_code == 400
    assert "does not serve embeddings" in answer.json()["error"]["message"]
