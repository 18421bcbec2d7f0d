"""Converse's stream: binary frames in, one JSON payload each out, for the reader in ``stream.py``.

A frame says in its headers what it is; a payload says it in itself: ``{"kind", "name", "body"}``.
Source: docs.aws.amazon.com, "ConverseStream", and smithy.io, "Amazon Event Stream Specification".
"""

from typing import Literal

import msgspec

from tollway._native.eventstream import Frames

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""Larger than any event: the specification's bound of a message."""

_NOTHING = msgspec.Raw(b"{}")


class Told(msgspec.Struct):
    """What one frame tells: an event, or why there will be none. ``name`` is the event's type or the error's."""

    kind: Literal["event", "exception", "error"]
    name: str
    body: msgspec.Raw


class EventFraming:
    """See :class:`~tollway.proxy.providers.translated.Framing`."""

    def __init__(self) -> None:
        self._frames = Frames(MAX_FRAME_BYTES)
        self._encoder = msgspec.json.Encoder()

    def feed(self, chunk: bytes) -> list[bytes]:
        """As the protocol says."""
        return [self._payload(headers, body) for headers, body in self._frames.feed(chunk)]

    def finish(self) -> list[bytes]:
        """As the protocol says; nothing is ever left."""
        self._frames.finish()
        return []

    def _payload(self, headers: dict[str, bool | int | bytes | str], body: bytes) -> bytes:
        match headers.get(":message-type"):
            case "event":
                told = Told("event", str(headers.get(":event-type", "")), msgspec.Raw(body or _NOTHING))
            case "exception":
                told = Told("exception", str(headers.get(":exception-type", "")), msgspec.Raw(body or _NOTHING))
            case "error":
                message = self._encoder.encode({"message": str(headers.get(":error-message", ""))})
                told = Told("error", str(headers.get(":error-code", "")), msgspec.Raw(message))
            case _:
                raise ValueError("a frame of no known kind")
        return self._encoder.encode(told)
