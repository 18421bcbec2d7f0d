"""Recorded chat requests of every provider, as Converse takes them; and changed at random, as anyone may send them."""

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.bedrock_schema import check_converse, misshapen
from tests.fakes.records import needs_records, records

from tollway.errors import InvalidRequest
from tollway.proxy.providers.bedrock.request import map_request

PROVIDERS = (
    "openai azure cerebras deepseek gpustack groq mistral ollama openrouter perplexity together vllm xai".split()
)
ASKED = [record for provider in PROVIDERS for record in records(provider)]
SMALL = [record for record in ASKED if len(json.dumps(record.asked)) < 4000] or ASKED
MODELS = [
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "anthropic.claude-3-5-haiku-20241022-v1:0",
    "anthropic.claude-opus-4-6-v1",
    "amazon.nova-pro-v1:0",
    "us.meta.llama3-3-70b-instruct-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3",
]

pytestmark = needs_records


def why_not(asked: dict[str, Any]) -> str | None:
    """Why Bedrock can't take the content, read off it by the simplest means."""
    messages = asked["messages"]
    for message in messages:
        parts = message.get("content")
        if message["role"] == "user" and parts is None:
            return "a user who says nothing"
        for part in parts if isinstance(parts, list) else ():
            image = part.get("image_url")
            url = image["url"] if isinstance(image, dict) else image
            if isinstance(url, str) and url.startswith("http"):
                return "an address"
            if part["type"] == "file" and "file_data" not in part["file"]:
                return "a file that another provider holds"
            if part["type"] not in ("text", "image_url", "file", "input_audio", "thinking", "refusal"):
                return f"a part of type {part['type']}"
    return None


@pytest.mark.parametrize("model", MODELS)
def test_every_recorded_chat_request_is_one_that_bedrock_takes_or_is_refused_for_a_reason(model: str) -> None:
    taken = 0
    for record in ASKED:
        if (reason := why_not(record.asked)) is not None:
            with pytest.raises(InvalidRequest) as raised:
                map_request(record.asked, model)
            assert (raised.value.param or "").startswith("messages"), (record.id, reason)
            continue
        made = map_request(record.asked, model)
        body = json.loads(msgspec.json.encode(made.body))
        assert check_converse(body, stream=made.stream) == [], record.id
        taken += 1
    assert taken > len(ASKED) * 0.98


JSON: list[Any] = [None, True, 0, -1, 10**30, 0.5, "", " ", "x", "a b", [], [None], {}, {"type": "text"}, {"type": []}]
"""What may stand where something else was."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, item in inner for each in places(item, (*path, key)))]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_changed_request_has_amazons_shape_or_is_refused(data: st.DataObject) -> None:
    asked = copy.deepcopy(data.draw(st.sampled_from(SMALL)).asked)
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(places(asked)[1:] or [("messages",)]))
        inner = asked
        for key in way:
            inner = inner[key]
        if data.draw(st.booleans()):
            inner[last] = copy.deepcopy(data.draw(st.sampled_from(JSON)))
        elif way or last in asked:
            del inner[last]
    try:
        made = map_request(asked, data.draw(st.sampled_from(MODELS)))
    except InvalidRequest:
        return
    assert misshapen(json.loads(msgspec.json.encode(made.body)), stream=made.stream) == []
