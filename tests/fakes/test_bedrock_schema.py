"""The checker refuses what Bedrock refuses: each case is one step away from a good request."""

import copy
from typing import Any

import pytest
from tests.fakes.bedrock_schema import check_converse

CALL = {"toolUse": {"toolUseId": "a", "name": "f", "input": {}}}
RESULT = {"toolResult": {"toolUseId": "a", "content": [{"text": "x"}], "status": "success"}}
GOOD: dict[str, Any] = {
    "system": [{"text": "A"}, {"cachePoint": {"type": "default"}}],
    "messages": [
        {"role": "user", "content": [{"text": "Hi"}, {"image": {"format": "png", "source": {"bytes": "AAAA"}}}]},
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [RESULT]},
    ],
    "inferenceConfig": {"maxTokens": 5, "temperature": 0.5},
    "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]},
    "requestMetadata": {"a": "b"},
}
DOCUMENT = {"document": {"name": "a", "format": "pdf", "source": {"bytes": "AAAA"}}}


def test_a_good_request_has_no_faults() -> None:
    assert check_converse(GOOD) == check_converse(GOOD, stream=True) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("model",), "x", ".model: unknown"),
        (("messages", 0, "name"), "x", ".messages[0].name: unknown"),
        (("messages", 0, "role"), "tool", "none of them"),
        (("messages", 1, "role"), "user", "roles must alternate"),
        (("messages", 0, "content"), "Hi", "no list"),
        (("messages", 0, "content"), [], "no content"),
        (("messages", 0, "content", 0), {"text": "x", "image": {}}, "a union of 2"),
        (("messages", 0, "content", 0), {"text": " "}, "blank"),
        (("messages", 0, "content", 0), {"text": 5}, "no string"),
        (("messages", 0, "content", 0), DOCUMENT, "a document without a text"),
        (("messages", 0, "content", 0), {"cachePoint": {"type": "default"}}, "behind nothing"),
        (("messages", 0, "content", 1, "image", "format"), "tiff", "none of them"),
        (("messages", 0, "content", 1, "image", "source"), {}, "a union of 0"),
        (("messages", 0, "content", 1, "image", "source", "bytes"), "*", "no base64"),
        (("messages", 0, "content", 1, "image", "source", "bytes"), "", "out of bounds"),
        (("messages", 1, "content", 0, "toolUse", "toolUseId"), "a b", "pattern"),
        (("messages", 1, "content", 0, "toolUse", "toolUseId"), "x" * 65, "out of bounds"),
        (("messages", 1, "content", 0, "toolUse", "toolUseId"), "b", "each call needs its result"),
        (("messages", 2, "content", 0, "toolResult"), {"toolUseId": "a"}, "content: missing"),
        (("system", 0, "text"), "", "out of bounds"),
        (("inferenceConfig", "temperature"), 1.5, "out of bounds"),
        (("inferenceConfig", "temperature"), True, "no float"),
        (("inferenceConfig", "maxTokens"), 0.5, "no integer"),
        (("toolConfig", "tools"), [], "out of bounds"),
        (("toolConfig", "toolChoice"), {"tool": {"name": "g"}}, "a choice that is no tool"),
        (("toolConfig", "tools", 0, "toolSpec", "inputSchema"), {"json": {}}, "a schema of no object"),
        (("toolConfig", "tools", 0, "toolSpec", "description"), "", "out of bounds"),
        (("requestMetadata",), {"a": 5}, "no string"),
        (("guardrailConfig",), {"streamProcessingMode": "sync"}, "unknown"),
    ],
)
def test_one_step_from_good_is_a_fault(path: tuple[Any, ...], value: Any, fault: str) -> None:
    body = copy.deepcopy(GOOD)
    inner: Any = body
    for key in path[:-1]:
        inner = inner.setdefault(key, {}) if isinstance(inner, dict) else inner[key]
    inner[path[-1]] = value
    assert any(fault in each for each in check_converse(body)), check_converse(body)


def test_calls_need_a_configuration_of_tools() -> None:
    body = {name: value for name, value in GOOD.items() if name != "toolConfig"}
    assert check_converse(body) == ["calls without toolConfig"]
