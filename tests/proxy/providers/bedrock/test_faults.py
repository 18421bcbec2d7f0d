"""Bedrock's refusals and their causes."""

import json

import pytest

from tollway.proxy.causes import Cause
from tollway.proxy.providers.bedrock.faults import MAX_TEXT_CHARACTERS, read_fault

CASES = [
    (429, "ThrottlingException", "Too many requests, please wait before trying again.", Cause.RATE_LIMIT),
    (429, "ThrottlingException", "Too many tokens per day, please wait before trying again.", Cause.QUOTA),
    (400, "ServiceQuotaExceededException", "Your request exceeds the quota.", Cause.QUOTA),
    (408, "ModelTimeoutException", "The model took too long.", Cause.TIMEOUT),
    (429, "ModelNotReadyException", "The model is not ready for inference.", Cause.OVERLOADED),
    (424, "ModelErrorException", "The model failed.", Cause.SERVER),
    (424, "SomethingNewException", "The model failed.", Cause.SERVER),
    (500, "InternalServerException", "Something went wrong.", Cause.SERVER),
    (503, "ServiceUnavailableException", "Come back later.", Cause.OVERLOADED),
    (403, "AccessDeniedException", "You don't have access to the model with the specified model ID.", Cause.FORBIDDEN),
    (403, "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid.", Cause.BAD_KEY),
    (403, "UnrecognizedClientException", "The security token included in the request is invalid.", Cause.BAD_KEY),
    (403, "InvalidSignatureException", "The request signature we calculated does not match.", Cause.BAD_KEY),
    (403, "ExpiredTokenException", "The security token included in the request is expired", Cause.BAD_KEY),
    (404, "ResourceNotFoundException", "This model version has reached the end of its life.", Cause.NOT_FOUND),
    (400, "ValidationException", "The provided model identifier is invalid.", Cause.NOT_FOUND),
    (
        400,
        "ValidationException",
        "Invocation with on-demand throughput isn\N{RIGHT SINGLE QUOTATION MARK}t supported.",
        Cause.NOT_FOUND,
    ),
    (400, "ValidationException", "Input is too long for requested model.", Cause.CONTEXT_WINDOW),
    (400, "ValidationException", "prompt is too long: 215000 tokens > 200000 maximum", Cause.CONTEXT_WINDOW),
    (400, "ValidationException", "This model's maximum context length is 8192 tokens.", Cause.CONTEXT_WINDOW),
    (400, "ValidationException", "messages.0: roles must alternate", Cause.INVALID),
    (413, "RequestEntityTooLargeException", "Too large.", Cause.TOO_LARGE),
    (418, "", "I'm a teapot.", Cause.INVALID),
]


@pytest.mark.parametrize(("status", "name", "message", "cause"), CASES)
def test_a_refusal_has_its_cause_and_its_words(status: int, name: str, message: str, cause: Cause) -> None:
    for told in (name, f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/", f"aws.bedrock#{name}"):
        for field in ("message", "Message"):
            fault = read_fault(status, json.dumps({field: message}).encode(), told)
            assert (fault.cause, fault.message) == (cause, message)


def test_the_type_may_stand_in_the_body() -> None:
    body = b'{"__type": "com.amazon.coral.service#UnrecognizedClientException", "message": "No."}'
    assert read_fault(403, body, None).cause is Cause.BAD_KEY


def test_a_wrong_signature_does_not_show_what_was_signed() -> None:
    message = (
        "The request signature we calculated does not match.\n\nThe Canonical String for this request should have been"
        "\n'POST\n/model/x/converse\n\nhost:h\nx-amz-security-token:canary'"
    )
    fault = read_fault(403, json.dumps({"message": message}).encode(), "InvalidSignatureException")
    assert fault.message == "The request signature we calculated does not match."


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[1]", b'"x"', b"{}", b'{"message": null}', b'{"message": 5, "__type": 4}']
)
def test_a_refusal_without_words_says_so(body: bytes) -> None:
    fault = read_fault(503, body, None)
    assert fault.cause is Cause.OVERLOADED
    assert "503" in fault.message


@pytest.mark.parametrize("body", [b"<html>" + b"x" * 10_000, b"\xff\xfe" * 5000, b"[" * 100_000])
def test_a_body_that_is_no_json_is_kept_short(body: bytes) -> None:
    fault = read_fault(502, body, None)
    assert fault.cause is Cause.SERVER
    assert 0 < len(fault.message) <= MAX_TEXT_CHARACTERS
