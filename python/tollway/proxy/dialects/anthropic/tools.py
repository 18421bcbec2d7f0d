"""Anthropic's tools, and the choice among them, for the hub.

A tool of the client's is a function. One of Anthropic's own (web search, code execution, a computer) is nothing that
another provider has: it is told to be lost, and kept aside with its place for Anthropic itself.
"""

from typing import Literal

import msgspec

from tollway.errors import InvalidRequest
from tollway.proxy.dialects.anthropic.fields import Lost, Marked, mark_of, read
from tollway.wire.hub import Chosen, Extra, FunctionTool, HubRequest, Named, Tool

_OWN_FIELDS = ("allowed_callers", "defer_loading", "eager_input_streaming", "input_examples")


class _Kind(msgspec.Struct):
    type: str | None = None


class _Custom(msgspec.Struct):
    name: str
    input_schema: msgspec.Raw
    description: str | None = None
    strict: bool | None = None
    cache_control: Marked | None = None


class Choice(msgspec.Struct, omit_defaults=True):
    """Anthropic's ``tool_choice``."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


def put_tools(
    told: list[msgspec.Raw] | None, choice: Choice | None, request: HubRequest, own: Extra, lost: Lost
) -> None:
    """Puts the tools and the choice into ``request``, and into ``own`` what only Anthropic has.

    Raises:
        InvalidRequest: a tool or the choice is malformed.
    """
    tools: list[Tool] = []
    for place, raw in enumerate(told or ()):
        param = f"tools.{place}"
        kind = read(raw, _Kind, param).type
        if kind in (None, "custom"):
            tools.append(_custom(raw, param))
        else:
            lost.add(f"tools.{kind}")
            own.setdefault("tools", []).append({"at": place, "tool": raw})
    if tools:
        request.tools = tools
    if choice is not None:
        if "tools" in own:
            own["tool_choice"] = choice
        _choose(choice, {tool.function.name for tool in tools if tool.function}, request, lost)


def _custom(raw: msgspec.Raw, param: str) -> Tool:
    told = read(raw, _Custom, param)
    if not told.name:
        raise InvalidRequest("A tool has a name.", param=f"{param}.name")
    if not bytes(told.input_schema).lstrip().startswith(b"{"):
        raise InvalidRequest("The schema of a tool's input is an object.", param=f"{param}.input_schema")
    function = FunctionTool(name=told.name, parameters=told.input_schema)
    if told.description is not None:
        function.description = told.description
    if told.strict is not None:
        function.strict = told.strict
    tool = Tool(function=function, cache_control=mark_of(told.cache_control))
    fields = read(raw, dict[str, msgspec.Raw], param)
    if own := {name: fields[name] for name in _OWN_FIELDS if name in fields and bytes(fields[name]) != b"null"}:
        tool.extra_content = {"anthropic": own}
    return tool


def _choose(choice: Choice, names: set[str], request: HubRequest, lost: Lost) -> None:
    if choice.disable_parallel_tool_use and names:
        request.parallel_tool_calls = False
    chosen = _chosen(choice)
    if isinstance(chosen, Chosen) and chosen.function.name not in names:
        lost.add("tool_choice")  # one of Anthropic's own, or none of those told
    elif names:  # a choice among no tools is refused by most
        request.tool_choice = chosen
    elif chosen == "required":
        lost.add("tool_choice")


def _chosen(choice: Choice) -> Literal["auto", "none", "required"] | Chosen:
    match choice.type:
        case "auto":
            return "auto"
        case "none":
            return "none"
        case "any":
            return "required"
        case "tool":
            if not choice.name:
                raise InvalidRequest("The tool to be used has a name.", param="tool_choice.name")
            return Chosen(function=Named(choice.name))
    raise InvalidRequest("This choice is not known.", param="tool_choice.type")
