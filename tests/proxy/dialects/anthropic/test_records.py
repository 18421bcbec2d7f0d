"""Every recorded chat answer, told to Anthropic's SDK: it reads what the provider meant."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.records import Record, expected_payloads, needs_records, records
from tests.proxy.dialects.sdk import Heard, check_message, check_order, heard, read_stream, read_whole

from tollway._native.sse import Payloads
from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.port import Writer
from tollway.proxy.providers.anthropic.answer import AnthropicReader
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.translated import Reader

pytestmark = needs_records

CHAT_PROVIDERS = (
    "azure cerebras deepseek gpustack groq mistral ollama openai openrouter perplexity together vllm xai".split()
)
ANSWERS = [record for provider in CHAT_PROVIDERS for record in records(provider) if record.status == 200]
WHOLE = [record for record in ANSWERS if not record.stream]
STREAMED = [
    record
    for record in ANSWERS
    if record.is_sse and not any(payload.get("error") for payload in expected_payloads(record))  # tags miss one
]
STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def meant(record: Record) -> Heard:
    """The oracle: what the provider's own words come to in Anthropic's terms."""
    calls: dict[Any, list[str]] = {}
    text, finish, place = "", None, None
    usage: dict[str, Any] = {}
    for payload in expected_payloads(record):
        usage = payload.get("usage") or usage
        for choice in payload.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            finish = choice.get("finish_reason") or finish
            message = choice.get("delta" if record.is_sse else "message") or {}  # Azure leaves a filtered one out
            text += text_of(message.get("content"))
            legacy = [{"function": message["function_call"]}] if message.get("function_call") else []
            for call in (message.get("tool_calls") or []) + legacy:
                if call.get("id"):
                    place = call["id"]
                call_place = calls.setdefault(place, ["", ""])
                call_place[0] += call["function"].get("name") or ""
                call_place[1] += call["function"].get("arguments") or ""
    found = [(name, json.loads(arguments or "{}")) for name, arguments in calls.values()]
    stop = STOPS[finish or "stop"]
    return Heard(text, found, "tool_use" if found and stop == "end_turn" else stop, counted(usage))


def text_of(content: Any) -> str:
    """Of a content that is a list (Mistral), the texts."""
    parts = content if isinstance(content, list) else [{"text": content or ""}]
    return "".join(part.get("text", "") for part in parts)


def counted(usage: dict[str, Any]) -> tuple[int, int, int, int, int]:
    prompt, output = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    details = usage.get("prompt_tokens_details") or {}
    told = [details.get("cached_tokens"), usage.get("num_cached_tokens"), usage.get("cached_tokens"), 0]
    cached = min(next(each for each in told if each is not None), prompt)
    written = details.get("cache_write_tokens") or 0
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or usage.get("reasoning_tokens", 0)
    if thought and usage["total_tokens"] == prompt + output + thought:
        output += thought
    return prompt - cached - written, cached, written, output, thought


def writer() -> Writer:
    return MessagesDialect().writer(b"{}", "alias")


@pytest.mark.parametrize("record", WHOLE, ids=lambda record: record.id)
def test_a_whole_answer_is_heard_as_it_was_meant(record: Record) -> None:
    told = writer().whole(record.body.encode())
    check_message(told)
    assert heard(read_whole(told)) == meant(record)


@pytest.mark.parametrize("record", STREAMED, ids=lambda record: record.id)
def test_a_stream_is_heard_as_it_was_meant(record: Record) -> None:
    told = translated(record, record.body.encode())
    check_order(told)
    assert heard(read_stream(told)) == meant(record)


MESSAGES = [record for record in records("anthropic", "messages") if record.status == 200]
GENERATED = [record for provider in ("gemini", "vertex") for record in records(provider, "generate_content")]
GENERATED = [record for record in GENERATED if record.status == 200 and "json_array" not in record.tags]
CUT = [record for record in MESSAGES + GENERATED if record.is_sse and "error_in_stream" not in record.tags] + STREAMED


def reader_of(record: Record) -> Reader | None:
    """What reads the provider's own dialect as the hub's; none where that is the hub's."""
    if record.operation == "messages":
        return AnthropicReader()
    return GoogleReader("m") if record.operation == "generate_content" else None


def translated(record: Record, wire: bytes) -> bytes:
    """The whole stream through reader and writer."""
    reader, told = reader_of(record), writer()
    payloads = payloads_of(wire)
    if reader is not None:
        payloads = payloads_of(b"".join(reader.event(payload) for payload in payloads) + reader.end())
    return b"".join(told.event(payload) for payload in payloads) + told.end()


def payloads_of(wire: bytes) -> list[bytes]:
    cut = Payloads()
    return [payload for payload in cut.feed(wire) + cut.finish() if payload != b"[DONE]"]


def from_anthropic(record: Record) -> Heard:
    """What the SDK reads of Anthropic's own bytes. Pauses and stop sequences have no word of their own in the hub."""
    read = heard(read_stream(record.body.encode()) if record.is_sse else read_whole(record.body.encode()))
    return replace(read, stop="end_turn" if read.stop in ("pause_turn", "stop_sequence") else read.stop)


def from_google(record: Record) -> Heard:
    """What Gemini meant, by the table of the dialects."""
    text, calls, finish, blocked = "", [], "", False
    usage: dict[str, Any] = {}
    for payload in expected_payloads(record):
        usage = payload.get("usageMetadata") or usage
        blocked = blocked or bool((payload.get("promptFeedback") or {}).get("blockReason"))
        for candidate in (payload.get("candidates") or [])[:1]:
            finish = candidate.get("finishReason") or finish
            for part in (candidate.get("content") or {}).get("parts") or []:
                text += part.get("text", "") if not part.get("thought") else ""
                if call := part.get("functionCall"):
                    calls.append((call["name"], call.get("args") or {}))
    filtered = blocked or finish in ("SAFETY", "RECITATION", "PROHIBITED_CONTENT", "MODEL_ARMOR")
    stop = "tool_use" if calls else "refusal" if filtered else "max_tokens" if finish == "MAX_TOKENS" else "end_turn"
    prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    cached, thought = usage.get("cachedContentTokenCount", 0), usage.get("thoughtsTokenCount", 0)
    output = usage.get("candidatesTokenCount", 0) + thought
    return Heard(text, calls, stop, (prompt - cached, cached, 0, output, thought))


def own_meaning(record: Record) -> Heard:
    return {"messages": from_anthropic, "generate_content": from_google}.get(record.operation, meant)(record)


@pytest.mark.parametrize("record", [each for each in MESSAGES + GENERATED if not each.stream], ids=lambda each: each.id)
def test_an_answer_in_another_dialect_is_heard_as_its_own_sdk_hears_it(record: Record) -> None:
    reader = reader_of(record)
    assert reader is not None
    told = writer().whole(reader.whole(record.body.encode()))
    check_message(told)
    assert heard(read_whole(told)) == own_meaning(record)


@pytest.mark.parametrize("record", [each for each in CUT if reader_of(each)], ids=lambda each: each.id)
def test_a_stream_in_another_dialect_is_heard_as_its_own_sdk_hears_it(record: Record) -> None:
    told = translated(record, record.body.encode())
    check_order(told)
    assert heard(read_stream(told)) == own_meaning(record)
