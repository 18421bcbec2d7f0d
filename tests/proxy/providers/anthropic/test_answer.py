"""What Anthropic's answers and refusals become, beyond what the records show."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.records import payloads

from tollway.proxy.causes import Cause
from tollway.proxy.providers.anthropic.answer import AnthropicReader
from tollway.proxy.providers.translated import StreamFault

USAGE: dict[str, Any] = {
    "input_tokens": 10,
    "output_tokens": 5,
    "cache_read_input_tokens": 7000,
    "cache_creation_input_tokens": 300,
    "output_tokens_details": {"thinking_tokens": 3},
}
CITATION = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "x"}
CONTENT: list[Any] = [
    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "eA=="},
    {"type": "text", "text": "So "},
    {"type": "text", "text": "it is", "citations": [CITATION, {"type": "char_location", "document_index": 0}]},
    {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"q": 1}},
    {"type": "from_the_future", "text": 7, "id": None},
    {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
]
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "model": "claude",
    "content": CONTENT,
    "usage": USAGE,
    "stop_reason": "tool_use",
}
STREAM: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": {**USAGE, "output_tokens": 1}}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "eA=="}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "It is"}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "citations_delta", "citation": CITATION}},
    {"type": "content_block_stop", "index": 2},
    {"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "t", "name": "now"}},
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_stop", "index": 3},
    {"type": "something_new"},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5, "input_tokens": 20}},
    {"type": "message_stop"},
]


def whole(**changes: Any) -> Any:
    return json.loads(AnthropicReader().whole(json.dumps({**ANSWER, **changes}).encode()))


def stream(events: list[Any]) -> str:
    reader = AnthropicReader()
    return (b"".join(reader.event(json.dumps(told).encode()) for told in events) + reader.end()).decode()


def test_every_kind_of_block_finds_its_place() -> None:
    answer = whole()
    (choice,) = answer["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "So it is",
        "refusal": None,
        "reasoning_content": "hm",
        "thinking_blocks": CONTENT[:2],
        "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {"start_index": 3, "end_index": 8, "url": "https://a.example", "title": "A"},
            }
        ],
    }
    assert answer["usage"] == {
        "prompt_tokens": 7310,
        "completion_tokens": 5,
        "total_tokens": 7315,
        "prompt_tokens_details": {"cached_tokens": 7000, "cache_write_tokens": 300},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("a_new_one", "tool_calls"),
    ],
)
def test_stop_reasons_are_said_in_openais_words(reason: str, finish: str) -> None:
    assert whole(stop_reason=reason)["choices"][0]["finish_reason"] == finish


def test_an_answer_that_says_nothing_is_an_empty_text() -> None:
    assert whole(content=[], stop_reason="end_turn")["choices"][0]["message"]["content"] == ""


def test_a_stream_says_block_by_block_what_the_whole_says() -> None:
    said = stream(STREAM)
    assert said.endswith("data: [DONE]\n\n")
    *chunks, last = payloads(said)
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"thinking_blocks": [CONTENT[0]]},
        {"thinking_blocks": [CONTENT[1]]},
        {"content": "It is"},
        {
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"start_index": 0, "end_index": 5, "url": "https://a.example", "title": "A"},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "now", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 8 + ["tool_calls"]
    assert last["choices"] == []
    assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (7320, 5)


def test_an_answer_without_usage_is_an_answer_all_the_same() -> None:
    assert "usage" not in whole(usage={"output_tokens": 3})
    told = {key: value for key, value in ANSWER.items() if key != "usage"}
    assert "usage" not in json.loads(AnthropicReader().whole(json.dumps(told).encode()))
    begun = {"type": "message_start", "message": {"id": "msg_1", "model": "claude"}}
    ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    said = stream([begun, *STREAM[1:-2], ended, STREAM[-1]])
    assert said.endswith("data: [DONE]\n\n")
    assert "usage" not in said


@pytest.mark.parametrize("kept", range(len(STREAM)))
def test_a_stream_that_was_cut_is_not_said_to_be_done(kept: int) -> None:
    assert "[DONE]" not in stream(STREAM[:kept])


@pytest.mark.parametrize(
    "events",
    [
        STREAM[2:],
        STREAM[:1] * 2,
        [*STREAM[:3], STREAM[2]],
        [*STREAM[:1], STREAM[-1]],
        [STREAM[0], *({**STREAM[2], "index": index} for index in range(65))],
    ],
)
def test_a_stream_out_of_order_is_refused(events: list[Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reader's promise is the type
        stream(events)


def test_a_fault_in_a_stream_is_raised_with_its_cause() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(StreamFault) as raised:
        stream([*STREAM[:5], error])
    assert (raised.value.fault.cause, raised.value.fault.message) == (Cause.OVERLOADED, "Overloaded")


@pytest.mark.parametrize(
    ("status", "kind", "text", "cause"),
    [
        (400, "invalid_request_error", "messages: at least one", Cause.INVALID),
        (400, "invalid_request_error", "prompt is too long: 209724 tokens > 200000 maximum", Cause.CONTEXT_WINDOW),
        (400, "invalid_request_error", "Your credit balance is too low to access", Cause.QUOTA),
        (400, "invalid_request_error", "Output blocked by content filtering policy", Cause.CONTENT_POLICY),
        (401, "authentication_error", "invalid x-api-key", Cause.BAD_KEY),
        (402, "billing_error", "no money", Cause.QUOTA),
        (403, "permission_error", "no", Cause.FORBIDDEN),
        (404, "not_found_error", "model: x", Cause.NOT_FOUND),
        (413, "request_too_large", "large", Cause.TOO_LARGE),
        (429, "rate_limit_error", "slow down", Cause.RATE_LIMIT),
        (500, "api_error", "oops", Cause.SERVER),
        (504, "timeout_error", "late", Cause.TIMEOUT),
        (529, "overloaded_error", "Overloaded", Cause.OVERLOADED),
        (418, "something_new", "?", Cause.INVALID),
    ],
)
def test_the_type_and_the_words_of_an_error_say_its_cause(status: int, kind: str, text: str, cause: Cause) -> None:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": text}}).encode()
    fault = AnthropicReader().fault(status, body)
    assert (fault.cause, fault.message) == (cause, text)


def test_a_request_larger_than_its_limit_is_not_to_be_sent_again() -> None:
    body = json.dumps({"error": {"type": "rate_limit_error", "message": "too many at once"}}).encode()
    assert AnthropicReader(waiting_helps=False).fault(429, body).cause is Cause.TOO_LARGE_FOR_LIMIT


@pytest.mark.parametrize("body", [b"<html>" + b"x" * 9000, b"", b"[]", b'{"error": "no"}', b"[" * 100_000])
def test_a_refusal_in_no_known_shape_is_told_by_its_status(body: bytes) -> None:
    fault = AnthropicReader().fault(503, body)
    assert fault.cause is Cause.OVERLOADED
    assert 0 < len(fault.message) <= 500


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, each in inner for place in places(each, (*way, key)))]


def spoiled(value: Any, way: tuple[Any, ...], by: Any) -> Any:
    if not way:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = spoiled(value[way[0]], way[1:], by)
    return copy


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 1 << 70, 1.5, "", "x", [], [None], {}, {"type": "text"}, {"type": 1}]
)


@given(way=st.sampled_from(places(ANSWER)), junk=JUNK, cut=st.integers(0, 2000))
def test_a_spoiled_answer_is_an_answer_or_a_value_error(way: tuple[Any, ...], junk: Any, cut: int) -> None:
    body = json.dumps(spoiled(ANSWER, way, junk)).encode()
    for hostile in (body, body[:cut]):
        try:
            said = AnthropicReader().whole(hostile)
        except ValueError:
            continue
        assert json.loads(said)["object"] == "chat.completion"


@given(way=st.sampled_from([place for place in places(STREAM) if place]), junk=JUNK)
def test_a_spoiled_stream_is_a_stream_or_a_value_error(way: tuple[Any, ...], junk: Any) -> None:
    try:
        said = stream(spoiled(STREAM, way, junk))
    except (ValueError, StreamFault):
        return
    assert payloads(said)[0]["object"] == "chat.completion.chunk"


@pytest.mark.parametrize("kept", [b'{"id":"m","model":"c","content":', b'{"id":'])
def test_an_answer_nested_without_end_is_a_value_error(kept: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reader's promise is the type
        AnthropicReader().whole(kept + b"[" * 100_000)
