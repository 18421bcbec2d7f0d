"""One stream of Converse's: from ``messageStart`` to ``metadata``, event by event, as chat chunks.

A block of text begins with its first piece, without a start of its own. Usage follows the stop. Text, thoughts and
arguments are passed on piece by piece; what belongs to a whole block (signed thoughts, sources) follows when it ends.
"""

import base64
import binascii
from typing import Any

import msgspec
from msgspec import UNSET

from tollway.proxy.providers.bedrock.answered import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Citation,
    Delta,
    MessageStop,
    Metadata,
    ReasoningDelta,
    ToolUse,
    finish_of,
)
from tollway.proxy.providers.bedrock.events import Told
from tollway.proxy.providers.bedrock.faults import fault_of, message_of
from tollway.proxy.providers.translated import StreamFault
from tollway.wire.openai_chat import (
    DONE,
    Chunk,
    ChunkChoice,
    FinishReason,
    FunctionCall,
    Message,
    ToolCall,
    Usage,
    event,
)

MAX_KEPT_CHARACTERS = 16 * 1024 * 1024
"""So much of thoughts and sources is kept in one stream; one with more has failed."""

MAX_OPEN_BLOCKS = 64
"""Blocks come one after the other; a stream that leaves more of them open has failed."""


class _Text(msgspec.Struct):
    start: int
    citations: list[Citation]


class _Call(msgspec.Struct):
    index: int
    has_arguments: bool = False


class _Thought(msgspec.Struct):
    pieces: list[str] = []
    signature: list[str] = []
    redacted: list[bytes] = []

    def as_sent_back(self) -> dict[str, Any] | None:
        if self.redacted:
            return {"type": "redacted_thinking", "data": base64.b64encode(b"".join(self.redacted)).decode()}
        if not self.signature:
            return None
        return {"type": "thinking", "thinking": "".join(self.pieces), "signature": "".join(self.signature)}


class _Foreign(msgspec.Struct):
    """A block that is Amazon's own, such as a call of a tool that it runs itself."""


_Open = _Text | _Call | _Thought | _Foreign


class StreamReader:
    """Reads one stream; methods as :class:`~tollway.proxy.providers.translated.Reader` says."""

    def __init__(self, identifier: str, created: int, model: str) -> None:
        self._id = identifier
        self._created = created
        self._model = model
        self._has_begun = False
        self._open: dict[int, _Open] = {}  # at most MAX_OPEN_BLOCKS
        self._kept = 0
        self._characters = 0
        self._calls = 0
        self._finish: FinishReason | None = None
        self._usage: Usage | None = None

    def event(self, payload: bytes) -> bytes:
        """The chunks that an event becomes."""
        told = msgspec.json.decode(payload, type=Told)
        if told.kind != "event":
            said = msgspec.json.decode(told.body)
            raise StreamFault(fault_of(told.name, message_of(said) if isinstance(said, dict) else "", 500))
        match told.name:
            case "messageStart":
                return self._begin()
            case "contentBlockStart":
                return self._start(msgspec.json.decode(told.body, type=BlockStart))
            case "contentBlockDelta":
                return self._continue(msgspec.json.decode(told.body, type=BlockDelta))
            case "contentBlockStop":
                return self._close(msgspec.json.decode(told.body, type=BlockStop).content_block_index)
            case "messageStop":
                return self._stop(msgspec.json.decode(told.body, type=MessageStop))
            case "metadata":
                metadata = msgspec.json.decode(told.body, type=Metadata)
                if metadata.usage is not None:
                    self._usage = metadata.usage.as_chat(metadata.service_tier)
        return b""  # something that is newer than this

    def end(self) -> bytes:
        """Usage, if it was told, and the end mark, if the message came to its end."""
        if self._finish is None:
            return b""
        return (b"" if self._usage is None else event(self._chunk(usage=self._usage))) + DONE

    def _begin(self) -> bytes:
        if self._has_begun:
            raise ValueError("a second message in one stream")
        self._has_begun = True
        return self._say(Message(role="assistant", content=""))

    def _chunk(self, *choices: ChunkChoice, usage: Usage | None = None) -> Chunk:
        chunk = Chunk(id=self._id, created=self._created, model=self._model, choices=list(choices))
        if usage is not None:
            chunk.usage = usage
        return chunk

    def _say(self, delta: Message, finish: FinishReason | None = None) -> bytes:
        if not self._has_begun or self._finish is not None:
            raise ValueError("something is said outside of the message")
        return event(self._chunk(ChunkChoice(index=0, delta=delta, finish_reason=finish)))

    def _start(self, told: BlockStart) -> bytes:
        if told.content_block_index in self._open:
            raise ValueError("a block begins twice")
        call = told.start.tool_use
        if call is None or call.type is not None:
            self._put(told.content_block_index, _Foreign())
            return b""
        return self._call(told.content_block_index, call)

    def _put(self, index: int, opened: _Open) -> _Open:
        if len(self._open) >= MAX_OPEN_BLOCKS:
            raise ValueError("blocks that do not end")
        self._open[index] = opened
        return opened

    def _call(self, block: int, told: ToolUse) -> bytes:
        self._put(block, _Call(self._calls))
        function = FunctionCall(name=told.name)
        call = ToolCall(index=self._calls, id=told.tool_use_id, type="function", function=function)
        self._calls += 1
        return self._say(Message(tool_calls=[call]))

    def _continue(self, told: BlockDelta) -> bytes:
        delta, index = told.delta, told.content_block_index
        if isinstance(self._open.get(index), _Foreign):
            return b""
        if delta.text is not None or delta.citation is not None:
            return self._continue_text(index, delta)
        if delta.reasoning_content is not None:
            return self._think(index, delta.reasoning_content)
        if delta.tool_use is not None:
            return self._continue_call(index, delta.tool_use.input)
        return b""  # newer than this

    def _continue_text(self, index: int, delta: Delta) -> bytes:
        opened = self._open.get(index) or self._put(index, _Text(self._characters, []))
        if not isinstance(opened, _Text):
            raise ValueError("text in a block of another kind")
        if delta.citation is not None and delta.citation.annotation(0, 0) is not None:
            self._keep(len(delta.citation.title or "") + len(str(delta.citation.location)))
            opened.citations.append(delta.citation)
        return self._say_text(delta.text or "")

    def _continue_call(self, index: int, arguments: str) -> bytes:
        opened = self._open.get(index)
        if not isinstance(opened, _Call):
            raise ValueError("arguments without a call")
        if not arguments:
            return b""
        opened.has_arguments = True
        return self._say_arguments(opened.index, arguments)

    def _say_text(self, text: str) -> bytes:
        self._characters += len(text)
        return self._say(Message(content=text)) if text else b""

    def _say_arguments(self, index: int, arguments: str) -> bytes:
        return self._say(Message(tool_calls=[ToolCall(index=index, function=FunctionCall(arguments=arguments))]))

    def _think(self, index: int, delta: ReasoningDelta) -> bytes:
        thought = self._open.get(index) or self._put(index, _Thought())
        if not isinstance(thought, _Thought):
            raise ValueError("a thought in a block of another kind")
        if delta.redacted_content is not None:
            self._keep(len(delta.redacted_content))
            thought.redacted.append(_decoded(delta.redacted_content))
        if delta.signature is not None:
            self._keep(len(delta.signature))
            thought.signature.append(delta.signature)
        if not delta.text:
            return b""
        self._keep(len(delta.text))
        thought.pieces.append(delta.text)
        return self._say(Message(reasoning_content=delta.text))

    def _keep(self, characters: int) -> None:
        self._kept += characters
        if self._kept > MAX_KEPT_CHARACTERS:
            raise ValueError("too much to keep of one stream")

    def _close(self, index: int) -> bytes:
        match self._open.pop(index, None):
            case _Thought() as thought:
                block = thought.as_sent_back()
                return b"" if block is None else self._say(Message(thinking_blocks=[block]))
            case _Text(citations=[_, *_]) as text:
                found = (each.annotation(text.start, self._characters) for each in text.citations)
                return self._say(Message(annotations=[each for each in found if each is not None]))
            case _Call(has_arguments=False) as call:
                return self._say_arguments(call.index, "{}")
        return b""

    def _stop(self, told: MessageStop) -> bytes:
        said = b"".join([self._close(index) for index in list(self._open)])
        finish = finish_of(told.stop_reason, has_calls=self._calls > 0)
        said += self._say(Message(refusal=UNSET), finish)
        self._finish = finish
        return said


def _decoded(blob: str) -> bytes:
    """The bytes of a blob: joined as base64 they would not be what they are joined.

    Raises:
        ValueError: it is no base64.
    """
    try:
        return base64.b64decode(blob, validate=True)
    except binascii.Error:
        raise ValueError("a blob that is no base64") from None
