"""Thirty recorded tools and a set of nasty ones, on their way to each provider that has a schema of its own."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import msgspec
import pytest
from tests.fakes import anthropic_schema, google_schema
from tests.fakes.records import needs_records
from tests.fakes.tool_schemas import HOW_MANY, MADE, Tool, recorded

from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.google.request import translate

RECORDED = recorded()
TOOLS = {**{f"{number}-{tool.name}": tool for number, tool in enumerate(RECORDED)}} | {
    name: Tool(name, schema) for name, (schema, _) in MADE.items()
}


def asked(*tools: Tool) -> dict[str, Any]:
    """A chat that offers them, and whose earlier turn has used the first."""
    call = {"id": "call_1", "type": "function", "function": {"name": tools[0].name, "arguments": "{}"}}
    return {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        ],
        "tools": [
            {"type": "function", "function": {"name": tool.name, "description": "It.", "parameters": tool.parameters}}
            for tool in tools
        ],
    }


def at_anthropic(body: dict[str, Any]) -> list[Any]:
    """The schemas that Anthropic is sent, past the check of its own."""
    made = map_request(body, "claude-sonnet-4-5").body
    anthropic_schema.check(made)
    return [tool["input_schema"] for tool in made["tools"]]


def at_google(body: dict[str, Any]) -> list[Any]:
    """The same of Gemini."""
    made = json.loads(msgspec.json.encode(translate(body, "gemini-2.5-flash").body))
    google_schema.check_request(made)
    declared = [each for tool in made["tools"] for each in tool["functionDeclarations"]]
    return [each.get("parametersJsonSchema", {"type": "object"}) for each in declared]


PROVIDERS: dict[str, Callable[[dict[str, Any]], list[Any]]] = {"anthropic": at_anthropic, "google": at_google}

each_provider = pytest.mark.parametrize("sent_to", PROVIDERS.values(), ids=PROVIDERS)


@needs_records
def test_thirty_recorded_tools_are_distinct() -> None:
    assert len({json.dumps(tool.parameters, sort_keys=True) for tool in RECORDED}) == HOW_MANY


@each_provider
@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_is_taken_with_its_properties(name: str, sent_to: Callable[[dict[str, Any]], list[Any]]) -> None:
    tool = TOOLS[name]
    (schema,) = sent_to(asked(tool))
    told = tool.parameters.get("properties", {})
    assert schema.get("properties", {}).keys() == told.keys()
    assert set(schema.get("required", [])) == set(tool.parameters.get("required", [])) & told.keys()
    words = {key: each.get("description") for key, each in told.items() if isinstance(each, dict)}
    assert {key: schema["properties"][key].get("description") for key in words} == words


@each_provider
@pytest.mark.parametrize("name", MADE)
def test_arguments_that_a_tool_takes_are_taken_by_what_is_sent(
    name: str, sent_to: Callable[[dict[str, Any]], list[Any]]
) -> None:
    schema, arguments = MADE[name]
    jsonschema.Draft202012Validator(schema).validate(arguments)
    (sent,) = sent_to(asked(Tool(name, schema)))
    jsonschema.validate(arguments, sent)


@pytest.mark.parametrize("name", MADE)
def test_anthropic_is_sent_a_schema_as_it_was_written(name: str) -> None:
    schema, _ = MADE[name]
    assert at_anthropic(asked(Tool(name, schema))) == [schema]


@each_provider
def test_all_tools_are_taken_at_once(sent_to: Callable[[dict[str, Any]], list[Any]]) -> None:
    names = {tool.name: tool for tool in TOOLS.values()}
    assert len(sent_to(asked(*names.values()))) == len(names)


@each_provider
@pytest.mark.parametrize("parameters", [None, {}, {"properties": {"a": {"type": "string"}}}])
def test_parameters_may_be_missing_empty_or_without_a_type(
    parameters: Any, sent_to: Callable[[dict[str, Any]], list[Any]]
) -> None:
    body = asked(Tool("f", {}))
    function = body["tools"][0]["function"]
    del function["parameters"]
    if parameters is not None:
        function["parameters"] = parameters
    (schema,) = sent_to(body)
    assert schema["type"] == "object"
    assert schema.get("properties", {}).keys() == (parameters or {}).get("properties", {}).keys()
