"""Streams through the native screen: any text in any pieces is what it is as a whole, and JSON stays JSON."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway._native import chat
from tollway._native.guardrails import Policy, Session
from tollway._native.sse import Relay

Dialect = Literal["chat", "messages", "responses"]
DIALECTS: tuple[Dialect, ...] = ("chat", "messages", "responses")
CARD, EMAIL = "4111 1111 1111 1111", "jane.doe@example.com"
ACTIONS = {"email": "redact", "credit_card": "redact", "iban": "mask"}
WORDS = [CARD, EMAIL, "4111111111111111", "411", "jane.doe@", "DE89370400440532013000", "\\", '"', "é😀", "fox ", ", "]


def session(output: dict[str, Any] | None = None, entry: dict[str, Any] | None = None) -> Session:
    """A guard that rewrites answers, unless told otherwise."""
    rewriting = {"check": "pii", "actions": ACTIONS} if output is None and entry is None else output
    spec = {"name": "p", "version": "1", "input": [entry] if entry else [], "output": [rewriting] if rewriting else []}
    return Policy(json.dumps(spec).encode(), b"secret").session("acme")


def events(dialect: Dialect, texts: Sequence[str], arguments: Sequence[str]) -> list[dict[str, Any]]:
    """A stream that says the pieces of a text, and of a call's arguments, by turns."""
    told: list[dict[str, Any]] = []
    for number in range(max(len(texts), len(arguments))):
        text, argument = "".join(texts[number : number + 1]), "".join(arguments[number : number + 1])
        match dialect:
            case "chat":
                call = {"index": 0, "function": {"arguments": argument}}
                told.append({"choices": [{"index": 0, "delta": {"content": text, "tool_calls": [call]}}]})
            case "messages":
                for index, block in enumerate(({"text": text}, {"partial_json": argument})):
                    told.append({"type": "content_block_delta", "index": index, "delta": block})
            case "responses":
                for index, (kind, delta) in enumerate((("output_text", text), ("function_call_arguments", argument))):
                    told.append({"type": f"response.{kind}.delta", "output_index": index, "delta": delta})
    match dialect:
        case "chat":
            told.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        case "messages":
            told += [{"type": "content_block_stop", "index": index} for index in (0, 1)] + [{"type": "message_stop"}]
        case "responses":
            told.append({"type": "response.completed", "response": {"status": "completed", "output": []}})
    return told


def relayed(dialect: Dialect, told: Sequence[dict[str, Any]], guard: Session, size: int = 1 << 20) -> list[Any]:
    """The payloads that a client gets of the stream, cut into pieces of ``size`` bytes."""
    stream = b"".join([b"data: " + json.dumps(event).encode() + b"\n\n" for event in told])
    relay = Relay(False, dialect=dialect, guard=guard)
    out = b"".join([relay.feed(stream[at : at + size]) for at in range(0, len(stream), size)]) + relay.finish()
    return [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: ")]


def joined(dialect: Dialect, payloads: Sequence[Any]) -> tuple[str, str]:
    """What a client puts together of the text and of the arguments."""
    text = arguments = ""
    for event in payloads:
        match dialect:
            case "chat":
                delta = event["choices"][0]["delta"]
                text += delta.get("content") or ""
                arguments += "".join(call["function"]["arguments"] for call in delta.get("tool_calls", ()))
            case "messages":
                text += event.get("delta", {}).get("text", "")
                arguments += event.get("delta", {}).get("partial_json", "")
            case "responses" if event.get("output_index") == 0:
                text += event.get("delta", "")
            case "responses":
                arguments += event.get("delta", "")
    return text, arguments


def whole(text: str, arguments: str, guard: Session) -> tuple[str, str]:
    """The same of a whole answer."""
    message = {"content": text, "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}
    screened = guard.answer(json.dumps({"choices": [{"message": message}]}).encode(), "chat")
    assert screened is not None
    (choice,) = json.loads(screened[0])["choices"]
    return choice["message"]["content"], choice["message"]["tool_calls"][0]["function"]["arguments"]


def cut(text: str, places: Sequence[int]) -> list[str]:
    """``text`` in pieces."""
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(ends)]


texts = st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=8).map("".join)
cuts = st.lists(st.integers(min_value=0), max_size=12)


@given(texts, texts, st.integers(0, 10**17), cuts, st.integers(1, 400))
def test_a_stream_says_what_the_whole_says(text: str, value: str, number: int, places: list[int], size: int) -> None:
    arguments = json.dumps({"to": value, "card": number, "inner": json.dumps({"to": value})})
    expected = whole(text, arguments, session())
    json.loads(expected[1])
    for dialect in DIALECTS:
        told = events(dialect, cut(text, places), cut(arguments, places))
        assert joined(dialect, relayed(dialect, told, session(), size)) == expected


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_of_a_value_leaves_however_it_is_cut(dialect: Dialect) -> None:
    arguments = json.dumps({"card": 4111111111111111, "to": EMAIL, "inner": json.dumps({"card": CARD})})
    guard = session()
    out = joined(dialect, relayed(dialect, events(dialect, f"a {CARD} b {EMAIL} c", arguments), guard))
    assert out[0] == "a [CREDIT_CARD] b [EMAIL] c"
    held = json.loads(out[1])
    assert (held["card"], held["to"], json.loads(held["inner"])) == (
        "[CREDIT_CARD]",
        "[EMAIL]",
        {"card": "[CREDIT_CARD]"},
    )
    counts = {(kind, action): count for _, _, kind, action, count in guard.found()}
    assert counts == {("credit_card", "redact"): 3, ("email", "redact"): 2}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_originals_are_put_back_wherever_a_placeholder_is_cut(dialect: Dialect) -> None:
    guard = session(entry={"check": "pii", "actions": {"email": "redact"}, "restore": True})
    asked = json.dumps({"model": "m", "messages": [{"role": "user", "content": EMAIL}]}).encode()
    sent = json.loads(guard.request(chat.read_request(asked)).body)["messages"][0]["content"]
    assert sent.startswith("[EMAIL_")
    text, arguments = f"To {sent}.", json.dumps({"to": sent, "note": f'"{sent}"'})
    for places in range(len(text)):
        told = events(dialect, cut(text, [places]), cut(arguments, [places, places + 9]))
        out = joined(dialect, relayed(dialect, told, guard.fork()))
        assert out[0] == f"To {EMAIL}."
        assert json.loads(out[1]) == {"to": EMAIL, "note": f'"{EMAIL}"'}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_follows_a_block(dialect: Dialect) -> None:
    guard = session({"check": "pii", "actions": {"email": "block"}})
    out = relayed(
        dialect, events(dialect, ["one two three ", "four five ", "jane.doe@", "example.com ", "six"], []), guard
    )
    assert joined(dialect, out)[0] == "one two three four five "
    assert guard.blocked is not None
    assert (guard.blocked.check, guard.blocked.kind, guard.blocked.direction) == ("pii", "email", "output")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_policy_that_only_flags_changes_nothing(dialect: Dialect) -> None:
    guard = session({"check": "pii", "actions": {"email": "flag"}})
    told = events(dialect, ["one jane.doe@", "example.com two"], ["{}"])
    ends = 0 if dialect == "chat" else 1
    assert relayed(dialect, told, guard) == told[: len(told) - ends]
    assert [(kind, action) for _, _, kind, action, _ in guard.found()] == [("email", "flag")]


def test_what_is_counted_is_what_the_provider_said() -> None:
    told = events("chat", [f"{EMAIL} {CARD}"], [])
    relay, plain = Relay(False, guard=session()), Relay(False)
    for either in (relay, plain):
        either.feed(b"".join([b"data: " + json.dumps(event).encode() + b"\n\n" for event in told]))
    assert relay.count_completion("o200k_base") == plain.count_completion("o200k_base")
    assert relay.events == plain.events


@given(st.binary(max_size=200), st.sampled_from(DIALECTS))
def test_any_bytes_are_screened_without_a_fault(stream: bytes, dialect: Dialect) -> None:
    relay = Relay(False, dialect=dialect, guard=session())
    relay.feed(stream)
    relay.feed(b"data: " + stream.replace(b"\n", b"") + b"\n\n")
    relay.finish()
    assert not relay.blocked


@given(
    st.binary(max_size=200), st.sampled_from(["chat", "messages", "responses", "rerank", "transcriptions", "images"])
)
def test_any_answer_is_screened_without_a_fault(body: bytes, operation: str) -> None:
    assert session().answer(body, operation) is not None


@pytest.mark.parametrize("operation", ["embeddings", "moderations", "count_tokens", "speech"])
def test_answers_without_texts_are_left_alone(operation: str) -> None:
    body = json.dumps({"data": [{"said": EMAIL}]}).encode()
    assert session().answer(body, operation) == (body, False)


def test_tokens_that_repeat_what_somebody_else_has_found_are_dropped() -> None:
    choice = {"message": {"content": "Hi Ann"}, "logprobs": {"content": [{"token": "Ann"}]}}
    body = json.dumps({"choices": [choice]}).encode()
    edited = session().edit_answer(body, "chat", [(0, 3, 6, "names", "person", "redact", False)])
    assert edited is not None
    assert json.loads(edited) == {"choices": [{"message": {"content": "Hi [PERSON]"}, "logprobs": None}]}


def test_an_operation_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="astrology"):
        session().answer(b"{}", "astrology")
