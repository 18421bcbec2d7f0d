"""The provider itself: address, key, headers, and an answer read as chat."""

import json

import msgspec
import pytest
from tests.fakes.records import needs_records, payloads, records, replay
from tests.fakes.upstream import FakeUpstream
from tests.proxy.edge import Answer

from tollway.contract.snapshot import Operation, ProviderAccess
from tollway.errors import InvalidRequest
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.anthropic.provider import AnthropicProvider
from tollway.proxy.providers.capabilities import Takes
from tollway.proxy.providers.http import HttpTransport
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest
from tollway.wire.tool_names import stand_in

WHOLE = {
    "id": "msg_1",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


class Wire:
    """A transport that keeps what it is given, and answers with ``answer``."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[UpstreamRequest] = []
        self._answer = answer

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        self.requests.append(request)
        return self._answer


def provider(wire: Wire, base_url: str = "https://api.anthropic.com") -> AnthropicProvider:
    return AnthropicProvider(ProviderAccess("anthropic", "anthropic", base_url, "sk-ant"), wire)


def a_call(
    *headers: tuple[str, str], content: object = "Hi", strict: bool = False, stream: bool = False, **more: object
) -> UpstreamCall:
    asked = {"model": "m", "messages": [{"role": "user", "content": content}], "seed": 7, "stream": stream, **more}
    body = json.dumps(asked).encode()
    return UpstreamCall("claude-sonnet-4-5", body, list(headers), 2.5, lambda: None, strict)


@pytest.mark.parametrize("base_url", ["https://api.anthropic.com", "https://api.anthropic.com/v1"])
async def test_a_call_goes_to_messages_with_the_key_and_the_version(base_url: str) -> None:
    wire = Wire(Answer(json.dumps(WHOLE).encode()))
    call = a_call(("traceparent", "00-1"), ("anthropic-beta", "a-1"), ("openai-beta", "b-1"))
    answer = await provider(wire, base_url).send(call)
    (request,) = wire.requests
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.headers == [
        ("content-type", "application/json"),
        ("x-api-key", "sk-ant"),
        ("anthropic-version", "2023-06-01"),
        ("traceparent", "00-1"),
        ("anthropic-beta", "a-1"),
    ]
    assert json.loads(request.body)["model"] == "claude-sonnet-4-5"
    assert json.loads(await answer.piece() or b"")["choices"][0]["message"]["content"] == "Hi"


@pytest.mark.parametrize(("operation", "path"), [("messages", ""), ("count_tokens", "/count_tokens")])
async def test_a_messages_clients_bytes_pass_with_its_own_version_and_betas(operation: Operation, path: str) -> None:
    wire = Wire(Answer(b"{}"))
    body = b'{"model": "m", "x": 1}'
    headers = [("anthropic-version", "2026-10-21"), ("anthropic-beta", "a-1"), ("openai-beta", "b-1")]
    answer = await provider(wire).send(UpstreamCall("m", body, headers, 1.0, lambda: None, operation=operation))
    (request,) = wire.requests
    assert (request.url, request.body) == (f"https://api.anthropic.com/v1/messages{path}", body)
    assert request.headers[2:] == [("anthropic-version", "2026-10-21"), ("anthropic-beta", "a-1")]
    assert await answer.piece() == b"{}"


async def test_a_messages_client_that_names_no_version_gets_ours() -> None:
    wire = Wire(Answer(b"{}"))
    await provider(wire).send(UpstreamCall("m", b"{}", [], 1.0, lambda: None, operation="messages"))
    assert wire.requests[0].headers[2:] == [("anthropic-version", "2023-06-01")]


async def test_an_uploaded_file_asks_for_its_beta_beside_the_callers() -> None:
    wire = Wire(Answer(json.dumps(WHOLE).encode()))
    part = {"type": "file", "file": {"file_id": "file_1"}}
    await provider(wire).send(a_call(("anthropic-beta", "a-1"), content=[part]))
    assert ("anthropic-beta", "a-1,files-api-2025-04-14") in wire.requests[0].headers


async def test_in_strict_mode_nothing_is_sent_that_would_lose_a_field() -> None:
    wire = Wire(Answer())
    with pytest.raises(InvalidRequest):
        await provider(wire).send(a_call(strict=True))
    assert wire.requests == []


async def test_what_the_operator_says_of_a_model_is_kept_to() -> None:
    wire = Wire(Answer(json.dumps(WHOLE).encode()))
    call = msgspec.structs.replace(a_call(), takes=Takes(max_output_tokens=5, seed=False))
    answer = await provider(wire).send(call)
    assert answer.warnings == ("seed",)
    with pytest.raises(InvalidRequest):
        await provider(wire).send(msgspec.structs.replace(call, strict=True))


async def test_a_large_request_is_mapped_as_a_small_one() -> None:
    wire = Wire(Answer(json.dumps(WHOLE).encode()))
    await provider(wire).send(a_call(content="x" * 200_000))
    assert json.loads(wire.requests[0].body)["messages"][0]["content"][0]["text"] == "x" * 200_000


async def test_a_rate_limit_that_waiting_does_not_help_is_said_to_be_one() -> None:
    body = json.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "too large"}}).encode()
    wire = Wire(Answer(body, status=429, x_should_retry="false"))
    answer = await provider(wire).send(a_call(stream=True))
    assert (answer.status, answer.header("x-should-retry")) == (429, "false")
    assert json.loads(await answer.piece() or b"")["error"]["code"] == "rate_limit_exceeded"


@needs_records
async def test_a_recorded_stream_over_http_is_read_as_chat_from_its_first_piece_to_its_end() -> None:
    record = next(each for each in records("anthropic", "messages", True) if "tool_call" in each.tags)
    transport = HttpTransport()
    try:
        with FakeUpstream(default=replay(record)) as upstream:
            access = ProviderAccess("anthropic", "anthropic", upstream.base_url, "sk-ant")
            answer = await AnthropicProvider(access, transport).send(a_call(stream=True))
            pieces = []
            while (piece := await answer.piece()) is not None:
                pieces.append(piece)
            await answer.close()
            transport.close()
            (seen,) = upstream.requests
    finally:
        transport.close()
    assert (seen.path, seen.header("x-api-key"), seen.json["stream"]) == ("/v1/messages", "sk-ant", True)
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert len(pieces) > 1
    said = b"".join(pieces)
    assert said.endswith(b"data: [DONE]\n\n")
    chunks = payloads(said.decode())
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-1] == "tool_calls"
    assert chunks[-1]["usage"]["completion_tokens"] > 0


async def test_a_tool_whose_name_anthropic_does_not_take_is_called_by_the_clients_name() -> None:
    told = stand_in("files.read")
    use = {"type": "tool_use", "id": "t", "name": told, "input": {}}
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "m", "model": "m", "content": [use], "stop_reason": "tool_use", "usage": usage}
    wire = Wire(Answer(json.dumps(message).encode()))
    answer = await provider(wire).send(a_call(tools=[{"type": "function", "function": {"name": "files.read"}}]))
    assert json.loads(wire.requests[0].body)["tools"][0]["name"] == told
    said = json.loads(await answer.piece() or b"")
    assert said["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "files.read"
