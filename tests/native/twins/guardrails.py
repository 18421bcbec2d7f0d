"""The slow twin of what stands in a finding's place."""

import hashlib
import hmac

CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"


def _digest(secret: bytes, tenant: str, kind: str, value: str) -> bytes:
    key = hmac.digest(secret, tenant.encode(), hashlib.sha256)
    return hmac.digest(key, kind.encode() + b"\0" + value.encode(), hashlib.sha256)


def named(secret: bytes, tenant: str, kind: str, value: str) -> str:
    """The placeholder of a value that is put back."""
    digest = _digest(secret, tenant, kind, value)
    return f"[{kind.upper()}_{''.join(CONSONANTS[byte % 20] for byte in digest[:8])}]"


def hashed(secret: bytes, tenant: str, kind: str, value: str) -> str:
    """The digest of a value."""
    return f"[{kind.upper()}:{_digest(secret, tenant, kind, value).hex()[:12]}]"


def masked(value: str) -> str:
    """All letters and digits but the last four hidden; of values with fewer than eight, every one."""
    said = [place for place, letter in enumerate(value) if letter.isalnum()]
    hidden = set(said if len(said) < 8 else said[:-4])
    return "".join("*" if place in hidden else letter for place, letter in enumerate(value))
