"""The strict checker finds what OpenAI would, and lets pass what OpenAI took."""

from typing import Any

import pytest
from tests.fakes.openai_schema import check_chat_request
from tests.fakes.records import Record, needs_records, records

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f"}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "assistant", "tool_calls": [CALL]}

KNOWN_ODDITIES = {"response_format", "name", "reasoning"}
"""Null formats, names of tools' results and thoughts sent back: not in the types, and taken by the API."""


@needs_records
@pytest.mark.parametrize(
    "record", [each for each in records("openai") if each.status == 200], ids=lambda record: record.id
)
def test_what_openai_took_passes(record: Record) -> None:
    faults = check_chat_request(record.asked, extensions=False)
    assert [fault for fault in faults if fault.split(":")[0].split(".")[-1] not in KNOWN_ODDITIES] == []


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"made_up": 1}, ".made_up"),
        ({"top_k": 1}, ".top_k"),
        ({"messages": []}, ".messages"),
        ({"messages": [{"role": "user"}]}, ".messages[0].content"),
        ({"messages": [USER | {"thinking_blocks": []}]}, ".messages[0].thinking_blocks"),
        ({"messages": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]}, ".messages[0].content[0]"),
        ({"messages": [USER, ASKED]}, ".messages"),
        ({"messages": [USER, ASKED, USER]}, ".messages[2]"),
        ({"messages": [USER, {"role": "tool", "tool_call_id": "c", "content": "x"}]}, ".messages[1].tool_call_id"),
        ({"messages": [USER, {"role": "assistant"}]}, ".messages[1]"),
        ({"tools": []}, ".tools"),
        ({"tools": [{"type": "function", "name": "f"}]}, ".tools[0].name"),
        ({"tools": [TOOL, TOOL]}, ".tools"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, ".tools"),
        ({"tool_choice": "auto"}, ".tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, ".tool_choice"),
        ({"stream_options": {"include_usage": True}}, ".stream_options"),
        ({"top_logprobs": 2}, ".top_logprobs"),
        ({"temperature": "warm"}, ".temperature"),
        ({"n": True}, ".n"),
        ({"stream": "yes"}, ".stream"),
    ],
)
def test_what_openai_would_refuse_is_found(more: dict[str, Any], place: str) -> None:
    found = check_chat_request({"model": "m", "messages": [USER]} | more, extensions=False)
    assert any(fault.split(":")[0] == place for fault in found), found


def test_the_hubs_extensions_pass_where_they_are_known() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    image = {"type": "image_url", "image_url": {"url": "https://host"}}
    body = {
        "model": "m",
        "top_k": 3,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
            ASKED | {"thinking_blocks": [thought], "extra_content": {"google": {}}},
            {"role": "tool", "tool_call_id": "c", "content": [image], "is_error": True},
        ],
    }
    assert check_chat_request(body, extensions=True) == []
    assert len(check_chat_request(body, extensions=False)) >= 4
