"""Anthropic's answers in, OpenAI's chat bytes out: whole answers and refusals here, streams in ``stream.py``."""

import time

import msgspec
from msgspec import UNSET

from tollway.proxy.causes import Fault
from tollway.proxy.providers.anthropic.blocks import (
    Message,
    RedactedBlock,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    Typed,
    annotation,
    finish_of,
)
from tollway.proxy.providers.anthropic.faults import read_fault
from tollway.proxy.providers.anthropic.stream import StreamReader
from tollway.wire import openai_chat
from tollway.wire.openai_chat import Choice, Completion, FunctionCall, ToolCall


class AnthropicReader:
    """Reads one answer; see :class:`~tollway.proxy.providers.translated.Reader`.

    ``waiting_helps`` is what the answer's ``x-should-retry`` says: a request larger than the limit itself is a 429,
    too.
    """

    def __init__(self, *, waiting_helps: bool = True) -> None:
        self._waiting_helps = waiting_helps
        self._stream = StreamReader()

    def whole(self, body: bytes) -> bytes:
        """As :class:`~tollway.proxy.providers.translated.Reader` says."""
        try:
            return msgspec.json.encode(_completion(msgspec.json.decode(body, type=Message)))
        except RecursionError:
            raise ValueError("the answer is nested too deeply") from None

    def event(self, payload: bytes) -> bytes:
        """As above."""
        try:
            return self._stream.event(payload)
        except RecursionError:
            raise ValueError("the event is nested too deeply") from None

    def end(self) -> bytes:
        """As above."""
        return self._stream.end()

    def fault(self, status: int, body: bytes) -> Fault:
        """As above."""
        return read_fault(status, body, waiting_helps=self._waiting_helps)


def _completion(told: Message) -> Completion:
    message = _message(told)
    has_calls = message.tool_calls is not UNSET
    if told.stop_details is not None and told.stop_details.explanation:
        message.refusal = told.stop_details.explanation
    choice = Choice(index=0, message=message, finish_reason=finish_of(told.stop_reason, has_calls=has_calls))
    return Completion(
        id=told.id, created=int(time.time()), model=told.model, choices=[choice], usage=told.usage.as_chat()
    )


def _message(told: Message) -> openai_chat.Message:
    text, thought = "", ""
    blocks, calls, annotations = [], [], []
    for raw in told.content:
        match msgspec.json.decode(raw, type=Typed).type:
            case "text":
                said = msgspec.json.decode(raw, type=TextBlock)
                start, text = len(text), text + said.text
                found = (annotation(each, start, len(text)) for each in said.citations or ())
                annotations += [each for each in found if each is not None]
            case "thinking":
                thinking = msgspec.json.decode(raw, type=ThinkingBlock)
                thought += thinking.thinking
                blocks.append(thinking.as_sent_back())
            case "redacted_thinking":
                blocks.append(msgspec.json.decode(raw, type=RedactedBlock).as_sent_back())
            case "tool_use":
                call = msgspec.json.decode(raw, type=ToolUseBlock)
                function = FunctionCall(name=call.name, arguments=call.arguments)
                calls.append(ToolCall(id=call.id, type="function", function=function))
    return openai_chat.Message(
        role="assistant",
        content=text if text or not calls else None,
        refusal=None,
        reasoning_content=thought or UNSET,
        thinking_blocks=blocks or UNSET,
        tool_calls=calls or UNSET,
        annotations=annotations or UNSET,
    )
