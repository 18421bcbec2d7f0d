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


ENDS = {"message_stop", "response.completed", "response.incomplete", "response.failed"}
"""Types of the events behind which nothing comes but perhaps `[DONE]`."""


def framed(payloads: list[bytes]) -> bytes:
    """The events as a client gets them in a dialect that names its events."""
    found = b""
    for payload in payloads:
        name = b"" if payload == b"[DONE]" else b"event: %s\n" % json.loads(payload)["type"].encode()
        found += name + b"data: %s\n\n" % payload
    return found


def named_payloads(stream: bytes) -> tuple[list[bytes], list[bytes]]:
    """The data that may pass to the client, and the data that end the stream."""
    passed: list[bytes] = []
    last: list[bytes] = []
    failed = False
    for _, data in events(stream):
        kind = "[DONE]" if data == b"[DONE]" else json.loads(data)["type"]
        if kind in ENDS or (kind == "[DONE]" and last):
            last.append(data)
        elif not last and not failed and kind != "[DONE]":
            passed.append(data)
        failed = failed or kind == "error"
    return passed, last


def message_usage(stream: bytes) -> dict[str, int | None]:
    """Of each of Anthropic's counts the last word, added up at the end."""
    told: dict[str, Any] = {}
    for _, data in events(stream):
        event = json.loads(data)
        if event["type"] in ("message_start", "message_delta"):
            later = event.get("usage") or (event.get("message") or {}).get("usage") or {}
            told |= {name: count for name, count in later.items() if count is not None}
    return chat.message_usage(told)


def response_usage(stream: bytes) -> dict[str, int | None]:
    """The usage of the whole response at the end."""
    for _, data in events(stream):
        if data != b"[DONE]" and (event := json.loads(data))["type"] in ENDS:
            return chat.response_usage(event["response"].get("usage") or {})
    return dict.fromkeys(chat.usage({}))


def call_indexes(pieces: list[dict[str, Any]]) -> list[int]:
    """The index that a client gets for each piece of a choice's calls."""
    ids: list[str] = []
    calls: dict[int, int] = {}
    found: list[int] = []

    def known(index: int | None, identity: str, starts: bool) -> int | None:
        if index in calls and ids[calls[index]] in ("", identity or ids[calls[index]]):
            return calls[index]
        if index is not None and index not in calls:
            return None
        if identity:
            return ids.index(identity) if identity in ids else None
        return None if starts or not found else found[-1]

    for piece in pieces:
        index, identity = piece.get("index"), piece.get("id") or ""
        place = known(index, identity, bool((piece.get("function") or {}).get("name")))
        if place is None:
            place = len(ids)
            ids.append("")
            if index is not None:
                calls[index] = place
        ids[place] = ids[place] or identity
        found.append(place)
    return found
