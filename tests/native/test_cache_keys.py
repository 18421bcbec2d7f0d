"""What a cache knows a request by: the same in every spelling, another for every difference that counts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.native.twins import cache_keys as twin

from tollway._native import chat

RECORDS = Path(__file__).parents[2] / "../shared/data/provider-traffic"

NAMES = st.sampled_from(["type", "content", "cache_control", "text", "role", "tools", "function", "source", "output"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4)
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
OPERATIONS = ["chat", "completions", "messages", "responses", "embeddings", "moderations", "rerank"]


def part(operation: str, text: str) -> dict[str, Any]:
    return {"type": "input_text" if operation == "responses" else "text", "text": text}


@st.composite
def requests(draw: st.DrawFn, operation: str) -> dict[str, Any]:
    """A request with a question in the form of its dialect, among anything else."""
    text = draw(TEXTS)
    content = draw(st.sampled_from([text, [part(operation, text)], [part(operation, text), part(operation, "more")]]))
    earlier = draw(st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=2))
    turns = [*earlier, {"role": "user", "content": content}]
    fields: dict[str, Any] = draw(st.dictionaries(st.sampled_from(["seed", "tools", "x", "system", "store"]), VALUES))
    named = {"responses": "input"}.get(operation, "messages")
    return fields | {"model": "m", named: turns}


def shuffled(value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(value[key], draw) for key in draw(st.permutations(list(value)))}
    return [shuffled(each, draw) for each in value] if isinstance(value, list) else value


def read(body: bytes, operation: str) -> chat.CacheKeys:
    return chat.read_request(body, operation).cache_keys("tenant", "alias")


def told(keys: chat.CacheKeys) -> tuple[bytes, bytes | None, str | None]:
    return keys.key, keys.namespace, keys.question


@given(st.data(), st.sampled_from(["chat", "messages", "responses"]))
def test_the_keys_are_the_twins(data: st.DataObject, operation: str) -> None:
    body = json.dumps(data.draw(requests(operation)), ensure_ascii=data.draw(st.booleans())).encode("utf-8", "replace")
    assert told(read(body, operation)) == twin.keys(body, operation, "tenant", "alias")


@given(st.data(), st.sampled_from(["chat", "messages", "responses"]))
def test_a_spelling_changes_nothing(data: st.DataObject, operation: str) -> None:
    request = data.draw(requests(operation))
    other = json.dumps(shuffled(request, data.draw), indent=data.draw(st.none() | st.integers(0, 3))).encode()
    keys = read(json.dumps(request).encode(), operation)
    assert told(read(other, operation)) == told(keys)
    assert read(other, operation).is_cacheable == keys.is_cacheable


@given(st.data(), st.sampled_from(["chat", "messages", "responses"]), TEXTS)
def test_another_question_has_the_same_namespace_and_another_key(
    data: st.DataObject, operation: str, question: str
) -> None:
    request = data.draw(requests(operation))
    turns = request["input" if operation == "responses" else "messages"]
    keys = read(json.dumps(request).encode(), operation)
    before = turns[-1]["content"]
    turns[-1]["content"] = question
    other = read(json.dumps(request).encode(), operation)
    assert (other.namespace, other.question) == (keys.namespace, question)
    assert (other.key == keys.key) == (before == question)


@given(st.data(), st.sampled_from(OPERATIONS))
def test_whatever_is_accepted_has_keys(data: st.DataObject, operation: str) -> None:
    turn = data.draw(VALUES)
    body = {"model": "m", "messages": [turn], "input": [turn], "prompt": "p", "query": "q", "documents": [turn]}
    try:
        request = chat.read_request(json.dumps(data.draw(st.dictionaries(NAMES, VALUES)) | body).encode(), operation)
    except chat.InvalidRequest:
        return
    keys = request.cache_keys("tenant", "alias")
    assert len(keys.key) == 32
    assert (keys.namespace is None) == (keys.question is None)


@pytest.mark.parametrize("text", ["1", "1.0", "1e0", "10E-1", "0.1e+1", "100.0e-2"])
def test_numbers_are_compared_by_their_value(text: str) -> None:
    body = '{"model":"m","messages":[{"role":"user","content":"q"}],"temperature":%s}'
    keys = read((body % text).encode(), "chat")
    assert keys.key == read((body % "1").encode(), "chat").key
    assert keys.temperature == 1.0
    assert keys.key != read((body % "1.0000000000000000000001").encode(), "chat").key


def test_scope_model_and_operation_part_namespaces() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"q"}]}'
    request = chat.read_request(body)
    keys = {
        request.cache_keys(scope, model).namespace
        for scope, model in [("a", "m"), ("b", "m"), ("a", "n"), ("am", ""), ("", "am")]
    }
    assert len(keys | {chat.read_request(body, "messages").cache_keys("a", "m").namespace}) == 6


def test_a_large_body_has_the_same_keys_as_by_the_twin() -> None:
    turns = [{"role": "user", "content": f"turn {index} \u00e9\n"} for index in range(2_000)]
    body = json.dumps({"messages": turns, "model": "m"}).encode()
    assert told(read(body, "chat")) == twin.keys(body, "chat", "tenant", "alias")


def test_deep_nesting_is_no_danger() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"q"}],"x":' + b"[" * 127 + b"]" * 127 + b"}"
    assert told(read(body, "chat")) == twin.keys(body, "chat", "tenant", "alias")


def test_recorded_requests_have_the_twins_keys() -> None:
    files = sorted(RECORDS.glob("*.jsonl"))
    if not files:
        pytest.skip("the recorded provider traffic is not there")
    records = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    seen: set[str] = set()
    for record in records:
        fields, operation = record["request"].get("json"), record["operation"]
        if operation not in OPERATIONS or not isinstance(fields, dict):
            continue
        body = json.dumps(fields | {"model": "m"}).encode()
        try:
            keys = read(body, operation)
        except chat.InvalidRequest:
            continue
        assert told(keys) == twin.keys(body, operation, "tenant", "alias")
        seen.add(operation)
    assert {"chat", "messages"} <= seen
