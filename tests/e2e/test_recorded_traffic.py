"""Recorded traffic of OpenAI and of the providers that speak its protocol, replayed through the gateway.

Every field a client could read arrives as recorded, and every request reaches the provider unchanged but for key and
model (and, for a stream, the usage that the gateway asks for).
"""

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from tests.e2e.conftest import Start, StartFor
from tests.fakes.gateway import KEY, Gateway, config, models
from tests.fakes.records import Record, needs_records, payloads, records, replay
from tests.fakes.scripts import CHUNKINGS, Script
from tests.fakes.upstream import FakeUpstream

PROVIDERS = (
    "openai", "azure", "xai", "vllm", "groq", "mistral", "deepseek", "together", "openrouter", "ollama",
    "cerebras", "gpustack", "perplexity",
)  # fmt: skip

pytestmark = needs_records


@pytest.fixture
def gateway(start: Start) -> Gateway:
    return start(models=models("recorded"))


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def lasting(start_for: StartFor, lasting_dsn: str, lasting_upstream: FakeUpstream) -> Gateway:
    """One for tests whose calls leave nothing behind that the next would see."""
    return start_for(config(lasting_dsn, lasting_upstream.base_url, models=models("recorded")))


@pytest.fixture
def lasting_client(lasting: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=lasting.base_url, api_key=KEY, max_retries=0) as opened:
        yield opened


def is_hidden(record: Record, payload: Any) -> bool:
    """The usage chunk that the client did not ask for."""
    asked = (record.asked.get("stream_options") or {}).get("include_usage")
    return not asked and payload.get("choices") == [] and bool(payload.get("usage"))


def check_request(record: Record, upstream: FakeUpstream) -> None:
    seen = upstream.requests[-1]
    expected = {**record.asked, "model": "recorded"}
    if record.asked.get("stream"):
        expected["stream_options"] = {**(record.asked.get("stream_options") or {}), "include_usage": True}
    assert seen.json == expected
    assert seen.header("authorization") == "Bearer sk-upstream-canary-0123456789"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_whole_answers_arrive_as_recorded(
    provider: str, lasting_client: OpenAI, lasting_upstream: FakeUpstream
) -> None:
    found = [record for record in records(provider, stream=False) if record.status == 200]
    for record in found:
        lasting_upstream.default = replay(record)
        body = {**record.asked, "model": "recorded"}
        answer = lasting_client.chat.completions.with_raw_response.create(
            model="recorded", messages=[], extra_body=body
        )
        assert answer.http_response.content == record.body.encode(), record.id
        assert json.loads(answer.parse().to_json(exclude_unset=True, warnings=False)) == json.loads(record.body), (
            record.id
        )
        check_request(record, lasting_upstream)
    assert found or provider == "perplexity"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_streams_arrive_as_recorded(provider: str, lasting_client: OpenAI, lasting_upstream: FakeUpstream) -> None:
    for record in records(provider, stream=True):
        if not record.is_sse:
            continue
        lasting_upstream.default = replay(record)
        body = {**record.asked, "model": "recorded"}
        expected = [payload for payload in payloads(record.body) if not is_hidden(record, payload)]
        received: list[Any] = []
        failed: openai.APIError | None = None
        try:
            for chunk in lasting_client.chat.completions.create(
                model="recorded", messages=[], stream=True, extra_body=body
            ):
                received.append(json.loads(chunk.to_json(exclude_unset=True, warnings=False)))
        except openai.APIError as error:
            failed = error
        if failed is not None:  # the SDK reads no further; nor does the gateway pass on what some providers add
            place = next(place for place, payload in enumerate(expected) if "error" in payload)
            expected = expected[:place]
        assert received == expected, record.id
        check_request(record, lasting_upstream)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_errors_arrive_as_recorded(provider: str, client: OpenAI, upstream: FakeUpstream) -> None:
    # Behind a 429 the provider may have to be left alone.
    for record in sorted(records(provider), key=lambda record: record.status == 429):
        if record.status < 400:
            continue
        upstream.default = replay(record)
        body = {**record.asked, "model": "recorded"}
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="recorded", messages=[], extra_body=body)
        assert caught.value.status_code == record.status, record.id
        received = json.loads(caught.value.response.content)
        try:
            expected = json.loads(record.body)
        except ValueError:  # plain text or HTML comes inside the envelope, the text of it
            expected = None
        if isinstance(expected, dict) and isinstance((expected.get("error") or {}).get("message"), str):
            assert received == expected, record.id
            continue
        told = received["error"]["message"]  # any other form comes inside the envelope, with the provider's own words
        assert told, record.id
        assert told in record.body or html.unescape(re.sub(r"<[^>]*>", " ", record.body)).split()[0] in told, record.id


@pytest.mark.parametrize("chunking", CHUNKINGS)
def test_the_framing_of_a_stream_changes_nothing(
    chunking: Any, lasting: Gateway, lasting_upstream: FakeUpstream
) -> None:
    streams = [
        record for record in records("openai", stream=True) if record.is_sse and "error_in_stream" not in record.tags
    ]
    with httpx2.Client(base_url=lasting.base_url, headers={"authorization": f"Bearer {KEY}"}, timeout=60) as raw:
        for record in streams:
            lasting_upstream.default = replay(record, chunking)
            answer = raw.post("/chat/completions", json={**record.asked, "model": "recorded"})
            assert answer.text.count("[DONE]") == 1
            assert "\ufffd" not in answer.text
            expected = [payload for payload in payloads(record.body) if not is_hidden(record, payload)]
            assert payloads(answer.text) == expected, record.id


def test_azure_is_asked_at_its_deployment_with_its_own_header(start: Start, upstream: FakeUpstream) -> None:
    base_url = upstream.base_url.removesuffix("/v1")
    azure = {"kind": "azure", "base_url": base_url, "api_version": "2024-10-21", "api_key": "azure-canary-key-01234"}
    target = {"provider": "azure", "model": "my deployment"}
    gateway = start(providers={"azure": azure}, models={"recorded": {"targets": [target]}})
    found = [record for record in records("azure", stream=False) if record.status == 200][:5]
    with httpx2.Client(base_url=gateway.base_url, headers={"api-key": KEY}, timeout=60) as raw:
        for record in found:
            upstream.default = replay(record)
            answer = raw.post("/chat/completions", json={**record.asked, "model": "recorded"})
            assert answer.content == record.body.encode()
            seen = upstream.requests[-1]
            assert seen.path == "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21"
            assert seen.header("api-key") == "azure-canary-key-01234"
            assert seen.header("authorization") is None
            assert seen.json == {**record.asked, "model": "my deployment"}


def test_rows_hold_what_the_records_told(gateway: Gateway, client: OpenAI, upstream: FakeUpstream) -> None:
    """Usage as each provider tells it; xAI's reasoning tokens, which it leaves out of the completion, are billed."""
    expected: list[tuple[int, int]] = []
    for provider in ("openai", "xai", "mistral", "deepseek"):
        for record in [r for r in records(provider, stream=False) if r.status == 200][:25]:
            usage = json.loads(record.body).get("usage") or {}
            if not usage.get("total_tokens"):
                continue
            upstream.default = replay(record)
            body = {**record.asked, "model": "recorded"}
            client.chat.completions.with_raw_response.create(model="recorded", messages=[], extra_body=body)
            expected.append((usage["prompt_tokens"], usage["total_tokens"] - usage["prompt_tokens"]))
    rows = gateway.wait_for_rows(len(expected))
    assert [(row["prompt_tokens"], row["completion_tokens"]) for row in rows] == expected
    assert {row["usage_source"] for row in rows} == {"told"}
    for row in rows:
        assert row["cost"] is not None


def test_a_provider_s_key_never_reaches_the_client(client: OpenAI, upstream: FakeUpstream) -> None:
    leaky = b'{"error": {"message": "bad key sk-upstream-canary-0123456789", "type": "x", "code": null}}'
    upstream.default = Script(401, (("content-type", "application/json"),), (("send", leaky),))
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="recorded", messages=[{"role": "user", "content": "Hi"}])
    assert "canary" not in caught.value.response.text
