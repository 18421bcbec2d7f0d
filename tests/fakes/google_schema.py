"""What Gemini accepts: a strict reading of ``GenerateContentRequest`` (v1beta), written from its published types.

Unknown and misplaced fields are faults, as they are to Google ("Unknown name … Cannot find field").
"""

import base64
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
Check = Callable[[Any, str], None]

JSON_SCHEMA_KEYWORDS = frozenset(
    {
        *("type", "format", "title", "description", "enum", "items", "prefixItems", "minItems", "maxItems"),
        *("minimum", "maximum", "anyOf", "properties", "additionalProperties", "required", "propertyOrdering"),
    }
)
"""Those that ``responseJsonSchema`` is documented to read; ``$ref`` and its kin are never needed."""

JSON_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


def check_request(request: Any) -> None:
    """Raises AssertionError with the path of what Gemini would refuse."""
    _fields(
        contents=_list(_content),
        systemInstruction=_fields(parts=_list(_fields(text=_text), least=1)),
        tools=_list(_tool),
        toolConfig=_fields(
            functionCallingConfig=_fields(mode=_one_of("AUTO", "ANY", "NONE"), allowedFunctionNames=_list(_text)),
            retrievalConfig=_object,
            includeServerSideToolInvocations=_boolean,
        ),
        safetySettings=_list(_fields(category=_text, threshold=_text)),
        generationConfig=_generation_config,
        cachedContent=_text,
        serviceTier=_one_of("flex", "priority", "standard"),
    )(request, "request")
    contents = request.get("contents")
    assert contents, "request.contents is empty"
    roles = [content["role"] for content in contents]
    assert roles[0] == "user", "the first turn is not the user's"
    assert all(one != other for one, other in pairwise(roles)), "turns of the same role in a row"
    declared = [name for tool in request.get("tools", []) for name in _declared(tool)]
    assert len(declared) == len(set(declared)), "a function is declared twice"
    choice = request.get("toolConfig", {}).get("functionCallingConfig", {})
    assert set(choice.get("allowedFunctionNames", [])) <= set(declared), "an undeclared function is allowed"
    assert "allowedFunctionNames" not in choice or choice["mode"] == "ANY", "allowed functions without ANY"


def _content(content: Any, path: str) -> None:
    _fields(role=_one_of("user", "model"), parts=_list(_part, least=1))(content, path)
    assert set(content) == {"role", "parts"}, f"{path} lacks a field"
    theirs = {"user": {"functionCall", "executableCode"}, "model": {"functionResponse"}}[content["role"]]
    for part in content["parts"]:
        assert not theirs & part.keys(), f"{path} holds a part of the other role"


DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
OWN_DATA = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")


def _part(part: Any, path: str) -> None:
    _fields(
        text=_text,
        thoughtSignature=_base64,
        inlineData=_whole(mimeType=_media_type, data=_base64),
        fileData=_fields(fileUri=_text, mimeType=_media_type),
        functionCall=_fields(name=_name, args=_object, id=_text),
        functionResponse=_fields(name=_name, response=_object, id=_text),
        thought=_boolean,
        **dict.fromkeys(OWN_DATA, _object),
    )(part, path)
    assert len(part.keys() & {*DATA, *OWN_DATA}) == 1, f"{path} is not of one kind"
    for kind in ("functionCall", "functionResponse"):
        assert "name" in part.get(kind, {"name": ""}), f"{path}.{kind} has no name"


def _tool(tool: Any, path: str) -> None:
    _fields(
        functionDeclarations=_list(
            _fields(name=_name, description=_text, parametersJsonSchema=check_object_schema), least=1
        ),
        googleSearch=_object,
        googleSearchRetrieval=_object,
        codeExecution=_object,
        urlContext=_object,
        googleMaps=_object,
        fileSearch=_object,
        computerUse=_object,
    )(tool, path)
    assert len(tool) == 1, f"{path} is not one tool"


def _declared(tool: dict[str, Any]) -> list[str]:
    return [declaration["name"] for declaration in tool.get("functionDeclarations", [])]


def _generation_config(config: Any, path: str) -> None:
    _fields(
        maxOutputTokens=_count,
        temperature=_number,
        topP=_number,
        topK=_number,
        candidateCount=_count,
        seed=_int32,
        presencePenalty=_number,
        frequencyPenalty=_number,
        stopSequences=_list(_text, least=1, most=5),
        responseLogprobs=_boolean,
        logprobs=_count,
        responseMimeType=_one_of("text/plain", "application/json"),
        responseJsonSchema=check_schema,
        responseModalities=_list(_one_of("TEXT", "IMAGE", "AUDIO", "VIDEO"), least=1),
        thinkingConfig=_thinking_config,
        mediaResolution=_one_of("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"),
        speechConfig=_object,
        imageConfig=_object,
    )(config, path)
    if "responseJsonSchema" in config:
        assert config.get("responseMimeType") == "application/json", f"{path} has a schema and is not JSON"
    if "logprobs" in config:
        assert config.get("responseLogprobs") is True, f"{path} has logprobs without responseLogprobs"


def _thinking_config(config: Any, path: str) -> None:
    levels = _one_of("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
    _fields(includeThoughts=_boolean, thinkingBudget=_budget, thinkingLevel=levels)(config, path)
    assert not {"thinkingBudget", "thinkingLevel"} <= config.keys(), f"{path} has both a budget and a level"


def check_object_schema(schema: Any, path: str = "schema") -> None:
    """As :func:`check_schema`, for a function's parameters."""
    check_schema(schema, path)
    assert schema.get("type") == "object", f"{path} is no object"


def check_schema(schema: Any, path: str = "schema") -> None:
    """A JSON Schema of which every keyword is read by Gemini, and no reference is left."""
    _object(schema, path)
    unknown = schema.keys() - JSON_SCHEMA_KEYWORDS
    assert not unknown, f"{path} has {sorted(unknown)}"
    _check_values(schema, path)
    for key, below in schema.get("properties", {}).items():
        check_schema(below, f"{path}.properties.{key}")
    if "properties" in schema:
        assert set(schema.get("required", [])) <= schema["properties"].keys(), f"{path}.required"
    for key in ("anyOf", "prefixItems"):
        for number, below in enumerate(schema.get(key, [])):
            check_schema(below, f"{path}.{key}[{number}]")
        assert schema.get(key, [{}]), f"{path}.{key} is empty"
    if "items" in schema:
        check_schema(schema["items"], f"{path}.items")
    if not isinstance(schema.get("additionalProperties", False), bool):
        check_schema(schema["additionalProperties"], f"{path}.additionalProperties")


def _check_values(schema: dict[str, Any], path: str) -> None:
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert types, f"{path}.type is empty"
        assert set(types) <= JSON_TYPES, f"{path}.type is {types}"
    if "enum" in schema:
        assert schema["enum"], f"{path}.enum is empty"
        for value in schema["enum"]:
            assert isinstance(value, str | int | float), f"{path}.enum"
            assert not isinstance(value, bool), f"{path}.enum"
    for key in ("title", "description", "format"):
        assert isinstance(schema.get(key, ""), str), f"{path}.{key}"


def _fields(**checks: Check) -> Check:
    def check(value: Any, path: str) -> None:
        _object(value, path)
        unknown = value.keys() - checks.keys()
        assert not unknown, f"unknown name {sorted(unknown)} at {path}"
        for name, below in value.items():
            checks[name](below, f"{path}.{name}")

    return check


def _whole(**checks: Check) -> Check:
    def check(value: Any, path: str) -> None:
        _fields(**checks)(value, path)
        assert value.keys() == checks.keys(), f"{path} lacks a field"

    return check


def _list(below: Check, least: int = 0, most: int | None = None) -> Check:
    def check(value: Any, path: str) -> None:
        assert isinstance(value, list), f"{path} is no list"
        assert least <= len(value), f"{path} is too short"
        assert most is None or len(value) <= most, f"{path} is too long"
        for number, each in enumerate(value):
            below(each, f"{path}[{number}]")

    return check


def _one_of(*words: str) -> Check:
    def check(value: Any, path: str) -> None:
        assert value in words, f"{path} is {value!r}"

    return check


def _object(value: Any, path: str) -> None:
    assert isinstance(value, dict), f"{path} is no object"


def _text(value: Any, path: str) -> None:
    assert isinstance(value, str), f"{path} is no text"


def _name(value: Any, path: str) -> None:
    assert isinstance(value, str), f"{path} is no text"
    assert _TOOL_NAME.fullmatch(value), f"{path} is no name"


def _media_type(value: Any, path: str) -> None:
    _text(value, path)
    assert value.count("/") == 1, f"{path} is no media type"


def _base64(value: Any, path: str) -> None:
    _text(value, path)
    base64.b64decode(value, validate=True)


def _boolean(value: Any, path: str) -> None:
    assert isinstance(value, bool), f"{path} is no boolean"


def _number(value: Any, path: str) -> None:
    assert isinstance(value, int | float), f"{path} is no number"
    assert not isinstance(value, bool), f"{path} is no number"


def _int32(value: Any, path: str) -> None:
    assert type(value) is int, f"{path} is no whole number"
    assert -(2**31) <= value < 2**31, f"{path} is too large"


def _count(value: Any, path: str) -> None:
    _int32(value, path)
    assert value >= 0, f"{path} is negative"


def _budget(value: Any, path: str) -> None:
    _int32(value, path)
    assert value >= -1, f"{path} is negative"
