"""What Bedrock's refusals mean: the error's type, in a header or in the body, and for some of them its text.

Sources: docs.aws.amazon.com, "Troubleshooting Amazon Bedrock API Error Codes" and "Common Error Types".
"""

import re
from typing import Any

import msgspec

from tollway.proxy.causes import Cause, Fault, cause_of

MAX_TEXT_CHARACTERS = 500
"""So much is passed on of a body that is no JSON."""

TYPE_HEADER = "x-amzn-errortype"

_OF_TYPE = {
    "ValidationException": Cause.INVALID,
    "SerializationException": Cause.INVALID,
    "AccessDeniedException": Cause.FORBIDDEN,
    "OptInRequired": Cause.FORBIDDEN,
    "UnrecognizedClientException": Cause.BAD_KEY,
    "InvalidSignatureException": Cause.BAD_KEY,
    "SignatureDoesNotMatch": Cause.BAD_KEY,
    "IncompleteSignatureException": Cause.BAD_KEY,
    "IncompleteSignature": Cause.BAD_KEY,
    "MissingAuthenticationTokenException": Cause.BAD_KEY,
    "MissingAuthenticationToken": Cause.BAD_KEY,
    "InvalidClientTokenId": Cause.BAD_KEY,
    "ExpiredTokenException": Cause.BAD_KEY,
    "ExpiredToken": Cause.BAD_KEY,
    "RequestExpired": Cause.BAD_KEY,
    "NotAuthorized": Cause.FORBIDDEN,
    "ResourceNotFoundException": Cause.NOT_FOUND,
    "ConflictException": Cause.CONFLICT,
    "ThrottlingException": Cause.RATE_LIMIT,
    "TooManyRequestsException": Cause.RATE_LIMIT,
    "ServiceQuotaExceededException": Cause.QUOTA,
    "ModelTimeoutException": Cause.TIMEOUT,
    "ModelNotReadyException": Cause.OVERLOADED,
    "ServiceUnavailableException": Cause.OVERLOADED,
    "ServiceUnavailable": Cause.OVERLOADED,
    "ModelErrorException": Cause.SERVER,
    "ModelStreamErrorException": Cause.SERVER,
    "InternalServerException": Cause.SERVER,
    "InternalFailure": Cause.SERVER,
}

_TOO_LONG = re.compile(
    r"(input|prompt) is too long|too many (input )?tokens in|input token count|context (length|window|limit)"
    r"|exceeds? the (max\w*|model's) (number of )?(input )?(tokens|length|context)",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|end of its life", re.IGNORECASE
)
_BAD_API_KEY = re.compile(r"api key (is|has|was|format)|valid api key|bearer token", re.IGNORECASE)
_PER_DAY = re.compile(r"too many tokens per day|daily", re.IGNORECASE)


def read_fault(status: int, body: bytes, error_type: str | None) -> Fault:
    """The fault in the body of a refusal; ``error_type`` is its ``x-amzn-errortype``."""
    try:
        told = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        text = body[: MAX_TEXT_CHARACTERS * 4].decode(errors="replace").strip()[:MAX_TEXT_CHARACTERS]
        return fault_of(error_type or "", text, status)
    if not isinstance(told, dict):
        told = {}
    named = error_type or told.get("__type") or told.get("code")
    return fault_of(named if isinstance(named, str) else "", message_of(told), status)


def message_of(told: dict[str, Any]) -> str:
    """The words of an error; services of Amazon spell the field in both ways."""
    for name in ("message", "Message", "originalMessage"):
        if isinstance(told.get(name), str) and told[name]:
            return str(told[name])
    return ""


def fault_of(error_type: str, message: str, status: int) -> Fault:
    """The fault that an error of this type tells of, whether in a body or in a stream."""
    name = _name(error_type)
    cause = _OF_TYPE.get(name)
    if cause is None:
        cause = Cause.SERVER if status == 424 else cause_of(status)  # 424: the model failed, not the request
    if cause is Cause.INVALID and _TOO_LONG.search(message):
        cause = Cause.CONTEXT_WINDOW
    elif cause is Cause.INVALID and _NO_MODEL.search(message):
        cause = Cause.NOT_FOUND
    elif cause is Cause.FORBIDDEN and _BAD_API_KEY.search(message):
        cause = Cause.BAD_KEY
    elif cause is Cause.RATE_LIMIT and _PER_DAY.search(message):
        cause = Cause.QUOTA
    if cause is Cause.BAD_KEY:
        # A wrong signature is answered with what should have been signed, the session token in it.
        message = message.partition("\n")[0]
    return Fault(cause, message or f"The provider refused with status {status} and said nothing.")


def _name(error_type: str) -> str:
    """``throttlingException``, ``aws.api#ThrottlingException`` and ``ThrottlingException:http://…`` name the same."""
    name = error_type.partition(":")[0].rpartition("#")[2].strip()
    return name[:1].upper() + name[1:]
