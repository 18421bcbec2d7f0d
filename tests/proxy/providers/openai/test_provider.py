"""Providers that speak OpenAI's protocol: address, key, and what is asked of whom."""

import pytest
from tests.proxy.edge import ACCESS, Answer

from tollway.contract.snapshot import Operation, ProviderAccess, ProviderKind
from tollway.proxy.causes import Cause
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.openai.provider import OpenAIProvider
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest


class Wire:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.requests: list[UpstreamRequest] = []

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        self.requests.append(request)
        return Answer()


async def sent(access: ProviderAccess, *headers: tuple[str, str]) -> UpstreamRequest:
    wire = Wire()
    await OpenAIProvider(access, wire).send(UpstreamCall("m-1", b"{}", list(headers), 2.5, lambda: None))
    (request,) = wire.requests
    return request


async def test_a_call_goes_to_the_base_url_with_a_bearer_key() -> None:
    request = await sent(ACCESS, ("traceparent", "00-1"))
    assert request.url == "http://127.0.0.1:9/v1/chat/completions"
    assert request.headers == [
        ("content-type", "application/json"),
        ("authorization", f"Bearer {ACCESS.api_key}"),
        ("traceparent", "00-1"),
    ]
    assert (request.body, request.connect_s) == (b"{}", 2.5)


@pytest.mark.parametrize("key", [None, ""])
async def test_without_a_key_no_authorization_is_sent(key: str | None) -> None:
    request = await sent(ProviderAccess("local", "vllm", "http://127.0.0.1:8000/v1", key))
    assert request.headers == [("content-type", "application/json")]


async def test_the_headers_of_one_call_are_not_sent_with_the_next() -> None:
    wire = Wire()
    provider = OpenAIProvider(ACCESS, wire)
    await provider.send(UpstreamCall("m-1", b"{}", [("idempotency-key", "1")], 1.0, lambda: None))
    await provider.send(UpstreamCall("m-1", b"{}", [], 1.0, lambda: None))
    assert [name for name, _ in wire.requests[1].headers] == ["content-type", "authorization"]


@pytest.mark.parametrize(
    ("base_url", "asks"),
    [
        ("https://api.openai.com/v1", True),
        ("https://api.mistral.ai/v1", False),
        ("https://API.mistral.ai:443/v1", False),
        ("https://api.mistral.ai.example.com/v1", True),
    ],
)
def test_usage_is_asked_for_except_where_it_is_told_unasked(base_url: str, asks: bool) -> None:
    assert OpenAIProvider(ProviderAccess("p", "openai_compatible", base_url, None), Wire()).asks_usage is asks


@pytest.mark.parametrize(
    ("kind", "base_url", "operation", "url"),
    [
        ("openai", "http://h/v1", "responses", "http://h/v1/responses"),
        ("openai", "http://h/v1", "moderations", "http://h/v1/moderations"),
        ("openai", "http://h/v1", "images", "http://h/v1/images/generations"),
        ("openai", "http://h/v1", "image_edits", "http://h/v1/images/edits"),
        ("openai", "http://h/v1", "speech", "http://h/v1/audio/speech"),
        ("groq", "http://h/openai/v1", "transcriptions", "http://h/openai/v1/audio/transcriptions"),
        ("groq", "http://h/openai/v1", "translations", "http://h/openai/v1/audio/translations"),
        ("vllm", "http://h/v1", "rerank", "http://h/v1/rerank"),
        ("cohere", "https://api.cohere.ai/compatibility/v1", "rerank", "https://api.cohere.ai/v2/rerank"),
        ("cohere", "http://127.0.0.1:9", "rerank", "http://127.0.0.1:9/v2/rerank"),
        ("cohere", "http://h/compatibility/v1", "chat", "http://h/compatibility/v1/chat/completions"),
    ],
)  # fmt: skip
async def test_every_operation_has_its_path(kind: ProviderKind, base_url: str, operation: Operation, url: str) -> None:
    wire = Wire()
    provider = OpenAIProvider(ProviderAccess("p", kind, base_url, None), wire)
    assert operation in provider.speaks
    await provider.send(UpstreamCall("m", b"{}", [], 1.0, lambda: None, operation=operation))
    assert [request.url for request in wire.requests] == [url]


async def test_its_refusals_are_read_without_its_key() -> None:
    request = await sent(ProviderAccess("p", "xai", "http://h/v1", "my-key"))
    fault = request.faults.fault(400, {"": ""}.get, b'{"code":"x","error":"Incorrect API key provided: my-key"}')
    assert (fault.cause, fault.message) == (Cause.BAD_KEY, "Incorrect API key provided: [secret]")
