"""What Anthropic's refusals mean: the type of the error, and for three of them its text.

Source: platform.claude.com, "Errors"; the texts are read off recorded answers.
"""

import msgspec

from tollway.proxy.causes import Cause, Fault, cause_of
from tollway.proxy.providers.port import Header

MAX_TEXT_CHARACTERS = 500
"""So much is passed on of a body that is no JSON: some proxy's page, mostly."""

_OF_TYPE = {
    "invalid_request_error": Cause.INVALID,
    "authentication_error": Cause.BAD_KEY,
    "billing_error": Cause.QUOTA,
    "permission_error": Cause.FORBIDDEN,
    "not_found_error": Cause.NOT_FOUND,
    "conflict_error": Cause.CONFLICT,
    "request_too_large": Cause.TOO_LARGE,
    "rate_limit_error": Cause.RATE_LIMIT,
    "timeout_error": Cause.TIMEOUT,
    "api_error": Cause.SERVER,
    "overloaded_error": Cause.OVERLOADED,
}

_OF_TEXT = (
    ("prompt is too long", Cause.CONTEXT_WINDOW),
    ("exceed context limit", Cause.CONTEXT_WINDOW),
    ("credit balance is too low", Cause.QUOTA),
    ("api usage limits", Cause.QUOTA),
    ("content filtering policy", Cause.CONTENT_POLICY),
)
"""All of these come as ``invalid_request_error``."""


class Told(msgspec.Struct):
    """The error as Anthropic tells it."""

    type: str = ""
    message: str = ""


class _Body(msgspec.Struct):
    error: Told


class AnthropicFaults:
    """How refusals are read of answers that pass as they are."""

    def fault(self, status: int, header: Header, body: bytes) -> Fault:
        """Of a whole answer."""
        fault = read_fault(status, body, waiting_helps=header("x-should-retry") != "false")
        after = header("retry-after")
        if after is not None and after.isdecimal() and len(after) < 10:
            return msgspec.structs.replace(fault, retry_after_s=float(after))
        return fault

    def event_fault(self, payload: bytes) -> Fault:
        """Of the event ``error`` of a stream."""
        return read_fault(500, payload, waiting_helps=True)


def read_fault(status: int, body: bytes, *, waiting_helps: bool) -> Fault:
    """The fault in the body of a refusal. ``waiting_helps`` is what ``x-should-retry`` says."""
    try:
        told = msgspec.json.decode(body, type=_Body).error
    except (ValueError, RecursionError):
        text = body[: MAX_TEXT_CHARACTERS * 4].decode(errors="replace").strip()[:MAX_TEXT_CHARACTERS]
        return Fault(cause_of(status), text or _nothing_said(status))
    fault = fault_of(told, status)
    if fault.cause is Cause.RATE_LIMIT and not waiting_helps:
        return Fault(Cause.TOO_LARGE_FOR_LIMIT, fault.message)
    return fault


def fault_of(told: Told, status: int) -> Fault:
    """The fault that an error tells of, whether in a body or in a stream."""
    cause = _OF_TYPE.get(told.type, cause_of(status))
    if cause is Cause.INVALID:
        text = told.message.lower()
        cause = next((each for words, each in _OF_TEXT if words in text), cause)
    return Fault(cause, told.message or _nothing_said(status))


def _nothing_said(status: int) -> str:
    return f"The provider refused with status {status} and said nothing."
