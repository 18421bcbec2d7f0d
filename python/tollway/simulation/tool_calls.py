"""Which tools the simulated model calls, and with what arguments."""

import re
from random import Random

import msgspec

from tollway.simulation import prose
from tollway.simulation.completion import FunctionCall, ToolCall
from tollway.simulation.refusals import invalid
from tollway.simulation.requests import ChatRequest, ChosenTool, Function
from tollway.simulation.schema_values import UnsupportedSchema, value

_CALLS_ALLOWED = 16
_ASKS_FOR_ONE = re.compile(r"\b(?:use|call|run|invoke) (?:the|a|your|one|some) (?:\w+ )?(?:tool|function)\b")
_ASKS_FOR_ALL = re.compile(
    r"\b(?:use|call|run|invoke) (?:the|both|your|several|all|all the|all your) (?:\w+ )?(?:tools|functions)\b"
)
_ASKS_FOR_SEVERAL = re.compile(r"\b(?:twice|in parallel|several times|for each|for both)\b")
_READ_LENGTH = 10_000  # of the message; a tool that is named further on is not seen


def tool_calls(request: ChatRequest, random: Random) -> list[ToolCall]:
    """The calls of this turn; none when the answer is text.

    Tools are called when ``tool_choice`` says so, or when the conversation ends with a user's message that names a
    tool or says "use the tool". Several named tools, "use the tools" and "twice" make parallel calls, unless
    ``parallel_tool_calls`` is false.

    Raises:
        Refusal: 400, when no arguments can be made for a tool's schema.
    """
    chosen = _chosen(request)
    if request.parallel_tool_calls is False:
        chosen = chosen[:1]
    words = prose.names(request) if chosen else []
    return [
        ToolCall(
            id=f"call_{random.getrandbits(96):024x}",
            function=FunctionCall(tool.name, _arguments(tool, random, words)),
        )
        for tool in chosen[:_CALLS_ALLOWED]
    ]


def _chosen(request: ChatRequest) -> list[Function]:
    if not request.tools or request.tool_choice == "none":
        return []
    offered = [tool.function for tool in request.tools]
    if isinstance(request.tool_choice, ChosenTool):
        return [tool for tool in offered if tool.name == request.tool_choice.function.name][:1]
    asked = _asked(request, offered)
    return offered[:1] if request.tool_choice == "required" and not asked else asked


def _asked(request: ChatRequest, offered: list[Function]) -> list[Function]:
    """The tools that the last message asks for, in the order it names them."""
    last = request.messages[-1]
    if last.role != "user":
        return []
    said = last.text[:_READ_LENGTH].casefold()
    spelled = said.replace("_", " ").replace("-", " ")
    places = {}
    for tool in offered:
        name = tool.name.casefold()
        found = [place for place in (said.find(name), spelled.find(name.replace("_", " "))) if place >= 0]
        if found:
            places[tool.name] = min(found)
    asked = sorted((tool for tool in offered if tool.name in places), key=lambda tool: places[tool.name])
    if not asked and _ASKS_FOR_ALL.search(said):
        asked = offered
    elif not asked and _ASKS_FOR_ONE.search(said):
        asked = offered[:1]
    return asked * 2 if len(asked) == 1 and _ASKS_FOR_SEVERAL.search(said) else asked


def _arguments(tool: Function, random: Random, words: list[str]) -> str:
    if tool.parameters is None:
        return "{}"
    try:
        return msgspec.json.encode(value({"type": "object"} | tool.parameters, random, words)).decode()
    except UnsupportedSchema as unsupported:
        message = f"Invalid schema for function '{tool.name}': {unsupported}."
        raise invalid(message, param="tools", code="invalid_function_parameters") from unsupported
