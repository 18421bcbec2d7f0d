"""What a chat request becomes on its way to Anthropic."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.anthropic_schema import check

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.request import Mapped, map_request

HELLO: dict[str, Any] = {"role": "user", "content": "Hi"}
SONNET = "claude-sonnet-4-5"
CACHED = {"type": "ephemeral", "ttl": "1h"}
WEATHER: dict[str, Any] = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
PNG = "data:image/png;base64,iVBORw0KGgo="


def mapped(*messages: dict[str, Any], model: str = SONNET, strict: bool = False, **fields: Any) -> Mapped:
    made = map_request({"model": "m", "messages": list(messages or (HELLO,)), **fields}, model, strict=strict)
    check(made.body)
    return made


def call(call_id: str = "call_1", arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "weather", "arguments": arguments}, **fields}


def test_system_and_developer_messages_are_hoisted_in_their_order() -> None:
    made = mapped(
        {"role": "system", "content": "one"},
        HELLO,
        {"role": "developer", "content": [{"type": "text", "text": "two", "cache_control": CACHED}]},
    ).body
    assert made["system"] == [
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two", "cache_control": CACHED},
    ]
    assert made["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]


def test_images_and_files_become_sources() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,SGVsbG8="}},
        {"type": "file", "file": {"file_id": "file_1"}},
    ]
    made = mapped({"role": "user", "content": parts})
    assert [block["source"] for block in made.body["messages"][0]["content"]] == [
        {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        {"type": "url", "url": "https://example.com/a.png"},
        {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
        {"type": "text", "media_type": "text/plain", "data": "Hello"},
        {"type": "file", "file_id": "file_1"},
    ]
    assert made.body["messages"][0]["content"][2]["title"] == "a.pdf"
    assert made.betas == ("files-api-2025-04-14",)


def test_answers_of_parallel_calls_and_what_the_user_says_then_are_one_turn() -> None:
    made = mapped(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call("a", '{"city": "Ulm"}'), call("b.1", "")]},
        {"role": "tool", "tool_call_id": "a", "content": "rain", "cache_control": CACHED},
        {"role": "tool", "tool_call_id": "b.1", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
        {"role": "user", "content": "And?"},
        tools=[WEATHER],
    ).body
    assert [block["input"] for block in made["messages"][1]["content"]] == [{"city": "Ulm"}, {}]
    first, second, words = made["messages"][2]["content"]
    assert first == {"type": "tool_result", "tool_use_id": "a", "content": "rain", "cache_control": CACHED}
    assert (second["tool_use_id"], second["content"][0]["type"]) == ("b_1", "image")
    assert words == {"type": "text", "text": "And?"}


def test_thoughts_go_back_first_and_unchanged() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
    ]
    assistant = {"role": "assistant", "content": "Well", "thinking_blocks": thoughts, "tool_calls": [call()]}
    made = mapped(HELLO, assistant, {"role": "tool", "tool_call_id": "call_1", "content": "x"}, tools=[WEATHER]).body
    assert made["messages"][1]["content"][:2] == thoughts
    assert [block["type"] for block in made["messages"][1]["content"][2:]] == ["text", "tool_use"]


def test_a_legacy_function_call_finds_its_result() -> None:
    made = mapped(
        HELLO,
        {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}},
        {"role": "function", "name": "weather", "content": "rain"},
        functions=[{"name": "weather", "parameters": {}}],
        function_call={"name": "weather"},
    ).body
    assert made["messages"][1]["content"][0]["id"] == made["messages"][2]["content"][0]["tool_use_id"]
    assert made["tools"] == [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
    assert made["tool_choice"] == {"type": "tool", "name": "weather"}


def test_blank_texts_are_left_out_and_a_prefill_is_trimmed() -> None:
    made = mapped(
        {"role": "user", "content": [{"type": "text", "text": " "}, {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "The answer is \n"},
    ).body
    assert made["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "The answer is"}]},
    ]


def test_cache_control_is_kept_wherever_it_may_stand() -> None:
    made = mapped(
        {"role": "system", "content": "s", "cache_control": CACHED},
        {"role": "user", "content": [{"type": "text", "text": "u", "cache_control": CACHED}]},
        {"role": "assistant", "tool_calls": [call(cache_control=CACHED)]},
        {"role": "tool", "tool_call_id": "call_1", "content": "r", "cache_control": CACHED},
        tools=[{**WEATHER, "cache_control": CACHED}],
        cache_control=CACHED,
    ).body
    marked = [made["system"][0], made["tools"][0], made, *(turn["content"][0] for turn in made["messages"])]
    assert [each["cache_control"] for each in marked] == [CACHED] * 6


@pytest.mark.parametrize(
    ("model", "fields", "tokens"),
    [
        (SONNET, {"max_completion_tokens": 10, "max_tokens": 20}, 10),
        (SONNET, {"max_tokens": 20}, 20),
        (SONNET, {}, 64_000),
        ("claude-opus-4-20250514", {}, 32_000),
        ("claude-opus-4-1-20250805", {}, 32_000),
        ("claude-3-haiku-20240307", {}, 4096),
        ("claude-3-5-haiku-latest", {}, 8192),
        ("claude-3-7-sonnet-20250219", {}, 64_000),
        ("claude-sonnet-4-6", {}, 128_000),
        ("claude-opus-5-5", {}, 128_000),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", {}, 64_000),
        ("somebody-elses-model", {}, 4096),
    ],
)
def test_the_maximum_of_tokens_is_the_callers_else_the_models(model: str, fields: dict[str, Any], tokens: int) -> None:
    assert mapped(model=model, **fields).body["max_tokens"] == tokens


@pytest.mark.parametrize(
    ("told", "choice"),
    [
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}, "parallel_tool_calls": False},
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        ),
        ({"parallel_tool_calls": True}, None),
    ],
)
def test_a_choice_of_tools_is_said_in_anthropics_words(told: dict[str, Any], choice: Any) -> None:
    assert mapped(tools=[WEATHER], **told).body.get("tool_choice") == choice


def test_only_allowed_tools_are_told() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}
    made = mapped(tools=[WEATHER, other], tool_choice={"type": "allowed_tools", "allowed_tools": allowed}).body
    assert ([tool["name"] for tool in made["tools"]], made["tool_choice"]) == (["other"], {"type": "any"})


def test_anthropics_own_tools_pass_unchanged() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    assert mapped(tools=[search]).body["tools"] == [search]


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        ({"n": 1, "logprobs": False, "presence_penalty": 0, "seed": None, "stream_options": {}}, ()),
        ({"n": 2, "seed": 7, "frob": 1}, ("n", "seed", "frob")),
        ({"temperature": 1.7}, ("temperature",)),
        ({"temperature": 0.5, "top_p": 0.9}, ("top_p",)),
        ({"stop": ["\n", "END"]}, ("stop",)),
        ({"response_format": {"type": "json_object"}}, ("response_format",)),
        ({"metadata": {"a": "b"}}, ("metadata",)),
        ({"service_tier": "flex"}, ("service_tier",)),
        ({"mcp_servers": []}, ("mcp_servers",)),
    ],
)
def test_what_cannot_be_taken_is_dropped_and_named_or_refused_in_strict_mode(
    fields: dict[str, Any], warnings: tuple[str, ...]
) -> None:
    assert mapped(**fields).warnings == warnings
    if warnings:
        with pytest.raises(InvalidRequest) as raised:
            mapped(strict=True, **fields)
        assert raised.value.param == warnings[0]
    else:
        assert mapped(strict=True, **fields).warnings == ()


def test_what_anthropic_knows_is_passed_on() -> None:
    made = mapped(top_k=5, stop="END", safety_identifier="u-1", service_tier="default", temperature=0.2, stream=True)
    assert made.warnings == ()
    assert made.body["metadata"] == {"user_id": "u-1"}
    assert (made.body["top_k"], made.body["stop_sequences"], made.body["service_tier"]) == (
        5,
        ["END"],
        "standard_only",
    )
    assert (made.body["temperature"], made.body["stream"]) == (0.2, True)


def test_the_latest_models_are_sent_no_sampling_parameters() -> None:
    made = mapped(model="claude-opus-4-8", temperature=0.5, top_p=1, top_k=3)
    assert made.warnings == ("temperature", "top_k")
    assert not {"temperature", "top_p", "top_k"} & made.body.keys()


@pytest.mark.parametrize(
    ("model", "fields", "thinking", "effort"),
    [
        (SONNET, {"reasoning_effort": "low"}, {"type": "enabled", "budget_tokens": 2048}, None),
        (SONNET, {"reasoning_effort": "high", "max_tokens": 3000}, {"type": "enabled", "budget_tokens": 1500}, None),
        (SONNET, {"reasoning_effort": "high", "max_tokens": 1025}, {"type": "enabled", "budget_tokens": 1024}, None),
        (SONNET, {"reasoning_effort": "none"}, None, None),
        ("claude-opus-5", {"reasoning_effort": "none"}, {"type": "disabled"}, None),
        ("claude-opus-5", {"reasoning_effort": "minimal"}, {"type": "adaptive", "display": "summarized"}, "low"),
        ("claude-sonnet-4-6", {"reasoning_effort": "xhigh"}, {"type": "adaptive", "display": "summarized"}, "high"),
        ("claude-opus-5", {"reasoning_effort": "low", "tools": [WEATHER], "tool_choice": "required"}, None, "low"),
        (
            SONNET,
            {"thinking": {"type": "enabled", "budget_tokens": 1111}},
            {"type": "enabled", "budget_tokens": 1111},
            None,
        ),
    ],
)
def test_an_effort_becomes_a_budget_or_stays_an_effort(
    model: str, fields: dict[str, Any], thinking: Any, effort: str | None
) -> None:
    made = mapped(model=model, **fields)
    assert made.warnings == ()
    assert made.body.get("thinking") == thinking
    assert made.body.get("output_config", {}).get("effort") == effort


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (SONNET, {"max_tokens": 1024}),
        (SONNET, {"tools": [WEATHER], "tool_choice": "required"}),
        ("claude-3-5-haiku-latest", {}),
        ("somebody-elses-model", {}),
    ],
)
def test_an_effort_that_cannot_be_had_is_named(model: str, fields: dict[str, Any]) -> None:
    made = mapped(model=model, reasoning_effort="high", **fields)
    assert (made.warnings, made.body.get("thinking")) == (("reasoning_effort",), None)


def test_calls_whose_thoughts_are_gone_are_answered_without_thinking() -> None:
    turns = (HELLO, {"role": "assistant", "tool_calls": [call()]}, {"role": "tool", "tool_call_id": "call_1"})
    made = mapped(*turns, tools=[WEATHER], reasoning_effort="high")
    assert (made.warnings, made.body.get("thinking")) == (("reasoning_effort",), None)


def test_what_may_not_stand_beside_thinking_is_dropped_and_named() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    asked: dict[str, Any] = {"temperature": 0.3, "top_k": 3, "tools": [WEATHER], "tool_choice": "required"}
    made = mapped(thinking=thinking, **asked)
    assert set(made.warnings) == {"temperature", "top_k", "tool_choice"}
    assert made.body["tool_choice"] == {"type": "auto"}


def test_a_call_may_be_forced_beside_adaptive_thinking() -> None:
    made = mapped(model="claude-opus-4-6", thinking={"type": "adaptive"}, tools=[WEATHER], tool_choice="required")
    assert (made.warnings, made.body["tool_choice"]) == ((), {"type": "any"})


def test_a_budget_of_the_caller_has_room_where_the_maximum_is_ours() -> None:
    thinking = {"type": "enabled", "budget_tokens": 10_000}
    assert mapped(model="somebody-elses-model", thinking=thinking).body["max_tokens"] == 14_096


def test_a_schema_of_answers_is_closed_and_its_constraints_are_told_in_words() -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 1}, "home": {"oneOf": [{"type": "object"}]}},
    }
    made = mapped(response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": schema}}).body
    assert made["output_config"]["format"]["schema"] == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "age": {"type": "integer", "description": '{"minimum":1}'},
            "home": {"anyOf": [{"type": "object", "additionalProperties": False}]},
        },
    }


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "system", "content": "alone"}], "messages"),
        ([], "messages"),
        ([HELLO, {"role": "user", "content": [{"type": "input_audio"}]}], "messages[1].content[0]"),
        ([{"role": "user", "content": [{"type": "video_url"}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "wizard", "content": "x"}], "messages[0].role"),
        (
            [{"role": "assistant", "tool_calls": [call(arguments="[1]")]}],
            "messages[0].tool_calls[0].function.arguments",
        ),
        ([{"role": "assistant", "thinking_blocks": [{"type": "thinking"}]}], "messages[0].thinking_blocks[0]"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x"}}]}],
            "messages[0].content[0]",
        ),
    ],
)
def test_what_cannot_be_understood_is_refused_by_its_place(messages: list[Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        map_request({"messages": messages}, SONNET)
    assert raised.value.param == param


def test_a_request_is_told_to_stream_only_when_asked() -> None:
    assert "stream" not in json.loads(json.dumps(mapped(stream=False, stream_options={"include_usage": True}).body))


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, each in inner for place in places(each, (*way, key)))]


def spoiled(value: Any, way: tuple[Any, ...], by: Any) -> Any:
    if not way:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = spoiled(value[way[0]], way[1:], by)
    return copy


FULL: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": CACHED}], "name": "n"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:text/plain;base64,SGVsbG8="}}]},
        {
            "role": "assistant",
            "content": "c",
            "refusal": "r",
            "thinking_blocks": [{"type": "redacted_thinking", "data": "eA=="}],
            "tool_calls": [call()],
            "function_call": {"name": "f", "arguments": "{}"},
        },
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "t"}]},
        {"role": "function", "name": "f", "content": "x"},
    ],
    "tools": [{**WEATHER, "cache_control": CACHED}],
    "functions": [{"name": "f", "parameters": {"type": "object"}}],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [WEATHER]}},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"schema": {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}]}}}},
    },
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low"},
    "reasoning_effort": "low",
    "metadata": {"user_id": "u"},
    "temperature": 1,
    "top_p": 0.5,
    "top_k": 2,
    "stop": ["a"],
    "max_tokens": 9000,
    "service_tier": "auto",
    "cache_control": CACHED,
    "modalities": ["text"],
    "n": 1,
}
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 1.5, "", "x", [], [None], {}, {"type": "text"}, {"type": 1}, [[]], [{}]]
)


@given(way=st.sampled_from([place for place in places(FULL) if place]), junk=JUNK, model=st.sampled_from([SONNET, "x"]))
def test_a_spoiled_request_is_mapped_or_refused_and_nothing_else(way: tuple[Any, ...], junk: Any, model: str) -> None:
    try:
        made = map_request(spoiled(FULL, way, junk), model, has_beta=True)
    except InvalidRequest as refusal:
        assert refusal.outside  # noqa: PT017 - a refusal is one of the two good ends
        return
    assert made.body["messages"]


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        schema = {"type": "array", "items": schema}
    with pytest.raises(InvalidRequest):
        mapped(response_format={"type": "json_schema", "json_schema": {"name": "deep", "schema": schema}})


def test_an_answer_of_another_vendor_comes_back_without_its_thoughts_and_without_a_word() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    content = [thought, {"type": "text", "text": "Yes."}, {"type": "reference", "reference_ids": [1]}]
    answer = {"role": "assistant", "content": content, "parsed": None, "reasoning_details": []}
    made = mapped(HELLO, answer, HELLO, strict=True)
    assert made.body["messages"][1]["content"] == [{"type": "text", "text": "Yes."}]
    assert made.warnings == ()
