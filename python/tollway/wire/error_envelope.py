"""The one renderer of errors: a cause becomes OpenAI's envelope, with the right status and headers."""

import math
from collections.abc import Callable

import msgspec

from tollway.errors import GatewayError, InternalError


class _Detail(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Envelope(msgspec.Struct):
    error: _Detail


class Rendered(msgspec.Struct, frozen=True):
    """An error as it goes out: HTTP status, extra headers (lower-case names) and a JSON body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def render(error: Exception, request_id: str, write: Callable[[GatewayError], bytes] | None = None) -> Rendered:
    """What the client sees of an error; anything outside the tree is an :class:`InternalError`.

    ``write`` says it in another dialect than OpenAI's. ``x-should-retry: false`` tells the SDKs of OpenAI and Anthropic
    not to repeat a 429 that waiting can't mend.
    """
    if not isinstance(error, GatewayError):
        error = internal(request_id)
    headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode("latin-1", "replace"))]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_s))).encode()))
    elif error.status == 429 and not error.retryable:
        headers.append((b"x-should-retry", b"false"))
    if error.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="tollway"'))
    return Rendered(error.status, headers, (write or envelope)(error))


def internal(request_id: str) -> InternalError:
    """What a client hears of a defect of ours."""
    return InternalError(f"Something went wrong here. Give the operator this request id: {request_id}")


def envelope(error: GatewayError) -> bytes:
    """OpenAI's ``{"error": {message, type, param, code}}`` as JSON; also the payload of an error event in a stream."""
    return written(error.outside, error.type, error.param, error.code)


def written(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    """The envelope of these four; ``kind`` is its ``type``."""
    return msgspec.json.encode(_Envelope(_Detail(message, kind, param, code)))
