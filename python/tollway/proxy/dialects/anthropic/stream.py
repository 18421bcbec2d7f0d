"""Streamed answers of the hub as Anthropic's events.

Source: platform.claude.com, "Streaming Messages": ``message_start``, then blocks one after the other, each with its
start, its deltas and its stop, then ``message_delta`` and ``message_stop``. The hub has no blocks, and its calls may
come interleaved: what can't be said yet is held, within a bound.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from tollway.proxy.dialects.anthropic.answer import (
    calls_told,
    ending,
    error_of,
    function_of,
    made_id,
    name_of,
    thoughts_of,
)
from tollway.proxy.dialects.anthropic.signatures import Packing
from tollway.proxy.dialects.anthropic.usage import Counts
from tollway.proxy.dialects.heard import Calls, said
from tollway.proxy.dialects.port import Refused
from tollway.wire.anthropic_messages import (
    Block,
    BlockDelta,
    BlockStart,
    BlockStop,
    InputDelta,
    Message,
    MessageDelta,
    MessageStart,
    MessageStop,
    RedactedThinkingBlock,
    SignatureDelta,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolUseBlock,
    event,
)

MAX_HELD_CHARACTERS = 1024 * 1024
"""So much may wait for its turn; a stream that makes more wait has failed."""

_NO_INPUT = msgspec.Raw(b"{}")


class _Call:
    """One call of the stream: what it said, and what of it waits."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []
        self.characters = 0

    def is_whole(self) -> bool:
        """Whether its arguments are a JSON value: what follows belongs to another call."""
        if self.characters > MAX_HELD_CHARACTERS or not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        self.pieces = ["".join(self.pieces)]
        try:
            msgspec.json.decode(self.pieces[0])
        except (ValueError, RecursionError):
            return False
        return True


class MessageEvents:
    """Says one stream; methods as :class:`~tollway.proxy.dialects.port.Writer` says."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._id = ""
        self._model = ""
        self._out: list[bytes] = []
        self._has_begun = False
        self._has_ended = False
        self._blocks = 0
        self._open: Block | None = None
        self._thought_characters = 0  # of the open thought
        self._places = Calls()
        self._calls: list[_Call] = []
        self._opened = 0  # calls that have got their block; the last of them may be the open one
        self._texts: list[str] = []  # that wait until the calls are over
        self._held = 0
        self._packing = Packing()
        self._counts = Counts()
        self._finish: object = None
        self._stop: object = None
        self._explanation = ""
        self._is_refused = False

    def event(self, payload: bytes) -> bytes:
        """The events that a chunk becomes."""
        try:
            chunk = msgspec.json.decode(payload)
        except RecursionError:
            raise ValueError("the chunk is nested too deeply") from None
        if not isinstance(chunk, dict) or chunk.get("error"):
            raise ValueError("no chunk")
        choices = chunk.get("choices") or []  # none beside usage
        if not isinstance(choices, list):
            raise ValueError("the choices are no list")
        if not self._has_begun:  # Azure's first chunk names neither
            self._id, self._model = self._id or name_of(chunk, "id"), self._model or name_of(chunk, "model")
        self._counts.hear(chunk.get("usage"))
        if self._id and self._model:
            self._begin()
        for choice in choices:
            if not isinstance(choice, dict):
                raise ValueError("a choice that is none")
            if choice.get("index") in (None, 0):  # a Messages client asks for one
                self._hear(choice)
        return self._told()

    def end(self) -> bytes:
        """The rest: what was held, why the message ended, and all counts."""
        if self._has_ended:
            return b""
        self._has_ended = True
        self._begin()
        self._say_rest()
        end = ending(
            self._finish,
            has_calls=bool(self._calls),
            stop=self._stop,
            refusal=self._explanation,
            is_refused=self._is_refused,
        )
        self._out += [event(MessageDelta(end, self._counts.usage())), event(MessageStop())]
        return self._told()

    def fault(self, refused: Refused) -> bytes:
        """The error that ends the stream; after it nothing is said."""
        self._has_ended = True
        return event(error_of(refused))

    def _told(self) -> bytes:
        told, self._out = b"".join(self._out), []
        return told

    def _begin(self) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        message = Message(
            id=self._id or made_id("msg"), model=self._model or self._alias, content=[], usage=self._counts.usage()
        )
        self._out.append(event(MessageStart(message)))

    def _hear(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta") or {}
        if not isinstance(delta, dict):
            raise ValueError("a delta that is none")
        finish = choice.get("finish_reason") or None
        heard = said(delta)
        if heard.thought:
            self._think(heard.thought)
        for block in thoughts_of(delta.get("thinking_blocks")):
            self._close_thought(block, is_told=bool(heard.thought))
        if heard.text:
            self._speak(heard.text)
        if heard.refusal:
            self._is_refused = True
            if finish == "content_filter":  # a filter's reason is no word of the model
                self._explanation = heard.refusal
            else:
                self._speak(heard.refusal)
        self._packing.keep(delta.get("extra_content"))
        for call in calls_told(delta):
            self._call(call)
        if finish is not None:
            self._finish, self._stop = finish, choice.get("stop_reason")
            if any(not call.name for call in self._calls):
                raise ValueError("a call without a name")

    def _open_block(self, block: Block) -> None:
        self._close()
        self._begin()
        self._open = block
        self._out.append(event(BlockStart(self._blocks, block)))

    def _delta(self, delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta) -> None:
        self._out.append(event(BlockDelta(self._blocks, delta)))

    def _close(self) -> None:
        if self._open is None:
            return
        if isinstance(self._open, ToolUseBlock) and not self._calls[self._opened - 1].characters:
            self._delta(InputDelta("{}"))  # a call without arguments
        self._out.append(event(BlockStop(self._blocks)))
        self._open = None
        self._blocks += 1

    def _think(self, thought: str) -> None:
        if self._is_calling():
            return  # nothing comes of a thought behind a call, and the call is not over
        if not isinstance(self._open, ThinkingBlock):
            self._open_block(ThinkingBlock("", ""))
            self._thought_characters = 0
        self._thought_characters += len(thought)
        self._delta(ThinkingDelta(thought))

    def _close_thought(self, block: ThinkingBlock | RedactedThinkingBlock, *, is_told: bool) -> None:
        """A block of thought as its vendor wants it back: its text has been said already, its signature has not."""
        if self._is_calling():
            return
        if isinstance(block, RedactedThinkingBlock):
            self._open_block(block)
            self._close()
            return
        if not isinstance(self._open, ThinkingBlock):
            self._open_block(ThinkingBlock("", ""))
            self._thought_characters = 0
        if not is_told and (rest := block.thinking[self._thought_characters :]):
            self._thought_characters += len(rest)
            self._delta(ThinkingDelta(rest))
        if block.signature:
            self._delta(SignatureDelta(block.signature))
            self._close()

    def _speak(self, text: str) -> None:
        if self._is_calling():
            self._hold(len(text))
            self._texts.append(text)
            return
        if not isinstance(self._open, TextBlock):
            self._open_block(TextBlock(""))
        self._delta(TextDelta(text))

    def _is_calling(self) -> bool:
        """Whether a call is under way whose block can't be closed yet."""
        if self._opened < len(self._calls):
            return True
        return isinstance(self._open, ToolUseBlock) and not self._calls[self._opened - 1].is_whole()

    def _hold(self, characters: int) -> None:
        self._held += characters
        if self._held > MAX_HELD_CHARACTERS:
            raise ValueError("too much of one stream waits for its turn")

    def _call(self, piece: Mapping[str, Any]) -> None:
        name, arguments = function_of(piece)
        place = self._places.place(piece)
        if place == len(self._calls):
            self._calls.append(_Call())
        call = self._calls[place]
        call.id = call.id or name_of(piece, "id")
        call.name = call.name or name
        if (extra := piece.get("extra_content")) is not None:
            call.id = call.id or made_id("toolu")
            self._packing.keep(extra, call.id)
        self._advance()
        if arguments:
            self._continue(place, call, arguments)
            self._advance()

    def _continue(self, place: int, call: _Call, arguments: str) -> None:
        if place == self._opened - 1 and isinstance(self._open, ToolUseBlock):
            self._delta(InputDelta(arguments))
        elif place >= self._opened:
            self._hold(len(arguments))
        elif arguments.strip():
            raise ValueError("arguments for a call that was over")
        call.characters += len(arguments)
        if call.characters <= MAX_HELD_CHARACTERS:
            call.pieces.append(arguments)

    def _advance(self) -> None:
        """Opens the calls that wait, as far as the one before them is whole."""
        while self._opened < len(self._calls) and self._calls[self._opened].name:
            if isinstance(self._open, ToolUseBlock) and not self._calls[self._opened - 1].is_whole():
                return
            self._open_call(self._calls[self._opened])

    def _open_call(self, call: _Call) -> None:
        call.id = call.id or made_id("toolu")
        self._carry()
        self._open_block(ToolUseBlock(call.id, call.name, _NO_INPUT))
        self._opened += 1
        if call.characters:
            self._held -= call.characters
            self._delta(InputDelta("".join(call.pieces)))

    def _carry(self) -> None:
        """Says what vendors want back, the first of it as the signature of a thought that is open and has none."""
        for signature in self._packing.signatures():
            if not isinstance(self._open, ThinkingBlock):
                self._open_block(ThinkingBlock("", ""))
            self._delta(SignatureDelta(signature))
            self._close()

    def _say_rest(self) -> None:
        while self._opened < len(self._calls):
            if not self._calls[self._opened].name:  # the stream ended without a reason: nothing to be made of it
                del self._calls[self._opened :]
                break
            self._open_call(self._calls[self._opened])
        if self._texts:
            if not isinstance(self._open, TextBlock):
                self._open_block(TextBlock(""))
            self._delta(TextDelta("".join(self._texts)))
        self._carry()
        self._close()
