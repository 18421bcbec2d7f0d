"""Frames that workers of one host send each other: a kind, a number, and bytes that this module does not read."""

import asyncio
import struct
from enum import IntEnum
from typing import NamedTuple

_HEAD = struct.Struct("<IBQ")


class Kind(IntEnum):
    """What a frame is."""

    POST = 1
    """News. Nobody answers."""
    NOTICE = 2
    """What has to be taken."""
    TAKEN = 3
    """A notice was taken, by its number."""
    ASK = 4
    """For all that the other one has."""
    GIVEN = 5
    """Some of it."""
    END = 6
    """That was all of it."""


class Frame(NamedTuple):
    """One of them. ``number`` is a notice's; 0 in all others."""

    kind: Kind
    number: int
    payload: bytes


def packed(kind: Kind, number: int = 0, payload: bytes = b"") -> bytes:
    """A frame as it is sent."""
    return _HEAD.pack(len(payload), kind, number) + payload


async def read_frame(reader: asyncio.StreamReader, most_bytes: int) -> Frame:
    """The next one.

    Raises:
        ValueError: these bytes are no frame, or it is of more than ``most_bytes``.
        EOFError, OSError: the connection has ended.
    """
    length, kind, number = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    if length > most_bytes:
        raise ValueError("the frame is too large")
    return Frame(Kind(kind), number, await reader.readexactly(length) if length else b"")
