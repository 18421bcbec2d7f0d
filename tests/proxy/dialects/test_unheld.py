"""What providers are known to answer and no held record shows: hand-made, through each reader and each writer.

Every answer is read twice: by the provider's own SDK, and by the SDK of each client behind the gateway's translation;
both must mean the same, and what is written here beside it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.fakes.meant import Finish
from tests.fakes.records import Record
from tests.fakes.replaying import as_told_to
from tests.fakes.sdks import OwnSdk

from tollway._native.sse import Payloads
from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.port import Dialect
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.proxy.providers.anthropic.answer import AnthropicReader
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.translated import Reader

READERS: dict[str, Callable[[], Reader]] = {
    "messages": AnthropicReader,
    "generate_content": lambda: GoogleReader("gemini-3-pro"),
}
WRITERS: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "messages": (MessagesDialect(), {"model": "m", "max_tokens": 9, "messages": []}),
    "responses": (ResponsesDialect(), {"model": "m", "input": "Hi"}),
}
CLIENTS = ("chat", *WRITERS)


@dataclass(frozen=True)
class Unheld:
    """An answer: whole (an object) or streamed (a list of events), and what it says."""

    name: str
    operation: str
    body: Any
    text: str = ""
    finish: Finish = "stop"
    calls: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def record(self) -> Record:
        return told_by(self.operation, self.body if isinstance(self.body, str) else written(self.body))


def written(body: Any) -> str:
    """JSON; of a list, a stream of events."""
    if not isinstance(body, list):
        return json.dumps(body)
    framed = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in body if "type" in each]
    return "".join(framed or [f"data: {json.dumps(each)}\n\n" for each in body])


def told_by(operation: str, body: str) -> Record:
    stream = not body.startswith("{")
    return Record("unheld", "made", operation, stream, "made", "made", (), {}, 200, (), body)


def as_chat(record: Record) -> str:
    """The answer as the hub has it."""
    if record.operation not in READERS:
        return record.body
    reader = READERS[record.operation]()
    if not record.stream:
        return reader.whole(record.body.encode()).decode()
    payloads = Payloads()
    said = [reader.event(payload) for payload in [*payloads.feed(record.body.encode()), *payloads.finish()]]
    return b"".join([*said, reader.end()]).decode()


def given_to(client: str, record: Record) -> Record:
    """The answer as a client gets it."""
    hub = as_chat(record)
    if client == "chat":
        return told_by("chat", hub)
    dialect, asked = WRITERS[client]
    writer = dialect.writer(json.dumps(asked).encode(), "alias")
    assert writer is not None
    if not record.stream:
        return told_by(client, writer.whole(hub.encode()).decode())
    payloads = Payloads()
    told = [*payloads.feed(hub.encode()), *payloads.finish()]
    said = [writer.event(payload) for payload in told if payload != b"[DONE]"]
    return told_by(client, b"".join([*said, writer.end()]).decode())


def message(stop: str, *content: Any, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": 5}
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None}
    return {**said, "content": list(content), "stop_reason": stop, "usage": usage, **more}


def events(stop: str, *content: Any, **more: Any) -> list[Any]:
    """The same message in events: a text or arguments in two pieces."""
    whole = message(stop, *content, **more)
    told: list[Any] = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}]
    for index, block in enumerate(content):
        empty = {"text": "", "input": {}, "thinking": "", "signature": ""}
        start = {name: empty.get(name, value) if block["type"] in SPOKEN else value for name, value in block.items()}
        told.append({"type": "content_block_start", "index": index, "content_block": start})
        told += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas_of(block)]
        told.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop, "stop_sequence": whole["stop_sequence"]}
    told.append({"type": "message_delta", "delta": delta, "usage": whole["usage"]})
    return [*told, {"type": "message_stop"}]


SPOKEN = ("text", "thinking", "tool_use", "server_tool_use")


def deltas_of(block: Any) -> Iterator[Any]:
    match block:
        case {"type": "text", "text": text}:
            yield from ({"type": "text_delta", "text": half} for half in halves(text))
        case {"type": "thinking", "thinking": text, "signature": signature}:
            yield from ({"type": "thinking_delta", "thinking": half} for half in halves(text))
            yield {"type": "signature_delta", "signature": signature}
        case {"type": "tool_use" | "server_tool_use", "input": arguments}:
            texts = halves(json.dumps(arguments)) if arguments else [""]
            yield from ({"type": "input_json_delta", "partial_json": half} for half in texts)


def halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def use(**arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": "f", "input": arguments}


SEARCH: tuple[Any, ...] = (
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "url": "https://a.b", "title": "t", "encrypted_content": "e"}],
    },
)
HOUR = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 50,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
    "output_tokens": 5,
    "output_tokens_details": {"thinking_tokens": 3},
}
THOUGHT = {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"}
HIDDEN = {"type": "redacted_thinking", "data": "aGlkZGVu"}

OF_ANTHROPIC: tuple[tuple[str, tuple[Any, ...], dict[str, Any], str, Finish], ...] = (
    ("max_tokens", (text("Cut"),), {}, "Cut", "length"),
    ("max_tokens", (THOUGHT,), {}, "", "length"),
    ("refusal", (), {}, "", "content_filter"),
    ("refusal", (text("I will"),), {}, "I will", "content_filter"),
    ("pause_turn", (text("One moment."), *SEARCH), {}, "One moment.", "stop"),
    ("stop_sequence", (text("1, 2"),), {"stop_sequence": ", 3"}, "1, 2", "stop"),
    ("end_turn", (), {}, "", "stop"),
    ("end_turn", (text("A"), *SEARCH, text("B")), {}, "AB", "stop"),
    ("end_turn", (text("Hi"),), {"usage": HOUR}, "Hi", "stop"),
    ("end_turn", (HIDDEN, text("Hi")), {}, "Hi", "stop"),
    ("tool_use", (THOUGHT, HIDDEN, text("Hi"), use()), {}, "Hi", "tool_calls"),
    ("tool_use", (use(x=[1, {"ü": None}]),), {}, "", "tool_calls"),
)


def candidate(*parts: Any, **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": list(parts)} if parts else {}
    usage = {"promptTokenCount": 8, "totalTokenCount": 8}
    return {"candidates": [{"content": content, "index": 0, **more}], "usageMetadata": usage, "responseId": "r"}


CALL = {"functionCall": {"name": "f"}}
CODE = {"executableCode": {"code": "1", "language": "PYTHON"}}
BLOCKED = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 8}}
OF_GEMINI: tuple[tuple[str, list[Any], str, Finish, int], ...] = (
    ("SAFETY, nothing said", [candidate(finishReason="SAFETY")], "", "content_filter", 0),
    ("SAFETY, midway", [candidate({"text": "I "}), candidate(finishReason="SAFETY")], "I ", "content_filter", 0),
    ("RECITATION", [candidate({"text": "To be"}, finishReason="RECITATION")], "To be", "content_filter", 0),
    ("PROHIBITED_CONTENT", [candidate(finishReason="PROHIBITED_CONTENT")], "", "content_filter", 0),
    ("a blocked prompt", [BLOCKED], "", "content_filter", 0),
    ("a blocked prompt, candidates empty", [{**BLOCKED, "candidates": []}], "", "content_filter", 0),
    ("UNEXPECTED_TOOL_CALL", [candidate(finishReason="UNEXPECTED_TOOL_CALL")], "", "stop", 0),
    ("MALFORMED_FUNCTION_CALL", [candidate(finishReason="MALFORMED_FUNCTION_CALL")], "", "stop", 0),
    ("MAX_TOKENS, all of it thought", [candidate(finishReason="MAX_TOKENS")], "", "length", 0),
    ("STOP on calls", [candidate(CALL, CALL, finishReason="STOP")], "", "tool_calls", 2),
    (
        "a call before the last chunk",
        [candidate(CALL), candidate({"text": ""}, finishReason="STOP")],
        "",
        "tool_calls",
        1,
    ),
    (
        "a signature on an empty last text",
        [candidate({"text": "Hi"}), candidate({"text": "", "thoughtSignature": "c2ln"}, finishReason="STOP")],
        "Hi",
        "stop",
        0,
    ),
    (
        "a thought and code",
        [candidate({"text": "hm", "thought": True}, CODE, {"text": "Hi"}, finishReason="STOP")],
        "Hi",
        "stop",
        0,
    ),
)


def chat(said: Any, finish: str, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}
    choice = {"index": 0, **({} if said is None else {"message": said}), "finish_reason": finish}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
        **more,
    }


def chunks(*deltas: Any, finish: str = "stop", **last: Any) -> list[Any]:
    shared = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    told = [{**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    told.append({**shared, "choices": [{"index": 0, "delta": last.pop("delta", {}), "finish_reason": finish}], **last})
    return told


def call(arguments: str | None = "{}", **more: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}, **more}


MISTRALS_THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
TYPELESS = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
AZURE_FIRST = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []}
F: tuple[tuple[str, Any], ...] = (("f", {}),)
OF_CHAT = (
    Unheld("no content beside calls", "chat", chat({"tool_calls": [call()]}, "tool_calls"), "", "tool_calls", F),
    Unheld(
        "no arguments", "chat", chat({"content": None, "tool_calls": [call("")]}, "tool_calls"), "", "tool_calls", F
    ),
    Unheld(
        "null arguments", "chat", chat({"content": "", "tool_calls": [call(None)]}, "tool_calls"), "", "tool_calls", F
    ),
    Unheld("no type", "chat", chat({"content": "", "tool_calls": [TYPELESS]}, "tool_calls"), "", "tool_calls", F),
    Unheld("stop beside a call", "chat", chat({"content": None, "tool_calls": [call()]}, "stop"), calls=F),
    Unheld("no message", "chat", chat(None, "content_filter"), finish="content_filter"),
    Unheld("null calls", "chat", chat({"content": "Hi", "tool_calls": None}, "stop"), "Hi"),
    Unheld(
        "a list of parts", "chat", chat({"content": [MISTRALS_THOUGHT, {"type": "text", "text": "Hi"}]}, "stop"), "Hi"
    ),
    Unheld(
        "tags of thought in the text", "chat", chat({"content": "<think>hm</think>Hi"}, "stop"), "<think>hm</think>Hi"
    ),
    Unheld("a refusal", "chat", chat({"content": None, "refusal": "No."}, "stop"), "No."),
    Unheld("a reason nobody knows", "chat", chat({"content": "Hi"}, "eos"), "Hi"),
    Unheld("reasoning, as Groq says it", "chat", chat({"content": "Hi", "reasoning": "hm"}, "stop"), "Hi"),
    Unheld(
        "Azure's first chunk",
        "chat",
        [AZURE_FIRST, *chunks({"role": "assistant", "content": ""}, {"content": "Hi"})],
        "Hi",
    ),
    Unheld(
        "a list of parts, streamed",
        "chat",
        chunks({"content": [MISTRALS_THOUGHT]}, {"content": [{"type": "text", "text": "Hi"}]}, {"content": " you"}),
        "Hi you",
    ),
    Unheld(
        "a whole call beside its reason",
        "chat",
        chunks(delta={"tool_calls": [TYPELESS]}, finish="tool_calls"),
        "",
        "tool_calls",
        F,
    ),
    Unheld(
        "nulls in later pieces",
        "chat",
        chunks(
            {"tool_calls": [call("", index=0)]},
            {"tool_calls": [{"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": "{}"}}]},
            finish="tool_calls",
        ),
        "",
        "tool_calls",
        F,
    ),
    Unheld(
        "usage beside the reason",
        "chat",
        chunks({"content": "Hi"}, usage={"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}),
        "Hi",
    ),
    Unheld("a delta of null", "chat", chunks({"content": "Hi"}, delta=None), "Hi"),
    Unheld(
        "comments and blank lines",
        "chat",
        ": OPENROUTER PROCESSING\n\n" + written(chunks({"content": "Hi"})) + ": bye\n\n\ndata: [DONE]\n\n",
        "Hi",
    ),
    Unheld("white space before a whole body", "chat", json.dumps(chat({"content": "Hi"}, "stop")), "Hi"),
)


def of_anthropic() -> Iterator[Unheld]:
    for number, (stop, content, more, said, finish) in enumerate(OF_ANTHROPIC):
        calls = tuple((block["name"], block["input"]) for block in content if block["type"] == "tool_use")
        yield Unheld(f"{stop} {number}", "messages", message(stop, *content, **more), said, finish, calls)
        yield Unheld(f"{stop} {number}, streamed", "messages", events(stop, *content, **more), said, finish, calls)


def of_gemini() -> Iterator[Unheld]:
    for name, told, said, finish, calls in OF_GEMINI:
        made: tuple[tuple[str, Any], ...] = (("f", {}),) * calls
        yield Unheld(f"{name}, streamed", "generate_content", told, said, finish, made)
        if len(told) == 1:
            yield Unheld(name, "generate_content", told[0], said, finish, made)


ALL = (*of_anthropic(), *of_gemini(), *OF_CHAT)


@pytest.fixture(scope="module")
def own() -> Iterator[OwnSdk]:
    with OwnSdk.opened() as opened:
        yield opened


@pytest.mark.parametrize("unheld", ALL, ids=str)
def test_an_answer_means_what_its_provider_s_sdk_reads(own: OwnSdk, unheld: Unheld) -> None:
    meant = own.meant(unheld.record)
    assert (meant.text, meant.finish, meant.calls) == (unheld.text, unheld.finish, unheld.calls)
    for client in CLIENTS:
        given = given_to(client, unheld.record)
        got, expected = own.meant(given), as_told_to(client, meant, unheld.operation)
        assert got == expected, (client, given.body)
        if unheld.operation != client:
            assert all(got.ids), client
            assert len(set(got.ids)) == len(got.calls), client


@pytest.mark.parametrize("client", WRITERS)
def test_a_stream_and_its_whole_answer_are_told_alike(own: OwnSdk, client: str) -> None:
    for stop, content, more, *_ in OF_ANTHROPIC:
        whole = told_by("messages", written(message(stop, *content, **more)))
        streamed = told_by("messages", written(events(stop, *content, **more)))
        one, other = (own.meant(given_to(client, record)) for record in (whole, streamed))
        assert one == other, stop
