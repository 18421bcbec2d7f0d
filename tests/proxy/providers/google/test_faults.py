"""Why Gemini refused: read from the reasons in the body, since its status alone says little."""

import json
from typing import Any

import pytest

from tollway.proxy.causes import Cause, Fault
from tollway.proxy.providers.google.faults import fault_of


def fault(code: int, status: str, message: str = "No.", *details: Any) -> Fault:
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    one = fault_of(code, json.dumps({"error": error}).encode())
    assert fault_of(code, json.dumps([{"error": error}]).encode()) == one
    return one


def quota(identifier: str, value: str = "10") -> dict[str, Any]:
    violation = {"quotaId": identifier, "quotaValue": value}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


def retry_in(delay: Any) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


INVALID_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
OVERFLOW = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
PLAN = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        (fault(400, "INVALID_ARGUMENT"), Cause.INVALID),
        (fault(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), Cause.BAD_KEY),
        (fault(400, "INVALID_ARGUMENT", "No.", INVALID_KEY), Cause.BAD_KEY),
        (fault(400, "INVALID_ARGUMENT", OVERFLOW), Cause.CONTEXT_WINDOW),
        (fault(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."), Cause.TOO_LARGE),
        (fault(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), Cause.FORBIDDEN),
        (fault(401, "UNAUTHENTICATED"), Cause.BAD_KEY),
        (fault(403, "PERMISSION_DENIED"), Cause.FORBIDDEN),
        (fault(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), Cause.BAD_KEY),
        (fault(403, "PERMISSION_DENIED", "No.", {"reason": "BILLING_DISABLED"}), Cause.QUOTA),
        (fault(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta"), Cause.NOT_FOUND),
        (fault(429, "RESOURCE_EXHAUSTED", PLAN), Cause.RATE_LIMIT),
        (fault(429, "RESOURCE_EXHAUSTED", PLAN, quota("GenerateRequestsPerMinutePerModel")), Cause.RATE_LIMIT),
        (fault(429, "RESOURCE_EXHAUSTED", PLAN, quota("GenerateRequestsPerDayPerProjectPerModel")), Cause.QUOTA),
        (fault(429, "RESOURCE_EXHAUSTED", PLAN, quota("GenerateRequestsPerMinute", "0")), Cause.QUOTA),
        (fault(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."), Cause.QUOTA),
        (fault(499, "CANCELLED"), Cause.SERVER),
        (fault(500, "INTERNAL"), Cause.SERVER),
        (fault(503, "UNAVAILABLE", "The model is overloaded."), Cause.OVERLOADED),
        (fault(504, "DEADLINE_EXCEEDED"), Cause.TIMEOUT),
        (fault(503, "SOMETHING_NEW"), Cause.OVERLOADED),
    ],
)  # fmt: skip
def test_the_reason_decides_the_cause(told: Fault, cause: Cause) -> None:
    assert told.cause is cause


def test_the_providers_own_words_are_kept() -> None:
    assert fault(400, "INVALID_ARGUMENT", OVERFLOW).message == OVERFLOW


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("34.07s", 34.07), ("5s", 5.0), ("0s", 0.0), ("soon", None), ("-1s", None), (34, None), (None, None)],
)
def test_the_body_says_when_to_come_back(delay: Any, seconds: float | None) -> None:
    told = fault(429, "RESOURCE_EXHAUSTED", PLAN, quota("GenerateRequestsPerMinute"), retry_in(delay))
    assert told.retry_after_s == seconds
    assert told.should_retry


@pytest.mark.parametrize(
    ("status", "body", "cause", "message"),
    [
        (502, b"<html>Bad Gateway</html>", Cause.SERVER, "<html>Bad Gateway</html>"),
        (503, b"", Cause.OVERLOADED, None),
        (429, b"\xff" * 2000, Cause.RATE_LIMIT, "\N{REPLACEMENT CHARACTER}" * 500),
        (400, b'{"error": "' + b"a" * 900 + b'"}', Cause.INVALID, "a" * 500),
        (413, b"[]", Cause.TOO_LARGE, None),
        (404, b"[null]", Cause.NOT_FOUND, None),
        (500, b'{"error": {"message": 7, "code": "x", "status": [], "details": {}}}', Cause.SERVER, None),
        (429, b'{"error": {"details": [7, {"violations": [7, {"quotaId": 7}]}]}}', Cause.RATE_LIMIT, None),
        (500, b"[" * 100_000, Cause.SERVER, "[" * 500),
    ],
)  # fmt: skip
def test_a_body_of_any_shape_is_a_fault(status: int, body: bytes, cause: Cause, message: str | None) -> None:
    assert fault_of(status, body) == Fault(cause, message or f"The provider answered with status {status}.")
