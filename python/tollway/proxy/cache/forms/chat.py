"""Streams of chat as whole answers."""

from collections.abc import Callable, Mapping
from typing import Any

from tollway.proxy.cache.forms import chunks
from tollway.proxy.cache.forms.chunks import OF_STREAMS, Rest
from tollway.proxy.cache.forms.counted import Counted
from tollway.proxy.cache.forms.framing import Dict, index_of, object_of, objects_of, text_of
from tollway.proxy.cache.forms.merging import add_details, add_extra, add_parts, agree, put

TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
"""What a message says in pieces; two names for thoughts are common (DeepSeek; OpenRouter, Groq, Ollama)."""

_LISTS = ("annotations", "thinking_blocks")
"""What a message has more and more of; each entry is whole."""

_GROWING: Mapping[str, Callable[[Any, Any], Any]] = {"reasoning_details": add_details, "extra_content": add_extra}

_MAX_CALLS = 1024


def whole(payloads: list[bytes], counted: Counted | None) -> bytes:
    """The ``chat.completion`` that was streamed.

    Raises:
        ValueError: it can't be told for sure.
    """
    return chunks.whole(payloads, "chat.completion", _Choice, counted)


class _Choice:
    def __init__(self) -> None:
        self._message = _Message()
        self._rest = Rest()

    def hear(self, told: Dict) -> None:
        if "message" in told:
            raise ValueError("a choice that is whole, and told in pieces")
        told.pop("text", None)  # Together's, the same as the delta's
        delta = told.pop("delta", None)
        self._rest.hear(told, is_saying=bool(delta) and self._message.hear(object_of(delta)))

    def whole(self, place: int) -> Dict:
        message = self._message.whole()
        return {"index": place, "message": message, **self._rest.whole()}


class _Message:
    def __init__(self) -> None:
        self._fields: Dict = {"role": None}
        self._texts: dict[str, list[str]] = {}
        self._calls: list[_Call] = []
        self._call: _Call | None = None

    def hear(self, delta: Dict) -> bool:
        """Takes in a piece of it; whether it says anything."""
        has_said = False
        for name, value in delta.items():
            if value is None:
                self._fields.setdefault(name, None)
            elif name in self._texts and isinstance(value, str):
                has_said = bool(value) or has_said
                self._texts[name].append(value)
            elif name in TEXTS and isinstance(value, str):
                has_said = bool(value) or has_said
                self._begin_text(name, value)
            elif name == "role":
                put(self._fields, name, text_of(value))
            elif name not in OF_STREAMS:
                has_said = bool(value) or has_said
                self._hear_other(name, value)
        return has_said

    def _begin_text(self, name: str, text: str) -> None:
        if self._fields.get(name) is None:
            self._fields[name] = None
            self._texts[name] = [text]
        else:
            self._fields[name] = add_parts(self._fields[name], text)

    def _hear_other(self, name: str, value: Any) -> None:
        if name == "tool_calls":
            self._fields.setdefault(name, [])
            for piece in objects_of(value):
                self._hear_call(piece)
        elif name == "function_call":
            self._fields.setdefault(name, None)
            if self._call is None:
                self._call = _Call()
            self._call.hear({"function": value})
        elif name in _LISTS:
            self._fields[name] = [*(self._fields.get(name) or []), *objects_of(value)]
        elif name in _GROWING:
            self._fields[name] = _GROWING[name](self._fields.get(name), value)
        elif name == "content":
            said = "".join(self._texts.pop(name, []))
            self._fields[name] = add_parts(self._fields.get(name) or said, value)
        else:
            put(self._fields, name, value)

    def _hear_call(self, piece: Dict) -> None:
        place = index_of(piece.pop("index", None))
        if place == len(self._calls) and place < _MAX_CALLS:
            self._calls.append(_Call())
        elif place >= len(self._calls):
            raise ValueError("a call is missing")
        self._calls[place].hear(piece)

    def whole(self) -> Dict:
        """All of it."""
        fields = self._fields
        fields["role"] = fields["role"] or "assistant"  # vLLM's successors don't tell
        for name, pieces in self._texts.items():
            fields[name] = "".join(pieces)
        if self._calls:
            fields["tool_calls"] = [call.whole() for call in self._calls]
        if self._call is not None:
            fields["function_call"] = self._call.whole()["function"]
        return fields


class _Call:
    """A call of a function, or of a custom tool, whose text is its ``input``."""

    def __init__(self) -> None:
        self._fields: Dict = {}
        self._inner: Dict = {}
        self._kind = ""
        self._pieces: list[str] = []

    def hear(self, piece: Dict) -> None:
        """Takes in a piece of it."""
        for name, value in piece.items():
            if name in ("function", "custom") and value is not None:
                self._hear_inner(name, object_of(value))
            elif value != "" or name not in self._fields:
                self._fields[name] = agree(self._fields.get(name) or None, value)

    def _hear_inner(self, kind: str, told: Dict) -> None:
        if self._kind not in ("", kind):
            raise ValueError("a call of two kinds")
        self._kind = kind
        self._fields.setdefault(kind, None)
        for name, value in told.items():
            if name in ("arguments", "input") and isinstance(value, str):
                self._inner.setdefault(name, None)
                self._pieces.append(value)
            elif name == "name" and self._inner.get(name):
                if value:
                    raise ValueError("a call has two names, or one in pieces")
            else:
                put(self._inner, name, value)

    def whole(self) -> Dict:
        """All of it."""
        if not self._inner.get("name"):
            raise ValueError("a call has no name")
        if self._pieces:
            name = "arguments" if self._kind == "function" else "input"
            if self._inner.get(name, "") is not None:
                raise ValueError("what a call says is no text")
            self._inner[name] = "".join(self._pieces)
        self._fields[self._kind] = self._inner
        return self._fields
