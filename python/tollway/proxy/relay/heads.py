"""The heads of answers: what the gateway adds, what of the provider's it passes on, and errors that are no JSON."""

import re
from collections.abc import Sequence

import msgspec

from tollway.errors import UpstreamError
from tollway.proxy.exchange import Called, Timing
from tollway.wire.error_envelope import envelope

PASSED_ON = (
    "openai-processing-ms",
    "openai-version",
    "openai-model",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
)
"""The provider's headers that a client gets to see. Its rate-limit headers are not among them: that quota is the
gateway's, shared by all tenants."""

WARNINGS = b"x-tollway-warnings"
"""What the client should know though it got an answer: ``dropped:<field>``, ``unpriced-model``."""

SHOWN_WARNINGS = 32
_FIELD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")

SHOWN_CHARACTERS = 500


def head(called: Called) -> list[tuple[bytes, bytes]]:
    """The answer's headers, in the order in which they leave."""
    arrival, answer = called.arrival, called.answer
    content_type = answer.header("content-type") or ("text/event-stream" if called.request.stream else "")
    if answer.status >= 400 or not content_type:
        content_type = "application/json"
    headers = [
        (b"content-type", content_type.encode("latin-1")),
        (b"x-request-id", arrival.request_id.encode("ascii")),
        (b"x-tollway-provider", called.target.provider.name.encode()),
        (b"x-tollway-model", called.target.model.encode()),
        (b"x-tollway-attempts", b"1"),
        (b"server-timing", server_timing(arrival.timing)),
        *arrival.connection.answer_headers,
    ]
    for name in _shown(answer.warnings):
        warn(headers, b"dropped:" + name.encode("ascii"))
    if answer.status == 402:
        headers.append((b"x-should-retry", b"false"))
    for name in PASSED_ON:
        if name == "x-should-retry" and answer.status == 402:
            continue
        value = answer.header(name)
        if value is not None:
            headers.append((name.encode(), value.encode("latin-1", "replace")))
    return headers


def _shown(fields: Sequence[str]) -> list[str]:
    """Names of fields that may stand in a header: a client chose some of them."""
    shown = dict.fromkeys(name if _FIELD.fullmatch(name) else "other" for name in fields)
    return list(shown)[:SHOWN_WARNINGS]


def warn(headers: list[tuple[bytes, bytes]], warning: bytes) -> None:
    """Adds ``warning`` to the one header that lists them."""
    for place, (name, listed) in enumerate(headers):
        if name == WARNINGS:
            headers[place] = (name, listed + b", " + warning)
            return
    headers.append((WARNINGS, warning))


def server_timing(timing: Timing) -> bytes:
    """A span per station, in milliseconds (W3C Server Timing)."""
    return ", ".join([f"{name};dur={ns / 1e6:.3f}" for name, ns in timing.spans]).encode()


def error_body(called: Called, body: bytes) -> bytes:
    """A provider's error as the client gets it: its own JSON object, else its text inside the envelope.

    The provider's key is cut out, should the provider repeat it.
    """
    for secret in called.target.provider.secrets:
        body = body.replace(secret.encode(), b"[secret]")
    try:
        if isinstance(msgspec.json.decode(body), dict):
            return body
    except ValueError:
        pass  # plain text or HTML, as some providers' front ends send
    text = body.decode("utf-8", "replace").strip()[:SHOWN_CHARACTERS]
    return envelope(UpstreamError(text or f"The provider answered {called.answer.status} without a body."))
