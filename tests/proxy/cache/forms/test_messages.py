"""Streams of Anthropic's Messages as whole answers, and the other way."""

import json
from typing import Any

import pytest
from tests.proxy.cache.forms.streams import told
from tests.proxy.dialects.sdk import check_message, check_order, read_stream, read_whole

from tollway.proxy.cache import forms

USAGE = {
    "input_tokens": 3,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 2,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"thinking_tokens": 4},
    "service_tier": "standard",
}
SOURCE = {
    "type": "char_location",
    "cited_text": "Hi",
    "document_index": 0,
    "document_title": None,
    "file_id": None,
    "start_char_index": 0,
    "end_char_index": 2,
}
CONTENT: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Let me think about that for quite a while. " * 4, "signature": "c2lnbmVk"},
    {"type": "redacted_thinking", "data": "b3BhcXVl"},
    {"type": "text", "text": "Hi there, and welcome! " * 10, "citations": [SOURCE, SOURCE]},
    {"type": "text", "text": ""},
    {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "look",
        "input": {"at": ["x" * 90, 1.5, None]},
        "caller": {"type": "direct"},
    },
    {"type": "tool_use", "id": "toolu_2", "name": "go", "input": {}},
]


def answer(content: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": content,
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "stop_details": None,
        "usage": USAGE,
        **more,
    }


def events(given: Any) -> list[bytes]:
    return forms.events("messages", json.dumps(given, indent=2).encode())


def whole(*streamed: Any) -> Any:
    framed = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in streamed]
    said = forms.whole("messages", b"".join(framed))
    return None if said is None else json.loads(said)


def start(**more: Any) -> dict[str, Any]:
    message = answer([], stop_reason=None, usage={"input_tokens": 3, "output_tokens": 1, "service_tier": "standard"})
    return {"type": "message_start", "message": message | more}


def block(place: int, content: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    said = [{"type": "content_block_delta", "index": place, "delta": delta} for delta in deltas]
    begun = {"type": "content_block_start", "index": place, "content_block": content}
    return [begun, *said, {"type": "content_block_stop", "index": place}]


def end(**more: Any) -> list[dict[str, Any]]:
    delta = {"stop_reason": "end_turn", "stop_sequence": None, **more}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}, {"type": "message_stop"}]


def text(said: str) -> dict[str, Any]:
    return {"type": "text_delta", "text": said}


def test_an_answer_of_every_kind_of_block_is_the_same_again() -> None:
    given = answer(CONTENT, container={"id": "c", "expires_at": "2026-01-01T00:00:00Z"}, context_management={"a": []})
    assert json.loads(forms.whole("messages", b"".join(events(given))) or b"null") == given


def test_events_stand_in_anthropics_order() -> None:
    uncited = [{name: value for name, value in block.items() if name != "citations"} for block in CONTENT]
    check_order(b"".join(events(answer(uncited))))


def test_anthropics_sdk_puts_the_very_message_together_again() -> None:
    given = answer(CONTENT)
    check_message(json.dumps(given).encode())
    assert read_stream(b"".join(events(given))).to_dict() == read_whole(json.dumps(given).encode()).to_dict()


def test_long_texts_and_inputs_come_in_pieces() -> None:
    streamed = told(b"".join(events(answer(CONTENT))))
    deltas = [event["delta"]["type"] for event in streamed if event["type"] == "content_block_delta"]
    assert deltas.count("thinking_delta") > 2
    assert deltas.count("text_delta") > 3
    assert deltas.count("input_json_delta") > 2
    assert (deltas.count("signature_delta"), deltas.count("citations_delta")) == (1, 2)


def test_the_counts_of_the_output_come_at_the_end() -> None:
    first, *_, last, _ = told(b"".join(events(answer(CONTENT))))
    assert first["message"]["usage"]["output_tokens"] == 0
    assert first["message"]["stop_reason"] is None
    assert last["usage"] == {name: USAGE[name] for name in USAGE if "tokens" in name}


def test_an_input_keeps_its_numbers_as_they_were_written() -> None:
    body = json.dumps(answer([CONTENT[4] | {"input": {"at": 7}}])).replace('"at": 7', '"at": 12345678901234567890.10')
    streamed = b"".join(forms.events("messages", body.encode()))
    assert b"12345678901234567890.10" in (forms.whole("messages", streamed) or b"")


def test_pieces_are_joined_to_blocks() -> None:
    said = whole(
        start(),
        {"type": "ping"},
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "a"},
            {"type": "thinking_delta", "thinking": "b"},
            {"type": "signature_delta", "signature": "s"},
        ),
        *block(1, {"type": "text", "text": ""}, text("c"), text("d"), {"type": "citations_delta", "citation": SOURCE}),
        *block(
            2,
            {"type": "tool_use", "id": "t", "name": "look", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"at"'},
            {"type": "input_json_delta", "partial_json": ": 1.50}"},
        ),
        *end(stop_details=None),
    )
    assert said["content"] == [
        {"type": "thinking", "thinking": "ab", "signature": "s"},
        {"type": "text", "text": "cd", "citations": [SOURCE]},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1.5}},
    ]
    assert (said["stop_reason"], said["stop_sequence"], said["stop_details"]) == ("end_turn", None, None)
    assert said["usage"] == {"input_tokens": 3, "output_tokens": 9, "service_tier": "standard"}


def test_counts_that_are_not_told_at_the_end_hold() -> None:
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": None}}
    assert whole(start(), last, {"type": "message_stop"})["usage"]["input_tokens"] == 3


SAID = block(0, {"type": "text", "text": ""}, text("a"))
CALL = {"type": "tool_use", "id": "t", "name": "look", "input": {}}


@pytest.mark.parametrize(
    "streamed",
    [
        pytest.param([], id="nothing"),
        pytest.param([start(), *SAID], id="no end"),
        pytest.param([start(), *SAID, end()[0]], id="no last event"),
        pytest.param([start(), *SAID, end()[1]], id="no reason"),
        pytest.param([*SAID, *end()], id="no beginning"),
        pytest.param([start(), start(), *end()], id="two beginnings"),
        pytest.param([start(content=[CALL]), *end()], id="content at the beginning"),
        pytest.param([start(), *SAID, *end(), {"type": "message_stop"}], id="two ends"),
        pytest.param([start(), *SAID, *end()[:1], *SAID, *end()[1:]], id="a block behind the reason"),
        pytest.param([start(), *SAID, {"type": "error", "error": {"type": "x", "message": "y"}}], id="an error"),
        pytest.param([start(), *SAID, {"type": "surprise"}, *end()], id="an event that is not known"),
        pytest.param([start(), *SAID[:-1], *end()], id="a block without its end"),
        pytest.param([start(), SAID[0], *SAID, *end()], id="a block in a block"),
        pytest.param([start(), *block(1, {"type": "text", "text": ""}), *end()], id="a block is missing"),
        pytest.param([start(), *SAID[1:], *end()], id="a delta without a block"),
        pytest.param([start(), *block(0, CALL, text("a")), *end()], id="a delta of another block"),
        pytest.param([start(), *block(0, {"type": "text", "text": ""}, {"type": "text_delta"}), *end()], id="no text"),
        pytest.param([start(), *block(0, {"type": "text"}, text("a")), *end()], id="a block without its text"),
        pytest.param([start(), *block(0, {"type": "text", "text": ""}, text("a") | {"x": 1}), *end()], id="more"),
        pytest.param(
            [start(), *block(0, CALL, {"type": "input_json_delta", "partial_json": "{"}), *end()], id="half an input"
        ),
        pytest.param(
            [start(), *block(0, CALL, {"type": "input_json_delta", "partial_json": "[]"}), *end()], id="no object"
        ),
        pytest.param(
            [
                start(),
                *block(0, CALL | {"input": {"a": 1}}, {"type": "input_json_delta", "partial_json": "{}"}),
                *end(),
            ],
            id="an input twice",
        ),
        pytest.param([start(), *block(0, {"type": "server_tool_use", "name": "x", "input": {}}), *end()], id="server"),
        pytest.param([start(), *block(0, {"type": "web_search_tool_result", "content": []}), *end()], id="its result"),
        pytest.param([start(stop_reason="end_turn"), *end(stop_reason="max_tokens")], id="two reasons"),
    ],
)
def test_what_can_not_be_told_for_sure_is_not_told(streamed: list[Any]) -> None:
    assert whole(*streamed) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"content": None},
        {"content": [1]},
        {"content": [{"type": None}]},
        {"content": [{"type": "text", "text": None}]},
        {"content": [{"type": "tool_use", "input": "x"}]},
        {"usage": None},
        {"stop_reason": None},
    ],
)
def test_what_is_no_answer_has_no_events(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        events(answer(CONTENT) | changed)
