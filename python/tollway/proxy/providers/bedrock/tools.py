"""Tools and the choice among them: OpenAI's in, Converse's ``toolConfig`` out."""

from typing import Any

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.drops import Drops
from tollway.proxy.providers.bedrock.parts import points_of
from tollway.proxy.providers.bedrock.turns import Conversation, tool_name
from tollway.proxy.providers.rooted import rooted

Tool = dict[str, Any]
_SCHEMA_OF_NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


def tool_config(body: dict[str, Any], talk: Conversation, drops: Drops, *, has_schemas: bool) -> Tool | None:
    """``toolConfig``; ``None`` where there are no tools.

    Raises:
        InvalidRequest: a tool or a choice that can't be understood.
    """
    tools = _tools(body, drops, has_schemas)
    param = "function_call" if body.get("tool_choice") is None else "tool_choice"
    told = body.get(param)
    choice = _choice(told, param)
    tools = _allowed(told, tools)
    if body.get("parallel_tool_calls") is False and tools:
        drops.add("parallel_tool_calls")
    if told in ("none", {"type": "none"}):
        if tools and talk.has_tools:
            drops.add(param)  # tools that the conversation speaks of must stay declared, so they may be called
        else:
            tools = []
    elif choice is not None and not _names(tools):
        if "auto" not in choice:
            drops.add(param)
        choice = None
    if talk.has_tools and not _names(tools):
        # Converse refuses calls in the history without any tool: those that were called are declared again.
        tools += [_specification(name, {}) for name in talk.called or ["tool"]]
    if not tools:
        return None
    if choice is not None and "tool" in choice and choice["tool"]["name"] not in _names(tools):
        raise InvalidRequest("The chosen function is not among the tools.", param=param)
    return {"tools": tools} if choice is None else {"tools": tools, "toolChoice": choice}


def _names(tools: list[Tool]) -> list[str]:
    return [tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool]


def _specification(name: str, more: dict[str, Any], schema: dict[str, Any] | None = None) -> Tool:
    return {"toolSpec": {"name": name, **more, "inputSchema": {"json": schema or _SCHEMA_OF_NOTHING}}}


def _tools(body: dict[str, Any], drops: Drops, has_schemas: bool) -> list[Tool]:
    told, legacy = body.get("tools") or [], body.get("functions") or []
    if not isinstance(told, list):
        raise InvalidRequest("`tools` must be a list.", param="tools")
    if not isinstance(legacy, list):
        raise InvalidRequest("`functions` must be a list.", param="functions")
    tools: list[Tool] = []
    for place, tool in enumerate(told):
        tools += _tool(tool, f"tools[{place}]", drops, has_schemas)
    for place, function in enumerate(legacy):
        tools += _function(function, {}, f"functions[{place}]", drops, has_schemas)
    return tools


def _tool(tool: Any, param: str, drops: Drops, has_schemas: bool) -> list[Tool]:
    if not isinstance(tool, dict):
        raise InvalidRequest("A tool must be an object.", param=param)
    if tool.get("type") == "function":
        return _function(tool.get("function"), tool, f"{param}.function", drops, has_schemas)
    extra = tool.get("extra_content")
    own = extra.get("bedrock") if isinstance(extra, dict) else None
    match own:
        case {"systemTool": {"name": str(name)}}:
            return [{"systemTool": {"name": tool_name(name, f"{param}.extra_content")}}, *points_of(tool, param)]
    drops.add("tools")  # another vendor's own
    return []


def _function(function: Any, tool: Tool, param: str, drops: Drops, has_schemas: bool) -> list[Tool]:
    told = function if isinstance(function, dict) else {}
    more: dict[str, Any] = {}
    name = tool_name(told.get("name"), f"{param}.name")
    description = told.get("description")
    if isinstance(description, str) and description.strip():
        more["description"] = description
    if told.get("strict") is True:
        if has_schemas:
            more["strict"] = True
        else:
            drops.add("tools.strict")
    marked = tool if tool.get("cache_control") is not None else told
    return [
        _specification(name, more, _input_schema(told.get("parameters"), f"{param}.parameters")),
        *points_of(marked, param),
    ]


def _input_schema(parameters: Any, param: str) -> dict[str, Any]:
    if parameters is None or parameters == {}:
        return _SCHEMA_OF_NOTHING
    schema = rooted(parameters) if isinstance(parameters, dict) else {}
    if schema.get("type") != "object":
        raise InvalidRequest("The parameters of a function must be a JSON schema of an object.", param=param)
    return schema


def _choice(told: Any, param: str) -> dict[str, Any] | None:
    match told:
        case None | "none" | {"type": "none"}:
            return None
        case "auto" | {"type": "auto"} | {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": list()}}:
            return {"auto": {}}
        case (
            "required"
            | "any"
            | {"type": "any"}
            | {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": list()}}
        ):
            return {"any": {}}
        case {"type": "function", "function": {"name": str(name)}} | {"type": "tool", "name": str(name)}:
            return {"tool": {"name": name}}
        case {"name": str(name)} if "type" not in told:  # the legacy `function_call`
            return {"tool": {"name": name}}
    raise InvalidRequest("The choice of tools is not understood.", param=param)


def _allowed(told: Any, tools: list[Tool]) -> list[Tool]:
    """Converse has no list of allowed tools; those that are not allowed are not told."""
    if not isinstance(told, dict) or told.get("type") != "allowed_tools":
        return tools
    listed = told["allowed_tools"]["tools"]
    functions = [each.get("function") for each in listed if isinstance(each, dict)]
    names = [function.get("name") for function in functions if isinstance(function, dict)]
    allowed = [tool for tool in tools if tool.get("toolSpec", {}).get("name") in names]
    if not allowed:
        raise InvalidRequest("None of the allowed tools is among the tools.", param="tool_choice.allowed_tools")
    return allowed
