"""The Gemini API as a provider: address, key, what it is asked and how its answer comes back."""

import base64
import json
from typing import Any

import msgspec
import pytest
from tests.fakes.media import ServedMedia
from tests.proxy.edge import Answer

from tollway.contract.snapshot import ProviderAccess
from tollway.errors import InvalidRequest
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.media.fetch import Fetched
from tollway.proxy.providers.capabilities import Takes
from tollway.proxy.providers.google.api import GeminiApi
from tollway.proxy.providers.google.provider import GoogleProvider
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest
from tollway.proxy.providers.translated import INLINE_BYTES
from tollway.wire.openai_chat import DONE
from tollway.wire.tool_names import stand_in

KEY = "google-canary-0123456789"
HELLO = [{"role": "user", "content": "Hi"}]
SAID = {"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}], "usageMetadata": {}}


class Wire:
    """A transport that keeps what it is given and answers as it is told."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[UpstreamRequest] = []
        self.answer = answer

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        self.requests.append(request)
        return self.answer


def call(model: str = "gemini-x", *, strict: bool = False, **fields: Any) -> UpstreamCall:
    body = json.dumps({"model": model, "messages": HELLO, **fields}).encode()
    headers = [("openai-beta", "a=1"), ("idempotency-key", "1"), ("traceparent", "00-1")]
    return UpstreamCall(model, body, headers, 2.5, lambda: None, strict)


async def sent(outgoing: UpstreamCall, base_url: str = "") -> UpstreamRequest:
    wire = Wire(Answer(json.dumps(SAID).encode()))
    await GoogleProvider(GeminiApi(ProviderAccess("g", "google", base_url, KEY), wire), ServedMedia()).send(outgoing)
    (request,) = wire.requests
    return request


async def answered(answer: Answer, outgoing: UpstreamCall) -> tuple[UpstreamAnswer, bytes]:
    access = ProviderAccess("g", "google", "", KEY)
    given = await GoogleProvider(GeminiApi(access, Wire(answer)), ServedMedia()).send(outgoing)
    pieces = []
    while (piece := await given.piece()) is not None:
        pieces.append(piece)
    return given, b"".join(pieces)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "https://generativelanguage.googleapis.com",
        "https://generativelanguage.googleapis.com/v1beta",
        "https://generativelanguage.googleapis.com/v1beta/",
    ],
)
async def test_a_call_goes_to_the_models_method_with_the_key_in_googles_header(base_url: str) -> None:
    request = await sent(call(), base_url)
    assert request.url == "https://generativelanguage.googleapis.com/v1beta/models/gemini-x:generateContent"
    assert request.headers == [
        ("content-type", "application/json"),
        ("x-goog-api-key", KEY),
        ("traceparent", "00-1"),
    ]
    assert json.loads(request.body) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert request.connect_s == 2.5


async def test_a_stream_is_asked_for_as_server_sent_events() -> None:
    request = await sent(call(stream=True), "http://127.0.0.1:9")
    assert request.url == "http://127.0.0.1:9/v1beta/models/gemini-x:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-x", "models/gemini-x"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("a/b", "models/a%2Fb"),
        ("x?key=1#:y", "models/x%3Fkey%3D1%23%3Ay"),
        ("models/../../v1/x", "models/..%2F..%2Fv1%2Fx"),
    ],
)
async def test_a_model_stays_within_its_place_in_the_path(model: str, path: str) -> None:
    request = await sent(call(model), "http://127.0.0.1:9")
    assert request.url == f"http://127.0.0.1:9/v1beta/{path}:generateContent"


@pytest.mark.parametrize("size", [1, INLINE_BYTES + 1], ids=["inline", "in a thread"])
async def test_a_request_of_any_size_is_mapped(size: int) -> None:
    request = await sent(call(messages=[{"role": "user", "content": "x" * size}]))
    assert json.loads(request.body)["contents"][0]["parts"] == [{"text": "x" * size}]


@pytest.mark.parametrize("size", [1, INLINE_BYTES + 1], ids=["inline", "in a thread"])
async def test_what_gemini_does_not_hold_is_fetched_for_it(size: int) -> None:
    media = ServedMedia({"https://a.test/x": Fetched("image/png", b"x" * size)})
    urls = ("https://a.test/x", "https://youtu.be/abc", "gs://b/x.png", "data:image/png;base64,eA==")
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    wire = Wire(Answer(json.dumps(SAID).encode()))
    access = ProviderAccess("g", "google", "", KEY)
    await GoogleProvider(GeminiApi(access, wire), media).send(call(messages=[{"role": "user", "content": images}]))
    parts = json.loads(wire.requests[0].body)["contents"][0]["parts"]
    assert parts[0] == {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"x" * size).decode()}}
    assert [*parts[1], *parts[2], *parts[3]] == ["fileData", "fileData", "inlineData"]
    assert [each.param for each in media.asked] == ["messages[0].content[0].image_url.url"]


async def test_a_whole_answer_comes_back_as_a_chat_completion_with_its_warnings() -> None:
    given, body = await answered(Answer(json.dumps(SAID).encode()), call(user="u"))
    assert (given.status, given.header("content-type")) == (200, "application/json")
    assert given.warnings == ("user",)
    completion = json.loads(body)
    assert completion["object"] == "chat.completion"
    assert completion["choices"][0]["message"]["content"] == "Hello"


async def test_what_the_operator_says_of_a_model_is_kept_to() -> None:
    asked = msgspec.structs.replace(call(seed=7, made_up=1), takes=Takes(seed=False))
    answer, _ = await answered(Answer(json.dumps(SAID).encode()), asked)
    assert answer.warnings == ("seed", "made_up")


async def test_a_stream_comes_back_as_chat_chunks() -> None:
    given, body = await answered(Answer(b"data: " + json.dumps(SAID).encode() + b"\r\n\r\n"), call(stream=True))
    assert given.header("content-type") == "text/event-stream; charset=utf-8"
    assert body.endswith(DONE)
    assert b'"content":"Hello"' in body


async def test_a_wrong_key_is_told_as_one_though_its_status_is_400() -> None:
    error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    refusal = Answer(json.dumps({"error": {**error, "details": details}}).encode(), status=400)
    given, body = await answered(refusal, call(stream=True))
    assert given.status == 401
    assert json.loads(body)["error"]["code"] == "invalid_api_key"


async def test_a_limit_says_when_to_come_back() -> None:
    error = {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}
    refusal = json.dumps([{"error": {**error, "details": [{"retryDelay": "34.07s"}]}}]).encode()
    given, _ = await answered(Answer(refusal, status=429), call())
    assert (given.status, given.header("retry-after")) == (429, "35")


async def test_in_strict_mode_what_would_be_left_out_is_refused_and_nothing_is_sent() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await sent(call(strict=True, user="u", logit_bias={}))
    assert caught.value.param == "user"
    await sent(call(strict=True, seed=1))


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"a": "\xff"}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": ' + b"[" * 100_000,
    ],
    ids=["list", "cut", "no UTF-8", "half a character", "deep"],
)
async def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await sent(UpstreamCall("m", body, [], 1.0, lambda: None))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_whose_name_gemini_does_not_take_is_called_by_the_clients_name(stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "files/read"}}
    request = await sent(call(tools=[tool]))
    told = json.loads(request.body)["tools"][0]["functionDeclarations"][0]["name"]
    assert told == stand_in("files/read")
    called = {"content": {"parts": [{"functionCall": {"name": told, "args": {}}}]}, "finishReason": "STOP"}
    said = json.dumps({"candidates": [called]}).encode()
    _, body = await answered(Answer(b"data: " + said + b"\n\n" if stream else said), call(tools=[tool], stream=stream))
    assert b'"name":"files/read"' in body
    assert told.encode() not in body
