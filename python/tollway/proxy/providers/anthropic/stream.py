"""One stream of Anthropic's: from ``message_start`` to ``message_stop``, event by event, as chat chunks.

Blocks are numbered over all types, tool calls only among themselves. Text, thoughts and arguments are passed on piece
by piece; what belongs to a whole block (signed thoughts, sources) follows when the block ends.
"""

import time
from typing import Any

import msgspec
from msgspec import UNSET

from tollway.proxy.providers.anthropic.blocks import (
    RedactedBlock,
    StopDetails,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    Typed,
    Usage,
    annotation,
    finish_of,
)
from tollway.proxy.providers.anthropic.faults import Told, fault_of
from tollway.proxy.providers.translated import StreamFault
from tollway.wire.openai_chat import DONE, Chunk, ChunkChoice, FinishReason, FunctionCall, Message, ToolCall, event

MAX_KEPT_CHARACTERS = 16 * 1024 * 1024
"""So much of thoughts and sources is kept in one stream; one with more has failed."""

MAX_OPEN_BLOCKS = 64
"""Blocks come one after the other; a stream that leaves more of them open has failed."""


class _Start(msgspec.Struct):
    class Head(msgspec.Struct):
        id: str
        model: str
        usage: Usage = msgspec.field(default_factory=Usage)

    message: Head


class _BlockStart(msgspec.Struct):
    index: int
    content_block: msgspec.Raw


class _BlockDelta(msgspec.Struct):
    index: int
    delta: msgspec.Raw


class _BlockStop(msgspec.Struct):
    index: int


class _TextDelta(msgspec.Struct):
    text: str


class _ThinkingDelta(msgspec.Struct):
    thinking: str


class _SignatureDelta(msgspec.Struct):
    signature: str


class _JsonDelta(msgspec.Struct):
    partial_json: str


class _CitationDelta(msgspec.Struct):
    citation: dict[str, Any]


class _MessageDelta(msgspec.Struct):
    class Delta(msgspec.Struct):
        stop_reason: str | None = None
        stop_details: StopDetails | None = None

    delta: Delta
    usage: Usage | None = None


class _Error(msgspec.Struct):
    error: Told


class _Text(msgspec.Struct):
    start: int
    citations: list[dict[str, Any]]


class _Call(msgspec.Struct):
    index: int
    said: ToolUseBlock
    has_arguments: bool = False


class _Thought(msgspec.Struct):
    pieces: list[str]
    signature: list[str]

    def as_sent_back(self) -> dict[str, Any]:
        return ThinkingBlock("".join(self.pieces), "".join(self.signature)).as_sent_back()


_Open = _Text | _Call | _Thought | RedactedBlock


class StreamReader:
    """Reads one stream; methods as :class:`~tollway.proxy.providers.translated.Reader` says."""

    def __init__(self) -> None:
        self._head: _Start.Head | None = None
        self._created = 0
        self._usage = Usage()
        self._open: dict[int, _Open] = {}  # at most MAX_OPEN_BLOCKS
        self._kept = 0
        self._characters = 0
        self._calls = 0
        self._finish: FinishReason | None = None
        self._has_stopped = False

    def event(self, payload: bytes) -> bytes:
        """The chunks that an event becomes."""
        match msgspec.json.decode(payload, type=Typed).type:
            case "message_start":
                return self._begin(msgspec.json.decode(payload, type=_Start))
            case "content_block_start":
                return self._open_block(msgspec.json.decode(payload, type=_BlockStart))
            case "content_block_delta":
                return self._continue(msgspec.json.decode(payload, type=_BlockDelta))
            case "content_block_stop":
                return self._close(msgspec.json.decode(payload, type=_BlockStop).index)
            case "message_delta":
                return self._end_turn(msgspec.json.decode(payload, type=_MessageDelta))
            case "message_stop":
                if self._finish is None:
                    raise ValueError("a message stopped without a reason")
                self._has_stopped = True
            case "error":
                raise StreamFault(fault_of(msgspec.json.decode(payload, type=_Error).error, 500))
        return b""  # a ping, or something that is newer than this

    def end(self) -> bytes:
        """Usage and the end mark, if the message came to its end."""
        if not self._has_stopped or self._head is None:
            return b""
        usage = self._usage.as_chat()
        if usage is UNSET:
            return DONE
        head = self._head
        return event(Chunk(id=head.id, created=self._created, model=head.model, choices=[], usage=usage)) + DONE

    def _begin(self, start: _Start) -> bytes:
        if self._head is not None:
            raise ValueError("a second message in one stream")
        self._head, self._usage, self._created = start.message, start.message.usage, int(time.time())
        return self._say(Message(role="assistant", content=""))

    def _say(self, delta: Message, finish: FinishReason | None = None) -> bytes:
        if self._head is None:
            raise ValueError("a stream that does not begin with its message")
        choice = ChunkChoice(index=0, delta=delta, finish_reason=finish)
        return event(Chunk(id=self._head.id, created=self._created, model=self._head.model, choices=[choice]))

    def _open_block(self, start: _BlockStart) -> bytes:
        if start.index in self._open or len(self._open) >= MAX_OPEN_BLOCKS:
            raise ValueError("blocks that do not follow each other")
        raw = start.content_block
        match msgspec.json.decode(raw, type=Typed).type:
            case "text":
                text = msgspec.json.decode(raw, type=TextBlock)
                self._open[start.index] = opened = _Text(self._characters, [])
                for citation in text.citations or ():
                    self._cite(opened, citation)
                return self._say_text(text.text)
            case "thinking":
                thinking = msgspec.json.decode(raw, type=ThinkingBlock)
                self._open[start.index] = _Thought([thinking.thinking], [thinking.signature])
                self._keep(len(thinking.thinking) + len(thinking.signature))
                return self._say(Message(reasoning_content=thinking.thinking)) if thinking.thinking else b""
            case "redacted_thinking":
                redacted = msgspec.json.decode(raw, type=RedactedBlock)
                self._keep(len(redacted.data))
                self._open[start.index] = redacted
            case "tool_use":
                return self._call(start.index, msgspec.json.decode(raw, type=ToolUseBlock))
        return b""

    def _call(self, block: int, said: ToolUseBlock) -> bytes:
        self._open[block] = call = _Call(self._calls, said)
        self._calls += 1
        function = FunctionCall(name=said.name)
        return self._say(
            Message(tool_calls=[ToolCall(index=call.index, id=said.id, type="function", function=function)])
        )

    def _continue(self, piece: _BlockDelta) -> bytes:
        raw, opened = piece.delta, self._open.get(piece.index)
        kind = msgspec.json.decode(raw, type=Typed).type
        if kind == "text_delta" and isinstance(opened, _Text):
            return self._say_text(msgspec.json.decode(raw, type=_TextDelta).text)
        if kind == "thinking_delta" and isinstance(opened, _Thought):
            thought = msgspec.json.decode(raw, type=_ThinkingDelta).thinking
            self._keep(len(thought))
            opened.pieces.append(thought)
            return self._say(Message(reasoning_content=thought)) if thought else b""
        if kind == "signature_delta" and isinstance(opened, _Thought):
            signature = msgspec.json.decode(raw, type=_SignatureDelta).signature
            self._keep(len(signature))
            opened.signature.append(signature)
        elif kind == "citations_delta" and isinstance(opened, _Text):
            self._cite(opened, msgspec.json.decode(raw, type=_CitationDelta).citation)
        elif kind == "input_json_delta" and isinstance(opened, _Call):
            arguments = msgspec.json.decode(raw, type=_JsonDelta).partial_json
            if arguments:
                opened.has_arguments = True
                return self._say_arguments(opened.index, arguments)
        return b""  # of a server's tool, or newer than this

    def _say_text(self, text: str) -> bytes:
        self._characters += len(text)
        return self._say(Message(content=text)) if text else b""

    def _say_arguments(self, index: int, arguments: str) -> bytes:
        return self._say(Message(tool_calls=[ToolCall(index=index, function=FunctionCall(arguments=arguments))]))

    def _cite(self, text: _Text, citation: dict[str, Any]) -> None:
        if annotation(citation, 0, 0) is not None:
            self._keep(len(str(citation["url"])) + len(str(citation.get("title"))))
            text.citations.append(citation)

    def _keep(self, characters: int) -> None:
        self._kept += characters
        if self._kept > MAX_KEPT_CHARACTERS:
            raise ValueError("too much to keep of one stream")

    def _close(self, index: int) -> bytes:
        match self._open.pop(index, None):
            case _Thought() | RedactedBlock() as thought:
                return self._say(Message(thinking_blocks=[thought.as_sent_back()]))
            case _Text(start=start, citations=citations) if citations:
                found = (annotation(each, start, self._characters) for each in citations)
                return self._say(Message(annotations=[each for each in found if each is not None]))
            case _Call(has_arguments=False) as call:
                return self._say_arguments(call.index, call.said.arguments)
        return b""

    def _end_turn(self, told: _MessageDelta) -> bytes:
        if told.usage is not None:
            self._usage = self._usage.updated(told.usage)
        if told.delta.stop_reason is None or self._finish is not None:
            return b""
        said = b"".join([self._close(index) for index in list(self._open)])
        self._finish = finish_of(told.delta.stop_reason, has_calls=self._calls > 0)
        details = told.delta.stop_details
        refusal = details.explanation if details is not None and details.explanation else UNSET
        return said + self._say(Message(refusal=refusal), self._finish)
