"""Providers that speak OpenAI's protocol: address, key, and what is asked of whom."""

import pytest
from tests.proxy.edge import ACCESS, Answer

from tollway.contract.snapshot import ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.openai import OpenAIProvider
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest


class Wire:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.requests: list[UpstreamRequest] = []

    async def post(self, request: UpstreamRequest) -> UpstreamAnswer:
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
