"""Providers that are asked with tokens: had once for all calls, replaced when refused, and shown to nobody."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl

import openai
import pytest
from openai import OpenAI
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.identity import account, signed
from tests.fakes.records import needs_records, records, replay
from tests.fakes.scripts import Script, deltas, sse, whole
from tests.fakes.upstream import FakeUpstream, Seen

SAID = {
    "candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4},
}
REFUSED = {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "Request had invalid credentials."}}


class Identity:
    """An identity service: ``token-canary-1``, ``-2``…; what it was asked lies in ``forms``."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.refusal: Script | None = None

    def answer(self, seen: Seen) -> Script:
        self.forms.append(dict(parse_qsl(seen.body.decode())))
        token = f"token-canary-{len(self.forms)}"
        return self.refusal or whole({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})


@pytest.fixture
def identity() -> Identity:
    return Identity()


@pytest.fixture
def issuer(identity: Identity) -> Iterator[FakeUpstream]:
    with FakeUpstream(default=identity.answer) as serving:
        yield serving


def open_vertex(start: Start, upstream: FakeUpstream, issuer: FakeUpstream) -> Gateway:
    provider = {
        "kind": "vertex",
        "base_url": upstream.base_url.removesuffix("/v1"),
        "credentials": json.dumps(account()),
        "location": "europe-west4",
        "token_url": f"http://127.0.0.1:{issuer.port}/token",
    }
    target = {"provider": "google", "model": "gemini-2.5-flash"}
    return start(providers={"google": provider}, models={"m": {"targets": [target]}})


def client_of(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0)


def ask(client: OpenAI) -> str | None:
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
    return answer.choices[0].message.content


def test_vertex_is_asked_with_one_token_for_all_calls(
    start: Start, upstream: FakeUpstream, issuer: FakeUpstream, identity: Identity
) -> None:
    upstream.default = whole(SAID)
    gateway = open_vertex(start, upstream, issuer)
    with client_of(gateway) as client, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: ask(client), range(16))) == ["Hello"] * 16
    assert {seen.header("authorization") for seen in upstream.requests} == {"Bearer token-canary-1"}
    path = "/v1/projects/its-project/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent"
    assert {seen.path for seen in upstream.requests} == {path}
    (form,) = identity.forms
    _, claims = signed(form["assertion"])
    assert claims["aud"] == f"http://127.0.0.1:{issuer.port}/token"
    assert len(gateway.wait_for_rows(16)) == 16


def test_a_token_that_the_provider_refuses_is_replaced_and_the_client_sees_nothing_of_it(
    start: Start, upstream: FakeUpstream, issuer: FakeUpstream
) -> None:
    def choose(seen: Seen) -> Script:
        is_old = seen.header("authorization") == "Bearer token-canary-1"
        return whole(REFUSED, status=401) if is_old else whole(SAID)

    upstream.default = choose
    gateway = open_vertex(start, upstream, issuer)
    with client_of(gateway) as client:
        assert [ask(client), ask(client)] == ["Hello", "Hello"]
    tokens = [(seen.header("authorization") or "")[-1] for seen in upstream.requests]
    assert tokens == ["1", "2", "2"]
    assert len(gateway.wait_for_rows(2)) == 2


def test_a_refused_account_is_an_error_that_shows_nothing(
    start: Start, upstream: FakeUpstream, issuer: FakeUpstream, identity: Identity
) -> None:
    upstream.default = whole(SAID)
    gateway = open_vertex(start, upstream, issuer)
    with client_of(gateway) as client:
        identity.refusal = whole({"error": "invalid_grant", "error_description": "canary-text"}, status=400)
        with pytest.raises(openai.InternalServerError) as caught:
            ask(client)
        assert caught.value.status_code == 503
        assert "canary" not in caught.value.message
        assert upstream.hits == 0
        identity.refusal = None
        assert ask(client) == "Hello"
    gateway.wait_until(lambda: "invalid_grant" in gateway.log(), "the refusal in the log")
    log = gateway.log()
    for secret in ("canary-text", "token-canary", "PRIVATE KEY", identity.forms[0]["assertion"]):
        assert secret not in log


@needs_records
def test_recorded_answers_of_vertex_are_read(start: Start, upstream: FakeUpstream, issuer: FakeUpstream) -> None:
    gateway = open_vertex(start, upstream, issuer)
    with client_of(gateway) as client:
        for record in records("vertex", "generate_content", stream=False)[::8]:
            upstream.default = replay(record)
            told: Any = json.loads(record.body)
            if record.status == 200:
                ask(client)
            else:
                with pytest.raises(openai.AuthenticationError) as caught:
                    ask(client)
                assert told["error"]["message"][:50] in caught.value.message


def test_azure_is_asked_for_an_application_and_its_prompt_filter_chunk_does_no_harm(
    start: Start, upstream: FakeUpstream, issuer: FakeUpstream, identity: Identity
) -> None:
    filtered = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []}
    upstream.default = sse([filtered, *deltas("Hel", "lo")])
    provider = {
        "kind": "azure",
        "base_url": upstream.base_url.removesuffix("/v1"),
        "api_version": "v1",
        "entra": {
            "tenant_id": "tenant-1",
            "client_id": "application-1",
            "client_secret": "secret-canary-0123456789",
            "authority": f"http://127.0.0.1:{issuer.port}",
        },
    }
    gateway = start(providers={"az": provider}, models={"m": {"targets": [{"provider": "az", "model": "mine"}]}})
    with client_of(gateway) as client:
        chunks = list(
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True)
        )
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "Hello"
    (seen,) = upstream.requests
    assert (seen.path, seen.header("authorization")) == ("/openai/v1/chat/completions", "Bearer token-canary-1")
    assert seen.header("api-key") is None
    assert seen.json["model"] == "mine"
    (form,) = identity.forms
    assert form["grant_type"] == "client_credentials"
    assert (form["client_secret"], form["scope"][-9:]) == ("secret-canary-0123456789", "/.default")
    (asked,) = issuer.requests
    assert asked.path == "/tenant-1/oauth2/v2.0/token"
    (row,) = gateway.wait_for_rows(1)
    assert (row["prompt_tokens"], row["completion_tokens"], row["status"]) == (7, 3, "ok")
    assert "canary" not in gateway.log()
