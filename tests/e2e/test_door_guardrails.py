"""Failure 19: no way of asking leads around the guardrails, at the doors of Messages, Responses and embeddings."""

import base64
import http.client
import json
from typing import Any

from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import completion, whole
from tests.fakes.upstream import FakeUpstream

EMAIL = "jane.doe@example.com"
MARK = "[EMAIL]"
FILE = base64.b64encode(f"Write to {EMAIL} today.".encode()).decode()
MODELS = ("openai", "anthropic", "google")
PRICE = {"input_per_1m": 1, "output_per_1m": 2}


def user(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}], "max_tokens": 9}


def text_file(where: str) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "text/plain", "data": FILE}
    document = {"type": "document", "source": source}
    if where == "document":
        return document
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": [document]}


def asked(*items: Any, **more: Any) -> dict[str, Any]:
    return {"input": list(items), **more}


CALL = {"type": "tool_use", "id": "toolu_1", "name": "send", "input": {"to": EMAIL}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": EMAIL}]}
PLAIN = {"role": "user", "content": "Hi"}
MESSAGES: list[dict[str, Any]] = [
    user({"type": "text", "text": EMAIL}),
    {**user({"type": "text", "text": "Hi"}), "system": [{"type": "text", "text": f"Serve {EMAIL}."}]},
    {**user({"type": "text", "text": "Hi"}), "system": f"Serve {EMAIL}."},
    {**user(), "messages": [PLAIN, {"role": "assistant", "content": [CALL]}, {"role": "user", "content": [RESULT]}]},
    user({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": EMAIL}}),
    user({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": EMAIL}]}}),
    user(text_file("document")),
    {"input": [], "messages": [{"content": EMAIL, "role": "user"}], "max_tokens": 9},
]
RESPONSES: list[dict[str, Any]] = [
    {"input": EMAIL},
    {"input": "Hi", "instructions": f"Serve {EMAIL}."},
    {"messages": [], "input": [{"content": [{"text": EMAIL, "type": "input_text"}], "role": "user"}]},
    asked(
        {"type": "function_call", "call_id": "c", "name": "send", "arguments": json.dumps({"to": EMAIL})},
        {"type": "function_call_output", "call_id": "c", "output": f"sent to {EMAIL}"},
    ),
    asked(
        {"type": "function_call", "call_id": "c", "name": "send", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": EMAIL}]},
    ),
    asked(
        {
            "role": "user",
            "content": [
                {"type": "input_file", "filename": "a.txt", "file_data": f"data:text/plain;base64,{FILE}"},
                {"type": "input_text", "text": "What is it?"},
            ],
        }
    ),
]
WAYS = [("/messages", body) for body in MESSAGES] + [("/responses", body) for body in RESPONSES]
RAW = [
    ("/messages", '{"messages":[{"role":"user","content":"Hi"}],"messages":[{"role":"user","content":"%s"}]}'),
    ("/messages", '{"messages":[{"role":"user","content":"%s"}],"messages":[{"role":"user","content":"Hi"}]}'),
    ("/messages", '{"messages":[{"role":"user","content":"Hi"}],"Messages":[{"role":"user","content":"%s"}]}'),
    ("/messages", '{"messages":[{"role":"user","content":"Hi","content":"%s"}]}'),
    ("/messages", '{"messages":[{"role":"user","content":"%s","content":"Hi"}]}'),
    ("/messages", '{"messages":[{"role":"user","content":[{"type":"text","text":"%s","text":"Hi"}]}]}'),
    ("/messages", '{"messages":[{"role":"user","content":[{"type":"image","type":"text","text":"%s"}]}]}'),
    ("/messages", '{"messages":[{"role":"user","c\\u006fntent":"%s"}]}'),
    ("/messages", '{"messages":[{"role":"user","content":[{"type":"novelty","words":{"deep":["%s"]}}]}]}'),
    ("/messages", '{"messages":[{"role":"user","content":"Hi"}],"system":"Hi","system":"%s"}'),
    ("/responses", '{"input":"Hi","input":"%s"}'),
    ("/responses", '{"input":"Hi","Input":"%s"}'),
    ("/responses", '{"input":"Hi","instructions":null,"instructions":"%s"}'),
    ("/responses", '{"input":[{"role":"user","content":"Hi","content":"%s"}]}'),
    ("/responses", '{"input":[{"type":"novelty","words":{"deep":["%s"]}}]}'),
    ("/embeddings", '{"input":["Hi","%s"]}'),
    ("/embeddings", '{"input":"Hi","input":"%s"}'),
]
SPELT = (EMAIL, EMAIL.replace("@", "\\u0040"), "".join(f"\\u{ord(character):04X}" for character in EMAIL))


def open_gateway(start: Start, upstream: FakeUpstream, action: str) -> Gateway:
    base = upstream.base_url.removesuffix("/v1")
    providers = {
        name: {"kind": name, "base_url": upstream.base_url if name == "openai" else base, "api_key": "k" * 20}
        for name in MODELS
    }
    models = {name: {"targets": [{"provider": name, "model": name}], "price": PRICE} for name in providers}
    policy = {"default": {"input": [{"check": "pii", "entities": ["email"], "action": action}]}}
    return start(providers=providers, models=models, guardrails=policy)


def test_what_is_blocked_reaches_nobody(start: Start, upstream: FakeUpstream) -> None:
    gateway = open_gateway(start, upstream, "block")
    for path, body in WAYS:
        for model in MODELS:
            status, said = post(gateway, path, json.dumps({**body, "model": model}))
            assert (status, "content_blocked" in said or "personal data" in said) == (400, True), body
    for path, raw in RAW:
        for spelt in SPELT:
            for model in MODELS:
                written = (raw % spelt)[:-1] + f',"max_tokens":9,"model":"{model}"}}'
                assert post(gateway, path, written)[0] == 400, written
    assert post(gateway, "/messages/count_tokens", json.dumps({**MESSAGES[0], "model": "anthropic"}))[0] == 400
    assert upstream.hits == 0


def test_what_is_redacted_arrives_redacted(start: Start, upstream: FakeUpstream) -> None:
    gateway = open_gateway(start, upstream, "redact")
    upstream.default = whole(completion())
    for path, body in WAYS:
        for model in MODELS:
            before = upstream.hits
            post(gateway, path, json.dumps({**body, "model": model}))
            assert upstream.hits == before + 1, (model, body)
            sent = upstream.requests[-1].body.decode()
            assert EMAIL not in sent
            assert FILE not in sent
            redacted = base64.b64encode(f"Write to {MARK} today.".encode()).decode()
            assert MARK in sent or redacted in sent, (model, body)


def post(gateway: Gateway, path: str, body: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    try:
        connection.request("POST", f"/v1{path}", body, {"authorization": f"Bearer {KEY}"})
        with connection.getresponse() as answer:
            return answer.status, answer.read().decode()
    finally:
        connection.close()
