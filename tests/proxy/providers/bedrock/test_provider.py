"""The provider itself: address, proof, headers, and an answer read as chat."""

import json
from typing import Any

import pytest
from tests.fakes.converse import exception, frames, whole
from tests.fakes.media import ServedMedia
from tests.fakes.records import payloads
from tests.proxy.edge import Answer

from tollway.contract.snapshot import AwsCredentials, ProviderAccess
from tollway.errors import InvalidRequest, UpstreamBroken
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.bedrock.provider import BedrockProvider
from tollway.proxy.providers.bedrock.sigv4 import sign
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest
from tollway.wire.openai_chat import DONE
from tollway.wire.tool_names import stand_in

AT = 1_764_000_000.0
HOME = "https://bedrock-runtime.us-east-1.amazonaws.com"
KEYS = AwsCredentials("us-east-1", "AKIDEXAMPLE", "secret-canary", "token-canary")
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
WHOLE = json.dumps(whole([{"text": "Hi"}])).encode()


class Wire:
    """A transport that gives the answer it was given."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[UpstreamRequest] = []
        self._answer = answer

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        self.requests.append(request)
        return self._answer


def provider(wire: Wire, *, key: str | None = None, aws: AwsCredentials | None = KEYS) -> BedrockProvider:
    return BedrockProvider(ProviderAccess("b", "bedrock", HOME, key, aws=aws), wire, ServedMedia(), lambda: AT)


def a_call(*headers: tuple[str, str], model: str = MODEL, strict: bool = False, **asked: Any) -> UpstreamCall:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}], **asked}).encode()
    return UpstreamCall(model, body, list(headers), 2.5, lambda: None, strict)


async def said(answer: UpstreamAnswer) -> bytes:
    pieces = []
    while (piece := await answer.piece()) is not None:
        pieces.append(piece)
    return b"".join(pieces)


async def test_a_call_is_signed_and_what_may_change_on_the_way_is_not() -> None:
    wire = Wire(Answer(WHOLE))
    answer = await provider(wire).send(a_call(("traceparent", "00-1"), ("openai-beta", "x"), ("idempotency-key", "1")))
    (request,) = wire.requests
    assert request.url == f"{HOME}/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    proof = sign(request.url, [("content-type", "application/json")], request.body, KEYS, service="bedrock", now_s=AT)
    assert request.headers == [("content-type", "application/json"), *proof, ("traceparent", "00-1")]
    assert [name for name, _ in proof] == ["x-amz-date", "x-amz-security-token", "authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token," in proof[-1][1]
    assert json.loads(request.body) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
    assert json.loads(await said(answer))["choices"][0]["message"]["content"] == "Hi"


async def test_an_api_key_is_a_bearers() -> None:
    wire = Wire(Answer(WHOLE))
    await provider(wire, key="bedrock-api-key-canary").send(a_call(stream=True))
    assert wire.requests[0].headers == [
        ("content-type", "application/json"),
        ("authorization", "Bearer bedrock-api-key-canary"),
    ]
    assert wire.requests[0].url.endswith("/converse-stream")


async def test_a_stream_is_read_from_frames() -> None:
    stream = b"".join(frames(whole([{"text": "Hello there"}])))
    wire = Wire(Answer(*[stream[at : at + 50] for at in range(0, len(stream), 50)], content_type="application/x"))
    answer = await provider(wire).send(a_call(stream=True))
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    heard = await said(answer)
    assert heard.endswith(DONE)
    chunks = payloads(heard.decode())
    assert (
        "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]) == "Hello there"
    )
    assert {chunk["model"] for chunk in chunks} == {MODEL}


async def test_a_stream_that_is_cut_within_a_frame_is_broken() -> None:
    answer = await provider(Wire(Answer(frames(whole([{"text": "x"}]))[0][:-2]))).send(a_call(stream=True))
    with pytest.raises(UpstreamBroken):
        await answer.piece()


async def test_a_fault_before_the_first_word_is_a_refusal_and_after_it_an_error_event() -> None:
    fault = exception("throttlingException", "Slow down.")
    answer = await provider(Wire(Answer(fault))).send(a_call(stream=True))
    assert json.loads(await said(answer))["error"]["code"] == "rate_limit_exceeded"
    assert answer.status == 429
    answer = await provider(Wire(Answer(*frames(whole([{"text": "x"}]))[:2], fault))).send(a_call(stream=True))
    heard = await said(answer)
    assert answer.status == 200
    assert b"event: error\n" in heard
    assert DONE not in heard


async def test_a_refusal_has_the_cause_that_its_header_names() -> None:
    body = b'{"message": "The model is not ready for inference."}'
    wire = Wire(Answer(body, status=429, x_amzn_errortype="ModelNotReadyException:http://internal.amazon.com/"))
    answer = await provider(wire).send(a_call(stream=True))
    assert answer.status == 503
    assert json.loads(await said(answer))["error"]["code"] == "overloaded"


async def test_what_was_dropped_is_told_or_refused() -> None:
    wire = Wire(Answer(WHOLE))
    assert (await provider(wire).send(a_call(seed=1))).warnings == ("seed",)
    with pytest.raises(InvalidRequest):
        await provider(wire).send(a_call(seed=1, strict=True))
    assert len(wire.requests) == 1


async def test_a_large_request_is_mapped_as_a_small_one() -> None:
    wire = Wire(Answer(WHOLE))
    await provider(wire).send(a_call(messages=[{"role": "user", "content": "x" * 200_000}]))
    assert json.loads(wire.requests[0].body)["messages"][0]["content"] == [{"text": "x" * 200_000}]


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"messages": [{"role": "user", "content": "\\ud800"}]}'])
async def test_a_body_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await provider(Wire(Answer())).send(UpstreamCall(MODEL, body, [], 1.0, lambda: None))


async def test_a_body_that_is_nested_without_end_is_refused() -> None:
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    body = (
        b'{"messages": [{"role": "user", "content": "x"}], "extra_content": {"bedrock": {"promptVariables": %b}}}'
        % deep
    )
    with pytest.raises(InvalidRequest):
        await provider(Wire(Answer())).send(UpstreamCall(MODEL, body, [], 1.0, lambda: None))


def test_no_access_shows_its_secrets() -> None:
    access = ProviderAccess("b", "bedrock", HOME, None, aws=KEYS)
    assert "canary" not in repr(access)
    assert access.secrets == ("secret-canary", "token-canary")


async def test_a_tool_whose_name_amazon_does_not_take_is_called_by_the_clients_name() -> None:
    told = stand_in("files.read")
    wire = Wire(Answer(json.dumps(whole([{"toolUse": {"toolUseId": "t", "name": told, "input": {}}}])).encode()))
    answer = await provider(wire).send(a_call(tools=[{"type": "function", "function": {"name": "files.read"}}]))
    (tool,) = json.loads(wire.requests[0].body)["toolConfig"]["tools"]
    assert tool["toolSpec"]["name"] == told
    assert json.loads(await said(answer))["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "files.read"
