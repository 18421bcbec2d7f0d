"""What a whole answer says, in each dialect; and whatever else it may be."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.snapshot import Operation
from tollway.proxy.cache.answer_texts import Spoken, spoken

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"b": 1, "a": [true]}'}}
CALLED = (("weather", b'{"a":[true],"b":1}'),)

ANSWERS: list[tuple[Operation, Any, Spoken]] = [
    ("chat", {"choices": [{"message": {"role": "assistant", "content": "Hi."}}]}, Spoken("Hi.")),
    ("chat", {"choices": [{"message": {"content": "A"}}, {"message": {"content": "B"}}]}, Spoken("A\nB")),
    ("chat", {"choices": [{"message": {"content": None, "refusal": "No."}}]}, Spoken("No.")),
    ("chat", {"choices": [{"message": {"content": None, "tool_calls": [CALL]}}]}, Spoken("", CALLED)),
    ("completions", {"choices": [{"text": "and on"}]}, Spoken("and on")),
    (
        "messages",
        {
            "content": [
                {"type": "text", "text": "Look:"},
                {"type": "tool_use", "name": "weather", "input": {"b": 1, "a": [True]}},
            ]
        },
        Spoken("Look:", CALLED),
    ),
    (
        "responses",
        {
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hidden"}]},
                {"type": "message", "content": [{"type": "output_text", "text": "Hi."}]},
                {"type": "function_call", "name": "weather", "arguments": '{"a":[true],"b":1}'},
                {"type": "custom_tool_call", "name": "shell", "input": "ls"},
            ]
        },
        Spoken("Hi.", (*CALLED, ("shell", b'"ls"'))),
    ),
]


@pytest.mark.parametrize(("operation", "answer", "said"), ANSWERS)
def test_what_an_answer_says_is_read(operation: Operation, answer: Any, said: Spoken) -> None:
    assert spoken(operation, json.dumps(answer).encode()) == said


def test_arguments_that_are_no_json_are_a_text() -> None:
    call = {"function": {"name": "weather", "arguments": '{"a":'}}
    said = spoken("chat", json.dumps({"choices": [{"message": {"tool_calls": [call]}}]}).encode())
    assert said == Spoken("", (("weather", b'"{\\"a\\":"'),))


def test_true_is_not_one() -> None:
    def said(arguments: str) -> Spoken | None:
        call = {"function": {"name": "f", "arguments": arguments}}
        return spoken("chat", json.dumps({"choices": [{"message": {"tool_calls": [call]}}]}).encode())

    assert said('{"a":true}') != said('{"a":1}')
    assert said('{"a": 1}') == said('{"a":1}')


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 10_000, b'{"choices":[]}', b'{"choices":[null]}'])
def test_what_says_nothing_is_nothing(body: bytes) -> None:
    assert spoken("chat", body) is None


def test_vectors_say_nothing() -> None:
    assert spoken("embeddings", b'{"data":[{"embedding":[0.5]}]}') is None


NAMES = [
    "choices",
    "message",
    "content",
    "text",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "type",
    "output",
    "input",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["text", "tool_use", "message", "function_call", "x"]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inside, max_size=4),
    max_leaves=16,
)


@given(st.sampled_from(["chat", "completions", "messages", "responses"]), JSON, st.integers(0, 400))
def test_whatever_a_provider_says_raises_nothing(operation: Operation, said: object, cut: int) -> None:
    body = msgspec.json.encode(said)
    for each in (body, body[:cut]):
        found = spoken(operation, each)
        assert found is None or found.text or found.calls
