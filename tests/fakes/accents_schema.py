"""Strict checkers of chats for providers that speak OpenAI's dialect with an accent: no unknown and no misplaced field.

Written from the providers' references, apart from the code that makes the requests. Where a provider only ignores what
it does not know, the checker refuses it all the same: what is ignored is lost without a word.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

_COMMON = (
    "model messages tools tool_choice response_format temperature top_p max_tokens stop stream frequency_penalty "
    "presence_penalty"
)
_TOP = {
    "mistral": f"{_COMMON} random_seed n prediction parallel_tool_calls prompt_mode reasoning_effort safe_prompt "
    "metadata prompt_cache_key",
    "deepseek": f"{_COMMON} thinking reasoning_effort stream_options logprobs top_logprobs seed "
    # Recorded as taken, or known to be ignored:
    "parallel_tool_calls user metadata service_tier verbosity prompt_cache_key safety_identifier store",
    "groq": f"{_COMMON} max_completion_tokens n parallel_tool_calls reasoning_effort reasoning_format "
    "include_reasoning seed service_tier stream_options user metadata store search_settings",
    "cohere": f"{_COMMON} seed stream_options reasoning_effort logprobs",
}
_TURN = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
_THOUGHTS = {"deepseek": {"reasoning_content"}}
_MEDIA = {"mistral": {"image_url", "document_url", "file"}, "groq": {"image_url"}, "cohere": {"image_url"}}
_FORMATS = {"deepseek": {"text", "json_object"}}
_MISTRALS_ID = re.compile(r"[A-Za-z0-9]{9}")


def check(kind: str, body: Any) -> None:
    """Raises AssertionError with the reason where the provider would answer 400, or lose a field."""
    unknown = body.keys() - set(_TOP[kind].split())
    assert not unknown, f"unknown {unknown}"
    assert body["messages"], "no turns"
    for turn in body["messages"]:
        _turn(kind, turn)
    for tool in body.get("tools", []):
        assert tool.keys() == {"type", "function"}, "a tool has more than its function"
        assert tool["type"] == "function"
        assert tool["function"].keys() <= {"name", "description", "parameters", "strict"}
    assert "tools" in body or not body.keys() & {"tool_choice", "parallel_tool_calls"}, "a choice of no tools"
    form = body.get("response_format", {"type": "text"})["type"]
    assert form in _FORMATS.get(kind, {"text", "json_object", "json_schema"}), f"the format {form}"
    _calls(body["messages"])
    own = _OWN.get(kind)
    if own is not None:
        own(body)


def _turn(kind: str, turn: dict[str, Any]) -> None:
    unknown = turn.keys() - _TURN[turn["role"]]
    if turn["role"] == "assistant":
        unknown -= _THOUGHTS.get(kind, set())
        assert turn.get("content") is not None or turn.get("tool_calls"), "an assistant that says nothing"
    assert not unknown, f"unknown {unknown} in a turn of {turn['role']}"
    content = turn.get("content")
    if isinstance(content, list):
        assert turn["role"] == "user", "a list that is no user's"
        for part in content:
            assert part["type"] in {"text"} | _MEDIA.get(kind, set()), f"a part of type {part['type']}"
            assert part.keys() <= {"type", part["type"], "document_name", "file_id"}
    for call in turn.get("tool_calls", []):
        assert call.keys() == {"id", "type", "function"}
        assert call["function"].keys() == {"name", "arguments"}


def _calls(turns: list[dict[str, Any]]) -> None:
    """Every call has its result right behind it."""
    waiting: set[str] = set()
    for turn in turns:
        if turn["role"] == "tool":
            assert turn["tool_call_id"] in waiting, "a result of no call"
            waiting.discard(turn["tool_call_id"])
        else:
            assert not waiting, "a call without a result"
            waiting = {call["id"] for call in turn.get("tool_calls", [])}


def _mistral(body: dict[str, Any]) -> None:
    before = "system"
    for turn in body["messages"]:
        role = turn["role"]
        assert role != "system" or before == "system", "a system's turn behind others"
        assert (before, role) != ("tool", "user"), "a user's turn behind a tool's"
        before = role
        for identity in [turn.get("tool_call_id"), *(call["id"] for call in turn.get("tool_calls", []))]:
            assert identity is None or _MISTRALS_ID.fullmatch(identity), "an id of another form"
    assert body.get("reasoning_effort", "none") in ("none", "high")


def _groq(body: dict[str, Any]) -> None:
    assert body.get("n", 1) == 1
    assert len(body.get("stop", [])) <= 4
    assert body.get("reasoning_effort", "low") in ("none", "default", "low", "medium", "high")


_OWN: Mapping[str, Callable[[dict[str, Any]], None]] = {"mistral": _mistral, "groq": _groq}
