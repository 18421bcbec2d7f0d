"""Why a provider refused a call, and what follows: the one table.

A provider's own words are read by its own file; they come down to a :class:`Cause`, and everything else hangs on that.
Providers say 402 and 422 where OpenAI's dialect has 429 ``insufficient_quota`` and 400; both never reach a client.
Their text does, without the secrets in it: :func:`cleaned`.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import Literal

import msgspec

from tollway.wire.error_envelope import written

Handling = Literal["return", "retry", "cool", "fail_over"]
"""What routing may do: give the error to the client; try again soon; leave the target alone for a while and go
elsewhere; go elsewhere at once, for this target will say the same again."""


class Effect(msgspec.Struct, frozen=True):
    """What the client sees of a cause, in OpenAI's terms, and what routing does."""

    status: int
    type: str
    code: str | None
    handling: Handling


class Cause(Enum):
    """Why. The text of a member is its name for people: ``docs/providers.md``."""

    INVALID = "invalid"
    CONTEXT_WINDOW = "context_window"
    CONTENT_POLICY = "content_policy"
    BAD_GENERATION = "bad_generation"
    BAD_KEY = "bad_key"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    RATE_LIMIT = "rate_limit"
    TOO_LARGE_FOR_LIMIT = "too_large_for_limit"
    QUOTA = "quota"
    TIMEOUT = "timeout"
    OVERLOADED = "overloaded"
    SERVER = "server"

    @property
    def effect(self) -> Effect:
        """Its row of the table."""
        return _EFFECTS[self]


_EFFECTS = {
    Cause.INVALID: Effect(400, "invalid_request_error", None, "return"),
    Cause.CONTEXT_WINDOW: Effect(400, "invalid_request_error", "context_length_exceeded", "fail_over"),
    Cause.CONTENT_POLICY: Effect(400, "invalid_request_error", "content_filter", "fail_over"),
    Cause.BAD_GENERATION: Effect(400, "invalid_request_error", "bad_generation", "retry"),
    Cause.BAD_KEY: Effect(401, "authentication_error", "invalid_api_key", "cool"),
    Cause.FORBIDDEN: Effect(403, "permission_error", None, "fail_over"),
    Cause.NOT_FOUND: Effect(404, "invalid_request_error", "model_not_found", "fail_over"),
    Cause.CONFLICT: Effect(409, "invalid_request_error", None, "retry"),
    Cause.TOO_LARGE: Effect(413, "invalid_request_error", "request_too_large", "return"),
    Cause.RATE_LIMIT: Effect(429, "rate_limit_error", "rate_limit_exceeded", "cool"),
    Cause.TOO_LARGE_FOR_LIMIT: Effect(429, "rate_limit_error", "rate_limit_exceeded", "fail_over"),
    Cause.QUOTA: Effect(429, "insufficient_quota", "insufficient_quota", "cool"),
    Cause.TIMEOUT: Effect(504, "server_error", "upstream_timeout", "retry"),
    Cause.OVERLOADED: Effect(503, "server_error", "overloaded", "cool"),
    Cause.SERVER: Effect(502, "server_error", "upstream_error", "retry"),
}

_OF_STATUS = {
    400: Cause.INVALID,
    401: Cause.BAD_KEY,
    402: Cause.QUOTA,
    403: Cause.FORBIDDEN,
    404: Cause.NOT_FOUND,
    408: Cause.TIMEOUT,
    409: Cause.CONFLICT,
    413: Cause.TOO_LARGE,
    422: Cause.INVALID,
    429: Cause.RATE_LIMIT,
    498: Cause.OVERLOADED,  # Groq's, for its flexible tier
    503: Cause.OVERLOADED,
    504: Cause.TIMEOUT,
    524: Cause.TIMEOUT,  # Cloudflare's
    529: Cause.OVERLOADED,
}


_NEVER_SEEN = frozenset({402, 422})


def seen_as(status: int) -> int:
    """The status that a client gets for a provider's: its own, but for the two that no client expects."""
    return cause_of(status).effect.status if status in _NEVER_SEEN else status


def cause_of(status: int) -> Cause:
    """What a status alone says."""
    return _OF_STATUS.get(status, Cause.INVALID if 400 <= status < 500 else Cause.SERVER)


class Fault(msgspec.Struct, frozen=True):
    """A provider's refusal: why, in its own words, and when to come back, in seconds, if it says so.

    ``is_lasting``: the provider says itself that the same call will fail again (``x-should-retry: false``).
    """

    cause: Cause
    message: str
    param: str | None = None
    retry_after_s: float | None = None
    is_lasting: bool = False

    @property
    def handling(self) -> Handling:
        """What routing may do: its cause's, but no second try where the provider says that it will fail, too."""
        handling = self.cause.effect.handling
        return "fail_over" if self.is_lasting and handling == "retry" else handling

    @property
    def should_retry(self) -> bool:
        """Whether the same call may succeed at the same place later."""
        if self.is_lasting or self.cause in (Cause.QUOTA, Cause.BAD_KEY):
            return False
        return self.cause.effect.handling in ("retry", "cool")


def envelope(fault: Fault) -> bytes:
    """OpenAI's ``{"error": {message, type, param, code}}``; also the payload of an error event in a stream."""
    effect = fault.cause.effect
    return written(fault.message, effect.type, fault.param, effect.code)


MASK = "[secret]"
"""What stands in a text where a secret was."""

_SECRETS = re.compile(
    r"(?P<scheme>\bbearer\s{1,8})(?:(?=\D{0,64}\d)[\w.~+/=-]{4,4096}|[\w.~+/=-]{16,4096})"
    r"|\b(?:sk|rk|pk|gsk|csk|xai|pplx|sess|tgp_v1|hf|fw)[-_][A-Za-z0-9_-]{16,512}"
    r"|\bAIza[A-Za-z0-9_-]{30,64}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,4096}",
    re.IGNORECASE,
)
"""Credentials by their look: a bearer's, keys with the prefixes that providers give them, signed tokens. A key that
the provider itself has masked (``sk-ab****yz``) stays as it is."""


def cleaned(text: str, secrets: Sequence[str] = ()) -> str:
    """A provider's text without ``secrets``, such as the key that the call was made with, and without what looks like
    a credential.

    A secret is found as it is, and as it may be spelt inside JSON (RFC 8259, section 7) or a URL.
    """
    known = "|".join([_spelt(secret) for secret in sorted(secrets, key=len, reverse=True) if secret])
    if known:
        text = re.sub(known, MASK, text)
    return _SECRETS.sub(lambda found: (found["scheme"] or "") + MASK, text)


def _spelt(secret: str) -> str:
    """A pattern for every spelling: ``/`` is also ``\\/``, ``\\u002f`` and ``%2f``."""
    return "".join([_spelt_character(character) for character in secret])


def _spelt_character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    escaped = re.escape(character)
    spelt = [rf"\\?{escaped}"]
    if ord(character) < 0x10000:
        spelt.append(rf"(?i:\\u{ord(character):04x})")
    spelt.append("(?i:" + "".join([f"%{byte:02x}" for byte in character.encode("utf-8", "replace")]) + ")")
    return f"(?:{'|'.join(spelt)})"


def cleaned_body(body: bytes, secrets: Sequence[str] = ()) -> bytes:
    """As :func:`cleaned`, for a body that passes on as it came; every byte that is no secret stays."""
    text = body.decode("utf-8", "surrogateescape")
    clean = cleaned(text, secrets)
    return body if clean == text else clean.encode("utf-8", "surrogateescape")
