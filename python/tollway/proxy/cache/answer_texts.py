"""What a whole answer says, whatever its dialect: its text, and the tools that it calls.

In: a body in the dialect of an operation. Out: both, in order, or nothing where it is no answer of that dialect.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from tollway.contract.snapshot import Operation

Call: TypeAlias = tuple[str, bytes]
"""A tool's name, and its arguments: their JSON in one form, or the text where it is none."""


class Spoken(msgspec.Struct, frozen=True):
    """What an answer says; of several choices, all of them."""

    text: str
    calls: tuple[Call, ...] = ()


def spoken(operation: Operation, body: bytes) -> Spoken | None:
    """What ``body`` says; ``None`` for what is no whole answer to a chat, a continuation, a message or a response."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError):
        return None
    match operation:
        case "chat":
            parts = _chat(answer)
        case "completions":
            parts = ((_text(choice, "text"), None) for choice in _records(answer, "choices"))
        case "messages":
            parts = _message(answer)
        case "responses":
            parts = _response(answer)
        case _:
            return None
    said = list(parts)
    text = "\n".join(text for text, _ in said if text)
    calls = tuple(call for _, call in said if call is not None)
    return Spoken(text, calls) if text or calls else None


_Part: TypeAlias = tuple[str, Call | None]


def _chat(answer: dict[str, Any]) -> Iterator[_Part]:
    for choice in _records(answer, "choices"):
        message = choice.get("message")
        if not isinstance(message, dict):
            continue
        yield _text(message, "content"), None
        yield _text(message, "refusal"), None
        for call in _records(message, "tool_calls"):
            function = call.get("function")
            if isinstance(function, dict):
                yield "", (_text(function, "name"), _arguments(function.get("arguments")))


def _message(answer: dict[str, Any]) -> Iterator[_Part]:
    for block in _records(answer, "content"):
        if block.get("type") == "tool_use":
            yield "", (_text(block, "name"), _canonical(block.get("input")))
        elif block.get("type") == "text":
            yield _text(block, "text"), None


def _response(answer: dict[str, Any]) -> Iterator[_Part]:
    for item in _records(answer, "output"):
        if item.get("type") == "function_call":
            yield "", (_text(item, "name"), _arguments(item.get("arguments")))
        elif item.get("type") == "custom_tool_call":
            yield "", (_text(item, "name"), _canonical(item.get("input")))
        elif item.get("type") == "message":
            for part in _records(item, "content"):
                yield _text(part, "text") or _text(part, "refusal"), None


def _records(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = holder.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _text(holder: dict[str, Any], name: str) -> str:
    found = holder.get(name)
    return found if isinstance(found, str) else ""


def _arguments(found: Any) -> bytes:
    """Of a text that holds JSON."""
    try:
        return _canonical(msgspec.json.decode(found) if isinstance(found, str) else found)
    except (ValueError, RecursionError):
        return _canonical(found)


def _canonical(found: Any) -> bytes:
    return msgspec.json.encode(found, order="sorted")
