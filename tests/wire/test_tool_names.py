"""Names of tools that a provider does not take: told as others, and told back as they were."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.port import Dialect, Renaming, Writer
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.wire.tool_names import ANTHROPIC, GOOGLE, NONE, OPENAI, Names, fit_chat, stand_in

LONG = "mcp__a_server_with_a_name_that_goes_on__a_tool_whose_name_does_so_as_well"
NAMES = ["files.read", "files/read", "größe", "都市", "1st", "-x", "a b", '"', LONG, "x" * 200]


def a_chat(name: str) -> dict[str, Any]:
    function = {"name": name, "parameters": {"type": "object"}}
    call = {"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return {
        "messages": [
            {"role": "user", "name": name, "content": name},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "name": name, "content": name},
            {"role": "assistant", "function_call": {"name": name, "arguments": "{}"}},
        ],
        "tools": [{"type": "function", "function": function}],
        "functions": [function | {}],
        "function_call": {"name": name},
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": name}}]},
        },
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", [OPENAI, ANTHROPIC, GOOGLE])
def test_a_stand_in_is_taken_by_everybody_and_the_same_every_time(name: str, rule: Any) -> None:
    told = stand_in(name)
    assert rule.fullmatch(told)
    assert told == stand_in(name)
    assert len({stand_in(each) for each in NAMES}) == len(NAMES)


def test_a_name_is_changed_wherever_it_is_a_tools_and_nowhere_else() -> None:
    asked = a_chat("files.read")
    names = fit_chat(asked, OPENAI)
    expected = a_chat(stand_in("files.read"))
    expected["messages"][0] |= {"name": "files.read", "content": "files.read"}
    expected["messages"][2]["content"] = "files.read"
    assert asked == expected
    assert names.restored(json.dumps(asked["tools"]).encode()) == json.dumps(a_chat("files.read")["tools"]).encode()


def test_names_that_are_taken_stay() -> None:
    asked = a_chat("files.read")
    assert fit_chat(asked, GOOGLE) is NONE
    assert asked == a_chat("files.read")


def test_a_text_that_speaks_of_a_stand_in_is_left_alone() -> None:
    names = Names({"t_1": "t.1"})
    said = b'{"content":"\\"t_1\\" is t_1","name": "t_1"}'
    assert names.restored(said) == b'{"content":"\\"t_1\\" is t_1","name": "t.1"}'


def messages(name: str) -> dict[str, Any]:
    use = {"type": "tool_use", "id": "c", "name": name, "input": {}}
    return {
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "x"}]},
        ],
        "tools": [{"name": name, "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": name},
    }


def responses(name: str) -> dict[str, Any]:
    return {
        "input": [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "c", "name": name, "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
        ],
        "tools": [{"type": "function", "name": name, "parameters": {"type": "object"}}],
        "tool_choice": {"type": "function", "name": name},
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dialect", "asked"), [(MessagesDialect(), messages), (ResponsesDialect(), responses)])
def test_another_dialects_client_hears_of_calls_by_its_own_names(dialect: Dialect, asked: Any, name: str) -> None:
    body = json.dumps(asked(name)).encode()
    made = dialect.to_hub(body, "m")
    hub = json.loads(made.body)
    told = hub["tools"][0]["function"]["name"]
    assert OPENAI.fullmatch(told)
    assert hub["messages"][1]["tool_calls"][0]["function"]["name"] == told
    assert hub["tool_choice"]["function"]["name"] == told
    inner = dialect.writer(body, "m")
    assert inner is not None
    writer: Writer = Renaming(inner, made.names)
    call = {"id": "d", "type": "function", "function": {"name": told, "arguments": "{}"}}
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": [call]}, "finish_reason": "tool_calls"}
    assert names_in(json.loads(writer.whole(json.dumps({"id": "a", "model": "m", "choices": [choice]}).encode()))) == [
        name
    ]
    delta = {"role": "assistant", "tool_calls": [call | {"index": 0}]}
    chunk = {"id": "a", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": "tool_calls"}]}
    said = writer.event(json.dumps(chunk).encode()) + writer.end()
    assert stand_in(name) not in said.decode()
    assert json.dumps(name, ensure_ascii=False) in said.decode()


def names_in(answer: dict[str, Any]) -> list[str]:
    """The names of the calls of a message or of a response."""
    items = answer["content"] if "content" in answer else answer["output"]
    return [each["name"] for each in items if "name" in each]


JSON = some.recursive(
    some.none() | some.integers() | some.text(max_size=9),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from("role name tool_calls function function_call tools allowed_tools type".split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(
    some.dictionaries(some.sampled_from("messages tools functions tool_choice function_call".split()), JSON, max_size=4)
)
def test_whatever_a_chat_holds_its_names_are_looked_through(asked: dict[str, Any]) -> None:
    fit_chat(asked, OPENAI)
