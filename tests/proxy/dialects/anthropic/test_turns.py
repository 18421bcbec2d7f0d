"""The second turn: what Anthropic's SDK holds of an answer goes back, and the provider gets what it said."""

import json
from typing import Any

import msgspec
import pytest
from tests.fakes.records import Record, expected_payloads, needs_records
from tests.proxy.dialects.anthropic.test_records import (
    ANSWERS,
    GENERATED,
    MESSAGES,
    STREAMED,
    reader_of,
    translated,
    writer,
)
from tests.proxy.dialects.sdk import read_stream, read_whole

from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.google.request import SKIP_SIGNATURE, translate

pytestmark = needs_records

SIGNED = [record for record in GENERATED if "thoughtSignature" in record.body or "thought_signature" in record.body]
ANSWERED = [record for record in MESSAGES if "error_in_stream" not in record.tags]
THINKING_LIKES = [
    record
    for record in ANSWERS
    if record.provider in ("deepseek", "xai", "openrouter", "vllm") and "reasoning_text" in record.tags
    if not record.is_sse or record in STREAMED
]


def second_turn(record: Record) -> dict[str, Any]:
    """The hub's request of a client that sends back what it heard, with a result for each call."""
    if record.is_sse:
        content = read_stream(translated(record, record.body.encode())).content
    else:
        reader, body = reader_of(record), record.body.encode()
        content = read_whole(writer().whole(body if reader is None else reader.whole(body))).content
    blocks = [block.to_dict() for block in content]
    calls = [block for block in blocks if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "done"} for call in calls]
    asked = {
        "max_tokens": 64,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": blocks or "."},
            {"role": "user", "content": [*results, {"type": "text", "text": "Go on"}]},
        ],
        "tools": [{"name": name, "input_schema": {"type": "object"}} for name in {str(call["name"]) for call in calls}],
    }
    request: dict[str, Any] = json.loads(MessagesDialect().to_hub(json.dumps(asked).encode(), "m").body)
    return request


def signatures(parts: list[dict[str, Any]]) -> tuple[list[tuple[str, Any]], str | None]:
    """The signature of each call, and that of the last text which has one."""
    calls = [(part["functionCall"]["name"], part.get("thoughtSignature")) for part in parts if "functionCall" in part]
    texts = [part["thoughtSignature"] for part in parts if "functionCall" not in part and part.get("thoughtSignature")]
    return calls, texts[-1] if texts else None


@pytest.mark.parametrize("record", SIGNED, ids=lambda record: record.id)
def test_what_gemini_signed_comes_back_on_the_calls_and_the_text_that_it_signed(record: Record) -> None:
    candidates = [candidate for each in expected_payloads(record) for candidate in (each.get("candidates") or [])[:1]]
    told = [part for each in candidates for part in (each.get("content") or {}).get("parts") or []]
    again = json.loads(msgspec.json.encode(translate(second_turn(record), "gemini-3-pro").body["contents"]))
    sent = [part for content in again if content["role"] == "model" for part in content["parts"]]
    expected_calls, expected_text = signatures(told)
    calls, text = signatures(sent)
    assert [(name, None if signature == SKIP_SIGNATURE else signature) for name, signature in calls] == expected_calls
    assert SKIP_SIGNATURE not in json.dumps(again) or not any(signature for _, signature in expected_calls)
    if not any(name in json.dumps(told) for name in ("executableCode", "inlineData", "toolCall")):
        assert text == expected_text


@pytest.mark.parametrize("record", ANSWERED, ids=lambda record: record.id)
def test_what_anthropic_said_comes_back_byte_for_byte(record: Record) -> None:
    own = read_stream(record.body.encode()) if record.is_sse else read_whole(record.body.encode())
    kinds = ("thinking", "redacted_thinking", "tool_use")
    expected = [
        {name: value for name, value in block.to_dict().items() if name != "caller"}
        for block in own.content
        if block.type in kinds
    ]
    again = map_request(second_turn(record), "claude-opus-5").body["messages"]
    sent = [block for turn in again if turn["role"] == "assistant" for block in turn["content"]]
    assert [block for block in sent if block["type"] in kinds] == expected


@pytest.mark.parametrize("record", THINKING_LIKES, ids=lambda record: record.id)
def test_a_thought_that_nobody_signed_comes_back_as_reasoning_and_never_reaches_anthropic(record: Record) -> None:
    request = second_turn(record)
    (turn,) = [turn for turn in request["messages"] if turn["role"] == "assistant"]
    assert turn["reasoning_content"]
    assert "thinking_blocks" not in turn
    assert '"thinking"' not in json.dumps(map_request(request, "claude-opus-5").body)
