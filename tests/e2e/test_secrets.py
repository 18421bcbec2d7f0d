"""Failure 15: a provider that repeats the gateway's keys gives none of them away, at no door and in no form."""

import http.client
import json
from typing import Any

import pytest
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import Script, deltas, sse, whole
from tests.fakes.upstream import FakeUpstream

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYCANARY"
MARK = "CANARY"
PRICE = {"input_per_1m": 1, "output_per_1m": 2}
DOORS: dict[str, dict[str, Any]] = {
    "/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
    "/responses": {"input": "Hi"},
}
SAID = f"no such key: {SECRET}"

CHAT = deltas("Once ", "upon ", usage=None)[:-1]
MESSAGE: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "x",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Once upon"}},
]
RESPONSE: list[dict[str, Any]] = [
    {"type": "response.created", "sequence_number": 0, "response": {"id": "r", "status": "in_progress", "output": []}},
    {"type": "response.output_text.delta", "sequence_number": 1, "output_index": 0, "item_id": "m", "delta": "Once"},
]
TOLD = {"message": SAID, "type": "server_error", "param": None, "code": None}
CHAT_ERROR: dict[str, Any] = {"error": TOLD}
MESSAGE_ERROR: dict[str, Any] = {"type": "error", "error": {"type": "overloaded_error", "message": SAID}}
RESPONSE_ERROR: dict[str, Any] = {**TOLD, "type": "error", "sequence_number": 2}
FAILED: dict[str, Any] = {
    "type": "response.failed",
    "sequence_number": 2,
    "response": {"id": "r", "status": "failed", "error": {"code": "server_error", "message": SAID}, "output": []},
}


def named(*events: dict[str, Any]) -> Script:
    """A stream that names its events."""
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return Script(200, (("content-type", "text/event-stream"),), (("send", text.encode()),), "chunked")


def open_gateway(start: Start, upstream: FakeUpstream) -> Gateway:
    base = upstream.base_url.removesuffix("/v1")
    providers = {
        "openai": {"kind": "openai", "base_url": upstream.base_url, "api_key": SECRET},
        "anthropic": {"kind": "anthropic", "base_url": base, "api_key": SECRET},
        "google": {"kind": "google", "base_url": base, "api_key": SECRET},
    }
    models = {name: {"targets": [{"provider": name, "model": name}], "price": PRICE} for name in providers}
    return start(providers=providers, models=models)


def test_no_refusal_shows_a_key(start: Start, upstream: FakeUpstream) -> None:
    gateway = open_gateway(start, upstream)
    calls = 0
    slashed = SAID.replace("/", "\\/").replace("+", "\\u002B")
    bodies = (
        SAID.encode(),
        json.dumps({"type": "error", "error": {"type": "x", "message": SAID, "param": SECRET}}).encode(),
        f'{{"type":"error","error":{{"type":"x","message":"{slashed}"}}}}'.encode(),
        f"<html><body><h1>{SAID}</h1></body></html>".encode(),
    )
    told = (("openai-version", SECRET), ("openai-model", f"m {SECRET}"))
    for path, body in DOORS.items():
        for model in ("openai", "anthropic", "google"):
            for code in (400, 401, 429, 500, 529):
                for refused in bodies:
                    upstream.default = whole(refused, status=code, headers=told)
                    status, heads, said = post(gateway, path, {"model": model, **body})
                    calls += 1
                    assert status >= 400
                    assert MARK not in said
                    assert MARK not in heads
            upstream.default = whole({"id": "r", "status": "failed", **CHAT_ERROR})
            assert MARK not in post(gateway, path, {"model": model, **body})[2]
            calls += 1
    assert len(gateway.wait_for_rows(calls)) == calls
    assert MARK not in gateway.log()
    assert MARK not in gateway.metrics()


@pytest.mark.parametrize(
    ("model", "path", "events"),
    [
        ("openai", "/chat/completions", [*CHAT, CHAT_ERROR]),
        ("openai", "/messages", [*CHAT, CHAT_ERROR]),
        ("openai", "/responses", [*RESPONSE, RESPONSE_ERROR]),
        ("openai", "/responses", [*RESPONSE, FAILED]),
        ("anthropic", "/chat/completions", [*MESSAGE, MESSAGE_ERROR]),
        ("anthropic", "/messages", [*MESSAGE, MESSAGE_ERROR]),
        ("anthropic", "/responses", [*MESSAGE, MESSAGE_ERROR]),
    ],
)
def test_no_error_inside_a_stream_shows_a_key(
    start: Start, upstream: FakeUpstream, model: str, path: str, events: list[dict[str, Any]]
) -> None:
    gateway = open_gateway(start, upstream)
    upstream.default = sse(events, done=False) if "choices" in events[0] else named(*events)
    status, _, said = post(gateway, path, {"model": model, "stream": True, **DOORS[path]})
    assert status == 200
    assert "Once" in said
    assert MARK not in said
    *_, last = said.strip().split("\n\n")
    assert "no such key: [secret]" in last, "the fault is told, and nothing behind it"
    assert "message_stop" not in said
    assert "response.completed" not in said
    assert "[DONE]" not in said
    (row,) = gateway.wait_for_rows(1)
    assert (row["status"], row["usage_source"]) == ("error", "estimated")
    assert row["completion_tokens"] > 0
    assert MARK not in gateway.log()


def post(gateway: Gateway, path: str, body: dict[str, Any]) -> tuple[int, str, str]:
    """Status, headers and body of one call."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        connection.request("POST", f"/v1{path}", json.dumps(body), {"authorization": f"Bearer {KEY}"})
        with connection.getresponse() as answer:
            return answer.status, str(answer.headers), answer.read().decode().replace("\\/", "/")
    finally:
        connection.close()
