"""Reads fields of Anthropic's requests, and says where one is malformed: ``messages.0.content.1.type``."""

import re
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from tollway.errors import InvalidRequest
from tollway.wire import hub

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=0)]

_PLACE = re.compile(r"`\$(.*)`$")
_MISSING = re.compile(r"missing required field `(\w+)`")
_EXPECTED = re.compile(r"Expected `[^`]+`, got `[^`]+`")


class Marked(msgspec.Struct):
    """Where a prompt is to be cached up to."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


def mark_of(told: Marked | None) -> hub.CacheControl | UnsetType:
    """The same for the hub."""
    return UNSET if told is None else hub.CacheControl(ttl=told.ttl or UNSET)


def read(raw: bytes | msgspec.Raw, kind: type[T], param: str) -> T:
    """``raw``, which stands at ``param``, as a ``kind``.

    Raises:
        InvalidRequest: it is none; ``param`` of the error names the field.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise _malformed(str(error), param) from None
    except (ValueError, RecursionError):  # no JSON, or text that is not UTF-8
        raise InvalidRequest("This is no JSON that can be read.", param=param or None) from None


def typed(raw: msgspec.Raw, param: str) -> str:
    """The ``type`` of an object.

    Raises:
        InvalidRequest: it is no object, or has none.
    """
    return read(raw, _Typed, param).type


def refused_type(param: str) -> InvalidRequest:
    """A block that may not stand where it stands, or that nobody knows."""
    return InvalidRequest("This type is not known, or may not stand here.", param=f"{param}.type")


class _Typed(msgspec.Struct):
    type: str


def _malformed(reason: str, param: str) -> InvalidRequest:
    """Of msgspec's reason only the types are told: the rest may quote the request."""
    place = _PLACE.search(reason)
    steps = [param, *re.findall(r"\w+", place[1])] if place else [param]
    if missing := _MISSING.search(reason):
        steps.append(missing[1])
    expected = _EXPECTED.match(reason)
    message = "This field is missing." if missing else "This field has a value that it may not have."
    return InvalidRequest(f"{expected[0]}." if expected else message, param=".".join(filter(None, steps)) or None)


class Lost:
    """What found no place in the hub: names of fields, each once."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Notes a field, or a kind of block."""
        self._names[name] = None

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of their discovery; no more than a request has fields and blocks."""
        return tuple(self._names)
