"""Which answers may be kept, by what they say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.scripts import completion

from tollway.contract.snapshot import Operation
from tollway.proxy.cache.fitness import OPERATIONS, says_something


def chat(finish: str | None = "stop", **message: Any) -> Any:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]}


def messages(*content: Any, stop: str | None = "end_turn") -> Any:
    return {"type": "message", "content": list(content), "stop_reason": stop}


def responses(*output: Any, status: str = "completed", **more: Any) -> Any:
    return {"status": status, "output": list(output), **more}


SAYS = {"type": "message", "content": [{"type": "output_text", "text": "Paris."}]}
CALL = {"type": "function", "id": "c1", "function": {"name": "f", "arguments": "{}"}}

GOOD: list[tuple[Operation, Any]] = [
    ("chat", completion()),
    ("chat", chat("tool_calls", content=None, tool_calls=[CALL])),
    ("chat", chat("function_call", content=None, function_call={"name": "f", "arguments": "{}"})),
    ("chat", chat(content="x", refusal=None)),
    ("completions", {"choices": [{"text": "x", "finish_reason": "stop"}]}),
    ("messages", messages({"type": "text", "text": "x"})),
    ("messages", messages({"type": "tool_use", "id": "t", "name": "f", "input": {}}, stop="tool_use")),
    ("messages", messages({"type": "text", "text": "x"}, stop="stop_sequence")),
    ("responses", responses(SAYS)),
    ("responses", responses({"type": "function_call", "name": "f", "arguments": "{}"})),
    ("embeddings", {"data": [{"embedding": [0.1]}]}),
    ("moderations", {"results": [{"flagged": False}]}),
    ("rerank", {"results": [{"index": 0}]}),
]

BAD: list[tuple[Operation, Any]] = [
    ("chat", chat("length", content="x")),
    ("chat", chat("content_filter", content="x")),
    ("chat", chat(None, content="x")),
    ("chat", chat("error", content="x")),
    ("chat", chat(content="")),
    ("chat", chat(content=None)),
    ("chat", chat(content=None, refusal="I can't help with that.")),
    ("chat", chat(content="x", refusal="No.")),
    ("chat", {"choices": []}),
    ("chat", {"choices": [*completion()["choices"], *chat("length", content="x")["choices"]]}),
    ("chat", {**completion(), "error": {"message": "no"}}),
    ("chat", {"error": {"message": "no"}}),
    ("chat", []),
    ("completions", {"choices": [{"text": "x", "finish_reason": "length"}]}),
    ("completions", {"choices": [{"text": "", "finish_reason": "stop"}]}),
    ("messages", messages({"type": "text", "text": "x"}, stop="max_tokens")),
    ("messages", messages({"type": "text", "text": "x"}, stop="refusal")),
    ("messages", messages({"type": "text", "text": "x"}, stop="pause_turn")),
    ("messages", messages({"type": "text", "text": "x"}, stop=None)),
    ("messages", messages()),
    ("messages", messages({"type": "thinking", "thinking": "hm"})),
    ("messages", {"type": "error", "error": {"type": "overloaded_error"}}),
    ("responses", responses(SAYS, status="incomplete")),
    ("responses", responses(SAYS, error={"code": "server_error"})),
    ("responses", responses()),
    ("responses", responses({"type": "message", "content": [{"type": "refusal", "refusal": "No."}]})),
    ("responses", responses({"type": "reasoning", "content": None})),
    ("embeddings", {"data": []}),
    ("embeddings", {"data": [{}], "error": {"message": "no"}}),
    ("rerank", {}),
    ("images", {"data": [{"b64_json": "x"}]}),
]


@pytest.mark.parametrize(("operation", "answer"), GOOD)
def test_a_whole_answer_may_be_kept(operation: Operation, answer: Any) -> None:
    assert says_something(operation, json.dumps(answer).encode())


@pytest.mark.parametrize(("operation", "answer"), BAD)
def test_what_is_cut_refused_empty_or_an_error_may_not(operation: Operation, answer: Any) -> None:
    assert not says_something(operation, json.dumps(answer).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(OPERATIONS)), st.sampled_from(GOOD), st.data())
def test_a_damaged_answer_is_judged_and_nothing_else(
    operation: Operation, good: tuple[Operation, Any], data: st.DataObject
) -> None:
    body = json.dumps(good[1]).encode()
    assert not says_something(good[0], body[: data.draw(st.integers(0, len(body) - 1))])
    changed = {name: data.draw(JSON | st.just(value)) for name, value in good[1].items()}
    assert says_something(operation, json.dumps(changed).encode()) in (True, False)


def test_an_answer_that_is_nested_beyond_all_reason_may_not() -> None:
    assert not says_something("chat", b'{"choices":' + b"[" * 100_000)
