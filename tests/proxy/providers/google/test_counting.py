"""Tokens as Google counts them."""

import json
from typing import Any

import pytest
from tests.fakes.media import PNG, ServedMedia
from tests.fakes.records import needs_records, records
from tests.proxy.edge import Answer
from tests.proxy.providers.google.test_embeddings import Google, gemini, vertex

from tollway.contract.snapshot import ProviderAccess
from tollway.errors import InvalidRequest, UpstreamBroken, UpstreamUnavailable, UpstreamUnreachable
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.media.fetch import Fetched
from tollway.proxy.providers.google import counting
from tollway.proxy.providers.google.api import GeminiApi
from tollway.proxy.providers.google.provider import GoogleProvider
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest

SYSTEM = {"role": "system", "content": "Be brief."}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def call(*messages: dict[str, Any], **fields: Any) -> UpstreamCall:
    body = {"model": "m", "messages": [SYSTEM, {"role": "user", "content": "Hi"}, *messages], **fields}
    return UpstreamCall("gemini-2.5-flash", json.dumps(body).encode(), [], 1.0, lambda: None)


async def test_gemini_counts_the_whole_request() -> None:
    wire = Google({"totalTokens": 31, "promptTokensDetails": []})
    assert await gemini(wire).count_tokens(call(tools=[TOOL], max_tokens=5)) == 31
    ((method, asked),) = wire.asked
    assert method == "countTokens"
    whole = asked["generateContentRequest"]
    assert whole["model"] == "models/gemini-2.5-flash"
    assert whole["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert whole["tools"][0]["functionDeclarations"][0]["name"] == "f"
    assert whole["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


async def test_vertex_counts_the_fields_that_it_takes() -> None:
    wire = Google({"totalTokens": 13, "totalBillableCharacters": 47})
    asked = call(tools=[TOOL], tool_choice="required", max_tokens=5, temperature=0.5)
    assert await vertex(wire).count_tokens(asked) == 13
    ((method, body),) = wire.asked
    assert method == "countTokens"
    assert set(body) == {"contents", "systemInstruction", "tools", "generationConfig"}


@needs_records
async def test_recorded_counts_are_read() -> None:
    (good,) = records("vertex", "count_tokens")
    assert await vertex(Google(good.body.encode())).count_tokens(call()) == json.loads(good.body)["totalTokens"]
    (bad,) = records("gemini", "count_tokens")
    with pytest.raises(UpstreamUnavailable, match="refused to count"):
        await gemini(Google(bad.body.encode(), status=bad.status)).count_tokens(call())


async def test_images_that_are_named_by_address_are_counted_too() -> None:
    wire = Google({"totalTokens": 300})
    media = ServedMedia({"https://a.test/x": Fetched("image/png", PNG)})
    provider = GoogleProvider(GeminiApi(ProviderAccess("g", "google", "http://g.test", "key"), wire), media)
    image = {"type": "image_url", "image_url": {"url": "https://a.test/x"}}
    assert await provider.count_tokens(call({"role": "user", "content": [image]})) == 300
    assert "inlineData" in json.dumps(wire.asked)


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b"[" * 100_000, {"totalTokens": "5"}, {"totalTokens": -1}])
async def test_anything_but_a_count_is_broken(answer: Any) -> None:
    wire = Google(answer)
    with pytest.raises(UpstreamBroken):
        await gemini(wire).count_tokens(call())
    assert wire.given[0].closed == 1


async def test_nought_is_not_written_out() -> None:
    assert await gemini(Google({})).count_tokens(call()) == 0


async def test_a_request_that_makes_no_sense_is_refused_before_it_is_sent() -> None:
    wire = Google()
    with pytest.raises(InvalidRequest):
        await gemini(wire).count_tokens(call({"role": "nobody"}))
    assert wire.requests == []


class Silent:
    """Never answers, or not at all."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        if self.answer is None:
            raise UpstreamUnreachable("away")
        return self.answer


async def test_a_count_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "WAIT_S", 0.05)
    access = ProviderAccess("g", "google", "http://g.test", "key")
    answer = Answer(...)
    with pytest.raises(UpstreamUnavailable):
        await GoogleProvider(GeminiApi(access, Silent(answer)), ServedMedia()).count_tokens(call())
    assert answer.closed == 1
    with pytest.raises(UpstreamUnreachable):
        await GoogleProvider(GeminiApi(access, Silent(None)), ServedMedia()).count_tokens(call())
