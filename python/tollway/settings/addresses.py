"""What makes an address or a secret unusable, in words that never show it."""

import re
from urllib.parse import urlsplit

from tollway.settings.values import Secret

KEY_LENGTH_MIN = 16
_REDIS_DATABASE = re.compile(r"/?|/[0-9]{1,5}")


def bad_address(address: str) -> str:
    """Why this is not the base of an HTTP address; never shows it, for it may hold a password."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme not in ("http", "https"):
        return "should begin with http:// or https://"
    if not host:
        return "names no host"
    if not address.isascii() or not address.isprintable() or " " in address:
        return "should be plain ASCII without blanks"
    if parts.username is not None or parts.password is not None:
        return "should hold no user name or password; keys have a field of their own"
    if parts.query or parts.fragment or address.endswith(("?", "#")):
        return "should end before any ? or #"
    return ""


def bad_redis(address: str) -> str:
    """Why this is not the address of a Redis server and one of its databases; never shows it."""
    if not address.startswith(("redis://", "rediss://")):
        return "should begin with redis:// or rediss://"
    if not address.isascii() or not address.isprintable() or " " in address:
        return "should be plain ASCII without blanks; other characters of a password are written as %XX"
    if "?" in address or "#" in address:
        return "should end before any ? or #; in a password they are written as %3F and %23"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address"
    if not host:
        return "names no host"
    if not _REDIS_DATABASE.fullmatch(parts.path):
        return "should end with its host and port, or with the number of a database: /0"
    return ""


def bad_secret(secret: Secret) -> str:
    """Why this can't travel in a header; never shows it."""
    text = secret.reveal()
    if text != text.strip():
        return "has a blank or a line break at an end"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "should be plain ASCII without blanks, as it travels in a header"
    return ""
