"""Pages of a list: a limit, and an opaque cursor that says where the next page begins."""

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Generic, TypeVar

import msgspec

from tollway.errors import InvalidRequest

Item = TypeVar("Item")
Key = TypeVar("Key")

Limit = Annotated[int, msgspec.Meta(ge=1, le=200)]
DEFAULT_LIMIT = 50


class Position(msgspec.Struct, frozen=True, array_like=True):
    """An item's place in a list that is ordered by time, newest first, then by id."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    id: str


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page; ``next_cursor`` is ``None`` on the last."""

    data: list[Item]
    next_cursor: str | None


def page(found: list[Item], limit: int, position: Callable[[Item], object]) -> Page[Item]:
    """A page out of up to ``limit + 1`` items: the one too many only tells that there is a next page."""
    data = found[:limit]
    more = len(found) > limit
    return Page(data, encode(position(data[-1])) if more else None)


def encode(position: object) -> str:
    """A cursor for ``position``: opaque, and safe in a URL."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode(cursor: str | None, kind: type[Key]) -> Key | None:
    """The position in a cursor.

    Raises:
        InvalidRequest: it is none of ours.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=kind)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise InvalidRequest("cursor: not a cursor that a list has given out.", param="cursor") from error
