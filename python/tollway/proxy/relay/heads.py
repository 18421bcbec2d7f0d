"""The heads of answers: what the gateway adds, what of the provider's it passes on, and how refusals are said."""

import math
import re
from collections.abc import Sequence

import msgspec

from tollway.proxy.causes import Cause, Fault, cleaned, cleaned_body, seen_as
from tollway.proxy.dialects.port import refused_by
from tollway.proxy.exchange import Arrival, Called, Timing

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


def head(called: Called) -> list[tuple[bytes, bytes]]:
    """The answer's headers, in the order in which they leave."""
    arrival, answer = called.arrival, called.answer
    content_type = answer.header("content-type") or ("text/event-stream" if called.request.stream else "")
    if answer.status >= 400 or not content_type or called.writer is not None:
        is_stream = called.writer is not None and answer.status == 200 and content_type.startswith("text/event-stream")
        content_type = EVENTS if is_stream else "application/json"
    headers = [
        (b"content-type", content_type.encode("latin-1")),
        (b"x-request-id", arrival.request_id.encode("ascii")),
        (b"x-tollway-provider", called.target.provider.name.encode()),
        (b"x-tollway-model", called.target.model.encode()),
        (b"server-timing", server_timing(arrival.timing)),
        *arrival.connection.answer_headers,
    ]
    if arrival.dialect.answer_id_header != b"x-request-id":
        headers.append((arrival.dialect.answer_id_header, arrival.request_id.encode("ascii")))
    if called.warnings or answer.warnings:
        for name in _shown((*called.warnings, *answer.warnings)):
            warn(headers, b"dropped:" + name.encode("ascii"))
    for name in PASSED_ON:
        value = answer.header(name)
        if value is not None:
            headers.append((name.encode(), cleaned(value, secrets_of(called)).encode("latin-1", "replace")))
    return headers


def early_head(arrival: Arrival) -> list[tuple[bytes, bytes]]:
    """The head of a stream of which nothing is known yet, for a client that must not be kept waiting without a byte."""
    headers = [
        (b"content-type", EVENTS.encode()),
        (b"x-request-id", arrival.request_id.encode("ascii")),
        (b"server-timing", server_timing(arrival.timing)),
        *arrival.connection.answer_headers,
    ]
    if arrival.dialect.answer_id_header != b"x-request-id":
        headers.append((arrival.dialect.answer_id_header, arrival.request_id.encode("ascii")))
    return headers


EVENTS = "text/event-stream; charset=utf-8"


def as_events(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The same headers, of a body of events."""
    return [(name, EVENTS.encode() if name == b"content-type" else value) for name, value in headers]


def refusal_head(called: Called, fault: Fault) -> list[tuple[bytes, bytes]]:
    """The headers of a refusal: as any answer's, and when a retry may help."""
    headers = [
        (b"content-type", b"application/json") if header[0] == b"content-type" else header for header in head(called)
    ]
    own = {name for name, _ in headers}
    if fault.cause is Cause.QUOTA:
        headers = [header for header in headers if header[0] != b"x-should-retry"]
        headers.append((b"x-should-retry", b"false"))
    elif b"x-should-retry" not in own and fault.cause.effect.status == 429 and not fault.should_retry:
        headers.append((b"x-should-retry", b"false"))
    if fault.retry_after_s is not None and b"retry-after" not in own:
        headers.append((b"retry-after", str(max(1, math.ceil(fault.retry_after_s))).encode()))
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


def refusal(called: Called, body: bytes, fault: Fault) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """A provider's refusal, which ``fault`` says the cause of, as the client gets it: status, headers and body.

    A body that is in the client's own dialect passes as it is, under its own status but for those that no client
    expects; any other is read and said anew. Keys are cut out, should the provider repeat one.
    """
    body = cleaned_body(body, secrets_of(called))
    fault = _without_secrets(called, fault)
    headers = refusal_head(called, fault)
    dialect, status = called.arrival.dialect, called.answer.status
    if called.writer is None and status >= 400:
        if dialect.owns(body):
            return seen_as(status), headers, body
        if fault.cause is not Cause.BAD_KEY:
            return seen_as(status), headers, dialect.envelope(refused_by(fault, called.arrival.request_id))
    return fault.cause.effect.status, headers, dialect.envelope(refused_by(fault, called.arrival.request_id))


def refusal_inside(called: Called, payload: bytes) -> bytes:
    """The event that ends a stream for which the provider has told a fault, of the payload that told it.

    One that is in the client's own dialect passes, but for keys in it; any other is said anew.
    """
    told = _without_secrets(called, called.answer.event_fault(payload))
    refused = refused_by(told, called.arrival.request_id)
    if called.writer is not None:
        return called.writer.fault(refused)
    payload = cleaned_body(payload, secrets_of(called))
    kind = _kind(payload)
    match called.arrival.dialect.name:
        case "responses" if kind in _RESPONSES_FAULTS:
            return framed(kind, payload)
        case "anthropic" if called.arrival.dialect.owns(payload):
            return framed("error", payload)
        case "openai" if called.arrival.dialect.owns(payload):
            return framed(None, payload)
        case _:
            return called.arrival.dialect.fault_event(refused)


def refusal_late(called: Called, fault: Fault) -> bytes:
    """The event that tells a refusal to a client whose stream's head is out already, though nothing was said."""
    told = refused_by(_without_secrets(called, fault), called.arrival.request_id)
    return called.arrival.dialect.fault_event(told) if called.writer is None else called.writer.fault(told)


def framed(name: str | None, payload: bytes) -> bytes:
    """An event as it goes on the wire (WHATWG HTML, "Server-sent events"); a payload of several lines keeps them."""
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"".join([b"data: " + line + b"\n" for line in payload.split(b"\n")]) + b"\n"


_RESPONSES_FAULTS = frozenset({"error", "response.failed"})


class _Typed(msgspec.Struct):
    type: str = ""


def _kind(payload: bytes) -> str:
    try:
        return msgspec.json.decode(payload, type=_Typed).type
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return ""


def secrets_of(called: Called) -> tuple[str, ...]:
    """What must not come back to the client: the provider's keys, and what this call was proved with."""
    target = called.target
    others = [secret for key in target.keys for secret in key.access.secrets]
    return (*target.provider.secrets, *others, *called.answer.secrets)


def _without_secrets(called: Called, fault: Fault) -> Fault:
    secrets = secrets_of(called)
    param = fault.param and cleaned(fault.param, secrets)
    return msgspec.structs.replace(fault, message=cleaned(fault.message, secrets), param=param)
