"""Gemini's refusals: ``{"error": {code, message, status, details}}`` (google.rpc.Status) and what they mean.

The status alone says little: a wrong key is 400 ``INVALID_ARGUMENT``, and 429 is a limit of a minute as well as of a
day. The reasons are in ``details``.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tollway.proxy.causes import Cause, Fault, cause_of

MAX_TEXT_CHARACTERS = 500
"""As much is kept of an error that is no JSON."""

_OF_STATUS = {
    "INVALID_ARGUMENT": Cause.INVALID,
    "OUT_OF_RANGE": Cause.INVALID,
    "UNIMPLEMENTED": Cause.INVALID,
    "FAILED_PRECONDITION": Cause.FORBIDDEN,  # where the caller is, or that billing is off
    "UNAUTHENTICATED": Cause.BAD_KEY,
    "PERMISSION_DENIED": Cause.FORBIDDEN,
    "NOT_FOUND": Cause.NOT_FOUND,
    "ABORTED": Cause.CONFLICT,
    "ALREADY_EXISTS": Cause.CONFLICT,
    "RESOURCE_EXHAUSTED": Cause.RATE_LIMIT,
    "UNAVAILABLE": Cause.OVERLOADED,
    "DEADLINE_EXCEEDED": Cause.TIMEOUT,
    "INTERNAL": Cause.SERVER,
    "UNKNOWN": Cause.SERVER,
    "DATA_LOSS": Cause.SERVER,
    "CANCELLED": Cause.SERVER,
}

_BAD_KEY = re.compile(r"api key (not valid|expired|not found)|reported as leaked", re.IGNORECASE)
_TOO_LONG = re.compile(r"input token count|exceeds the maximum number of (input )?tokens", re.IGNORECASE)
_TOO_LARGE = re.compile(r"request payload size exceeds|request entity too large", re.IGNORECASE)
_NO_MONEY = re.compile(r"credits are depleted|billing account|billing is (disabled|not enabled)", re.IGNORECASE)
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def fault_of(status: int, body: bytes) -> Fault:
    """The fault that a refusal tells of; ``status`` is the one of its head."""
    try:
        told = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested without end
        text = body[: 4 * MAX_TEXT_CHARACTERS].decode("utf-8", "replace").strip()[:MAX_TEXT_CHARACTERS]
        return Fault(cause_of(status), text or f"The provider answered with status {status}.")
    if isinstance(told, list) and told:
        told = told[0]
    return _fault(status, told.get("error") if isinstance(told, dict) else None)


def _fault(status: int, error: Any) -> Fault:
    if isinstance(error, str) and error:
        return Fault(cause_of(status), error[:MAX_TEXT_CHARACTERS])
    if not isinstance(error, dict):
        return Fault(cause_of(status), f"The provider answered with status {status}.")
    code, message, name = error.get("code"), error.get("message"), error.get("status")
    if isinstance(code, int) and 400 <= code < 600:
        status = code
    if not isinstance(message, str) or not message:
        message = f"The provider answered with status {status}."
    details = list(_details(error.get("details")))
    cause = _OF_STATUS.get(name, cause_of(status)) if isinstance(name, str) else cause_of(status)
    return Fault(_refined(cause, message, details), message, retry_after_s=_retry_after_s(details))


def _details(details: Any) -> Iterator[dict[str, Any]]:
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            yield detail


def _refined(cause: Cause, message: str, details: list[dict[str, Any]]) -> Cause:
    """The cause as message and details tell it."""
    reasons = {detail["reason"] for detail in details if isinstance(detail.get("reason"), str)}
    if "API_KEY_INVALID" in reasons or _BAD_KEY.search(message):
        return Cause.BAD_KEY
    if "BILLING_DISABLED" in reasons or _NO_MONEY.search(message):
        return Cause.QUOTA
    if cause is Cause.RATE_LIMIT:
        return Cause.QUOTA if any(_is_lasting(violation) for violation in _violations(details)) else cause
    if cause is Cause.INVALID and _TOO_LONG.search(message):
        return Cause.CONTEXT_WINDOW
    if cause is Cause.INVALID and _TOO_LARGE.search(message):
        return Cause.TOO_LARGE
    return cause


def _violations(details: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of ``QuotaFailure``: which limits are used up."""
    for detail in details:
        violations = detail.get("violations")
        yield from (each for each in violations if isinstance(each, dict)) if isinstance(violations, list) else ()


def _is_lasting(violation: dict[str, Any]) -> bool:
    """Whether waiting a little does not help: a limit of a day, or one that is nought."""
    identifier = violation.get("quotaId")
    return (isinstance(identifier, str) and "PerDay" in identifier) or violation.get("quotaValue") in (0, "0")


def _retry_after_s(details: list[dict[str, Any]]) -> float | None:
    """``RetryInfo.retryDelay``, a duration such as ``34.07s``."""
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (found := _SECONDS.fullmatch(delay)):
            return float(found[1])
    return None
