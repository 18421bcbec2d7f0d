"""Converse's answers in, OpenAI's chat bytes out: whole answers and refusals here, streams in ``stream.py``.

Signed thoughts become ``thinking_blocks``, to be sent back in the next turn; what a model thinks in the open and does
not sign is ``reasoning_content`` alone.
"""

import time
import uuid
from typing import Any

import msgspec
from msgspec import UNSET

from tollway.proxy.causes import Fault
from tollway.proxy.providers.bedrock.answered import Answer, Block, Reasoning, finish_of
from tollway.proxy.providers.bedrock.faults import read_fault
from tollway.proxy.providers.bedrock.stream import StreamReader
from tollway.wire.openai_chat import Choice, Completion, FunctionCall, Message, ToolCall


class BedrockReader:
    """Reads one answer; see :class:`~tollway.proxy.providers.translated.Reader`.

    Converse names no answer and no model: ``model`` is what was asked for. ``error_type`` is the answer's
    ``x-amzn-errortype``.
    """

    def __init__(self, model: str, *, error_type: str | None = None) -> None:
        self._model = model
        self._error_type = error_type
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._stream = StreamReader(self._id, self._created, model)

    def whole(self, body: bytes) -> bytes:
        """As the protocol says."""
        try:
            told = msgspec.json.decode(body, type=Answer)
            message = _message(told.output.message.content)
        except RecursionError:
            raise ValueError("the answer is nested too deeply") from None
        has_calls = message.tool_calls is not UNSET
        choice = Choice(index=0, message=message, finish_reason=finish_of(told.stop_reason, has_calls=has_calls))
        answer = Completion(id=self._id, created=self._created, model=self._model, choices=[choice])
        if told.usage is not None:
            answer.usage = told.usage.as_chat(told.service_tier)
        return msgspec.json.encode(answer)

    def event(self, payload: bytes) -> bytes:
        """As the protocol says."""
        try:
            return self._stream.event(payload)
        except RecursionError:
            raise ValueError("the event is nested too deeply") from None

    def end(self) -> bytes:
        """As the protocol says."""
        return self._stream.end()

    def fault(self, status: int, body: bytes) -> Fault:
        """As the protocol says."""
        return read_fault(status, body, self._error_type)


def _message(content: list[Block]) -> Message:
    text, thought = "", ""
    thoughts: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    calls: list[ToolCall] = []
    for block in content:
        if block.text is not None:
            text += block.text
        elif block.citations_content is not None:
            start = len(text)
            text += "".join(each.text or "" for each in block.citations_content.content or ())
            found = (each.annotation(start, len(text)) for each in block.citations_content.citations or ())
            annotations += [each for each in found if each is not None]
        elif block.reasoning_content is not None:
            thought += block.reasoning_content.reasoning_text.text if block.reasoning_content.reasoning_text else ""
            thoughts += _thought(block.reasoning_content)
        elif block.tool_use is not None and block.tool_use.type is None:
            function = FunctionCall(name=block.tool_use.name, arguments=block.tool_use.arguments)
            calls.append(ToolCall(id=block.tool_use.tool_use_id, type="function", function=function))
    return Message(
        role="assistant",
        content=text if text or not calls else None,
        refusal=None,
        reasoning_content=thought or UNSET,
        thinking_blocks=thoughts or UNSET,
        tool_calls=calls or UNSET,
        annotations=annotations or UNSET,
    )


def _thought(told: Reasoning) -> list[dict[str, Any]]:
    if told.redacted_content is not None:
        return [{"type": "redacted_thinking", "data": told.redacted_content}]
    if told.reasoning_text is not None and told.reasoning_text.signature:
        text, signature = told.reasoning_text.text, told.reasoning_text.signature
        return [{"type": "thinking", "thinking": text, "signature": signature}]
    return []
