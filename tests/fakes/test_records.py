"""Recorded answers arrive at a client as they were recorded, whatever the pieces."""

import http.client
import json
from collections.abc import Iterator

import pytest
from tests.fakes.records import (
    Record,
    ends_with_done,
    expected_payloads,
    expected_text,
    expected_usage,
    needs_records,
    payloads,
    records,
    replay,
)
from tests.fakes.scripts import CHUNKINGS, Chunking
from tests.fakes.upstream import FakeUpstream

PROVIDERS = ("openai", "azure", "xai", "vllm", "groq", "mistral", "deepseek", "openrouter", "ollama", "perplexity")

pytestmark = needs_records


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


def received(upstream: FakeUpstream, record: Record, chunking: Chunking = "events") -> tuple[int, str]:
    upstream.default = replay(record, chunking)
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=30)
    connection.request("POST", "/v1/chat/completions", json.dumps(record.asked))
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize("provider", PROVIDERS)
def test_whole_answers_are_replayed_to_the_byte(upstream: FakeUpstream, provider: str) -> None:
    plain = records(provider, stream=False)
    assert plain
    for record in plain:
        assert received(upstream, record) == (record.status, record.body)


@pytest.mark.parametrize("chunking", CHUNKINGS)
def test_streams_keep_their_events_in_any_pieces(upstream: FakeUpstream, chunking: Chunking) -> None:
    for record in [record for provider in ("openai", "xai", "vllm") for record in records(provider, stream=True)][::8]:
        code, text = received(upstream, record, chunking)
        assert code == record.status
        assert not record.is_sse or payloads(text) == expected_payloads(record)
        assert ("[DONE]" in text) == ends_with_done(record)


def test_records_are_chosen_by_tag_and_kind() -> None:
    called = records("openai", stream=True, tags=("tool_call",))
    assert called
    assert all(record.stream and record.operation == "chat" and "tool_call" in record.tags for record in called)


def test_every_answer_has_the_text_and_usage_it_says() -> None:
    for record in records("openai", tags=()):
        if record.status == 200 and "error_in_stream" not in record.tags:
            assert isinstance(expected_text(record), str)
            used = expected_usage(record)
            assert used is None or used["total_tokens"] == used["prompt_tokens"] + used["completion_tokens"]


def test_an_unknown_provider_has_no_records() -> None:
    assert records("nobody") == []
