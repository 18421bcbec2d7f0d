"""Failure 18: personal data in streams. Nothing of it leaves, in texts or arguments, for any client of any provider."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import Start, StartFor
from tests.fakes.gateway import KEY, Gateway, config, models
from tests.fakes.records import payloads
from tests.fakes.scripts import Script, completion, deltas, sse, whole
from tests.fakes.sdks import Sdks
from tests.fakes.upstream import FakeUpstream

CARD, EMAIL = "4111111111111111", "jane.doe@example.com"
CLIENTS, KINDS = ("chat", "messages", "responses"), ("openai", "anthropic", "google")
PAIRS = [(client, kind) for client in CLIENTS for kind in KINDS]
SCRIPTED = [pair for pair in PAIRS if pair != ("responses", "openai")]
"""A response of OpenAI's own is another test's."""

ENTITIES = ["email", "credit_card"]
USAGE = {"input_tokens": 7, "output_tokens": 3}
TEXTS = ["Your card is ", *CARD, ", mail ", "jane.doe@", "example.com", " now"]
TOLD = "Your card is [CREDIT_CARD], mail [EMAIL] now"
ARGUMENTS = json.dumps({"card": int(CARD), "to": EMAIL, "note": json.dumps({"card": CARD})})
TOOL = {
    "name": "pay",
    "description": "Pays",
    "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
}


def openai_stream(texts: Sequence[str], arguments: str) -> Script:
    told = deltas(*texts)
    head, finish, usage = told[:-2], told[-2], told[-1]
    finish["choices"][0]["finish_reason"] = "tool_calls"
    start = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "pay", "arguments": ""}}
    calls = [start, *({"index": 0, "function": {"arguments": letter}} for letter in arguments)]
    pieces = [{**head[0], "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls]
    return sse([*head, *pieces, finish, usage])


def anthropic_stream(texts: Sequence[str], arguments: str) -> Script:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": USAGE}
    use = {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {}}
    told: list[Any] = [
        {"type": "message_start", "message": {**message, "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(block_delta(0, {"type": "text_delta", "text": text}) for text in texts),
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": use},
        *(block_delta(1, {"type": "input_json_delta", "partial_json": letter}) for letter in arguments),
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": USAGE},
        {"type": "message_stop"},
    ]
    return sse(told, done=False)


def block_delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def google_stream(texts: Sequence[str], arguments: str) -> Script:
    call = {"functionCall": {"name": "pay", "args": json.loads(arguments)}}
    parts: list[dict[str, Any]] = [*({"text": text} for text in texts), call]
    counts = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
    told: list[dict[str, Any]] = [
        {"candidates": [{"content": {"role": "model", "parts": [part]}}], "usageMetadata": counts} for part in parts
    ]
    told[-1]["candidates"][0]["finishReason"] = "STOP"
    return sse(told, done=False)


STREAMS = {"openai": openai_stream, "anthropic": anthropic_stream, "google": google_stream}


def providers(upstream: FakeUpstream) -> dict[str, Any]:
    base, key = upstream.base_url, "sk-upstream-canary-0123456789"
    root = base.removesuffix("/v1")
    return {
        "openai": {"kind": "openai", "base_url": base, "api_key": key},
        "anthropic": {"kind": "anthropic", "base_url": root, "api_key": key},
        "google": {"kind": "google", "base_url": root, "api_key": key},
    }


def policy(**output: Any) -> dict[str, Any]:
    return {"default": {"output": [{"check": "pii", "action": "redact", "entities": ENTITIES, **output}]}}


@pytest.fixture(scope="module")
def upstream_of_all() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def sdks(lasting_dsn: str, start_for: StartFor, upstream_of_all: FakeUpstream) -> Iterator[Sdks]:
    settings = config(lasting_dsn, upstream_of_all.base_url, guardrails=policy(), providers=providers(upstream_of_all))
    targets = {kind: {"targets": [{"provider": kind, "model": kind}]} for kind in KINDS}
    gateway = start_for({**settings, "models": targets})
    with Sdks(gateway.url, KEY) as clients:
        yield clients


def body_of(client: str, model: str, *, stream: bool = True) -> dict[str, Any]:
    asked = [{"role": "user", "content": "Hi"}]
    match client:
        case "messages":
            tool = {"name": "pay", "description": "Pays", "input_schema": TOOL["parameters"]}
            return {"model": model, "messages": asked, "max_tokens": 99, "stream": stream, "tools": [tool]}
        case "responses":
            return {"model": model, "input": asked, "stream": stream, "tools": [{"type": "function", **TOOL}]}
        case _:
            tools = [{"type": "function", "function": TOOL}]
            return {"model": model, "messages": asked, "stream": stream, "tools": tools}


@pytest.mark.parametrize(("client", "kind"), SCRIPTED)
def test_no_digit_of_a_card_leaves_for_any_client_of_any_provider(
    sdks: Sdks, upstream_of_all: FakeUpstream, client: str, kind: str
) -> None:
    upstream_of_all.default = STREAMS[kind](TEXTS, ARGUMENTS)
    meant = sdks.ask(client, body_of(client, kind))
    assert (meant.text, meant.error, meant.finish) == (TOLD, None, "tool_calls")
    ((name, arguments),) = meant.calls
    assert name == "pay"
    assert (arguments["card"], arguments["to"]) == ("[CREDIT_CARD]", "[EMAIL]")
    assert json.loads(arguments["note"]) == {"card": "[CREDIT_CARD]"}


def test_no_digit_of_a_card_leaves_in_a_response_that_passes(sdks: Sdks, upstream_of_all: FakeUpstream) -> None:
    upstream_of_all.default = response_stream(TEXTS)
    meant = sdks.ask("responses", body_of("responses", "openai"))
    assert (meant.text, meant.error) == (TOLD, None)


def response_stream(texts: Sequence[str]) -> Script:
    text = "".join(texts)
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    counts = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": "m",
        "status": "in_progress",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    done = {**response, "status": "completed", "output": [item], "usage": {**counts, **details}}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {**item, "status": "in_progress", "content": []}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in texts),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]
    return sse([{**event, "sequence_number": number} for number, event in enumerate(told)], done=False)


def lines(gateway: Gateway, client: str = "chat", model: str = "m") -> str:
    path = {"chat": "/chat/completions", "messages": "/messages", "responses": "/responses"}[client]
    with httpx2.Client(base_url=gateway.base_url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as http:
        return http.post(path, json=body_of(client, model)).text


@pytest.mark.parametrize("client", CLIENTS)
def test_a_block_on_the_seventh_piece_ends_in_an_error_and_nothing_else(
    start: Start, upstream: FakeUpstream, client: str
) -> None:
    blocking = {"default": {"output": [{"check": "pii", "action": "block", "entities": ["email"]}]}}
    gateway = start(guardrails=blocking)
    pieces = ["one, ", "two, ", "three, ", "four, ", "five, ", "jane.doe@", "example.com ", "secret "]
    upstream.default = response_stream(pieces) if client == "responses" else sse(deltas(*pieces))
    text = lines(gateway, client)
    assert "three, " in text
    for hidden in ("jane", "example.com", "secret", '"stop"', "end_turn", "[DONE]", "response.completed"):
        assert hidden not in text
    last = payloads(text)[-1]
    assert "email" in json.dumps(last)
    assert text.count("error") >= 1
    (row,) = gateway.wait_for_rows(1)
    assert (row["status"], row["http_status"]) == ("blocked", 200)
    assert row["completion_tokens"] > 0


def test_a_blocked_answer_that_is_whole_has_a_status_and_a_reason(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(guardrails={"default": {"output": [{"check": "pii", "action": "block", "entities": ["email"]}]}})
    upstream.default = whole(completion(f"Write to {EMAIL}"))
    with httpx2.Client(base_url=gateway.base_url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as http:
        answer = http.post("/chat/completions", json=body_of("chat", "m", stream=False))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
    assert EMAIL not in answer.text
    (row,) = gateway.wait_for_rows(1)
    assert (row["status"], row["completion_tokens"]) == ("blocked", 3)


def test_what_was_said_leaves_though_the_provider_is_silent(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(guardrails=policy())
    upstream.default = sse(deltas("Hello ", "there ", "you ", usage=None)[:4], done=False, ending=(("hang",),))
    headers = {"authorization": f"Bearer {KEY}"}
    heard = ""
    with (
        httpx2.Client(base_url=gateway.base_url, headers=headers, timeout=30) as http,
        http.stream("POST", "/chat/completions", json=body_of("chat", "m")) as answer,
    ):
        for line in answer.iter_lines():
            if line.startswith("data: "):
                heard += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
            if heard.startswith("Hello "):
                return
    raise AssertionError(heard)


def test_originals_come_back_in_texts_and_arguments(start: Start, upstream: FakeUpstream) -> None:
    restoring = {"default": {"input": [{"check": "pii", "action": "redact", "entities": ["email"], "restore": True}]}}
    gateway = start(guardrails=restoring, models=models("m"))

    def echo(seen: Any) -> Script:
        placeholder = seen.json["messages"][0]["content"]
        assert EMAIL not in placeholder
        return openai_stream([*f"To {placeholder}.", ""], json.dumps({"to": placeholder}))

    upstream.default = echo
    asked = {**body_of("chat", "m"), "messages": [{"role": "user", "content": EMAIL}]}
    with Sdks(gateway.url, KEY) as sdks:
        meant = sdks.ask("chat", asked)
    assert (meant.text, meant.calls) == (f"To {EMAIL}.", (("pay", {"to": EMAIL}),))
