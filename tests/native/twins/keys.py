"""Keys in plain Python: the form by arithmetic and zlib, the table by ordered dictionaries."""

import hashlib
import re
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = re.compile(rb"tw_[a-z]{1,12}_[0-9A-Za-z]{49}", re.ASCII)

UNKNOWN, REFUSED, FRESH, STALE, EXPIRED = range(5)


def base62(number: int, width: int) -> str:
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        text = ALPHABET[digit] + text
    return text


def well_formed(secret: bytes) -> bool:
    signed, checksum = secret[:-6], secret[-6:]
    return FORM.fullmatch(secret) is not None and base62(zlib.crc32(signed), 6).encode() == checksum


def digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


@dataclass
class Known:
    value: object
    group: int
    fresh_until_ms: int
    expires_ms: int | None


@dataclass
class KeyTable:
    capacity: int
    negative_capacity: int
    pinned: dict[bytes, tuple[object, int | None]] = field(default_factory=dict)
    known: OrderedDict[bytes, Known] = field(default_factory=OrderedDict)
    refused: OrderedDict[bytes, int] = field(default_factory=OrderedDict)

    def find(self, secret: bytes, now_ms: int) -> tuple[int, object]:
        key = digest(secret)
        if key in self.pinned:
            value, expires_ms = self.pinned[key]
            return (FRESH, value) if expires_ms is None or now_ms < expires_ms else (EXPIRED, None)
        if key in self.known:
            self.known.move_to_end(key)
            entry = self.known[key]
            if entry.expires_ms is not None and now_ms >= entry.expires_ms:
                return EXPIRED, None
            return (FRESH if now_ms < entry.fresh_until_ms else STALE), entry.value
        if key in self.refused:
            self.refused.move_to_end(key)
            if now_ms < self.refused[key]:
                return REFUSED, None
            del self.refused[key]
        return UNKNOWN, None

    def insert(self, key: bytes, value: object, group: int, fresh_until_ms: int, expires_ms: int | None) -> None:
        self.refused.pop(key, None)
        self.known[key] = Known(value, group, fresh_until_ms, expires_ms)
        self.known.move_to_end(key)
        while len(self.known) > self.capacity:
            self.known.popitem(last=False)

    def pin(self, key: bytes, value: object, expires_ms: int | None) -> None:
        self.pinned[key] = (value, expires_ms)

    def refuse(self, key: bytes, until_ms: int) -> None:
        self.known.pop(key, None)
        self.refused[key] = until_ms
        self.refused.move_to_end(key)
        while len(self.refused) > self.negative_capacity:
            self.refused.popitem(last=False)

    def forget(self, key: bytes) -> bool:
        return (self.known.pop(key, None) is not None) | (self.refused.pop(key, None) is not None)

    def forget_group(self, group: int) -> int:
        members = [key for key, entry in self.known.items() if entry.group == group]
        for key in members:
            del self.known[key]
        return len(members)

    def clear_unpinned(self) -> None:
        self.known.clear()
        self.refused.clear()

    def clear_pinned(self) -> None:
        self.pinned.clear()

    def __len__(self) -> int:
        return len(self.known) + len(self.pinned)
