"""Refusals of providers that speak OpenAI's dialect, each with an accent: any body becomes a fault.

Shapes that are read: OpenAI's ``{"error": {message, type, param, code}}``, the same without the ``error`` around it
(Cerebras, vLLM, Mistral, GPUStack), ``error`` as a text (xAI, Ollama, TGI), ``detail`` as a text or a list (Mistral,
FastAPI), ``message`` alone (Cohere, AWS), a list of errors (Google's door for OpenAI's clients, Cloudflare), what
OpenRouter has in ``metadata.raw``, plain text and HTML. The content type is not
believed: DeepSeek calls its JSON an octet stream.
"""

import html
import math
import re
import time
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from tollway.proxy.causes import Cause, Fault, cleaned
from tollway.proxy.providers.openai.causes import cause_from
from tollway.proxy.providers.port import Header

TEXT_CHARACTERS = 500
"""As much is kept of a refusal that is no JSON."""

MESSAGE_CHARACTERS = 8192
"""As much is kept of a message inside JSON."""

_READ_BYTES = 16 * 1024
_NAME_CHARACTERS = 128
_PARAM_CHARACTERS = 256

_PAGE = re.compile(r"\s*<(!doctype|html|head|body|\?xml|center|h1)\b", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style|title|head)\b.*?(</\1\s*>|\Z)|<!--.*?(-->|\Z)", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]{0,100}>(.{0,500}?)</title", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]{0,2000}>?")
_BLANKS = re.compile(r"\s+")

_WAIT = re.compile(
    r"(?:try again|retry|wait)\b[^.\n]{0,30}? (?:in|after|for) (?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?"
    r"(?:(\d{1,9}(?:\.\d{1,9})?) ?(ms|s)(?:ec\w*|econds?)?\b)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?")


class OpenAIFaults:
    """Reads the refusals of one OpenAI-like provider (see :class:`~tollway.proxy.providers.port.Faults`)."""

    __slots__ = ("_secrets",)

    def __init__(self, *secrets: str | None) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)

    def fault(self, status: int, header: Header, body: bytes) -> Fault:
        """The fault of a whole answer: of a status of 400 or more, or of ``{"error": …}`` with a status of 200."""
        if status < 400:
            return self.event_fault(body)
        return read_fault(status, header, body, self._secrets)

    def event_fault(self, payload: bytes) -> Fault:
        """The fault that an event of a stream tells of."""
        return read_event_fault(payload, self._secrets)


def read_fault(status: int, header: Header, body: bytes, secrets: Sequence[str] = ()) -> Fault:
    """What a refusal with a status of 400 or more means, whatever its body is."""
    told = _read(body)
    names = list(told.names)
    if amazon := header("x-amzn-errortype"):
        names.append(amazon.partition(":")[0][:_NAME_CHARACTERS])
    cause = Cause.BAD_GENERATION if told.generated and status < 500 else cause_from(status, names, told.text)
    is_lasting = header("x-should-retry") == "false"
    if cause is Cause.RATE_LIMIT and is_lasting:
        cause = Cause.TOO_LARGE_FOR_LIMIT
    return Fault(
        cause,
        _shown(told.text, secrets) or f"The provider answered with status {status}.",
        told.param,
        _retry_after_s(header, told.text),
        is_lasting,
    )


def read_event_fault(payload: bytes, secrets: Sequence[str] = ()) -> Fault:
    """What an error inside an answer with a status of 200 means: an event of a stream, or the whole body.

    Chat's ``{"error": …}``, whose ``code`` may be a status (OpenRouter), and the events ``error`` and
    ``response.failed`` of OpenAI's Responses.
    """
    told = _read(payload)
    cause = Cause.BAD_GENERATION if told.generated else cause_from(told.status, told.names, told.text)
    message = _shown(told.text, secrets) or "The provider broke off its answer and said nothing."
    return Fault(cause, message, told.param, _wait_s(told.text))


class _Told(msgspec.Struct, frozen=True):
    """What a body says. ``names`` are its codes and types; ``status`` is one that stands in the body;
    ``generated``: the provider shows what its model made and could not be used (Groq)."""

    text: str = ""
    names: tuple[str, ...] = ()
    param: str | None = None
    status: int | None = None
    generated: bool = False


def _read(body: bytes) -> _Told:
    try:
        told = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested without end
        return _Told(_plain(body))
    return _of(told) or _Told()


def _plain(body: bytes) -> str:
    """A text, or what a reader sees of a page."""
    text = body[:_READ_BYTES].decode("utf-8", "replace").replace("\x00", "")
    if _PAGE.match(text):
        title = _TITLE.search(text)
        text = html.unescape(_TAG.sub(" ", _UNSEEN.sub(" ", text)))
        if not text.strip() and title:
            text = html.unescape(title[1])
        text = _BLANKS.sub(" ", text)
    return text.strip()[:TEXT_CHARACTERS]


def _of(told: Any, depth: int = 0) -> _Told | None:
    """What a JSON value tells; errors lie in one another, up to a depth that no provider reaches."""
    if depth > 4:
        return None
    if isinstance(told, str):
        return _Told(told) if told.strip() else None
    if isinstance(told, list):
        return _of_list(told, depth)
    if not isinstance(told, dict):
        return None
    for name in ("error", "errors", "response", "detail"):  # "response" holds the error of ``response.failed``
        inner = told.get(name)
        if inner and (name != "response" or isinstance(inner, dict)) and (found := _of(inner, depth + 1)) is not None:
            return _joined(found, _own(told, found.text))
    choices = told.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict) and choices[0].get("error"):
        return _of(choices[0]["error"], depth + 1)
    message = next((told[name] for name in ("message", "Message", "msg") if told.get(name)), None)
    if isinstance(message, dict | list):  # Mistral: {"message": {"detail": […]}}
        inner_told = _of(message, depth + 1)
        return _joined(inner_told or _Told(), _own(told, ""))
    own = _own(told, message if isinstance(message, str) else "")
    raw = _raw(told.get("metadata"), depth)
    return own if raw is None else _joined(msgspec.structs.replace(raw, status=None), own)


def _of_list(told: Sequence[Any], depth: int) -> _Told | None:
    """The errors of a list, joined: texts of a validation, mostly."""
    found = [each for each in (_of(item, depth + 1) for item in told[:8]) if each is not None]
    if not found:
        return None
    text = "; ".join(each.text for each in found if each.text)
    return msgspec.structs.replace(found[0], text=text)


def _raw(metadata: Any, depth: int) -> _Told | None:
    """OpenRouter: the words of the provider behind it, a text or JSON inside one."""
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str) or not raw.strip():
        return _of(raw, depth + 1) if isinstance(raw, dict) else None
    try:
        inner = msgspec.json.decode(raw.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return _Told(_plain(raw.encode("utf-8", "replace")))
    return (_of(inner, depth + 1) if isinstance(inner, dict | list) else None) or _Told(raw)


def _joined(inner: _Told, outer: _Told) -> _Told:
    """What is told further inside goes first."""
    return _Told(
        inner.text or outer.text,
        inner.names + outer.names,
        inner.param or outer.param,
        inner.status or outer.status,
        inner.generated or outer.generated,
    )


def _own(told: dict[str, Any], text: str) -> _Told:
    """What the fields beside an error's text say."""
    param = told.get("param")
    if not isinstance(param, str) or not param:
        param = _place(told.get("loc"))
    statuses = (told.get("status_code"), told.get("code"), told.get("raw_status_code"), told.get("status"))
    return _Told(
        text,
        tuple(_names(told)),
        param[:_PARAM_CHARACTERS] if param else None,
        next((status for each in statuses if (status := _status(each)) is not None), None),
        isinstance(told.get("failed_generation"), str),
    )


def _names(told: dict[str, Any]) -> Iterator[str]:
    inner = told.get("innererror") or told.get("inner_error")
    metadata = told.get("metadata")
    amazon = told.get("__type")
    for name in (
        inner.get("code") if isinstance(inner, dict) else None,
        told.get("code"),
        metadata.get("error_type") if isinstance(metadata, dict) else None,
        told.get("type"),
        told.get("error_type"),
        told.get("status"),
        amazon.rpartition("#")[2] if isinstance(amazon, str) else None,
    ):
        if isinstance(name, str) and name:
            yield name[:_NAME_CHARACTERS]


def _status(code: Any) -> int | None:
    if isinstance(code, str) and len(code) == 3 and code.isdecimal() and code.isascii():
        code = int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600 else None


def _place(where: Any) -> str | None:
    """FastAPI's ``["body", "messages", 0, "content"]`` as ``messages[0].content``."""
    if not isinstance(where, list) or len(where) > 32:
        return None
    path = ""
    for step in where[1:] if where[:1] == ["body"] else where:
        if isinstance(step, int) and not isinstance(step, bool):
            path += f"[{step}]"
        elif isinstance(step, str):
            path += f".{step}" if path else step
    return path or None


def _shown(text: str, secrets: Sequence[str]) -> str:
    return cleaned(text[: 2 * MESSAGE_CHARACTERS], secrets).strip()[:MESSAGE_CHARACTERS]


def _retry_after_s(header: Header, text: str) -> float | None:
    """When to come back: in milliseconds, in seconds, as a date (RFC 9110, section 10.2.3), or in words."""
    if (told := header("retry-after-ms")) and _NUMBER.fullmatch(told.strip()):
        return float(told) / 1000
    if told := header("retry-after"):
        if _NUMBER.fullmatch(told.strip()):
            return float(told)
        if (then := _instant_s(told)) is not None:
            now = _instant_s(header("date") or "")
            return max(0.0, then - (time.time() if now is None else now))
    return _wait_s(text)


def _instant_s(date: str) -> float | None:
    try:
        instant = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return instant if math.isfinite(instant) else None


def _wait_s(text: str) -> float | None:
    """``Please try again in 1m11.38s.``, ``Please retry after 7 seconds.``"""
    for found in _WAIT.finditer(text[:MESSAGE_CHARACTERS]):
        hours, minutes, number, unit = found.groups()
        if hours or minutes or number:
            rest = float(number or 0) / (1000 if unit and unit.lower() == "ms" else 1)
            return int(hours or 0) * 3600 + int(minutes or 0) * 60 + rest
    return None
