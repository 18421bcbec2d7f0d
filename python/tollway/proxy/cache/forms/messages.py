"""Streams of Anthropic's Messages as whole answers, and the other way.

Source: platform.claude.com, "Streaming Messages": the message without content, blocks one after the other, each with
its start, its deltas and its stop, then the reason why it ended and all counts.
"""

from typing import Any

import msgspec

from tollway.proxy.cache.forms.counted import Counted, of_messages
from tollway.proxy.cache.forms.framing import (
    DONE,
    Dict,
    decoded,
    encode,
    index_of,
    named,
    object_of,
    objects_of,
    pieces,
    text_of,
)
from tollway.proxy.cache.forms.merging import agree, put

_BLOCKS = ("text", "tool_use", "thinking", "redacted_thinking")
"""What is put together here; tools that Anthropic runs answer with what was true at that time."""

_ENDING = ("stop_reason", "stop_sequence", "stop_details", "container")
"""What a message is told at its end."""

_LATE = ("server_tool_use", "output_tokens_details")
_TOTALS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", *_LATE)
"""Counts that are told at the end (again), beside the output's."""


def whole(payloads: list[bytes], counted: Counted | None) -> bytes:
    """The message that was streamed.

    Raises:
        ValueError: it can't be told for sure.
    """
    if payloads and payloads[-1].strip() == DONE:
        payloads = payloads[:-1]
    answer = _Answer()
    for payload in payloads:
        answer.hear(decoded(payload))
    return answer.whole(counted)


class _Answer:
    def __init__(self) -> None:
        self._message: Dict | None = None
        self._usage: Dict = {}
        self._blocks: list[_Block] = []
        self._is_open = False
        self._is_over = False

    def hear(self, event: Dict) -> None:
        """Takes in an event."""
        kind = event.get("type")
        if kind == "ping":
            return
        if self._is_over:
            raise ValueError("the stream goes on behind its end")
        if kind == "message_start" and self._message is None:
            self._start(object_of(event.get("message")))
        elif self._message is None:
            raise ValueError("the message has not begun")
        elif kind == "content_block_delta" and self._is_open:
            self._check_place(event, len(self._blocks) - 1)
            self._blocks[-1].hear(object_of(event.get("delta")))
        elif kind == "content_block_start" and not self._is_open:
            self._check_place(event, len(self._blocks))
            self._blocks.append(_Block(object_of(event.get("content_block"))))
            self._is_open = True
        elif kind == "content_block_stop" and self._is_open:
            self._check_place(event, len(self._blocks) - 1)
            self._is_open = False
        elif kind == "message_delta" and not self._is_open:
            self._end(event, self._message)
        elif kind == "message_stop" and self._message.get("stop_reason"):
            self._is_over = True
        else:
            raise ValueError("an event that is not known, or out of its turn")

    def _start(self, message: Dict) -> None:
        if message.get("content") != []:
            raise ValueError("a message that begins with content")
        self._usage = object_of(message.get("usage") or {})
        self._message = message

    def _check_place(self, event: Dict, place: int) -> None:
        if self._message is None or self._message.get("stop_reason") or index_of(event.get("index")) != place:
            raise ValueError("a block out of its turn")

    def _end(self, event: Dict, message: Dict) -> None:
        for name, value in object_of(event.get("delta")).items():
            put(message, name, value)
        for name, value in object_of(event.get("usage") or {}).items():
            if value is not None or name not in self._usage:  # totals: they replace what was told at first
                self._usage[name] = value
        for name, value in event.items():
            if name not in ("type", "delta", "usage"):
                put(message, name, value)

    def whole(self, counted: Counted | None) -> bytes:
        """All of it."""
        if self._message is None or not self._is_over:
            raise ValueError("the message has no end")
        self._message["content"] = [block.whole() for block in self._blocks]
        if self._usage or counted is None:
            self._message["usage"] = self._usage
        else:
            self._message["usage"] = of_messages(counted)
        return encode(self._message)


class _Block:
    def __init__(self, start: Dict) -> None:
        self._kind = text_of(start.get("type"))
        if self._kind not in _BLOCKS:
            raise ValueError("a block that is not known")
        self._block = start
        self._pieces: list[str] = []
        self._citations: list[Any] = []

    def hear(self, delta: Dict) -> None:
        """Takes in a delta."""
        if len(delta) != 2:
            raise ValueError("a delta that is not known")
        match self._kind, delta:
            case ("text", {"type": "text_delta", "text": str(text)}):
                self._pieces.append(text)
            case ("tool_use", {"type": "input_json_delta", "partial_json": str(text)}):
                self._pieces.append(text)
            case ("thinking", {"type": "thinking_delta", "thinking": str(text)}):
                self._pieces.append(text)
            case ("thinking", {"type": "signature_delta", "signature": str(signature)}):
                self._block["signature"] = agree(self._block.get("signature") or None, signature)
            case ("text", {"type": "citations_delta", "citation": dict(citation)}):
                self._citations.append(citation)
            case _:
                raise ValueError("a delta that is not known")

    def whole(self) -> Dict:
        """All of it."""
        block, said = self._block, "".join(self._pieces)
        if self._kind in ("text", "thinking"):
            block[self._kind] = text_of(block.get(self._kind)) + said
        if self._citations:
            block["citations"] = [*objects_of(block.get("citations") or []), *self._citations]
        if self._kind == "tool_use":
            text_of(block.get("name"))
            block["input"] = _input(object_of(block.get("input") or {}), said)
        return block


def _input(begun: Dict, said: str) -> Any:
    if not said:
        return begun
    if begun:
        raise ValueError("an input that is told twice")
    decoded(said.encode())
    return msgspec.Raw(said.encode())  # every number as it was written


class _Called(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw()


class _Calling(msgspec.Struct):
    content: list[_Called]


def events(body: bytes, characters: int) -> list[bytes]:
    """The events of a message, texts in pieces of about so many ``characters``.

    Raises:
        ValueError: it is none.
    """
    message = decoded(body)
    blocks = objects_of(message.get("content"))
    inputs = [each.input for each in msgspec.json.decode(body, type=_Calling).content]
    usage = object_of(message.get("usage"))
    end = {name: message[name] for name in _ENDING if name in message}
    text_of(end.get("stop_reason"))
    beside = {name: message.pop(name) for name in ("context_management",) if name in message}
    start = message | {"content": [], "stop_reason": None}
    for name in ("stop_sequence", "stop_details"):
        if name in start:
            start[name] = None
    start.pop("container", None)
    start["usage"] = {name: value for name, value in usage.items() if name not in _LATE} | {"output_tokens": 0}
    told = _Telling(characters)
    told.say("message_start", {"message": start})
    for place, (block, written) in enumerate(zip(blocks, inputs, strict=True)):
        told.block(place, block, written)
    totals = {name: usage[name] for name in (*_TOTALS, "output_tokens") if name in usage}
    told.say("message_delta", {"delta": end, "usage": totals, **beside})
    told.say("message_stop", {})
    return told.said


class _Telling:
    """The events on their way out."""

    def __init__(self, characters: int) -> None:
        self._characters = characters
        self.said: list[bytes] = []

    def say(self, kind: str, fields: Dict) -> None:
        """The next event."""
        self.said.append(named(kind, encode({"type": kind, **fields})))

    def block(self, place: int, block: Dict, written: msgspec.Raw) -> None:
        """One block; a kind that is not known is told whole where it starts, as Anthropic tells of its own tools."""
        kind = text_of(block.get("type"))
        start = dict(block)
        if kind in ("text", "thinking"):
            start[kind] = ""
        if kind == "text" and block.get("citations"):
            start["citations"] = []
        if kind == "thinking" and "signature" in block:
            start["signature"] = ""
        is_call = kind.endswith("tool_use")
        if is_call:
            start["input"] = {}
        self.say("content_block_start", {"index": place, "content_block": start})
        if kind in ("text", "thinking"):
            self._in_pieces(place, f"{kind}_delta", kind, text_of(block.get(kind)))
        elif is_call:
            object_of(block.get("input"))
            compact = msgspec.json.format(bytes(written), indent=-1).decode()
            self._in_pieces(place, "input_json_delta", "partial_json", compact)
        if kind == "thinking" and block.get("signature"):
            self._delta(place, {"type": "signature_delta", "signature": text_of(block["signature"])})
        if kind == "text":
            for citation in objects_of(block.get("citations") or []):
                self._delta(place, {"type": "citations_delta", "citation": citation})
        self.say("content_block_stop", {"index": place})

    def _delta(self, place: int, delta: Dict) -> None:
        self.say("content_block_delta", {"index": place, "delta": delta})

    def _in_pieces(self, place: int, kind: str, name: str, text: str) -> None:
        before = encode({"type": "content_block_delta", "index": place, "delta": {"type": kind, name: ""}})[:-4]
        for piece in pieces(text, self._characters):
            self.said.append(named("content_block_delta", b"%b%b}}" % (before, encode(piece))))
