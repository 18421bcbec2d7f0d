"""Personal data does not leave the house, whatever part of a request it hides in."""

import json
from typing import Any

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import completion, whole
from tests.fakes.upstream import FakeUpstream

CARD, EMAIL, SSN, IBAN = "4111 1111 1111 1111", "jane.doe@example.com", "078-05-1121", "DE89 3704 0044 0532 0130 00"


def post(gateway: Gateway, messages: list[dict[str, Any]], **more: Any) -> httpx2.Response:
    with httpx2.Client(base_url=gateway.base_url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
        return client.post("/chat/completions", json={"model": "m", "messages": messages, **more})


def policy(action: str) -> dict[str, Any]:
    return {"default": {"input": [{"check": "pii", "action": action}]}}


def test_every_text_is_redacted_before_it_goes_out(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    gateway = start(guardrails=policy("redact"))
    arguments = json.dumps({"to": EMAIL, "note": f"card {CARD}"})
    call = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": arguments}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": f"The owner is {EMAIL}."},
        {"role": "user", "content": [{"type": "text", "text": f'My card is {CARD} \u2014 "quoted"'}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": f"Account {IBAN}, SSN {SSN}"},
    ]
    assert post(gateway, messages).status_code == 200
    seen = upstream.requests[-1]
    text = seen.body.decode()
    for secret in (CARD, EMAIL, SSN, IBAN, "4111"):
        assert secret not in text
    sent = seen.json["messages"]
    assert sent[0]["content"] == "The owner is [EMAIL]."
    assert sent[1]["content"][0]["text"] == 'My card is [CREDIT_CARD] \u2014 "quoted"'
    inner = json.loads(sent[2]["tool_calls"][0]["function"]["arguments"])
    assert inner == {"to": "[EMAIL]", "note": "card [CREDIT_CARD]"}
    assert "[IBAN]" in sent[3]["content"]
    assert "[US_SSN]" in sent[3]["content"]
    assert {key: seen.json[key] for key in seen.json if key != "messages"} == {"model": "m"}


def test_a_clean_request_goes_out_byte_for_byte(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    gateway = start(guardrails=policy("redact"))
    body = b'{ "messages":[{"role":"user","content":"caf\\u00e9 \xe2\x82\xac"}],"model":"m" ,"x-unknown":[1.50,null]}'
    with httpx2.Client(base_url=gateway.base_url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
        assert client.post("/chat/completions", content=body).status_code == 200
    assert upstream.requests[-1].body == body


def test_a_blocking_policy_refuses_without_calling_anyone(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    gateway = start(guardrails=policy("block"))
    answer = post(gateway, [{"role": "user", "content": f"Write to {EMAIL}"}])
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "content_blocked"
    assert EMAIL not in answer.text
    assert upstream.hits == 0
    assert post(gateway, [{"role": "user", "content": "Write to nobody"}]).status_code == 200
    assert len(gateway.wait_for_rows(1)) == 1, "what was refused has no row"


def test_findings_are_counted_and_never_shown(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    gateway = start(guardrails=policy("redact"))
    post(gateway, [{"role": "user", "content": f"{EMAIL} and {CARD}"}])
    metrics = gateway.metrics()
    assert 'tollway_guardrail_findings_total{action="redact",check="pii",direction="input",kind="email"} 1.0' in metrics
    assert EMAIL not in gateway.log()
    assert CARD not in gateway.log()
    assert EMAIL not in metrics


def test_a_large_request_is_screened_too(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    gateway = start(guardrails=policy("redact"))
    filler = "All the aqueducts of Rome carried water. " * 25_000
    assert post(gateway, [{"role": "user", "content": f"{filler}{EMAIL}"}]).status_code == 200
    assert upstream.requests[-1].json["messages"][0]["content"] == f"{filler}[EMAIL]"
