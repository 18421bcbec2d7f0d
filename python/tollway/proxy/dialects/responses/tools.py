"""The tools of a Responses request as chat's, and which of them the model may or must call.

A tool of a namespace is a function whose name begins with the namespace's, for chat has no namespaces; the answer tells
its calls apart again. Tools that a vendor runs itself are left out with a warning, for the client has nothing to do for
them; ``custom`` ones are refused, for the client waits for calls in a form that chat-only providers don't have.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tollway.proxy.dialects.responses.fields import Fields, refusal
from tollway.wire.hub import Chosen, FunctionTool, Named, Tool

Choice = Literal["auto", "none", "required"] | Chosen | UnsetType


NAMESPACE = "namespace"
"""The type of a tool that holds others."""

_BETWEEN = "__"


def flat(namespace: str | None, name: str) -> str:
    """A function's name outside of its namespace."""
    if not namespace:
        return name
    return f"{namespace.removesuffix(_BETWEEN)}{_BETWEEN}{name}"


def namespaced(tools: Iterable[Any]) -> dict[str, tuple[str, str]]:
    """Namespace and name of each function of a namespace among ``tools``, by its flat name. What is no such tool is
    passed over."""
    found: dict[str, tuple[str, str]] = {}
    for tool in tools:
        match tool:
            case {"type": "namespace", "name": str(namespace), "tools": list(inner)}:
                for each in inner:
                    if isinstance(each, dict) and isinstance(name := each.get("name"), str):
                        found.setdefault(flat(namespace, name), (namespace, name))
    return found


class Tools:
    """The tools of one request, and what was left out of them."""

    def __init__(self, warnings: dict[str, None]) -> None:
        self._warnings = warnings
        self._named: dict[str, Tool] = {}

    def add(self, asked: Fields) -> None:
        """Those that ``asked`` lists; of two with one name the first stays.

        Raises:
            InvalidRequest: a tool can't be understood, or chat has none of its kind.
        """
        for tool in asked.each("tools"):
            if tool.named("type") == NAMESPACE:
                for inner in tool.each("tools"):
                    self._add(inner, tool.named("name"))
            else:
                self._add(tool, None)

    def _add(self, tool: Fields, namespace: str | None) -> None:
        kind = tool.named("type")
        if kind == "custom":
            raise refusal(tool.at("type"), "The models behind this alias take functions, not custom tools.")
        if kind == "function":
            made = _function(tool)
            made.name = flat(namespace, made.name)
            self._named.setdefault(made.name, Tool(function=made))
        else:
            self._warnings[tool.at("type")] = None

    def listed(self) -> list[Tool] | UnsetType:
        """All of them."""
        return list(self._named.values()) or UNSET

    def choice(self, asked: Fields) -> Choice:
        """``tool_choice``; tools that it does not allow are no longer listed, which every provider understands.

        Raises:
            InvalidRequest: it can't be understood, or asks for a call of a tool that is not there.
        """
        told = asked.value("tool_choice")
        if told is None:
            return UNSET
        if isinstance(told, str):
            return self._mode(told, "tool_choice")
        choice = Fields(told, "tool_choice")
        kind = choice.named("type")
        if kind == "function":
            if (name := choice.named("name")) not in self._named:
                raise refusal(choice.at("name"), "No function of this name is among the tools.")
            return Chosen(function=Named(name))
        if kind == "allowed_tools":
            self._allow(choice)
            return self._mode(choice.named("mode"), choice.at("mode"))
        raise refusal(choice.at("type"), "The models behind this alias can't be told to use a tool of this type.")

    def _mode(self, mode: str, place: str) -> Choice:
        known: dict[str, Choice] = {"auto": "auto", "none": "none", "required": "required"}
        if mode not in known:
            raise refusal(place, "A choice is one of 'auto', 'none' and 'required', or an object.")
        if mode == "required" and not self._named:
            raise refusal(place, "There is no function to call.")
        return known[mode] if self._named else UNSET

    def _allow(self, choice: Fields) -> None:
        allowed = set()
        for tool in choice.each("tools"):
            if tool.named("type") == "function":
                allowed.add(tool.named("name"))
            else:
                self._warnings[tool.at("type")] = None
        self._named = {name: tool for name, tool in self._named.items() if name in allowed}


def _function(tool: Fields) -> FunctionTool:
    made = FunctionTool(name=tool.named("name"))
    if description := tool.text("description"):
        made.description = description
    if (strict := tool.flag("strict")) is not None:
        made.strict = strict
    if tool.inner("parameters") is not None:
        made.parameters = msgspec.Raw(msgspec.json.encode(tool.value("parameters")))
    return made
