"""Requests and answers that were spoilt: they are read or refused, and nothing else happens."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.openai_schema import check_response, check_response_event
from tests.fakes.records import Record, payloads, records

from tollway.errors import InvalidRequest
from tollway.proxy.dialects.port import Refused
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.proxy.dialects.responses.sealed import PREFIX, Sealed, seal

DIALECT = ResponsesDialect()
REFUSED = Refused(502, "server_error", "upstream_broken", "It broke.", None, "r")

ASKED: dict[str, Any] = {
    "model": "alias",
    "instructions": "be kind",
    "input": [
        {"role": "system", "content": [{"type": "input_text", "text": "x"}]},
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "https://host", "detail": "low"},
                {"type": "input_file", "file_url": "https://host", "filename": "a"},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
            ],
        },
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": seal(Sealed(extra={"google": {"thought_signature": "AA=="}})),
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}", "namespace": "n"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "x"}]},
        {"type": "tool_search_output", "tools": [{"type": "function", "name": "more"}]},
        {"type": "web_search_call", "id": "ws_1"},
    ],
    "tools": [
        {"type": "function", "name": "look", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
    "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}},
    "reasoning": {"effort": "low", "summary": "auto", "context": "auto"},
    "include": ["message.output_text.logprobs"],
    "metadata": {"a": "b"},
    "max_output_tokens": 9,
    "temperature": 0.5,
    "stream": True,
}
CONTENT = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]
CITED = {"type": "url_citation", "url_citation": {"url": "https://host", "title": "t", "start_index": 1}}
SIGNED = {"google": {"thought_signature": "AA=="}}
ANSWER: dict[str, Any] = {
    "id": "x",
    "choices": [
        {
            "index": 0,
            "finish_reason": "length",
            "logprobs": {"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "b", "logprob": -2}]}]},
            "message": {
                "content": CONTENT,
                "reasoning_content": "hm",
                "refusal": "no",
                "annotations": [CITED],
                "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
                "extra_content": {"google": {"thought_signature": "AA==", "parts": [{"a": 1}]}},
                "tool_calls": [
                    {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{}"}, "extra_content": SIGNED},
                    {"id": "c1", "function": {"name": "g", "arguments": {"a": 1}}},
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
    "service_tier": "default",
}  # fmt: skip

ODD = st.sampled_from(
    [None, True, 0, -1, 2**70, 1.5, "", "x", "tollway.", PREFIX + "e30=", [], [None], {}, {"type": "text"}]
)


def places(told: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a value, itself left out."""
    named = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    return [each for name, value in named for each in [(*path, name), *places(value, (*path, name))]]


def spoilt(told: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at ``path``."""
    copied = copy.deepcopy(told)
    inner = copied
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return copied


@st.composite
def spoilings(draw: Callable[[Any], Any], told: Any) -> bytes:
    """The value with one or two of its places changed, or cut."""
    for _ in range(draw(st.integers(1, 2))):
        if found := places(told):
            told = spoilt(told, draw(st.sampled_from(found)), draw(ODD))
    written = json.dumps(told).encode()
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(written) - 1))
        written = written[:at] + b"\xff" + written[at + 1 :]
    return written[: draw(st.integers(0, len(written)))] if draw(st.integers(0, 9)) == 0 else written


@settings(max_examples=400, deadline=None)
@given(spoilings(ASKED))
def test_a_spoilt_request_is_read_or_refused(body: bytes) -> None:
    try:
        DIALECT.to_hub(body, "real")
    except InvalidRequest:
        return
    begun = payloads(DIALECT.writer(body, "alias").event(b'{"choices": []}').decode())
    assert [event["type"] for event in begun] == ["response.created", "response.in_progress"]


@settings(max_examples=400, deadline=None)
@given(spoilings(ANSWER))
def test_a_spoilt_answer_is_read_or_an_error(body: bytes) -> None:
    writer = DIALECT.writer(b'{"input": "hi"}', "alias")
    try:
        said = writer.whole(body)
    except ValueError:
        return
    assert check_response(said) == []


STREAM = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "reasoning": "hm"}}]},
    {"choices": [{"index": 0, "delta": ANSWER["choices"][0]["message"], "logprobs": ANSWER["choices"][0]["logprobs"]}]},
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "x"}}]}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
    {"choices": [], "usage": ANSWER["usage"]},
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(*(spoilings(chunk) for chunk in STREAM)), st.booleans())
def test_a_spoilt_stream_is_told_or_ends_with_a_fault(chunks: tuple[bytes, ...], is_cut: bool) -> None:
    writer = DIALECT.writer(b'{"input": "hi"}', "alias")
    told = b""
    try:
        told = b"".join(map(writer.event, chunks))
        told += writer.fault(REFUSED) if is_cut else writer.end()
    except ValueError:
        told = writer.fault(REFUSED)
    events = payloads(told.decode())
    assert events[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
    for event in events:
        assert check_response_event(json.dumps(event).encode()) == []


RECORDED = [
    *(record for kind in ("openai", "mistral", "xai", "openrouter") for record in records(kind, "chat")[::25]),
    *records("openai", "responses")[::20],
]


@pytest.mark.parametrize("record", RECORDED, ids=lambda record: record.id)
def test_recorded_traffic_may_be_null_anywhere(record: Record) -> None:
    if record.operation == "responses":
        for path in places(record.asked):
            try:
                DIALECT.to_hub(json.dumps(spoilt(record.asked, path, None)).encode(), "real")
            except InvalidRequest:
                continue
        return
    for payload in (
        [] if record.status != 200 else payloads(record.body) if record.stream else [json.loads(record.body)]
    ):
        for path in places(payload):
            writer = DIALECT.writer(b'{"input": "hi"}', "alias")
            body = json.dumps(spoilt(payload, path, None)).encode()
            try:
                assert writer.event(body) if record.stream else writer.whole(body)
            except ValueError:
                continue
