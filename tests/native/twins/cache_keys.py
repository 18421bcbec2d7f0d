"""What a cache knows a request by as `tollway._native.chat` tells it, by json's pairs, Decimal and hashlib."""

import hashlib
import json
from decimal import Decimal
from typing import Any, NamedTuple

UNHEARD = {
    "model", "stream", "stream_options", "user", "safety_identifier", "metadata", "service_tier", "prompt_cache_key",
    "prompt_cache_retention", "cache_control",
}  # fmt: skip

INNER: dict[str, dict[str, str]] = {
    "root": {"messages": "blocks", "input": "blocks", "tools": "tools", "functions": "tools"},
    "block": {"content": "blocks?", "output": "output", "source": "source", "file": "source"},
    "source": {"content": "blocks?"},
    "tool": {"function": "function", "tools": "tools"},
}
"""What stands behind a key, by where the key stands."""

ELEMENT = {"blocks": "block", "tools": "tool"}
HOLE = object()


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """The members of an object."""

    __slots__ = ()

    def get(self, name: str) -> Any:
        """The value behind a name; `None`, if there is none or it is null."""
        return next((value for key, value in self if key == name), None)


class Keys(NamedTuple):
    """As `chat.CacheKeys`."""

    key: bytes
    namespace: bytes | None
    question: str | None


def _said(text: str) -> bytes:
    return (
        b'"'
        + text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass").encode("utf-8", "surrogatepass")
        + b"\xff"
    )


def _number(text: str) -> bytes:
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits)).lstrip("0")
    if not written:
        return b"#0\xff"
    shorter = written.rstrip("0")
    exponent += len(written) - len(shorter)
    return f"#{'-' * sign}{shorter}{f'e{exponent}' * (exponent != 0)}".encode() + b"\xff"


def _is_heard(place: str, key: str, value: Any, operation: str) -> bool:
    if place == "root":
        if key == "store":
            return operation == "responses" and value is not None and value is not True
        return value is not None and key not in UNHEARD
    is_mark = key == "cache_control" and (value is None or isinstance(value, Pairs))
    return not (is_mark and place in ("block", "tool", "function"))


def _inner(place: str, key: str, value: Any, operation: str) -> str:
    if place == "root" and (key, operation) in (("system", "messages"), ("documents", "rerank")):
        return "blocks"
    if place == "block" and key == "tools" and operation == "responses":
        return "tools"
    inner = INNER.get(place, {}).get(key, "plain")
    if inner == "output":
        inner = "source" if isinstance(value, Pairs) else "blocks?"
    if inner == "tools":
        return "tools" if _is_list(value) else "plain"
    if inner == "blocks?":
        return "blocks" if _is_list(value) else "plain"
    return inner


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and not isinstance(value, Pairs)


def spelt(value: Any, place: str, operation: str) -> bytes:
    """The one spelling of a value."""
    if value is HOLE:
        return b"?"
    if isinstance(value, Number):
        return _number(value)
    if isinstance(value, str):
        return _said(value)
    if isinstance(value, Pairs):
        members = [
            (_said(key), spelt(inner, _inner(place, key, inner, operation), operation))
            for key, inner in value
            if _is_heard(place, key, inner, operation)
        ]
        members.sort(key=lambda member: member[0])
        return b"{" + b"".join(key + said for key, said in members) + b"}"
    if isinstance(value, list):
        element = ELEMENT.get(place, "plain")
        return b"[" + b"".join(spelt(each, element, operation) for each in value) + b"]"
    return b"n" if value is None else b"t" if value else b"f"


def _text(content: Any, kind: str) -> str | None:
    if isinstance(content, str) and not isinstance(content, Number):
        return content
    if not _is_list(content):
        return None
    texts = []
    for part in content:
        is_known = isinstance(part, Pairs) and {key for key, _ in part} <= {"type", "text", "cache_control"}
        if not is_known or part.get("type") != kind or type(part.get("text")) is not str:
            return None
        texts.append(part.get("text"))
    return "\n".join(texts)


def _asked(request: Pairs, operation: str) -> tuple[Pairs, Any, str] | None:
    """The request with a hole, what stood there, and the question."""
    name = {"chat": "messages", "messages": "messages", "responses": "input"}.get(operation)
    value = request.get(name) if name else None
    kind = "input_text" if operation == "responses" else "text"
    if isinstance(value, str):
        content, holed = value, HOLE
    elif _is_list(value) and value and isinstance(value[-1], Pairs):
        turn = value[-1]
        content = turn.get("content")
        if turn.get("role") != "user" or turn.get("type") not in (None, "message"):
            return None
        holed = [*value[:-1], Pairs((key, HOLE if key == "content" else inner) for key, inner in turn)]
    else:
        return None
    question = _text(content, kind)
    if not question or any("\ud800" <= character <= "\udfff" for character in question):
        return None
    return Pairs((key, holed if key == name else inner) for key, inner in request), content, question


def keys(body: bytes, operation: str, scope: str, model: str) -> Keys:
    """What the body is known by; none of its objects has a key twice where a question may be."""
    request = json.loads(body, object_pairs_hook=Pairs, parse_int=Number, parse_float=Number)
    names = b"".join(len(name.encode()).to_bytes(8, "little") + name.encode() for name in (operation, scope, model))

    def digest(mark: str, whole: Pairs) -> bytes:
        said = f"tollway cache 1: {mark}".encode() + names + spelt(whole, "root", operation)
        return hashlib.sha256(said).digest()

    asked = _asked(request, operation)
    if asked is None:
        return Keys(digest("whole", request), None, None)
    holed, content, question = asked
    namespace = digest("namespace", holed)
    said = b"tollway cache 1: key" + namespace + spelt(content, "blocks", operation)
    return Keys(hashlib.sha256(said).digest(), namespace, question)
