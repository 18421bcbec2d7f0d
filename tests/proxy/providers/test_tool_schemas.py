"""Thirty recorded tools and a set of nasty ones, on their way to each provider that has a schema of its own."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import msgspec
import pytest
from tests.fakes import anthropic_schema, google_schema
from tests.fakes.bedrock_schema import check_converse
from tests.fakes.openai_schema import check_chat_request
from tests.fakes.records import needs_records
from tests.fakes.tool_schemas import AT_ROOT, HOW_MANY, MADE, Tool, recorded

from tollway.proxy.dialects.anthropic.dialect import MessagesDialect
from tollway.proxy.dialects.port import Dialect
from tollway.proxy.dialects.responses.dialect import ResponsesDialect
from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.bedrock.request import map_request as converse
from tollway.proxy.providers.google.request import translate
from tollway.proxy.providers.openai.plain import plain
from tollway.proxy.providers.openai.presets import PRESETS

CLAUDE_AT_AMAZON = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
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


def at_openai(body: dict[str, Any]) -> list[Any]:
    """The same of OpenAI; one without parameters has none."""
    made, lost = plain(body, PRESETS["openai"])
    assert check_chat_request(made, extensions=False) == []
    assert lost == []
    return [tool["function"].get("parameters", {"type": "object"}) for tool in made["tools"]]


def at_bedrock(body: dict[str, Any]) -> list[Any]:
    """The same of Bedrock's Converse."""
    made = converse(body, CLAUDE_AT_AMAZON).body
    assert check_converse(json.loads(msgspec.json.encode(made))) == []
    return [tool["toolSpec"]["inputSchema"]["json"] for tool in made["toolConfig"]["tools"]]


def from_messages(body: dict[str, Any]) -> dict[str, Any]:
    """The chat as a Messages client would have written it, and the gateway has made a chat of it again."""
    tools = [each["function"] for each in body["tools"]]
    use = {"type": "tool_use", "id": "call_1", "name": tools[0]["name"], "input": {}}
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "done"}
    asked = {
        "model": "m",
        "max_tokens": 100,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ],
        "tools": [
            {"name": tool["name"], "description": "It.", "input_schema": tool.get("parameters") or {"type": "object"}}
            for tool in tools
        ],
    }
    return hubbed(MessagesDialect(), asked)


def from_responses(body: dict[str, Any]) -> dict[str, Any]:
    """The same of a Responses client."""
    tools = [each["function"] for each in body["tools"]]
    asked = {
        "model": "m",
        "input": [
            {"role": "user", "content": "Hi"},
            {"type": "function_call", "call_id": "call_1", "name": tools[0]["name"], "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "done"},
        ],
        "tools": [{"type": "function", "strict": False, "parameters": None, **tool} for tool in tools],
    }
    return hubbed(ResponsesDialect(), asked)


def hubbed(dialect: Dialect, asked: dict[str, Any]) -> dict[str, Any]:
    """A request as the providers' mappings get it."""
    made = dialect.to_hub(json.dumps(asked).encode(), "m")
    assert made.warnings == ()
    decoded: dict[str, Any] = json.loads(made.body)
    return decoded


Way = Callable[[dict[str, Any]], list[Any]]

PROVIDERS: dict[str, Way] = {
    "anthropic": at_anthropic,
    "google": at_google,
    "openai": at_openai,
    "bedrock": at_bedrock,
    "messages to bedrock": lambda body: at_bedrock(from_messages(body)),
    "messages to google": lambda body: at_google(from_messages(body)),
    "messages to openai": lambda body: at_openai(from_messages(body)),
    "responses to anthropic": lambda body: at_anthropic(from_responses(body)),
    "responses to google": lambda body: at_google(from_responses(body)),
    "responses to openai": lambda body: at_openai(from_responses(body)),
}
UNCHANGED = [name for name in PROVIDERS if "google" not in name]
"""They take any JSON Schema."""

each_provider = pytest.mark.parametrize("sent_to", PROVIDERS.values(), ids=PROVIDERS)


@needs_records
def test_thirty_recorded_tools_are_distinct() -> None:
    assert len({json.dumps(tool.parameters, sort_keys=True) for tool in RECORDED}) == HOW_MANY


@each_provider
@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_is_taken_with_its_properties(name: str, sent_to: Way) -> None:
    tool = TOOLS[name]
    (schema,) = sent_to(asked(tool))
    if name in AT_ROOT:
        assert schema.keys() & {"properties", "anyOf"}
        return
    told = tool.parameters.get("properties", {})
    assert schema.get("properties", {}).keys() == told.keys()
    assert set(schema.get("required", [])) == set(tool.parameters.get("required", [])) & told.keys()
    words = {key: each.get("description") for key, each in told.items() if isinstance(each, dict)}
    assert {key: schema["properties"][key].get("description") for key in words} == words


@each_provider
@pytest.mark.parametrize("name", MADE)
def test_arguments_that_a_tool_takes_are_taken_by_what_is_sent(name: str, sent_to: Way) -> None:
    schema, arguments = MADE[name]
    jsonschema.Draft202012Validator(schema).validate(arguments)
    (sent,) = sent_to(asked(Tool(name, schema)))
    jsonschema.validate(arguments, sent)


@pytest.mark.parametrize("provider", UNCHANGED)
@pytest.mark.parametrize("name", [name for name in MADE if name not in AT_ROOT])
def test_a_schema_is_sent_as_it_was_written(name: str, provider: str) -> None:
    schema, _ = MADE[name]
    (sent,) = PROVIDERS[provider](asked(Tool(name, schema)))
    if provider.endswith("openai"):
        assert sent.pop("properties") == schema.get("properties", {})  # must be there
        schema = {key: value for key, value in schema.items() if key not in ("properties", "not")}
        if name == "conditions":
            assert "forbidden" in sent.pop("description")
    assert sent == schema


@each_provider
def test_all_tools_are_taken_at_once(sent_to: Way) -> None:
    names = {tool.name: tool for tool in TOOLS.values()}
    assert len(sent_to(asked(*names.values()))) == len(names)


@each_provider
@pytest.mark.parametrize("parameters", [None, {}, {"properties": {"a": {"type": "string"}}}])
def test_parameters_may_be_missing_empty_or_without_a_type(parameters: Any, sent_to: Way) -> None:
    body = asked(Tool("f", {}))
    function = body["tools"][0]["function"]
    del function["parameters"]
    if parameters is not None:
        function["parameters"] = parameters
    (schema,) = sent_to(body)
    assert (
        schema.get("type", "object") == "object"
    )  # the checks of Anthropic and of Gemini ask for it, OpenAI's does not
    assert schema.get("properties", {}).keys() == (parameters or {}).get("properties", {}).keys()
