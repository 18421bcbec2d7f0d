"""Messages of Anthropic's as turns of the hub.

What tools answered stands in a user's message there and in turns of its own here, before what else the user said.
Thoughts go back to whoever made them: signed ones as they are, unsigned ones as ``reasoning_content``, and those that
the gateway made to carry what another vendor wants back (``signatures``) as that vendor's ``extra_content``.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET

from tollway.errors import InvalidRequest
from tollway.proxy.dialects.anthropic.content import content_of, is_unsayable, part_of, parts_of
from tollway.proxy.dialects.anthropic.fields import Lost, Marked, mark_of, read, refused_type, typed
from tollway.proxy.dialects.anthropic.signatures import unpack
from tollway.wire.hub import Call, Extra, Function, Part, Thought, Turn


class _Message(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[msgspec.Raw]


class _ToolUse(msgspec.Struct):
    id: str
    name: str
    input: msgspec.Raw
    cache_control: Marked | None = None


class _ToolResult(msgspec.Struct):
    tool_use_id: str
    content: str | list[msgspec.Raw] | None = None
    is_error: bool | None = None
    cache_control: Marked | None = None


class _Thinking(msgspec.Struct):
    thinking: str
    signature: str = ""


class _Redacted(msgspec.Struct):
    data: str


def turns_of(messages: list[msgspec.Raw], lost: Lost) -> list[Turn]:
    """The turns, in order.

    Raises:
        InvalidRequest: a message is malformed, or there is none.
    """
    turns = []
    for place, raw in enumerate(messages):
        param = f"messages.{place}"
        message = read(raw, _Message, param)
        match message.role:
            case "user":
                turns += _user(message.content, f"{param}.content", lost)
            case "assistant":
                turns += _assistant(message.content, f"{param}.content", lost)
            case "system":
                turns += system_turns(message.content, f"{param}.content", lost, in_place=True)
    if not turns:
        raise InvalidRequest("There must be a message with some content.", param="messages")
    return turns


def system_turns(content: str | list[msgspec.Raw], param: str, lost: Lost, *, in_place: bool) -> list[Turn]:
    """What the system says: one turn, or none. One that stands among the messages (``in_place``) stays there.

    Raises:
        InvalidRequest: it holds more than text.
    """
    if isinstance(content, str):
        parts = [Part(type="text", text=content)]
    else:
        parts = []
        for place, raw in enumerate(content):
            here = f"{param}.{place}"
            kind = typed(raw, here)
            if kind != "text" and not is_unsayable(kind):
                raise refused_type(here)
            parts += part_of(raw, kind, here, lost)
    if not parts:
        return []
    extra: Extra = {"anthropic": {"in_place": True}}
    return [Turn(role="system", content=content_of(parts), extra_content=extra if in_place else UNSET)]


def _user(content: str | list[msgspec.Raw], param: str, lost: Lost) -> list[Turn]:
    if isinstance(content, str):
        return [Turn(role="user", content=content)]
    results: list[Turn] = []
    parts: list[Part] = []
    for place, raw in enumerate(content):
        here = f"{param}.{place}"
        kind = typed(raw, here)
        if kind == "tool_result":
            results.append(_result(read(raw, _ToolResult, here), here, lost))
        else:
            parts += part_of(raw, kind, here, lost)
    return results + ([Turn(role="user", content=content_of(parts))] if parts else [])


def _result(told: _ToolResult, param: str, lost: Lost) -> Turn:
    parts = parts_of(told.content, f"{param}.content", lost)
    return Turn(
        role="tool",
        tool_call_id=told.tool_use_id,
        content=content_of(parts) or "",
        is_error=told.is_error or UNSET,
        cache_control=mark_of(told.cache_control),
    )


def _assistant(content: str | list[msgspec.Raw], param: str, lost: Lost) -> list[Turn]:
    if isinstance(content, str):
        return [Turn(role="assistant", content=content)]
    said = _Said()
    for place, raw in enumerate(content):
        here = f"{param}.{place}"
        match kind := typed(raw, here):
            case "text":
                said.speak(part_of(raw, kind, here, lost))
            case "tool_use":
                said.call(read(raw, _ToolUse, here), here)
            case "thinking":
                said.think(read(raw, _Thinking, here), here)
            case "redacted_thinking":
                said.redact(read(raw, _Redacted, here).data)
            case _ if is_unsayable(kind) or kind in ("image", "document", "search_result"):
                lost.add(f"messages.{kind}")
            case _:
                raise refused_type(here)
    return said.turns()


class _Said:
    """What one message of the assistant says, by kind."""

    def __init__(self) -> None:
        self._order: list[str] = []
        self._parts: list[Part] = []
        self._calls: list[Call] = []
        self._thoughts: list[Thought] = []
        self._unsigned = ""
        self._extra: Extra = {}
        self._of_calls: dict[str, Extra] = {}

    def speak(self, parts: list[Part]) -> None:
        """A text."""
        self._parts += parts
        self._order += ["text" for part in parts if isinstance(part.text, str) and part.text.strip()]

    def call(self, told: _ToolUse, param: str) -> None:
        """A call."""
        if not told.id or not told.name:
            raise InvalidRequest("A call has an id and a name.", param=param)
        arguments = bytes(told.input).decode()
        if not arguments.lstrip().startswith("{"):
            raise InvalidRequest("The input of a call is an object.", param=f"{param}.input")
        self._order.append("tool_use")
        function = Function(told.name, arguments)
        self._calls.append(Call(id=told.id, function=function, cache_control=mark_of(told.cache_control)))

    def think(self, told: _Thinking, param: str) -> None:
        """A thought: signed by Anthropic, carrying what another vendor signed, or neither."""
        try:
            packed = unpack(told.signature)
        except ValueError:
            message = "A thought must come back as it was given."
            raise InvalidRequest(message, param=f"{param}.signature") from None
        if packed is None and told.signature:
            self._order.append("thinking")
            self._thoughts.append(Thought(type="thinking", thinking=told.thinking, signature=told.signature))
            return
        self._unsigned += told.thinking
        if packed is not None:
            vendor, carried = packed
            if carried.message:
                self._extra[vendor] = carried.message
            for call_id, extra in carried.calls.items():
                self._of_calls.setdefault(call_id, {})[vendor] = extra

    def redact(self, data: str) -> None:
        """A thought that only its vendor can read."""
        self._order.append("thinking")
        self._thoughts.append(Thought(type="redacted_thinking", data=data))

    def turns(self) -> list[Turn]:
        """The turn, if anything was said. The order of its blocks is noted where it is not the usual one."""
        if not self._parts and not self._calls and not self._thoughts and not self._unsigned:
            return []
        for call in self._calls:
            call.extra_content = self._of_calls.get(call.id) or UNSET
        if self._order != sorted(self._order, key=("thinking", "text", "tool_use").index):
            self._extra["anthropic"] = {"order": self._order}
        content: Any = content_of(self._parts) if self._parts else None if self._calls else ""
        turn = Turn(
            role="assistant",
            content=content,
            tool_calls=self._calls or UNSET,
            thinking_blocks=self._thoughts or UNSET,
            reasoning_content=self._unsigned or UNSET,
            extra_content=self._extra or UNSET,
        )
        return [turn]
