"""Tools and the choice among them: OpenAI's in, Anthropic's out. Anthropic's own tools pass as they are."""

import re
from typing import Any

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.drops import Drops
from tollway.proxy.providers.anthropic.parts import mark, own_of
from tollway.proxy.providers.rooted import rooted

_DATED = re.compile(r"_\d{8}$")
"""Anthropic's own tools bear a date: ``web_search_20250305``."""

_OWN_FIELDS = ("allowed_callers", "defer_loading", "eager_input_streaming", "input_examples")

Tool = dict[str, Any]


def tools_of(body: dict[str, Any], drops: Drops, *, has_schemas: bool) -> list[Tool]:
    """The tools, those of the legacy ``functions`` too.

    Raises:
        InvalidRequest: a tool that can't be understood.
    """
    told, legacy = body.get("tools") or [], body.get("functions") or []
    if not isinstance(told, list):
        raise InvalidRequest("`tools` must be a list.", param="tools")
    if not isinstance(legacy, list):
        raise InvalidRequest("`functions` must be a list.", param="functions")
    tools = [_tool(tool, f"tools[{place}]", drops, has_schemas) for place, tool in enumerate(told)]
    for place, function in enumerate(legacy):
        tools.append(_function(function, {}, f"functions[{place}]", drops, has_schemas))
    _put_back(own_of(body).get("tools") or [], tools)
    return tools


def _put_back(kept: Any, tools: list[Tool]) -> None:
    """Puts tools of Anthropic's own where they stood: what is cached of a prompt hangs on the order."""
    for item in kept if isinstance(kept, list) else (None,):
        match item:
            case {"at": int(at), "tool": dict(tool)} if isinstance(tool.get("type"), str):
                tools.insert(max(0, min(at, len(tools))), tool)
            case _:
                raise InvalidRequest("A tool of Anthropic's own has a type.", param="extra_content.anthropic.tools")


def _tool(tool: Any, param: str, drops: Drops, has_schemas: bool) -> Tool:
    if not isinstance(tool, dict):
        raise InvalidRequest("A tool must be an object.", param=param)
    kind = tool.get("type")
    if kind == "function":
        return _function(tool.get("function"), tool, f"{param}.function", drops, has_schemas)
    if isinstance(kind, str) and _DATED.search(kind):
        return tool
    if isinstance(tool.get("name"), str) and isinstance(tool.get("input_schema"), dict) and kind in (None, "custom"):
        return tool
    raise InvalidRequest("This model does not take tools of this type.", param=param)


def _function(function: Any, tool: Tool, param: str, drops: Drops, has_schemas: bool) -> Tool:
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise InvalidRequest("A function needs a name.", param=param)
    mapped: Tool = {"name": name}
    description = function.get("description")
    if isinstance(description, str) and description:
        mapped["description"] = description
    mapped["input_schema"] = _input_schema(function.get("parameters"), f"{param}.parameters")
    strict = function.get("strict")
    if isinstance(strict, bool):
        if has_schemas:
            mapped["strict"] = strict
        elif strict:
            drops.add("tools.strict")
    for field in _OWN_FIELDS:
        if (value := tool.get(field, function.get(field, own_of(tool).get(field)))) is not None:
            mapped[field] = value
    return mark(mapped, tool if tool.get("cache_control") is not None else function, param)


def _input_schema(parameters: Any, param: str) -> dict[str, Any]:
    if parameters is None or parameters == {}:
        return {"type": "object", "properties": {}}
    schema = rooted(parameters) if isinstance(parameters, dict) else {}
    if schema.get("type") != "object":
        raise InvalidRequest("The parameters of a function must be a JSON schema of an object.", param=param)
    return schema


def choose(body: dict[str, Any], tools: list[Tool], drops: Drops) -> tuple[dict[str, Any] | None, list[Tool]]:
    """The choice and the tools that are left to choose from.

    Raises:
        InvalidRequest: a choice that can't be understood.
    """
    told, param = own_of(body).get("tool_choice", body.get("tool_choice")), "tool_choice"
    if told is None and body.get("function_call") is not None:
        told, param = body["function_call"], "function_call"
    choice = _choice(told, param)
    if not tools:  # a choice without tools is refused
        if choice is not None and choice["type"] in ("any", "tool"):
            drops.add(param)
        return None, tools
    if isinstance(told, dict) and told.get("type") == "allowed_tools":
        tools = _allowed(told, tools)
    if body.get("parallel_tool_calls") is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    return choice, tools


def _choice(told: Any, param: str) -> dict[str, Any] | None:
    match told:
        case None:
            return None
        case "auto" | "none":
            return {"type": told}
        case "required" | "any":
            return {"type": "any"}
        case {"type": "function", "function": {"name": str(name)}}:
            return {"type": "tool", "name": name}
        case {"type": "allowed_tools", "allowed_tools": {"mode": "auto" | "required" as mode, "tools": list()}}:
            return {"type": "auto" if mode == "auto" else "any"}
        case {"type": "auto" | "any" | "none" as kind}:
            return _own(kind, told)
        case {"type": "tool", "name": str(name)}:
            return {**_own("tool", told), "name": name}
        case {"name": str(name)} if "type" not in told:  # the legacy `function_call`
            return {"type": "tool", "name": name}
    raise InvalidRequest("The choice of tools is not understood.", param=param)


def _own(kind: str, told: dict[str, Any]) -> dict[str, Any]:
    """Anthropic's form of a choice."""
    disabled = kind != "none" and told.get("disable_parallel_tool_use") is True
    return {"type": kind, "disable_parallel_tool_use": True} if disabled else {"type": kind}


def _allowed(told: dict[str, Any], tools: list[Tool]) -> list[Tool]:
    """Anthropic has no list of allowed tools; those that are not allowed are not told."""
    listed = told["allowed_tools"]["tools"]
    functions = [each.get("function") for each in listed if isinstance(each, dict)]
    names = [function.get("name") for function in functions if isinstance(function, dict)]
    allowed = [tool for tool in tools if tool.get("name") in names]
    if not allowed:
        raise InvalidRequest("None of the allowed tools is among the tools.", param="tool_choice.allowed_tools")
    return allowed
