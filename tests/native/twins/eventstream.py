"""What `tollway._native.eventstream` does, on a whole stream at once; and the writer that the native module lacks."""

import struct
import zlib
from collections.abc import Iterator, Mapping

Headers = Mapping[str, bool | int | bytes | str]

_FIXED = {2: ">b", 3: ">h", 4: ">i", 5: ">q", 8: ">q"}


def frame(headers: Headers, payload: bytes = b"") -> bytes:
    """A frame with these headers: texts as type 7, bytes as 6, numbers as 5."""
    written = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(written) + len(payload), len(written))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + written + payload
    return body + struct.pack(">I", zlib.crc32(body))


def frames(stream: bytes) -> Iterator[tuple[dict[str, bool | int | bytes | str], bytes]]:
    """Headers and payload of each frame.

    Raises:
        ValueError: the stream is none, or it was cut.
    """
    while stream:
        if len(stream) < 16:
            raise ValueError("cut")
        total, of_headers, sum_of_prelude = struct.unpack(">III", stream[:12])
        if zlib.crc32(stream[:8]) != sum_of_prelude or total < 16 + of_headers or len(stream) < total:
            raise ValueError("prelude")
        (told,) = struct.unpack(">I", stream[total - 4 : total])
        if zlib.crc32(stream[: total - 4]) != told:
            raise ValueError("sum")
        yield dict(_headers(stream[12 : 12 + of_headers])), stream[12 + of_headers : total - 4]
        stream = stream[total:]


def _header(name: str, value: bool | int | bytes | str) -> bytes:
    named = struct.pack(">B", len(name.encode())) + name.encode()
    match value:
        case bool():
            return named + (b"\x00" if value else b"\x01")
        case int():
            return named + struct.pack(">Bq", 5, value)
        case bytes():
            return named + struct.pack(">BH", 6, len(value)) + value
        case str():
            return named + struct.pack(">BH", 7, len(value.encode())) + value.encode()


def _headers(written: bytes) -> Iterator[tuple[str, bool | int | bytes | str]]:
    while written:
        size = written[0]
        name, kind, rest = written[1 : 1 + size].decode(), written[1 + size], written[2 + size :]
        if kind in (0, 1):
            yield name, kind == 0
        elif kind in _FIXED:
            length = struct.calcsize(_FIXED[kind])
            yield name, int(struct.unpack(_FIXED[kind], rest[:length])[0])
            rest = rest[length:]
        elif kind in (6, 7):
            (length,) = struct.unpack(">H", rest[:2])
            value = rest[2 : 2 + length]
            yield name, value if kind == 6 else value.decode()
            rest = rest[2 + length :]
        elif kind == 9:
            yield name, rest[:16]
            rest = rest[16:]
        else:
            raise ValueError("type of a header")
        written = rest
