"""What `tollway._native.sse` does, on a whole stream at once."""

import json
import re
from typing import Any

from tests.native.twins import chat


def events(stream: bytes) -> list[tuple[str, bytes]]:
    """Name and data of each event (WHATWG HTML, section 9.2.6); one that lacks its blank line counts."""
    found: list[tuple[str, bytes]] = []
    name, data = b"", list[bytes]()
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf"))
    for line in [*lines, b""]:
        if not line:
            if b"\n".join(data):
                found.append((name.decode(), b"\n".join(data)))
            name, data = b"", []
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return found


def payloads(stream: bytes, hide_usage: bool) -> list[bytes]:
    """The data that may pass to the client."""
    passed: list[bytes] = []
    for name, data in events(stream):
        if data.strip() == b"[DONE]":
            break
        chunk = json.loads(data)
        if chunk.get("error") or name == "error":
            return [*passed, data]
        if not (hide_usage and chunk.get("choices") == [] and chunk.get("usage")):
            passed.append(data)
    return passed


def usage(stream: bytes) -> dict[str, int | None]:
    """The last word on each count."""
    merged: dict[str, int | None] = {}
    failed = False
    for _, data in events(stream):
        chunk: dict[str, Any] = {} if data.strip() == b"[DONE]" else json.loads(data)
        failed = failed or bool(chunk.get("error"))
        told = {name: count for name, count in chat.usage(chunk).items() if count is not None}
        if any(told.values()) or not failed:
            merged |= told
    return dict.fromkeys(chat.usage({})) | merged
