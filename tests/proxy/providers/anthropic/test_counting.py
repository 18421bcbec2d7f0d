"""Tokens as Anthropic counts them."""

import json
from typing import Any, get_type_hints

import pytest
from anthropic.types import MessageCountTokensParams
from tests.fakes.records import needs_records, records
from tests.proxy.edge import Answer

from tollway.errors import InvalidRequest, UpstreamBroken, UpstreamUnavailable, UpstreamUnreachable
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.anthropic import counting
from tollway.proxy.providers.anthropic.counting import count
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest

URL = "https://api.anthropic.com/v1/messages"
HEADERS = [("x-api-key", "key")]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


class Anthropic:
    """Answers with one thing; keeps what it was asked."""

    def __init__(self, answer: Any, status: int = 200) -> None:
        body = answer if isinstance(answer, bytes | type(...)) else json.dumps(answer).encode()
        self.answer = Answer(body, status=status)
        self.requests: list[UpstreamRequest] = []

    async def post(self, request: UpstreamRequest) -> UpstreamAnswer:
        self.requests.append(request)
        return self.answer


def call(**fields: Any) -> UpstreamCall:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    body = json.dumps({"model": "m", "messages": messages, **fields}).encode()
    return UpstreamCall("claude-sonnet-4-5", body, [], 1.0, lambda: None)


async def test_a_chat_is_counted_with_the_fields_that_a_count_has() -> None:
    wire = Anthropic({"input_tokens": 31})
    asked = call(tools=[TOOL], temperature=0.5, stream=True, max_tokens=9, stop=["x"], reasoning_effort="low")
    assert await count(wire, URL, HEADERS, asked) == 31
    (request,) = wire.requests
    assert (request.url, request.headers) == (f"{URL}/count_tokens", HEADERS)
    body = json.loads(request.body)
    assert body["model"] == "claude-sonnet-4-5"
    assert body["messages"][0]["role"] == "user"
    assert body["tools"][0]["name"] == "f"
    assert not body.keys() & {"max_tokens", "stream", "temperature", "stop_sequences"}
    assert set(body) <= set(get_type_hints(MessageCountTokensParams))
    assert wire.answer.closed == 1


@needs_records
async def test_recorded_counts_are_read() -> None:
    found = records("anthropic", "count_tokens")
    assert found
    for record in found:
        counted = await count(Anthropic(record.body.encode()), URL, HEADERS, call())
        assert counted == json.loads(record.body)["input_tokens"]


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b"[" * 100_000, {}, {"input_tokens": "5"}, {"input_tokens": -1}])
async def test_anything_but_a_count_is_broken(answer: Any) -> None:
    with pytest.raises(UpstreamBroken):
        await count(Anthropic(answer), URL, HEADERS, call())


async def test_a_refusal_and_a_silence_are_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UpstreamUnavailable, match="refused to count"):
        await count(Anthropic({"type": "error"}, 404), URL, HEADERS, call())
    monkeypatch.setattr(counting, "WAIT_S", 0.05)
    silent = Anthropic(...)
    with pytest.raises(UpstreamUnavailable):
        await count(silent, URL, HEADERS, call())
    assert silent.answer.closed == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"messages": []}', b"[" * 100_000, b'{"messages": [{"role": "user", "content": "\\ud800"}]}'],
)
async def test_what_is_no_chat_is_refused_before_it_is_sent(body: bytes) -> None:
    wire = Anthropic({"input_tokens": 1})
    with pytest.raises(InvalidRequest):
        await count(wire, URL, HEADERS, UpstreamCall("claude-x", body, [], 1.0, lambda: None))
    assert wire.requests == []


async def test_a_provider_out_of_reach_is_told_as_such() -> None:
    class Away:
        async def post(self, request: UpstreamRequest) -> UpstreamAnswer:
            raise UpstreamUnreachable("away")

    with pytest.raises(UpstreamUnreachable):
        await count(Away(), URL, HEADERS, call())
