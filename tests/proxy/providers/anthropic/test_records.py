"""Every recorded answer of Anthropic, whole and streamed, against what the table of the dialects says it means."""

import json
from typing import Any

import pytest
from tests.fakes.anthropic_schema import check
from tests.fakes.records import Record, needs_records, payloads, records

from tollway._native.sse import Payloads
from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.answer import AnthropicReader
from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.translated import StreamFault

FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}
MESSAGES = records("anthropic", "messages")
WHOLE = [record for record in MESSAGES if not record.stream and record.status == 200]
STREAMED = [record for record in MESSAGES if record.is_sse]
COMPLETE = [record for record in STREAMED if "error_in_stream" not in record.tags and "message_stop" in record.body]
ASKED = records("openai", "chat")

pytestmark = needs_records


def meaning(content: list[Any], stop_reason: str, usage: dict[str, Any]) -> dict[str, Any]:
    """The oracle: what a chat client is to learn."""
    cached = usage.get("cache_read_input_tokens") or 0
    prompt = usage["input_tokens"] + cached + (usage.get("cache_creation_input_tokens") or 0)
    details = usage.get("output_tokens_details") or {}
    return {
        "text": "".join(block["text"] for block in content if block["type"] == "text"),
        "thoughts": "".join(block["thinking"] for block in content if block["type"] == "thinking"),
        "signatures": [block["signature"] for block in content if block["type"] == "thinking"],
        "calls": [(block["id"], block["name"], block["input"]) for block in content if block["type"] == "tool_use"],
        "finish": FINISHES[stop_reason],
        "usage": (prompt, usage["output_tokens"], prompt + usage["output_tokens"], cached),
        "reasoning": details.get("thinking_tokens") or 0,
    }


def learned(message: dict[str, Any], calls: list[Any], finish: str, usage: dict[str, Any]) -> dict[str, Any]:
    """The same of a chat answer."""
    blocks = [block for block in message.get("thinking_blocks", []) if block["type"] == "thinking"]
    return {
        "text": message.get("content") or "",
        "thoughts": message.get("reasoning_content", ""),
        "signatures": [block["signature"] for block in blocks],
        "calls": calls,
        "finish": finish,
        "usage": (
            usage["prompt_tokens"],
            usage["completion_tokens"],
            usage["total_tokens"],
            usage["prompt_tokens_details"].get("cached_tokens", 0),
        ),
        "reasoning": usage["completion_tokens_details"].get("reasoning_tokens", 0),
    }


def streamed(record: Record) -> dict[str, Any]:
    """The oracle for a stream: its blocks put together."""
    blocks: dict[int, Any] = {}
    arguments: dict[int, str] = {}
    usage: dict[str, Any] = {}
    stop = ""
    for told in payloads(record.body):
        if told["type"] == "message_start":
            usage = told["message"]["usage"]
        elif told["type"] == "content_block_start":
            blocks[told["index"]] = told["content_block"]
        elif told["type"] == "content_block_delta":
            delta, block = told["delta"], blocks[told["index"]]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    block[name] = block.get(name, "") + delta[name]
            if "partial_json" in delta:
                arguments[told["index"]] = arguments.get(told["index"], "") + delta["partial_json"]
        elif told["type"] == "message_delta":
            usage = usage | {name: value for name, value in told["usage"].items() if value is not None}
            stop = told["delta"]["stop_reason"] or stop
    for index, text in arguments.items():
        blocks[index]["input"] = json.loads(text or "{}")
    return meaning(list(blocks.values()), stop, usage)


def read_whole(record: Record) -> dict[str, Any]:
    answer = json.loads(AnthropicReader().whole(record.body.encode()))
    (choice,) = answer["choices"]
    message = choice["message"]
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls", [])
    ]
    return learned(message, calls, choice["finish_reason"], answer["usage"])


def read_stream(wire: bytes, size: int) -> bytes:
    reader, cut, said = AnthropicReader(), Payloads(), b""
    for start in range(0, len(wire), size):
        said += b"".join(reader.event(payload) for payload in cut.feed(wire[start : start + size]))
    return said + b"".join(reader.event(payload) for payload in cut.finish()) + reader.end()


def put_together(said: bytes) -> dict[str, Any]:
    assert said.endswith(b"data: [DONE]\n\n")
    chunks = payloads(said.decode())
    message: dict[str, Any] = {}
    calls: list[list[str]] = []
    finishes = []
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        for name in ("content", "reasoning_content", "thinking_blocks", "annotations"):
            if name in choice["delta"]:
                kind: Any = [] if isinstance(choice["delta"][name], list) else ""
                message[name] = message.get(name, kind) + choice["delta"][name]
        for call in choice["delta"].get("tool_calls", []):
            if "id" in call:
                assert call["index"] == len(calls)
                calls.append([call["id"], call["function"]["name"], ""])
            calls[call["index"]][2] += call["function"]["arguments"]
        if choice["finish_reason"] is not None:
            finishes.append(choice["finish_reason"])
    (finish,) = finishes
    assert chunks[-1]["choices"] == []
    asked = [(call_id, name, json.loads(arguments)) for call_id, name, arguments in calls]
    return learned(message, asked, finish, chunks[-1]["usage"])


@pytest.mark.parametrize("record", WHOLE, ids=lambda record: record.id)
def test_a_recorded_answer_means_what_the_table_says(record: Record) -> None:
    told = json.loads(record.body)
    assert read_whole(record) == meaning(told["content"], told["stop_reason"], told["usage"])


@pytest.mark.parametrize("record", WHOLE, ids=lambda record: record.id)
def test_a_recorded_answer_goes_back_in_the_next_turn_with_its_thoughts_and_calls(record: Record) -> None:
    message = json.loads(AnthropicReader().whole(record.body.encode()))["choices"][0]["message"]
    calls = message.get("tool_calls", [])
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in calls]
    turns = [{"role": "user", "content": "Hi"}, message, *results, {"role": "user", "content": "Go on"}]
    tools = [{"type": "function", "function": {"name": call["function"]["name"]}} for call in calls]
    made = map_request({"messages": turns, "tools": tools}, "claude-sonnet-4-5", strict=True).body
    check(made)
    kinds = ("thinking", "redacted_thinking", "tool_use")
    fields = ("type", "thinking", "signature", "data", "id", "name", "input")
    told = [block for block in json.loads(record.body)["content"] if block["type"] in kinds]
    sent = [block for turn in made["messages"] if turn["role"] == "assistant" for block in turn["content"]]
    assert [block for block in sent if block["type"] in kinds] == [
        {name: block[name] for name in fields if name in block} for block in told
    ]


@pytest.mark.parametrize("record", COMPLETE, ids=lambda record: record.id)
def test_a_recorded_stream_means_what_the_table_says(record: Record) -> None:
    assert put_together(read_stream(record.body.encode(), 1 << 20)) == streamed(record)


@pytest.mark.parametrize("record", COMPLETE[::8], ids=lambda record: record.id)
def test_a_stream_means_the_same_however_it_is_cut_and_framed(record: Record) -> None:
    expected = streamed(record)
    wire = record.body.encode()
    for size in (1, 2, 3, 7, 16, 33, 64):
        assert put_together(read_stream(wire, size)) == expected
    assert put_together(read_stream(wire.replace(b"\n", b"\r\n"), 5)) == expected


@pytest.mark.parametrize("record", COMPLETE[::8], ids=lambda record: record.id)
def test_a_stream_cut_before_its_end_is_never_said_to_be_done(record: Record) -> None:
    wire = record.body.encode()
    assert b"[DONE]" not in read_stream(wire[: wire.rindex(b"event: message_stop")], 4096)


def test_the_recorded_fault_in_a_stream_is_told() -> None:
    (record,) = [record for record in STREAMED if "error_in_stream" in record.tags]
    with pytest.raises(StreamFault) as raised:
        read_stream(record.body.encode(), 4096)
    assert raised.value.fault.cause.effect.status == 503


@pytest.mark.parametrize("record", [each for each in MESSAGES if each.status != 200], ids=lambda record: record.id)
def test_a_recorded_refusal_keeps_its_status_and_its_words(record: Record) -> None:
    fault = AnthropicReader().fault(record.status, record.body.encode())
    assert fault.message == json.loads(record.body)["error"]["message"]
    assert fault.cause.effect.status == (502 if record.status == 500 else record.status)


def can_be_taken(asked: dict[str, Any]) -> bool:
    """Whether Claude can take the content: no audio, no user who says nothing, something to answer."""
    messages = asked["messages"]
    parts = [part for message in messages for part in message.get("content") or [] if isinstance(part, dict)]
    says_nothing = any(message["role"] == "user" and message.get("content") is None for message in messages)
    return not says_nothing and all(part["type"] != "input_audio" for part in parts)


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-5", "claude-3-5-haiku-latest"])
@pytest.mark.parametrize("record", ASKED, ids=lambda record: record.id)
def test_a_recorded_chat_request_becomes_one_that_anthropic_takes_or_is_refused(record: Record, model: str) -> None:
    if can_be_taken(record.asked):
        check(map_request(record.asked, model).body)
        return
    with pytest.raises(InvalidRequest) as raised:
        map_request(record.asked, model)
    assert (raised.value.param or "").startswith("messages")
