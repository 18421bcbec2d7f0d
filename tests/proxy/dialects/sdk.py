"""What Anthropic's own SDK reads of an answer: bytes in, as they would come over HTTP, and the meaning out."""

import json
from dataclasses import dataclass
from typing import Any

import httpx2
from anthropic import Anthropic
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)

ASKED: dict[str, Any] = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}


@dataclass(frozen=True)
class Heard:
    """What a client learns. ``calls``: name and input; ``usage``: input, read, written, output, thought."""

    text: str
    calls: list[tuple[str, Any]]
    stop: str | None
    usage: tuple[int, int, int, int, int]


def client(body: bytes, content_type: str, status: int = 200) -> Anthropic:
    """A client whose every call is answered with these bytes."""
    answer = httpx2.MockTransport(
        lambda _: httpx2.Response(status, content=body, headers={"content-type": content_type})
    )
    return Anthropic(api_key="k", base_url="http://gateway", http_client=httpx2.Client(transport=answer), max_retries=0)


def read_whole(body: bytes) -> Message:
    """The message of a whole answer."""
    message = client(body, "application/json").messages.create(**ASKED)
    assert isinstance(message, Message)
    return message


def read_stream(body: bytes) -> Message:
    """The message that the SDK puts together of a stream."""
    with client(body, "text/event-stream").messages.stream(**ASKED) as stream:
        return stream.get_final_message()


def heard(message: Message) -> Heard:
    """What the message says. Every call has an id, and no two the same."""
    calls = [block for block in message.content if block.type == "tool_use"]
    ids = [call.id for call in calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    usage, details = message.usage, message.usage.output_tokens_details
    assert message.type == "message"
    assert message.role == "assistant"
    assert message.id
    assert message.model
    return Heard(
        text="".join(block.text for block in message.content if block.type == "text"),
        calls=[(call.name, call.input) for call in calls],
        stop=message.stop_reason,
        usage=(
            usage.input_tokens,
            usage.cache_read_input_tokens or 0,
            usage.cache_creation_input_tokens or 0,
            usage.output_tokens,
            details.thinking_tokens if details else 0,
        ),
    )


def check_message(body: bytes) -> None:
    """Raises ValueError where a whole message lacks a field, or has one of a wrong type: the SDK itself takes such."""
    Message.model_validate_json(body)


def check_order(body: bytes) -> None:
    """Raises AssertionError where the events of a complete stream stand in another order than Anthropic's."""
    names = [line.removeprefix("event: ") for line in body.decode().split("\n") if line.startswith("event: ")]
    told = [json.loads(line.removeprefix("data: ")) for line in body.decode().split("\n") if line.startswith("data: ")]
    assert names == [each["type"] for each in told]
    for each in told:
        _EVENT.validate_python(each)
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    index, opened = -1, None
    for each in told[1:-2]:
        assert each["type"].startswith("content_block_")
        if each["type"] == "content_block_start":
            assert opened is None, "two blocks at a time"
            index, opened = index + 1, each["content_block"]["type"]
        assert each["index"] == index
        if each["type"] == "content_block_delta":
            assert opened is not None
            assert each["delta"]["type"] in _DELTAS[opened]
        elif each["type"] == "content_block_stop":
            assert opened is not None
            opened = None
    assert opened is None, "a block without its end"


_DELTAS = {
    "text": {"text_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "redacted_thinking": set[str](),
    "tool_use": {"input_json_delta"},
}
