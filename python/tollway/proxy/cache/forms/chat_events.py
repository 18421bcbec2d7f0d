"""Whole answers of chat as streams."""

from typing import Any

from tollway.proxy.cache.forms.chat import TEXTS
from tollway.proxy.cache.forms.chunks import Chunks
from tollway.proxy.cache.forms.framing import (
    Dict,
    by_token,
    decoded,
    encode,
    object_of,
    objects_of,
    pieces,
    text_of,
)

_THOUGHTS = ("reasoning_content", "reasoning")
_BEHIND = ("annotations", "extra_content")
"""What belongs to a text and follows it."""

_IN_TURN = frozenset(("role", *TEXTS, *_BEHIND, "tool_calls", "function_call"))
"""All else of a message is told in one piece, behind the thoughts."""


def events(body: bytes, characters: int) -> list[bytes]:
    """The events of a ``chat.completion``, texts in pieces of about so many ``characters``.

    Raises:
        ValueError: it is none.
    """
    answer = decoded(body)
    choices = objects_of(answer.pop("choices", None))
    if not choices:
        raise ValueError("an answer without choices")
    usage = answer.pop("usage", None)
    chunks = Chunks("chat.completion.chunk", answer)
    for place, choice in enumerate(choices):
        _Saying(chunks, place, choice, characters).say()
    return chunks.end(usage)


class _Saying:
    """One choice as chunks."""

    def __init__(self, chunks: Chunks, place: int, choice: Dict, characters: int) -> None:
        self._chunks = chunks
        self._characters = characters
        self._message = object_of(choice.pop("message", None))
        for name in ("index", "delta"):  # Perplexity's whole answers have an empty delta, too
            choice.pop(name, None)
        choice.setdefault("finish_reason", None)
        self._choice = choice
        self._head = b'{"index":%d,"delta":' % place
        self._tail = b',"logprobs":null,"finish_reason":null}' if "logprobs" in choice else b',"finish_reason":null}'

    def say(self) -> None:
        """All of it: who speaks, thoughts, what is told in one piece, texts, calls, and the end."""
        message = self._message
        first = {name: value for name, value in message.items() if name == "role" or not value}
        if isinstance(message.get("content"), str):
            first["content"] = ""
        self._delta(encode(first))
        for name in _THOUGHTS:
            self._say_text(name)
        for name in message:
            if name not in _IN_TURN:
                self._say_whole(name)
        self._say_content()
        self._say_text("refusal")
        for name in _BEHIND:
            self._say_whole(name)
        if message.get("tool_calls"):
            for place, call in enumerate(objects_of(message["tool_calls"])):
                self._say_call(place, call)
        if message.get("function_call"):
            self._say_function(object_of(message["function_call"]))
        self._chunks.say(self._head + b"{}," + encode(self._choice)[1:])

    def _delta(self, delta: bytes) -> None:
        self._chunks.say(self._head + delta + self._tail)

    def _say_whole(self, name: str) -> None:
        if value := self._message.get(name):
            self._delta(encode({name: value}))

    def _say_text(self, name: str) -> None:
        text = self._message.get(name)
        if isinstance(text, str):
            self._in_pieces(b'{"%b":' % name.encode(), text, b"}")
        else:
            self._say_whole(name)

    def _say_content(self) -> None:
        text, logprobs = self._message.get("content"), self._choice.get("logprobs")
        told: list[tuple[str, list[Dict]]] = []
        if isinstance(text, str) and isinstance(logprobs, dict) and not logprobs.get("refusal"):
            told = by_token(text, logprobs.get("content"), self._characters)
        if not told or not isinstance(logprobs, dict):
            self._say_text("content")  # log probabilities, if there are any, stand at the end
            return
        for piece, tokens in told:
            choice = {"logprobs": logprobs | {"content": tokens}, "finish_reason": None}
            self._chunks.say(self._head + encode({"content": piece}) + b"," + encode(choice)[1:])
        self._choice["logprobs"] = None

    def _in_pieces(self, before: bytes, text: str, behind: bytes) -> None:
        say, before, behind = self._chunks.say, self._head + before, behind + self._tail
        for piece in pieces(text, self._characters):
            say(before + encode(piece) + behind)

    def _say_call(self, place: int, call: Dict) -> None:
        """Its id and name first, what it says in pieces."""
        told: dict[str, Any] = {"index": place} | {name: value for name, value in call.items() if name != "index"}
        kind, name = ("custom", "input") if isinstance(call.get("custom"), dict) else ("function", "arguments")
        inner = object_of(call.get(kind))
        text = inner.get(name)
        if not isinstance(text, str):
            self._delta(encode({"tool_calls": [told]}))
            return
        told[kind] = inner | {name: ""}
        self._delta(encode({"tool_calls": [told]}))
        before = b'{"tool_calls":[{"index":%d,"%b":{"%b":' % (place, kind.encode(), name.encode())
        self._in_pieces(before, text, b"}}]}")

    def _say_function(self, call: Dict) -> None:
        self._delta(encode({"function_call": call | {"arguments": ""}}))
        self._in_pieces(b'{"function_call":{"arguments":', text_of(call.get("arguments")), b"}}")
