"""Where texts stand in the requests of every operation: no door leads around the scanner, nothing else is touched."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.screening import redacted
from tests.native.twins import chat as twin

from tollway._native import chat, tokens

RECORDS = Path(__file__).parents[2] / "../shared/data/provider-traffic"
CANARY = "bob@example.org"


def text(key: str = "text", kind: str = "text") -> dict[str, Any]:
    return {"type": kind, key: CANARY}


BLOCKS: list[dict[str, Any]] = [
    text(),
    {"type": "text", "text": "", "citations": [{"type": "page_location", "cited_text": CANARY, "title": CANARY}]},
    {"type": "tool_use", "id": "t", "name": "f", "input": {"to": CANARY, "id": CANARY, "deep": [{"type": CANARY}]}},
    {"type": "tool_result", "tool_use_id": "t", "content": CANARY},
    {"type": "tool_result", "tool_use_id": "t", "content": [text(), {"type": "search_result", "content": [text()]}]},
    {"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": [{"type": "document", "title": CANARY}]},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": CANARY}, "context": CANARY},
    {"type": "document", "source": {"type": "content", "content": [text()]}, "title": CANARY},
    {"type": "search_result", "source": CANARY, "title": CANARY, "content": [text()]},
    {"type": "server_tool_use", "id": "t", "name": "bash_code_execution", "input": {"command": CANARY}},
    {"type": "web_fetch_tool_result", "tool_use_id": "t", "content": {"type": "web_fetch_result", "url": CANARY}},
    {"type": "yet_unknown", "blob": {"words": [CANARY]}},
]  # fmt: skip

ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": CANARY},
    {"type": "message", "role": "developer", "content": [text(kind="input_text"), text("refusal", "refusal")]},
    {"type": "message", "id": "i", "role": "assistant", "content": [text(kind="output_text")]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"to": CANARY, "id": [CANARY]})},
    {"type": "function_call_output", "call_id": "c", "output": CANARY},
    {"type": "function_call_output", "call_id": "c", "output": [text(kind="input_text")]},
    {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": CANARY},
    {"type": "custom_tool_call_output", "call_id": "c", "output": CANARY},
    {"type": "reasoning", "id": "r", "summary": [text(kind="summary_text")], "content": [text(kind="reasoning_text")]},
    {"type": "mcp_call", "id": "i", "name": "f", "arguments": CANARY, "output": CANARY},
    {"type": "web_search_call", "id": "i", "action": {"type": "search", "query": CANARY}},
    {"type": "yet_unknown", "blob": {"words": [CANARY]}},
]  # fmt: skip

BODIES: list[tuple[str, dict[str, Any]]] = [
    *[("messages", {"messages": [{"role": "user", "content": [block]}]}) for block in BLOCKS],
    *[("count_tokens", {"messages": [{"role": "user", "content": [block]}]}) for block in BLOCKS],
    ("messages", {"system": CANARY, "messages": [{"role": "user", "content": CANARY}]}),
    ("messages", {"system": [text() | {"cache_control": {"type": "ephemeral"}}], "messages": [{"role": "user"}]}),
    *[("responses", {"input": [item]}) for item in ITEMS],
    ("responses", {"instructions": CANARY, "input": CANARY}),
    ("responses", {"prompt": {"id": "p", "variables": {"id": CANARY, "type": text(kind="input_text")}}}),
    ("moderations", {"input": CANARY}),
    ("moderations", {"input": [CANARY, "x", CANARY]}),
    ("moderations", {"input": [text(), {"type": "image_url", "image_url": {"url": "https://example.org"}}]}),
    ("rerank", {"query": CANARY, "documents": ["x", CANARY, {"text": CANARY, "title": CANARY}]}),
    ("images", {"prompt": CANARY}),
    ("image_edits", {"prompt": CANARY}),
    ("speech", {"input": CANARY, "instructions": CANARY, "voice": "alloy"}),
    ("transcriptions", {"prompt": CANARY}),
    ("translations", {"prompt": CANARY}),
    ("completions", {"prompt": [CANARY], "suffix": CANARY}),
    ("embeddings", {"input": [CANARY]}),
    ("chat", {"messages": [{"role": "user", "content": [text()]}], "prediction": {"content": CANARY}}),
]


@pytest.mark.parametrize(("operation", "fields"), BODIES)
@pytest.mark.parametrize("model_first", [True, False])
def test_no_door_leads_around_the_scanner(operation: str, fields: dict[str, Any], model_first: bool) -> None:
    request = {"model": "m"} | fields if model_first else fields | {"model": "m"}
    body = json.dumps(request).encode()
    changed, counts = redacted(chat.read_request(body, operation))
    assert changed.operation == operation
    assert counts == {"email": body.count(CANARY.encode())}
    assert changed.body == body.replace(CANARY.encode(), b"[EMAIL]")
    assert json.loads(changed.body)["model"] == "m"


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("messages", {"messages": [{"role": "assistant", "content": [text("thinking", "thinking")]}]}),
        ("messages", {"messages": [{"role": "assistant", "content": [text("data", "redacted_thinking")]}]}),
        ("messages", {"messages": [{}], "tools": [{"description": CANARY}], "metadata": {"user_id": CANARY}}),
        ("responses", {"input": [{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": CANARY}]}),
        ("responses", {"input": "x", "tools": [{"type": "function", "description": CANARY}], "user": CANARY}),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": CANARY}]}]}),
    ],
)  # fmt: skip
def test_signed_thoughts_ciphers_tools_and_media_stay_as_they_are(operation: str, fields: dict[str, Any]) -> None:
    request = chat.read_request(json.dumps({"model": "m"} | fields).encode(), operation)
    assert redacted(request) == (request, {})


VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | st.text(max_size=8) | st.just(CANARY),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "content", "source", "data", "input", "id", "thinking", "image_url", "tools"]
            ),
            inner | st.sampled_from(["text", "image", "thinking", "base64", "input_file", "redacted_thinking"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(["messages", "responses", "rerank", "moderations"]),
    st.dictionaries(st.text(max_size=3), VALUE, max_size=3),
    VALUE,
)
@settings(deadline=None, max_examples=300)
def test_whatever_the_blocks_are_redaction_never_breaks_json(operation: str, one: dict[str, Any], more: Any) -> None:
    field = {"messages": "messages", "rerank": "documents"}.get(operation, "input")
    body = json.dumps({"model": "m", "query": "q", field: [one | {"content": more}]}).encode()
    request = chat.read_request(body, operation)
    changed, counts = redacted(request)
    assert json.loads(changed.body).keys() == json.loads(body).keys()
    assert len(changed.body) == len(body) + sum(counts.values()) * (len("[EMAIL]") - len(CANARY))
    assert request.prompt_upper_bound() >= request.count_prompt("o200k_base")


def records(*operations: str, stream: bool | None = None) -> Iterator[dict[str, Any]]:
    if not RECORDS.is_dir():
        pytest.skip("the recorded provider traffic is not there")
    for file in sorted(RECORDS.glob("*.jsonl")):
        if file.stem in ("gemini", "vertex"):
            continue
        for line in file.read_text("utf-8").splitlines():
            record = json.loads(line)
            if record["operation"] in operations and stream in (None, record["stream"]):
                yield record


def test_recorded_requests_are_read_and_only_their_model_is_replaced() -> None:
    read = 0
    for record in records("messages", "count_tokens", "responses"):
        asked = record["request"]["json"]
        operation = record["operation"]
        if operation == "count_tokens" and "input" in asked:
            operation = "responses"
        body = json.dumps(asked).encode()
        request = chat.read_request(body, operation)
        assert json.loads(request.render("another", True)) == asked | {"model": "another"}, record["id"]
        assert (request.model, request.stream) == (asked["model"], record["stream"]), record["id"]
        assert request.max_tokens == asked.get("max_tokens", asked.get("max_output_tokens")), record["id"]
        assert request.messages == (1 if isinstance(said := twin.input_of(asked), str) else len(said)), record["id"]
        assert request.prompt_upper_bound() >= request.count_prompt("o200k_base") > 0, record["id"]
        assert len(redacted(request)[0].render("m", False)) > 0, record["id"]
        read += 1
    assert read > 700


def test_recorded_prompts_of_responses_are_counted_as_openai_counted_them() -> None:
    off = []
    for record in records("responses", stream=False):
        asked, answer = record["request"]["json"], json.loads(record["response"]["body"])
        plain = {"model", "input", "instructions", "max_output_tokens", "temperature", "store", "stream", "include"}
        if record["provider"] != "openai" or record["response"]["status"] != 200 or asked.keys() - plain:
            continue
        if isinstance(asked["input"], list) and any(set(item) - {"role", "content", "type"} for item in asked["input"]):
            continue
        request = chat.read_request(json.dumps(asked).encode(), "responses")
        told = answer["usage"]["input_tokens"]
        assert request.prompt_upper_bound() >= told or "file" in json.dumps(asked), record["id"]
        off.append(abs(request.count_prompt(tokens.encoding_of(asked["model"])) - told))
    assert len(off) > 20
    assert sorted(off)[len(off) // 2] <= 1
