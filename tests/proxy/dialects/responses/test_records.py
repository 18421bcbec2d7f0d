"""Recorded answers of every provider, said as responses and read by OpenAI's SDK; recorded requests, read as chat.

What an answer means is read off its record by the simplest means, apart from the code under test.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import httpx2
import msgspec
import pytest
from openai import APIError, OpenAI
from openai.types.responses import Response, ResponseUsage
from pydantic import BaseModel
from tests.fakes.anthropic_schema import check
from tests.fakes.google_schema import check_request
from tests.fakes.openai_schema import check_chat_request, check_response, check_response_event
from tests.fakes.records import Record, expected_payloads, needs_records, payloads, records

from tollway._native.sse import Payloads
from tollway.errors import InvalidRequest
from tollway.proxy.dialects.port import Refused
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.proxy.providers.anthropic.answer import AnthropicReader
from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.google.request import translate
from tollway.proxy.providers.translated import Reader, TranslatedAnswer

pytestmark = needs_records

CHAT = ("azure cerebras deepseek gpustack groq mistral ollama openai openrouter perplexity together vllm xai").split()
OWN = {"anthropic": "messages", "gemini": "generate_content", "vertex": "generate_content"}
SPOILT = {"error_in_stream", "json_array"}

ANSWERS = [
    record
    for provider in [*CHAT, *OWN]
    for record in records(provider, OWN.get(provider, "chat"))
    if record.status == 200 and not (record.stream and SPOILT & set(record.tags))
]
WHOLE = [record for record in ANSWERS if not record.stream]
STREAMS = [record for record in ANSWERS if record.stream and '"error":' not in record.body]
ASKED = [
    record for kind in ("openai", "azure", "xai", "deepseek", "openrouter") for record in records(kind, "responses")
]

REQUEST: dict[str, Any] = {"model": "alias", "input": "hi"}

FINISH = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length",
    "refusal": "content_filter", "STOP": "stop", "MAX_TOKENS": "length", "MODEL_ARMOR": "content_filter",
    "SAFETY": "content_filter",
}  # fmt: skip
ENDS = {"length": "max_output_tokens", "content_filter": "content_filter"}


class Meaning(NamedTuple):
    """What a client is to learn: ``end`` is ``None`` if the answer is whole, ``usage`` is input, output, total, cached
    and reasoning."""

    text: str
    calls: list[tuple[str, Any]]
    end: str | None
    usage: tuple[int, int, int, int, int] | None


def meant(record: Record) -> Meaning:
    told = expected_payloads(record)
    if record.provider == "anthropic":
        return _anthropics(told)
    return _googles(told) if record.provider in OWN else _chats(told)


def _chats(told: list[Any]) -> Meaning:
    text, calls, finish, usage = "", dict[int, list[str]](), None, None
    for payload in told:
        usage = payload.get("usage") or usage
        for choice in payload.get("choices") or ():
            if choice.get("index", 0):
                continue
            finish = choice.get("finish_reason") or finish
            message = choice.get("delta" if payload["object"].endswith("chunk") else "message") or {}
            content = message.get("content") or ""
            text += content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
            legacy = [{"function": message["function_call"]}] if message.get("function_call") else ()
            for place, call in enumerate(message.get("tool_calls") or legacy):
                index = call.get("index", place) if "chunk" in payload["object"] else place
                known = calls.setdefault(index, ["", ""])
                known[0] = known[0] or call["function"].get("name") or ""
                known[1] += call["function"].get("arguments") or ""
    return Meaning(
        text,
        [(name, json.loads(said or "{}")) for name, said in calls.values()],
        ENDS.get(finish or ""),
        _counts(usage),
    )


def _counts(usage: Any) -> tuple[int, int, int, int, int] | None:
    if not usage:
        return None
    prompt, completion, total = usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]
    details = usage.get("prompt_tokens_details") or {}
    told = [details.get("cached_tokens"), *map(usage.get, ("prompt_cache_hit_tokens", "num_cached_tokens"))]
    cached = next((count for count in told if count), 0)
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return prompt, total - prompt if total == prompt + completion + reasoning else completion, total, cached, reasoning


def _anthropics(told: list[Any]) -> Meaning:
    blocks: dict[int, Any] = {}
    usage: dict[str, Any] = {}
    stop = ""
    for each in told:
        if each["type"] == "message":
            blocks, usage, stop = dict(enumerate(each["content"])), each["usage"], each["stop_reason"]
        elif each["type"] == "message_start":
            usage = each["message"]["usage"]
        elif each["type"] == "content_block_start":
            blocks[each["index"]] = each["content_block"] | {"json": ""}
        elif each["type"] == "content_block_delta":
            block, delta = blocks[each["index"]], each["delta"]
            block["text"] = block.get("text", "") + delta.get("text", "")
            block["json"] += delta.get("partial_json", "")
        elif each["type"] == "message_delta":
            usage = usage | {name: value for name, value in each["usage"].items() if value is not None}
            stop = each["delta"]["stop_reason"] or stop
    cached = usage.get("cache_read_input_tokens") or 0
    prompt = usage["input_tokens"] + cached + (usage.get("cache_creation_input_tokens") or 0)
    output = usage["output_tokens"]
    reasoning = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    calls = [
        (block["name"], json.loads(block["json"]) if block.get("json") else block["input"])
        for block in blocks.values()
        if block["type"] == "tool_use"
    ]
    text = "".join(block["text"] for block in blocks.values() if block["type"] == "text")
    return Meaning(text, calls, ENDS.get(FINISH[stop]), (prompt, output, prompt + output, cached, reasoning))


def _googles(told: list[Any]) -> Meaning:
    candidates = [payload["candidates"][0] for payload in told if payload.get("candidates")]
    parts = [part for candidate in candidates for part in candidate.get("content", {}).get("parts", [])]
    calls = [(p["functionCall"]["name"], p["functionCall"].get("args", {})) for p in parts if "functionCall" in p]
    reasons = [candidate["finishReason"] for candidate in candidates if "finishReason" in candidate]
    finish = "tool_calls" if calls else FINISH.get(reasons[-1], "stop") if reasons else "content_filter"
    usage = [payload["usageMetadata"] for payload in told if "usageMetadata" in payload][-1]
    prompt = usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0)
    reasoning = usage.get("thoughtsTokenCount", 0)
    output = usage.get("candidatesTokenCount", 0) + reasoning
    total = usage.get("totalTokenCount", prompt + output)
    text = "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    return Meaning(
        text, calls, ENDS.get(finish), (prompt, output, total, usage.get("cachedContentTokenCount", 0), reasoning)
    )


def learned(response: Response) -> Meaning:
    """The same of what the SDK has."""
    calls = [item for item in response.output if item.type == "function_call"]
    assert all(call.call_id for call in calls)
    assert len({call.call_id for call in calls}) == len(calls)
    assert len({item.id for item in response.output}) == len(response.output)
    assert (response.status == "incomplete") == (response.incomplete_details is not None)
    end = response.incomplete_details.reason if response.incomplete_details else None
    found = [(call.name, json.loads(call.arguments)) for call in calls]
    return Meaning(response.output_text, found, end, _used(response.usage))


def _used(usage: ResponseUsage | None) -> tuple[int, int, int, int, int] | None:
    if usage is None:
        return None
    cached, reasoning = usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens
    return usage.input_tokens, usage.output_tokens, usage.total_tokens, cached, reasoning


class Answering(httpx2.MockTransport):
    """Answers whatever is asked with ``body``."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.body = b""

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        kind = "text/event-stream" if json.loads(request.content).get("stream") else "application/json"
        return httpx2.Response(200, headers={"content-type": kind}, content=self.body)


TRANSPORT = Answering()
SDK = OpenAI(api_key="k", base_url="http://gateway/v1", http_client=httpx2.Client(transport=TRANSPORT))


def reader_of(record: Record) -> Reader | None:
    if record.provider == "anthropic":
        return AnthropicReader()
    return GoogleReader("gemini-3-pro") if record.provider in OWN else None


class Upstream:
    """A provider's answer in pieces."""

    status = 200
    warnings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    ended = False

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def header(self, name: str) -> str | None:
        return None

    async def piece(self) -> bytes | None:
        return next(self._pieces, None)

    async def close(self) -> None:
        pass


def said_whole(record: Record) -> bytes:
    reader = reader_of(record)
    body = record.body.encode()
    writer = ResponsesDialect().writer(json.dumps(REQUEST).encode(), "alias")
    return writer.whole(reader.whole(body) if reader else body)


def said_stream(record: Record, size: int = 1 << 20) -> bytes:
    """The events that the client gets if the provider's stream comes in pieces of this many bytes."""
    return asyncio.run(_said(record, size))


async def _said(record: Record, size: int) -> bytes:
    body = record.body.encode()
    upstream: Any = Upstream(body[at : at + size] for at in range(0, len(body), size))
    if (reader := reader_of(record)) is not None:
        upstream = TranslatedAnswer(upstream, reader, stream=True, warnings=())
    writer = ResponsesDialect().writer(json.dumps(REQUEST | {"stream": True}).encode(), "alias")
    cut, told = Payloads(), b""
    while (piece := await upstream.piece()) is not None:
        told += b"".join(writer.event(payload) for payload in cut.feed(piece))
    return told + b"".join(writer.event(payload) for payload in cut.finish()) + writer.end()


def accumulated(events: bytes) -> Response:
    """What the SDK's accumulator and its plain iteration make of a stream; both must agree."""
    TRANSPORT.body = events
    raw = list(SDK.responses.create(**REQUEST, stream=True))
    assert [event.sequence_number for event in raw] == list(range(len(raw)))
    last = raw[-1]
    assert last.type in ("response.completed", "response.incomplete")
    with SDK.responses.stream(**REQUEST) as stream:
        if last.type == "response.completed":
            assert learned(stream.get_final_response()) == learned(last.response)
        else:
            stream.until_done()
    text = "".join(event.delta for event in raw if event.type == "response.output_text.delta")
    assert text == last.response.output_text
    response: Response = last.response
    return response


@pytest.mark.parametrize("record", WHOLE, ids=lambda record: record.id)
def test_a_recorded_answer_means_the_same_as_a_response(record: Record) -> None:
    TRANSPORT.body = said_whole(record)
    assert check_response(TRANSPORT.body) == []
    assert learned(SDK.responses.create(**REQUEST)) == meant(record)


@pytest.mark.parametrize("record", STREAMS, ids=lambda record: record.id)
def test_a_recorded_stream_means_the_same_as_events(record: Record) -> None:
    assert learned(accumulated(said_stream(record))) == meant(record)


def test_openais_sdk_raises_at_a_fault_in_a_stream() -> None:
    writer = ResponsesDialect().writer(json.dumps(REQUEST).encode(), "alias")
    begun = writer.event(b'{"choices": [{"index": 0, "delta": {"content": "hel"}}]}')
    TRANSPORT.body = begun + writer.fault(Refused(503, "server_error", "overloaded", "Too many.", None, "r"))
    heard: list[str] = []
    with pytest.raises(APIError, match="Too many") as caught:
        heard.extend(event.type for event in SDK.responses.create(**REQUEST, stream=True))
    assert (caught.value.code, caught.value.type) == ("overloaded", "server_error")
    assert heard[-1] == "response.output_text.delta"


class Cat(BaseModel):
    """What the SDK is to make of a structured answer."""

    name: str
    lives: int


def test_openais_sdk_parses_a_structured_answer_whole_and_streamed() -> None:
    writer = ResponsesDialect().writer(json.dumps(REQUEST).encode(), "alias")
    message = {"role": "assistant", "content": '{"name": "Tom", "lives": 9}'}
    TRANSPORT.body = writer.whole(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())
    assert SDK.responses.parse(**REQUEST, text_format=Cat).output_parsed == Cat(name="Tom", lives=9)
    TRANSPORT.body = writer.event(json.dumps({"choices": [{"delta": message}]}).encode()) + writer.end()
    with SDK.responses.stream(**REQUEST, text_format=Cat) as stream:
        assert stream.get_final_response().output_parsed == Cat(name="Tom", lives=9)


def _picked(count: int) -> list[Record]:
    """Of each provider the streams that show most."""
    found = []
    for provider in [*CHAT, *OWN]:
        own = [record for record in STREAMS if record.provider == provider and len(record.body) < 12_000]
        found += sorted(own, key=lambda record: -len(record.tags))[:count]
    return found


@pytest.mark.parametrize("record", _picked(3), ids=lambda record: record.id)
def test_events_are_as_openais_types_say(record: Record) -> None:
    for event in said_stream(record).decode().removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        assert check_response_event(data.removeprefix("data: ").encode()) == []
        assert json.loads(data.removeprefix("data: "))["type"] == name.removeprefix("event: ")


@pytest.mark.parametrize("record", _picked(1), ids=lambda record: record.id)
def test_no_cut_of_the_stream_changes_what_is_said(record: Record) -> None:
    def kinds(events: bytes) -> list[str]:
        return [event["type"] for event in payloads(events.decode())]

    def final(events: bytes) -> Meaning:
        return learned(Response.model_validate(payloads(events.decode())[-1]["response"]))

    merged = said_stream(record)
    for size in range(1, 65):
        cut = said_stream(record, size)
        assert kinds(cut) == kinds(merged)
        assert final(cut) == final(merged)


SIGNED = [record for record in ANSWERS if record.provider in OWN and "signature" in record.tags]


def _sent_back(record: Record) -> dict[str, Any]:
    """The next turn as chat: a client sends back what it holds, with a result for each call."""
    TRANSPORT.body = said_stream(record) if record.stream else said_whole(record)
    response = accumulated(TRANSPORT.body) if record.stream else SDK.responses.create(**REQUEST)
    held = [item.to_dict() for item in response.output]
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "done"}
        for item in held
        if item["type"] == "function_call"
    ]
    body = {
        "model": "alias",
        "input": [{"role": "user", "content": "hi"}, *held, *results, {"role": "user", "content": "so?"}],
    }
    hubbed = ResponsesDialect().to_hub(json.dumps(body).encode(), "real")
    assert hubbed.warnings == ()
    told: dict[str, Any] = json.loads(hubbed.body)
    assert check_chat_request(told, extensions=True) == []
    return told


def _values(told: Any, name: str) -> Counter[str]:
    """Every value of the field ``name``, however deep."""
    if isinstance(told, list):
        return sum((_values(each, name) for each in told), Counter[str]())
    if not isinstance(told, dict):
        return Counter()
    own = Counter([told[name]] if told.get(name) and isinstance(told[name], str) else [])
    return sum((_values(each, name) for each in told.values()), own)


@pytest.mark.parametrize("record", SIGNED, ids=lambda record: record.id)
def test_signatures_reach_their_vendor_in_the_next_turn_byte_for_byte(record: Record) -> None:
    asked = _sent_back(record)
    given = _values(expected_payloads(record), "signature" if record.provider == "anthropic" else "thoughtSignature")
    if record.provider == "anthropic":
        mapped = map_request(asked, "claude-sonnet-4-5").body
        check(mapped)
        assert _values(mapped, "signature") == given
    else:
        translated = json.loads(msgspec.json.encode(translate(asked, "gemini-3-pro").body))
        check_request(translated)
        assert _values(translated, "thoughtSignature") == given


REFUSED = {
    "conversation",
    "previous_response_id",
    "background",
    "tools[0].type",  # custom
    "input[0].type",  # compaction
    "input[4].content[0].file_id",
}
"""What the recorded requests ask that chat can't: state of OpenAI's, tools in free text, an uploaded image."""


@pytest.mark.parametrize("record", ASKED, ids=lambda record: record.id)
def test_a_recorded_request_is_a_valid_chat_request_or_refused_by_name(record: Record) -> None:
    try:
        hubbed = ResponsesDialect().to_hub(json.dumps(record.asked).encode(), "real")
    except InvalidRequest as error:
        if error.param in REFUSED:
            return
        raise
    told = json.loads(hubbed.body)
    assert check_chat_request(told, extensions=True) == []
    calls = [item["call_id"] for item in _items(record, "function_call")]
    assert [call["id"] for turn in told["messages"] for call in turn.get("tool_calls", ())] == calls
    results = [(item["call_id"], item["output"]) for item in _items(record, "function_call_output")]
    assert [(turn["tool_call_id"], turn["content"]) for turn in told["messages"] if turn["role"] == "tool"] == results


@pytest.mark.parametrize("record", ASKED, ids=lambda record: record.id)
def test_a_recorded_request_is_one_that_anthropic_and_google_take(record: Record) -> None:
    try:
        told = json.loads(ResponsesDialect().to_hub(json.dumps(record.asked).encode(), "real").body)
    except InvalidRequest:
        return
    if '"input_file"' in json.dumps(record.asked) or '"input_image"' in json.dumps(record.asked):
        return  # some are of types or at places that one of the two does not take
    check(map_request(told, "claude-sonnet-4-5").body)
    check_request(json.loads(msgspec.json.encode(translate(told, "gemini-3-pro").body)))


def _items(record: Record, kind: str) -> list[dict[str, Any]]:
    told = record.asked["input"]
    return [item for item in told if item.get("type") == kind] if isinstance(told, list) else []
