"""``/v1/messages/count_tokens``: the provider counts where it can, else the gateway; nothing is billed."""

import json
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import Script
from tests.fakes.upstream import FakeUpstream

HELLO = [{"role": "user", "content": "Hello there, write to ann@example.com"}]
JSON = (("content-type", "application/json"),)


def counting(start: Start, upstream: FakeUpstream, **more: Any) -> Gateway:
    """A gateway whose model ``theirs`` is Anthropic's and ``ours`` is of a provider that can't count."""
    origin = upstream.base_url.removesuffix("/v1")
    providers = {
        "anthropic": {"kind": "anthropic", "base_url": origin, "api_key": "sk-ant-canary"},
        "other": {"kind": "openai", "base_url": upstream.base_url, "api_key": "sk-other-canary"},
    }
    models = {
        "theirs": {"targets": [{"provider": "anthropic", "model": "claude-x"}]},
        "ours": {"targets": [{"provider": "other", "model": "gpt-4o"}]},
    }
    return start(providers=providers, models=models, **more)


def ask(gateway: Gateway, model: str) -> httpx2.Response:
    body = {"model": model, "messages": HELLO, "system": "Be brief."}
    return httpx2.post(f"{gateway.base_url}/messages/count_tokens", json=body, headers={"x-api-key": KEY}, timeout=30)


def test_anthropic_counts_itself_with_its_own_model_name(start: Start, upstream: FakeUpstream) -> None:
    gateway = counting(start, upstream)
    upstream.default = Script(200, JSON, (("send", b'{"input_tokens": 4711}'),))
    with Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        assert client.messages.count_tokens(model="theirs", messages=HELLO).input_tokens == 4711  # type: ignore[arg-type]
    (seen,) = upstream.requests
    assert (seen.path, seen.json["model"], seen.header("x-api-key")) == (
        "/v1/messages/count_tokens",
        "claude-x",
        "sk-ant-canary",
    )


def test_a_refusal_of_the_provider_passes(start: Start, upstream: FakeUpstream) -> None:
    gateway = counting(start, upstream)
    body = b'{"type":"error","error":{"type":"not_found_error","message":"no such model"}}'
    upstream.default = Script(404, JSON, (("send", body),))
    answer = ask(gateway, "theirs")
    assert (answer.status_code, answer.content) == (404, body)


def test_for_a_provider_that_can_not_count_the_gateway_does(start: Start, upstream: FakeUpstream) -> None:
    answer = ask(counting(start, upstream), "ours")
    assert answer.headers["x-tollway-warnings"] == "counted-here"
    assert 10 < answer.json()["input_tokens"] < 40
    assert len(upstream.requests) == 0


def test_a_count_is_one_request_and_no_tokens_and_leaves_no_row(start: Start, upstream: FakeUpstream) -> None:
    gateway = counting(start, upstream, limits={"default": {"rpm": 2, "tpm": 1000, "concurrency": 1}})
    answers = [ask(gateway, "ours") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json()["error"]["type"] == "rate_limit_error"
    assert answers[2].headers["x-ratelimit-remaining-tokens"] == "1000"
    assert gateway.rows() == []


@pytest.mark.parametrize(("action", "status", "hits"), [("redact", 200, 1), ("block", 400, 0)])
def test_a_prompt_is_screened_before_it_is_counted_elsewhere(
    action: str, status: int, hits: int, start: Start, upstream: FakeUpstream
) -> None:
    policy = {"default": {"input": [{"check": "pii", "entities": ["email"], "action": action}]}}
    upstream.default = Script(200, JSON, (("send", b'{"input_tokens": 1}'),))
    answer = ask(counting(start, upstream, guardrails=policy), "theirs")
    assert (answer.status_code, len(upstream.requests)) == (status, hits)
    assert all("ann@example.com" not in json.dumps(seen.json) for seen in upstream.requests)


def test_an_unknown_model_is_said_to_be_one(start: Start, upstream: FakeUpstream) -> None:
    answer = ask(counting(start, upstream), "nobody")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"
