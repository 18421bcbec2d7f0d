"""OpenAI's SDK against providers with a dialect of their own: recorded answers, read through the whole gateway."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.records import Record, needs_records, records, replay
from tests.fakes.scripts import CHUNKINGS, Script, status, stream
from tests.fakes.upstream import FakeUpstream

Read = tuple[str, list[tuple[str, Any]], str, int, int]
"""What a client reads: text, tool calls (name, arguments), finish reason, prompt and completion tokens."""

FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}
PRICE = {"input_per_1m": 3, "output_per_1m": 15}


def open_gateway(start: Start, upstream: FakeUpstream, kind: str) -> Gateway:
    base = upstream.base_url.removesuffix("/v1")
    return start(
        providers={"theirs": {"kind": kind, "base_url": base, "api_key": "sk-upstream-canary-0123456789"}},
        models={"recorded": {"targets": [{"provider": "theirs", "model": "recorded-model"}], "price": PRICE}},
    )


@pytest.fixture
def anthropic(start: Start, upstream: FakeUpstream) -> Gateway:
    return open_gateway(start, upstream, "anthropic")


@pytest.fixture
def google(start: Start, upstream: FakeUpstream) -> Gateway:
    return open_gateway(start, upstream, "google")


def client_of(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0)


def read(answer: ChatCompletion) -> Read:
    (choice,) = answer.choices
    assert answer.usage is not None
    calls = [
        (call.function.name, json.loads(call.function.arguments))
        for call in choice.message.tool_calls or []
        if call.type == "function"
    ]
    usage = answer.usage
    return choice.message.content or "", calls, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens


def accumulate(client: OpenAI) -> Read:
    """A stream, put together as a client would."""
    text, calls, finishes, usage = "", dict[int, list[str]](), list[str](), None
    for chunk in client.chat.completions.create(
        model="recorded",
        messages=[{"role": "user", "content": "Hi"}],
        stream=True,
        stream_options={"include_usage": True},
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finishes += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                name, arguments = calls.setdefault(call.index, ["", ""])
                calls[call.index] = [name + (call.function.name or ""), arguments + (call.function.arguments or "")]
    assert list(calls) == list(range(len(calls)))
    assert usage is not None
    (finish,) = finishes
    listed = [(name, json.loads(arguments)) for name, arguments in calls.values()]
    return text, listed, finish, usage.prompt_tokens, usage.completion_tokens


def of_anthropic(message: dict[str, Any]) -> Read:
    blocks = message["content"]
    usage = message["usage"]
    prompt = sum(
        usage.get(name) or 0 for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    return (
        "".join(block["text"] for block in blocks if block["type"] == "text"),
        [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
        FINISHES[message["stop_reason"]],
        prompt,
        usage["output_tokens"],
    )


def of_anthropic_stream(text: str) -> Read:
    """The message that the events make, put together by their plain meaning."""
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    partial: dict[int, str] = {}
    for line in text.splitlines():
        if not line.startswith("data:"):
            continue
        event = json.loads(line.removeprefix("data:"))
        if event["type"] == "message_start":
            message = event["message"]
        elif event["type"] == "content_block_start":
            blocks[event["index"]] = dict(event["content_block"])
        elif event["type"] == "content_block_delta" and event["delta"]["type"] == "text_delta":
            blocks[event["index"]]["text"] += event["delta"]["text"]
        elif event["type"] == "content_block_delta" and event["delta"]["type"] == "input_json_delta":
            partial[event["index"]] = partial.get(event["index"], "") + event["delta"]["partial_json"]
        elif event["type"] == "message_delta":
            message["stop_reason"] = event["delta"]["stop_reason"]
            message["usage"] |= {name: count for name, count in event["usage"].items() if count is not None}
    for index, arguments in partial.items():
        blocks[index]["input"] = json.loads(arguments or "{}")
    return of_anthropic({**message, "content": list(blocks.values())})


def of_gemini(*answers: dict[str, Any]) -> Read:
    """What one answer says, or the chunks of a stream together; counts are those of the last one."""
    text, calls, reason = "", list[tuple[str, Any]](), ""
    for answer in answers:
        for candidate in answer.get("candidates") or []:
            reason = candidate.get("finishReason") or reason
            for part in (candidate.get("content") or {}).get("parts") or []:
                if "functionCall" in part:
                    calls.append((part["functionCall"]["name"], part["functionCall"].get("args") or {}))
                elif not part.get("thought"):
                    text += part.get("text") or ""
    usage: dict[str, int] = {}
    for answer in answers:
        usage = answer.get("usageMetadata") or usage
    finish = {"STOP": "stop", "MAX_TOKENS": "length", "UNEXPECTED_TOOL_CALL": "stop"}.get(reason, "content_filter")
    prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    completion = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    return text, calls, "tool_calls" if calls else finish, prompt, completion


def gemini_chunks(text: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data:")) for line in text.splitlines() if line.startswith("data:")]


def ask(client: OpenAI) -> ChatCompletion:
    return client.chat.completions.create(model="recorded", messages=[{"role": "user", "content": "Hi"}])


def good(provider: str, operation: str, *, stream: bool) -> Iterator[Record]:
    for record in records(provider, operation, stream):
        if record.status == 200 and "error_in_stream" not in record.tags and "json_array" not in record.tags:
            yield record


@needs_records
def test_anthropics_answers_are_read_as_their_own_sdk_reads_them(anthropic: Gateway, upstream: FakeUpstream) -> None:
    with client_of(anthropic) as client:
        seen = list(good("anthropic", "messages", stream=False))
        for record in seen:
            upstream.default = replay(record)
            assert read(ask(client)) == of_anthropic(json.loads(record.body)), record.id
    assert len(seen) > 250
    rows = anthropic.wait_for_rows(len(seen))
    assert {(row["usage_source"], row["status"]) for row in rows} == {("told", "ok")}
    assert all(row["cost"] is not None for row in rows)


@needs_records
@pytest.mark.parametrize("chunking", CHUNKINGS)
def test_anthropics_streams_add_up_to_the_message(anthropic: Gateway, upstream: FakeUpstream, chunking: Any) -> None:
    with client_of(anthropic) as client:
        found = [record for record in good("anthropic", "messages", stream=True) if "message_stop" in record.body]
        for record in found[:: 1 if chunking == "events" else 12]:
            upstream.default = replay(record, chunking)
            assert accumulate(client) == of_anthropic_stream(record.body), record.id
    assert len(found) > 60


@needs_records
@pytest.mark.parametrize("provider", ["gemini", "vertex"])
def test_geminis_answers_are_read_as_their_own_sdk_reads_them(
    google: Gateway, upstream: FakeUpstream, provider: str
) -> None:
    with client_of(google) as client:
        seen = list(good(provider, "generate_content", stream=False))
        for record in seen:
            upstream.default = replay(record)
            assert read(ask(client)) == of_gemini(json.loads(record.body)), record.id
    assert len(seen) > 70


@needs_records
@pytest.mark.parametrize("chunking", CHUNKINGS)
def test_geminis_streams_add_up_to_the_answer(google: Gateway, upstream: FakeUpstream, chunking: Any) -> None:
    with client_of(google) as client:
        found = list(good("gemini", "generate_content", stream=True))
        for record in found[:: 1 if chunking == "events" else 12]:
            upstream.default = replay(record, chunking)
            assert accumulate(client) == of_gemini(*gemini_chunks(record.body)), record.id
    assert len(found) > 40


@needs_records
@pytest.mark.parametrize(("provider", "operation"), [("anthropic", "messages"), ("gemini", "generate_content")])
def test_refusals_keep_their_class_and_their_words(
    start: Start, upstream: FakeUpstream, provider: str, operation: str
) -> None:
    gateway = open_gateway(start, upstream, "anthropic" if provider == "anthropic" else "google")
    refused = [record for record in records(provider, operation) if record.status >= 400]
    assert refused
    with client_of(gateway) as client:
        for record in refused:
            upstream.default = replay(record)
            with pytest.raises(openai.APIStatusError) as caught:
                ask(client)
            told = json.loads(record.body)["error"]
            expected = (
                401
                if "API_KEY_INVALID" in record.body
                else {402: 429, 422: 400, 500: 502, 529: 503}.get(record.status, record.status)
            )
            assert caught.value.status_code == expected, record.id
            assert told["message"][:100] in caught.value.message, record.id


def test_a_key_that_the_provider_refuses_is_not_shown(anthropic: Gateway, upstream: FakeUpstream) -> None:
    upstream.default = status(401, "invalid x-api-key: sk-upstream-canary-0123456789")
    with client_of(anthropic) as client, pytest.raises(openai.AuthenticationError) as caught:
        ask(client)
    assert "canary" not in caught.value.message
    (seen,) = upstream.requests
    assert (seen.path, seen.header("x-api-key")) == ("/v1/messages", "sk-upstream-canary-0123456789")
    assert seen.header("authorization") is None


def test_what_was_dropped_is_told_or_refused(anthropic: Gateway, upstream: FakeUpstream) -> None:
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn"}
    body = {**said, "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 1, "output_tokens": 1}}
    upstream.default = Script(200, (("content-type", "application/json"),), (("send", json.dumps(body).encode()),))
    asked: dict[str, Any] = {"model": "recorded", "messages": [{"role": "user", "content": "Hi"}], "seed": 5}
    with client_of(anthropic) as client:
        answer = client.chat.completions.with_raw_response.create(**asked)
        assert "dropped:seed" in answer.headers["x-tollway-warnings"]
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**asked, extra_headers={"x-tollway-strict": "true"})
    assert caught.value.param == "seed"
    assert upstream.hits == 1


def test_a_stream_that_begins_with_a_fault_has_the_status_of_a_refusal(
    anthropic: Gateway, upstream: FakeUpstream
) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    upstream.default = stream(f"event: error\ndata: {json.dumps(error)}\n\n")
    with client_of(anthropic) as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="recorded", messages=[{"role": "user", "content": "Hi"}], stream=True)
    assert (caught.value.status_code, caught.value.code) == (503, "overloaded")
    (row,) = anthropic.wait_for_rows(1)
    assert (row["status"], row["completion_tokens"], row["cost"]) == ("error", 0, 0)


def test_a_client_that_leaves_cuts_the_provider(anthropic: Gateway, upstream: FakeUpstream) -> None:
    begin = [
        {
            "type": "message_start",
            "message": {"id": "m", "model": "c", "usage": {"input_tokens": 4, "output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    ]
    sent = "".join(f"data: {json.dumps(event)}\n\n" for event in begin)
    upstream.default = Script(
        200, (("content-type", "text/event-stream"),), (("send", sent.encode()), ("hang",)), "chunked"
    )
    with client_of(anthropic) as client:
        chunks = client.chat.completions.create(
            model="recorded", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        heard = ""
        for chunk in chunks:
            heard += "".join(choice.delta.content or "" for choice in chunk.choices)
            if heard:
                break
        chunks.close()
    upstream.wait_for(lambda: len(upstream.aborts) == 1)
    (row,) = anthropic.wait_for_rows(1)
    assert (row["status"], row["usage_source"]) == ("client_gone", "estimated")
