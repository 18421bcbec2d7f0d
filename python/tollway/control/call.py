"""What an endpoint of the control plane gets and gives: HTTP on one side, checked structs on the other."""

import re
from collections.abc import Awaitable, Callable
from http import HTTPMethod
from typing import TypeVar

import asyncpg
import msgspec
from starlette.requests import Request

from tollway.control.session import Caller
from tollway.errors import BodyTooLarge, InvalidRequest, NotFound

LARGEST_BODY_BYTES = 64 << 10
LONGEST_PART = 200
"""Characters of an id."""

Model = TypeVar("Model")

_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_FIELD = re.compile(r"field `(?P<name>[^`]*)`")


class Answer(msgspec.Struct, frozen=True):
    """A status and what becomes the JSON body."""

    body: object
    status: int = 200


class Call:
    """One call by a caller who has the endpoint's permission."""

    __slots__ = ("_request", "caller", "pool")

    def __init__(self, request: Request, caller: Caller, pool: asyncpg.Pool) -> None:
        self._request = request
        self.caller = caller
        self.pool = pool

    def part(self, name: str, *, longest: int = LONGEST_PART) -> str:
        """A part of the path: an id.

        Raises:
            NotFound: nothing can have this id.
        """
        value: str = self._request.path_params[name]
        if len(value) > longest or not value.isprintable():
            raise NotFound("There is nothing with this id.")
        return value

    def query(self, model: type[Model]) -> Model:
        """The query string as ``model``; unknown and repeated names are refused.

        Raises:
            InvalidRequest: it does not fit; the message names the parameter.
        """
        pairs = self._request.query_params.multi_items()
        given = dict(pairs)
        if len(given) != len(pairs):
            raise InvalidRequest("A parameter of the query is given twice.")
        for name, value in pairs:
            if not value.isprintable():
                raise InvalidRequest(f"{name[:100]!a}: must be printable.", param=name[:100])
        try:
            return msgspec.convert(given, type=model, strict=False)
        except msgspec.ValidationError as error:
            raise _unfit(error) from error

    async def content(self, largest_bytes: int = LARGEST_BODY_BYTES) -> bytes:
        """The body as it came.

        Raises:
            BodyTooLarge: it is larger; no more than that is read.
        """
        content = bytearray()
        async for piece in self._request.stream():
            content += piece
            if len(content) > largest_bytes:
                raise BodyTooLarge(f"The body is larger than {largest_bytes >> 10} KiB.")
        return bytes(content)

    async def body(
        self, model: type[Model], *, may_be_empty: bool = False, largest_bytes: int = LARGEST_BODY_BYTES
    ) -> Model:
        """The JSON body as ``model``; no body, where that ``may_be_empty``, is ``{}``.

        Raises:
            BodyTooLarge: it is over 64 KiB, or what is given.
            InvalidRequest: it is no JSON or does not fit; the message names the field.
        """
        content = await self.content(largest_bytes)
        try:
            return msgspec.json.decode(content or (b"{}" if may_be_empty else b""), type=model)
        except msgspec.ValidationError as error:
            raise _unfit(error) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest("The body is not JSON.") from error


class Endpoint(msgspec.Struct, frozen=True):
    """One row of a capability's table of routes: who needs which permission to do what. ``or_else`` will do as well."""

    method: HTTPMethod
    path: str
    permission: str
    run: Callable[[Call], Awaitable[Answer]]
    or_else: str | None = None


def _unfit(error: msgspec.ValidationError) -> InvalidRequest:
    """msgspec's message with the field first, as the client wrote it: ``limits.rpm: Expected `int`, got `str```."""
    said = str(error)[:500]
    place = _PLACE.search(said)
    named = _FIELD.search(said)
    path = ".".join(part for part in (place["path"] if place else "", named["name"] if named else "") if part)
    reason = _PLACE.sub("", said)
    return InvalidRequest(f"{path}: {reason}." if path else f"{reason}.", param=path or None)
