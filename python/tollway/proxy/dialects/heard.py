"""What an answer of the hub says, whichever OpenAI-like provider wrote it.

A writer reads the hub through this module alone, for the hub is also what Mistral, Groq, vLLM, OpenRouter and others
answer: content as a list of parts, thoughts under three names, calls without an index or with the same one for all.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

MOST_CALLS = 1024
"""A stream with more calls than this is broken; nothing is kept without a bound."""


MOST_TOKENS = 2**31 - 1
"""No call has more; a larger number is a provider's fault and counts as not told."""

MOST_COMPARED = 64 * 1024
"""Arguments of a call longer than this, in characters, are not read again to see whether they are whole."""


def first_count(*told: Any) -> int | None:
    """The first of them that is a count: a whole number, though it may be written as ``12.0``. Anything else a
    provider may have put there tells nothing, and makes no answer worthless."""
    for value in told:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and 0 <= value <= MOST_TOKENS and value == int(value):
            return int(value)
    return None


class Said(NamedTuple):
    """What one message, or one piece of it, says: each part may be empty."""

    text: str
    thought: str
    refusal: str


def said(message: Mapping[str, Any]) -> Said:
    """What ``message`` (or a ``delta``) says, besides its calls.

    Raises:
        ValueError: a field has a type that no provider gives it.
    """
    content = message.get("content")
    text, thought = _parts(content) if isinstance(content, list) else (_text(content), "")
    own = message.get("reasoning_content") or message.get("reasoning")
    return Said(text, thought + _text(own), _text(message.get("refusal")))


def _parts(parts: Sequence[Any]) -> tuple[str, str]:
    """Texts and thoughts of a content that is a list (Mistral): a thought is itself a list of texts."""
    text = thought = ""
    for part in parts:
        if not isinstance(part, dict):
            raise ValueError("a part of the content is no object")
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            thought += _parts(inner)[0] if isinstance(inner, list) else _text(inner)
        elif "text" in part:
            text += _text(part["text"])
    return text, thought


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("a text is no string")
    return value


class Calls:
    """Tells which call of a stream a piece belongs to: its place, counted from 0 in the order in which calls began.

    Providers leave ``index`` out (Mistral, OpenRouter), give every call the same one, or jump; a new id beside a known
    index is a new call, and so is a name where all arguments of the last one are there. A piece with none of them
    belongs to the call that was spoken of last.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._of_index: dict[int, int] = {}
        self._last: int | None = None
        self._arguments: list[str] = []  # of each call, as far as they are compared

    @property
    def count(self) -> int:
        """How many calls have begun."""
        return len(self._ids)

    def place(self, piece: Mapping[str, Any]) -> int:
        """Where ``piece``, an item of a delta's ``tool_calls``, belongs: the former :attr:`count` if it is new.

        Raises:
            ValueError: too many calls, or an id or index of a wrong type.
        """
        index, identity = piece.get("index"), _text(piece.get("id"))
        if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
            raise ValueError("the index of a call is no number")
        known = self._known(index, identity, starts=bool(_name(piece)))
        if known is None:
            if len(self._ids) == MOST_CALLS:
                raise ValueError("too many calls")
            known = len(self._ids)
            self._ids.append(identity)
            self._arguments.append("")
            if index is not None:
                self._of_index[index] = known
        elif identity and not self._ids[known]:
            self._ids[known] = identity
        self._last = known
        if len(self._arguments[known]) <= MOST_COMPARED:
            self._arguments[known] += _arguments(piece)
        return known

    def _known(self, index: int | None, identity: str, *, starts: bool) -> int | None:
        if index is not None:
            known = self._of_index.get(index)
            if known is not None and not identity and starts and self._is_whole(known):
                return None
            if known is None or not identity or self._ids[known] in ("", identity):
                return known
        if identity:
            return self._ids.index(identity) if identity in self._ids else None
        return None if starts else self._last

    def _is_whole(self, call: int) -> bool:
        """Whether the arguments of a call are a JSON object, so that nothing can follow."""
        if len(self._arguments[call]) > MOST_COMPARED:
            return False
        try:
            return isinstance(msgspec.json.decode(self._arguments[call]), dict)
        except (ValueError, RecursionError):
            return False


def _arguments(piece: Mapping[str, Any]) -> str:
    function = piece.get("function")
    told = function.get("arguments") if isinstance(function, dict) else None
    return told if isinstance(told, str) else ""


def _name(piece: Mapping[str, Any]) -> str:
    function = piece.get("function")
    return _text(function.get("name")) if isinstance(function, dict) else ""
