"""A strict checker of requests to Anthropic's Messages API, version 2023-06-01: no unknown and no misplaced field.

Written from the published types and the documented rules, apart from the code that makes the requests.
"""

import re
from typing import Any

_TOP = {
    "model", "max_tokens", "messages", "system", "stream", "tools", "tool_choice", "temperature", "top_p", "top_k",
    "stop_sequences", "metadata", "service_tier", "thinking", "output_config", "cache_control", "container",
    "inference_geo", "speed", "diagnostics", "user_profile_id",
}  # fmt: skip
_ID = re.compile(r"^[a-zA-Z0-9_-]+$")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_IMAGES = {"image/jpeg", "image/png", "image/gif", "image/webp"}


def check(body: Any) -> None:
    """Raises AssertionError with the reason where Anthropic would answer 400."""
    _fields(body, {"model", "max_tokens", "messages"}, _TOP)
    assert isinstance(body["model"], str)
    assert type(body["max_tokens"]) is int
    assert body["max_tokens"] >= 0
    assert body.get("stream", True) is True
    _cache(body)
    for block in body.get("system", []):
        _block(block, {"text"})
    _turns(body["messages"])
    _tools(body)
    assert 0 <= body.get("temperature", 1) <= 1
    assert 0 <= body.get("top_p", 1) <= 1
    assert type(body.get("top_k", 1)) is int
    for each in body.get("stop_sequences", ["."]):
        assert each.strip()
    _fields(body.get("metadata", {}), set(), {"user_id"})
    assert body.get("service_tier", "auto") in ("auto", "standard_only")
    _thinking(body)
    config = body.get("output_config", {})
    _fields(config, set(), {"effort", "format"})
    assert config.get("effort", "low") in ("low", "medium", "high", "xhigh", "max")
    if "format" in config:
        _fields(config["format"], {"type", "schema"}, {"type", "schema"})
        assert config["format"]["type"] == "json_schema"
        _closed(config["format"]["schema"])


def _fields(value: Any, needed: set[str], known: set[str]) -> None:
    assert isinstance(value, dict), value
    assert needed <= value.keys(), f"{needed - value.keys()} is missing"
    assert value.keys() <= known, f"{value.keys() - known} is not known"


def _cache(value: dict[str, Any]) -> None:
    if "cache_control" in value:
        _fields(value["cache_control"], {"type"}, {"type", "ttl"})
        assert value["cache_control"]["type"] == "ephemeral"
        assert value["cache_control"].get("ttl", "5m") in ("5m", "1h")


def _turns(turns: Any) -> None:
    assert turns, "no messages"
    role = None
    asked: set[str] = set()
    for turn in turns:
        _fields(turn, {"role", "content"}, {"role", "content"})
        assert turn["role"] != role, "turns must alternate"
        role = turn["role"]
        assert turn["content"], "a turn without content"
        kinds = [block["type"] for block in turn["content"]]
        if role == "user":
            for block in turn["content"]:
                _block(block, {"text", "image", "document", "tool_result"})
            assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result"), "results come first"
            answered = {block["tool_use_id"] for block in turn["content"] if block["type"] == "tool_result"}
            assert answered == asked, "each call needs its result in the next turn, and each result its call"
            asked = set()
        elif role == "system":
            for block in turn["content"]:
                _block(block, {"text"})
        else:
            assert role == "assistant"
            for block in turn["content"]:
                _block(block, {"text", "tool_use", "thinking", "redacted_thinking"})
            asked = {block["id"] for block in turn["content"] if block["type"] == "tool_use"}
    assert not asked, "calls without results"
    last = turns[-1]["content"][-1]
    if role == "assistant" and last["type"] == "text":
        assert last["text"] == last["text"].rstrip(), "a prefill that ends with white space"


def _block(block: Any, kinds: set[str]) -> None:
    kind = block["type"]
    assert kind in kinds, f"a {kind} block may not stand here"
    if kind not in ("thinking", "redacted_thinking"):
        _cache(block)
    if kind == "text":
        _fields(block, {"text"}, {"type", "text", "cache_control"})
        assert block["text"].strip(), "a blank text"
    elif kind == "image":
        _fields(block, {"source"}, {"type", "source", "cache_control"})
        _source(block["source"], _IMAGES)
    elif kind == "document":
        _fields(block, {"source"}, {"type", "source", "title", "context", "citations", "cache_control"})
        _fields(block.get("citations", {}), set(), {"enabled"})
        _source(block["source"], {"application/pdf"})
    elif kind == "tool_use":
        _fields(block, {"id", "name", "input"}, {"type", "id", "name", "input", "cache_control"})
        assert _ID.match(block["id"])
        assert isinstance(block["input"], dict)
    elif kind == "tool_result":
        _fields(block, {"tool_use_id"}, {"type", "tool_use_id", "content", "is_error", "cache_control"})
        assert _ID.match(block["tool_use_id"])
        if not isinstance(block.get("content", ""), str):
            for inner in block["content"]:
                _block(inner, {"text", "image", "document"})
    elif kind == "thinking":
        _fields(block, {"thinking", "signature"}, {"type", "thinking", "signature"})
    else:
        _fields(block, {"data"}, {"type", "data"})


def _source(source: Any, media_types: set[str]) -> None:
    match source["type"]:
        case "base64":
            _fields(source, {"media_type", "data"}, {"type", "media_type", "data"})
            assert source["media_type"] in media_types
        case "text":
            _fields(source, {"media_type", "data"}, {"type", "media_type", "data"})
            assert source["media_type"] == "text/plain"
        case "url":
            _fields(source, {"url"}, {"type", "url"})
        case other:
            assert other == "file"
            _fields(source, {"file_id"}, {"type", "file_id"})


def _tools(body: dict[str, Any]) -> None:
    names = []
    for tool in body.get("tools", []):
        if "type" not in tool or tool["type"] == "custom":
            known = {"type", "name", "description", "input_schema", "strict", "cache_control"}
            _fields(tool, {"name", "input_schema"}, known)
            assert tool["input_schema"]["type"] == "object"
            assert not tool["input_schema"].keys() & {"anyOf", "oneOf", "allOf", "$ref"}, "alternatives at the root"
            assert _NAME.fullmatch(tool["name"]), tool["name"]
        _cache(tool)
        names.append(tool["name"])
    choice = body.get("tool_choice")
    if choice is None:
        return
    assert names, "a choice without tools"
    known = {"type"} if choice["type"] == "none" else {"type", "disable_parallel_tool_use"}
    if choice["type"] == "tool":
        _fields(choice, {"name"}, known | {"name"})
        assert choice["name"] in names
    else:
        assert choice["type"] in ("auto", "any", "none")
        _fields(choice, set(), known)


def _thinking(body: dict[str, Any]) -> None:
    thinking = body.get("thinking", {"type": "disabled"})
    if thinking["type"] == "enabled":
        _fields(thinking, {"budget_tokens"}, {"type", "budget_tokens", "display"})
        assert 1024 <= thinking["budget_tokens"] < body["max_tokens"]
    elif thinking["type"] == "adaptive":
        _fields(thinking, set(), {"type", "display"})
    else:
        assert thinking == {"type": "disabled"}
        return
    assert body.get("temperature", 1) == 1
    assert "top_k" not in body
    # Beside adaptive thinking a forced call has been answered.
    assert thinking["type"] == "adaptive" or body.get("tool_choice", {}).get("type") not in ("any", "tool")


def _closed(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _closed(each)
    elif isinstance(schema, dict):
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
        for each in schema.values():
            _closed(each)
