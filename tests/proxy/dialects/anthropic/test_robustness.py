"""Hostile requests and answers: whatever comes, it is taken or refused, and nothing else happens."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.proxy.dialects.sdk import check_order

from tollway.errors import InvalidRequest
from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.google.request import translate

CACHED = {"type": "ephemeral", "ttl": "1h"}
PNG = {"type": "base64", "media_type": "image/png", "data": "YQ=="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "YQ=="}
TEXT = {"type": "text", "media_type": "text/plain", "data": "It is."}
PACKED = "tollway.google.eyJtZXNzYWdlIjp7fSwiY2FsbHMiOnsiYSI6eyJ0aG91Z2h0X3NpZ25hdHVyZSI6ImMybG4ifX19"
ASKED: dict[str, Any] = {
    "model": "alias",
    "max_tokens": 64,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": CACHED}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image", "source": PNG},
                {"type": "document", "source": TEXT, "title": "T", "context": "C", "citations": {"enabled": True}},
                {"type": "document", "source": PDF},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "thinking", "thinking": "hm", "signature": PACKED},
                {"type": "text", "text": "So"},
                {"type": "redacted_thinking", "data": "eA=="},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"n": [1, None]}, "cache_control": CACHED},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
                {"type": "search_result", "content": []},
            ],
        },
        {"role": "system", "content": "Now"},
    ],
    "tools": [
        {"name": "f", "description": "d", "input_schema": {"type": "object"}, "defer_loading": True},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object", "title": "T"}}},
    "metadata": {"user_id": "u" * 65},
    "stop_sequences": ["x"],
    "stream": True,
    "temperature": 1,
    "top_p": 1,
    "top_k": 1,
    "service_tier": "auto",
    "cache_control": CACHED,
    "container": "c",
    "guided_json": {},
}
CALL: dict[str, Any] = {
    "index": 0,
    "id": "a",
    "type": "function",
    "function": {"name": "f", "arguments": '{"n": 1}'},
    "extra_content": {"google": {"thought_signature": "c2ln", "parts": [{"a": 1}]}},
}
SAID: dict[str, Any] = {
    "role": "assistant",
    "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "So"}],
    "reasoning_content": "hm",
    "refusal": "no",
    "thinking_blocks": [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
    ],
    "tool_calls": [CALL, {**CALL, "id": "b", "index": 1}],
    "extra_content": {"google": {"thought_signature": "c2ln"}},
}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
WHOLE: dict[str, Any] = {
    "id": "c1",
    "model": "m1",
    "choices": [{"index": 0, "message": SAID, "finish_reason": "tool_calls", "stop_reason": "x"}],
    "usage": USAGE,
}
CHUNK: dict[str, Any] = {
    "id": "c1",
    "model": "m1",
    "choices": [{"index": 0, "delta": SAID, "finish_reason": None}],
    "usage": USAGE,
}
Path = tuple[Any, ...]
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 10**30, 1.5, "", "x", "\x00", "{", [], [None], {}, {"a": 1}, [[]], "ÄÖ"]
)


def places(value: Any, path: Path = ()) -> list[Path]:
    """The paths of all values in it."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in below for place in places(each, (*path, key)))]


def changed(value: Any, path: Path, new: Any) -> Any:
    """A copy with another value at the path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def ask(body: bytes) -> None:
    """To the hub, and on to providers: each takes it or refuses it."""
    try:
        made = MessagesDialect().to_hub(body, "m")
    except InvalidRequest:
        return
    request = json.loads(made.body)
    assert request["messages"]
    for mapping in (map_request, translate):
        try:
            mapping(request, "claude-opus-5" if mapping is map_request else "gemini-3-pro")
        except InvalidRequest:
            continue


def answer(body: bytes) -> None:
    """Whole, and twice as a chunk of a stream: a message, or ValueError."""
    writer = MessagesDialect().writer(b"{}", "alias")
    try:
        assert json.loads(writer.whole(body))["type"] == "message"
    except ValueError:
        pass
    try:
        said = writer.event(body) + writer.event(body)
    except ValueError:
        return
    check_order(said + writer.end())


@settings(deadline=None, max_examples=400)
@given(place=st.sampled_from(places(ASKED)), odd=ODD, second=st.sampled_from(places(ASKED)))
def test_a_request_with_odd_values_is_taken_or_refused(place: Path, odd: Any, second: Path) -> None:
    asked = changed(ASKED, place, odd)
    ask(json.dumps(asked).encode())
    if second[: len(place)] != place:
        ask(json.dumps(changed(asked, second, odd)).encode())


@settings(deadline=None, max_examples=200)
@given(length=st.integers(0, len(json.dumps(ASKED))))
def test_a_request_that_is_cut_is_refused(length: int) -> None:
    ask(json.dumps(ASKED).encode()[:length])


@settings(deadline=None, max_examples=400)
@given(place=st.sampled_from(places(WHOLE)), odd=ODD, second=st.sampled_from(places(CHUNK)))
def test_an_answer_with_odd_values_is_read_or_refused(place: Path, odd: Any, second: Path) -> None:
    answer(json.dumps(changed(WHOLE, place, odd)).encode())
    answer(json.dumps(changed(CHUNK, second, odd)).encode())


@settings(deadline=None, max_examples=200)
@given(length=st.integers(0, len(json.dumps(WHOLE))))
def test_an_answer_that_is_cut_is_refused(length: int) -> None:
    answer(json.dumps(WHOLE).encode()[:length])


@settings(deadline=None, max_examples=200)
@given(body=st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(body: bytes) -> None:
    ask(body)
    answer(body)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"function": st.fixed_dictionaries({"arguments": st.sampled_from(["", "{", "}", "{}", " "])})},
            optional={"index": st.integers(0, 2), "id": st.sampled_from(["a", "b", "", None])},
        ),
        max_size=8,
    ),
    st.lists(st.sampled_from(["", "a"]), max_size=8),
)
def test_pieces_of_calls_in_any_order_keep_the_order_of_events(pieces: list[Any], texts: list[str]) -> None:
    writer = MessagesDialect().writer(b"{}", "alias")
    said = b""
    try:
        for place, piece in enumerate(pieces):
            piece["function"]["name"] = "f" if place % 3 == 0 else None
            text = texts[place] if place < len(texts) else None
            chunk = {"choices": [{"delta": {"content": text, "tool_calls": [piece]}}]}
            said += writer.event(json.dumps(chunk).encode())
    except ValueError:
        return
    check_order(said + writer.end())


def test_the_values_before_they_are_changed_are_taken() -> None:
    dialect = MessagesDialect()
    request = json.loads(dialect.to_hub(json.dumps(ASKED).encode(), "m").body)
    map_request(request, "claude-opus-5")
    translate(request, "gemini-3-pro")
    writer = dialect.writer(b"{}", "alias")
    writer.whole(json.dumps(WHOLE).encode())
    check_order(writer.event(json.dumps(CHUNK).encode()) + writer.end())
