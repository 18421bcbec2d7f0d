"""A refusal as an answer, as each dialect's own SDK reads it."""

import json
from typing import Any

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from tests.proxy.edge import Client, arrive, principal

from tollway._native import chat
from tollway._native.chat import ChatRequest
from tollway.contract.snapshot import Operation
from tollway.proxy.exchange import Screened
from tollway.proxy.refusal import REFUSABLE, refusal
from tollway.proxy.relay.respond import decline

REASON = "The request holds personal data that may not be sent: email."
BODIES: dict[Operation, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "x"}]},
    "messages": {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9},
    "responses": {"input": "x"},
}


def asked(operation: Operation, **more: Any) -> ChatRequest:
    return chat.read_request(json.dumps({"model": "m", **BODIES[operation], **more}).encode(), operation)


def refused(operation: Operation, **more: Any) -> tuple[bytes, bytes]:
    return refusal(arrive(operation=operation), asked(operation, **more), REASON)


def payloads(body: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def test_every_operation_that_can_refuse_is_tried_here() -> None:
    assert set(BODIES) == REFUSABLE


async def test_a_chat_refuses_in_every_choice() -> None:
    kind, body = refused("chat", n=2)
    completion = ChatCompletion.model_validate_json(body, strict=True)
    assert kind == b"application/json"
    assert [choice.message.refusal for choice in completion.choices] == [REASON, REASON]
    assert {choice.finish_reason for choice in completion.choices} == {"content_filter"}
    assert completion.choices[0].message.content is None
    assert completion.usage is not None
    assert completion.usage.total_tokens == 0


async def test_a_chats_stream_refuses_and_ends() -> None:
    kind, body = refused("chat", stream=True, stream_options={"include_usage": True})
    assert kind.startswith(b"text/event-stream")
    chunks = [ChatCompletionChunk.model_validate(payload) for payload in payloads(body)]
    assert chunks[0].choices[0].delta.refusal == REASON
    assert chunks[1].choices[0].finish_reason == "content_filter"
    assert chunks[2].usage is not None
    assert body.endswith(b"data: [DONE]\n\n")


async def test_a_message_stops_as_a_refusal() -> None:
    message = Message.model_validate_json(refused("messages")[1])
    assert (message.stop_reason, message.model) == ("refusal", "m")
    events = payloads(refused("messages", stream=True)[1])
    assert [event["type"] for event in events][-2:] == ["message_delta", "message_stop"]
    assert events[-2]["delta"]["stop_reason"] == "refusal"


async def test_a_response_holds_a_refusal() -> None:
    response = Response.model_validate_json(refused("responses")[1])
    assert REASON in response.model_dump_json()
    events = payloads(refused("responses", stream=True)[1])
    assert "response.refusal.done" in [event["type"] for event in events]
    assert events[-1]["type"] in ("response.completed", "response.incomplete")


@pytest.mark.parametrize("operation", sorted(REFUSABLE))
async def test_it_is_sent_as_an_answer_that_nobody_was_asked_for(operation: Operation) -> None:
    client = Client()
    arrival = arrive(client, operation=operation)
    await decline(Screened(arrival, principal(), asked(operation), None, REASON))
    assert (client.status, client.ends) == (200, 1)
    assert client.headers[b"x-tollway-attempts"] == b"0"
    assert client.headers[b"content-length"] == str(len(client.body)).encode()
    assert REASON in client.body.decode()
