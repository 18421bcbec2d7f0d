"""Recorded provider traffic, to be replayed by the fake upstream and compared with what a client received."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.scripts import Chunking, Script, stream

DIRECTORY = Path(__file__).parents[2] / "../shared/data/provider-traffic"

needs_records = pytest.mark.skipif(not DIRECTORY.is_dir(), reason="the recorded provider traffic is not here")
"""Skips a test where there are no records; parametrised tests then have no cases, and are skipped by pytest."""

_FRAMING = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive", "date"})
"""Headers of the recorded transport: they don't hold for the replayed one."""


@dataclass(frozen=True, slots=True)
class Record:
    """A recorded call. ``body`` is the answer's text; for a stream the raw server-sent events."""

    id: str
    provider: str
    operation: str
    stream: bool
    fidelity: str
    scenario: str
    tags: tuple[str, ...]
    request: dict[str, Any]
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    @property
    def asked(self) -> dict[str, Any]:
        """The request's JSON."""
        asked: dict[str, Any] = self.request["json"]
        return asked

    @property
    def is_sse(self) -> bool:
        """Whether the body is a stream of events; a stream that was refused is not."""
        return self.stream and self.status == 200


def records(
    provider: str, operation: str = "chat", stream: bool | None = None, *, tags: tuple[str, ...] = ()
) -> list[Record]:
    """The records of a provider, those with all ``tags``; none where the data is missing."""
    return [
        record
        for record in _read(provider)
        if record.operation == operation and stream in (None, record.stream) and set(tags) <= set(record.tags)
    ]


def replay(record: Record, chunking: Chunking = "events") -> Script:
    """The recorded answer as a script; ``chunking`` is for streams."""
    headers = [(name, value) for name, value in record.headers if name.lower() not in _FRAMING]
    if record.is_sse:
        kept = [(name, value) for name, value in headers if name.lower() != "content-type"]
        return stream(record.body, chunking, headers=kept)
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json" if _is_json(record.body) else "text/plain"))
    return Script(record.status, tuple(headers), (("send", record.body.encode()),))


def expected_payloads(record: Record) -> list[Any]:
    """The JSON values of the answer: one, or one an event. ``[DONE]`` is not among them, see ``ends_with_done``."""
    return payloads(record.body) if record.is_sse else [json.loads(record.body)]


def ends_with_done(record: Record) -> bool:
    """Whether the recorded stream has its ``[DONE]``."""
    return record.is_sse and "[DONE]" in _data(record.body)


def payloads(events: str) -> list[Any]:
    """The JSON values of a stream's text, without ``[DONE]``."""
    return [json.loads(data) for data in _data(events) if data != "[DONE]"]


def expected_text(record: Record) -> str:
    """The text of the first choice, joined if it was streamed; lists of parts (Mistral) count with their text."""
    said = ""
    for payload in expected_payloads(record):
        for choice in payload.get("choices") or ():
            if choice.get("index", 0) == 0:
                content = (choice.get("delta") or choice.get("message") or {}).get("content") or ""
                said += content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    return said


def expected_usage(record: Record) -> dict[str, Any] | None:
    """The usage of the answer: of a stream, the last that was told."""
    told = [payload["usage"] for payload in expected_payloads(record) if payload.get("usage")]
    return told[-1] if told else None


@cache
def _read(provider: str) -> tuple[Record, ...]:
    path = DIRECTORY / f"{provider}.jsonl"
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8") as lines:
        return tuple(_record(json.loads(line)) for line in lines)


def _record(line: dict[str, Any]) -> Record:
    response = line["response"]
    return Record(
        id=line["id"],
        provider=line["provider"],
        operation=line["operation"],
        stream=line["stream"],
        fidelity=line["fidelity"],
        scenario=line["scenario"],
        tags=tuple(line["tags"]),
        request=line["request"],
        status=response["status"],
        headers=tuple(response["headers"].items()),
        body=response["body"],
    )


def _data(events: str) -> list[str]:
    """The ``data`` of each event, by the letter of the WHATWG's rules, but simply."""
    found: list[str] = []
    current: list[str] = []
    for line in [*events.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if not line and current:
            found.append("\n".join(current))
            current = []
        name, _, value = line.partition(":")
        if name == "data":
            current.append(value.removeprefix(" "))
    return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
