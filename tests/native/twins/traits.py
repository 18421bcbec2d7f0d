"""What `tollway._native.chat` tells routing of a chat of texts, by the json module's objects and hashlib."""

import hashlib
from collections.abc import Iterator
from typing import Any


def _texts(message: dict[str, Any]) -> list[bytes]:
    content = message["content"]
    texts = [content] if isinstance(content, str) else [part["text"] for part in content]
    return [text.encode() for text in texts]


def _number(texts: Iterator[tuple[bytes, int]]) -> int:
    """Of texts, each with the bytes that count from there on; ``-1``: as many as are left."""
    hashed, left, is_empty = hashlib.sha256(), 0, True
    for text, most in texts:
        left = left if most < 0 else most
        if left == 0:
            continue
        said = text[:left]
        left -= len(said)
        is_empty = is_empty and not said
        hashed.update(said + b"\xff")
    return 0 if is_empty else int.from_bytes(hashed.digest()[:8], "big")


def prefix(messages: list[dict[str, Any]]) -> int:
    """The first 4 KiB of all texts."""
    texts = [text for message in messages for text in _texts(message)]
    return _number((text, -1 if at else 4096) for at, text in enumerate(texts))


def conversation(messages: list[dict[str, Any]]) -> int:
    """4 KiB of the systems before the first user, and 16 KiB of that one."""

    def parts() -> Iterator[tuple[bytes, int]]:
        is_first = True
        for message in messages:
            if message["role"] in ("system", "developer"):
                for text in _texts(message):
                    yield text, 4096 if is_first else -1
                    is_first = False
            elif message["role"] == "user":
                for at, text in enumerate(_texts(message)):
                    yield text, -1 if at else 16 * 1024
                return

    return _number(parts())
