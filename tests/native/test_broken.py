"""Recorded traffic broken on purpose: cut off, filled with nulls, with values of other types. It is refused or read."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.screening import redacted

from tollway._native import chat, sse

RECORDS = Path(__file__).parents[2] / "../shared/data/provider-traffic"
OTHERS: list[Any] = [None, True, -1.5, 2**63, "", "bob@example.org \ud83d\ude00", [], {}, [[{"type": ["text"]}]]]

Door = Literal["chat", "messages", "responses"]
Read = TypeVar("Read")


@cache
def recorded(operation: Door, *, stream: bool) -> list[dict[str, Any]]:
    """Records of moderate size, every fifth."""
    found = []
    for file in sorted(RECORDS.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            record = json.loads(line)
            fits = len(line) < 12_000 and record["request"].get("json")
            if fits and record["operation"] == operation and record["stream"] == stream:
                found.append(record)
    return found[::5]


def pick(draw: st.DrawFn, operation: Door, *, stream: bool) -> dict[str, Any]:
    found = recorded(operation, stream=stream)
    if not found:
        pytest.skip("the recorded provider traffic is not there")
    return draw(st.sampled_from(found))


def retyped(draw: st.DrawFn, value: Any) -> Any:
    """The value with one place in it replaced; the place is drawn from the top down."""
    inner = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    if not inner or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(OTHERS))
    at = draw(st.sampled_from(inner))
    changed = value.copy()
    changed[at] = retyped(draw, value[at])
    return changed


def harmed(draw: st.DrawFn, body: bytes) -> bytes:
    """The bytes with a hole of nulls in them, or cut off, or as they are."""
    at = draw(st.integers(0, len(body)))
    return draw(st.sampled_from([body, body[:at], body[:at] + b"\0" * 5 + body[at + 5 :]]))


@st.composite
def requests(draw: st.DrawFn) -> tuple[Door, bytes]:
    operation: Door = draw(st.sampled_from(["chat", "messages", "responses"]))
    asked = pick(draw, operation, stream=draw(st.booleans()))["request"]["json"]
    return operation, harmed(draw, json.dumps(retyped(draw, asked)).encode())


@st.composite
def answers(draw: st.DrawFn) -> tuple[Door, bytes]:
    operation: Door = draw(st.sampled_from(["chat", "messages", "responses"]))
    body = pick(draw, operation, stream=False)["response"]["body"]
    try:
        told = json.loads(body)
    except ValueError:
        return operation, harmed(draw, body.encode())
    return operation, harmed(draw, json.dumps(retyped(draw, told)).encode())


@st.composite
def streams(draw: st.DrawFn) -> tuple[Door, bytes]:
    dialect: Door = draw(st.sampled_from(["chat", "messages", "responses"]))
    lines = pick(draw, dialect, stream=True)["response"]["body"].encode().split(b"\n")
    at = draw(st.integers(0, len(lines) - 1))
    if lines[at].startswith(b"data: {"):
        lines[at] = b"data: " + json.dumps(retyped(draw, json.loads(lines[at][6:]))).encode()
    return dialect, harmed(draw, b"\n".join(lines))


def read_or_refusal(read: Callable[[bytes, str], Read], body: bytes, operation: str) -> Read | str:
    """What was read, or the words of the only error there may be."""
    try:
        return read(body, operation)
    except ValueError as refused:
        return str(refused)


@given(requests())
@settings(deadline=None, max_examples=200)
def test_a_broken_request_is_refused_or_read(asked: tuple[Door, bytes]) -> None:
    operation, body = asked
    request = read_or_refusal(chat.read_request, body, operation)
    if isinstance(request, str):
        assert "bob@example.org" not in request
        return
    assert json.loads(request.render("another", True))["model"] == "another"
    assert request.prompt_upper_bound() >= request.count_prompt("o200k_base")
    changed, _ = redacted(request)
    assert json.loads(changed.body).keys() == json.loads(body).keys()
    assert redacted(changed) == (changed, {})


@given(answers())
@settings(deadline=None, max_examples=200)
def test_a_broken_answer_is_refused_or_read(told: tuple[Door, bytes]) -> None:
    operation, body = told
    answer = read_or_refusal(chat.read_answer, body, operation)
    if isinstance(answer, str):
        assert "bob@example.org" not in answer
        return
    assert answer.count_completion("o200k_base") >= 0
    assert (answer.usage.completion_tokens or 0) >= 0


@given(streams(), st.integers(1, 64), st.booleans())
@settings(deadline=None, max_examples=200)
def test_a_broken_stream_is_relayed_alike_however_it_is_cut(
    told: tuple[Door, bytes], size: int, hold_error: bool
) -> None:
    dialect, stream = told
    whole = sse.Relay(True, dialect=dialect, hold_error=hold_error)
    cut = sse.Relay(True, dialect=dialect, hold_error=hold_error)
    passed = whole.feed(stream) + whole.finish()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert b"".join([*map(cut.feed, pieces), cut.finish()]) == passed
    for name in ("done", "failed", "complete", "has_content", "events", "finish_reasons", "error", "last"):
        assert getattr(whole, name) == getattr(cut, name)
    assert not (whole.failed and whole.complete)
    assert whole.count_completion("o200k_base") == cut.count_completion("o200k_base")
