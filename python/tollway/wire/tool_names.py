"""Names of tools as a provider takes them, and the way back to those that the client gave.

OpenAI and Amazon take 64 letters, digits, ``_`` and ``-``, Anthropic 128, Gemini also dots and colons; tools that come
from elsewhere (MCP servers above all) have longer names and other characters. Such a name is told as another one that
is the same for the same name in every turn and on every instance, and what the model calls by it is told to the
client under its own.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tollway.wire.hub import Chosen, Function, FunctionTool, HubRequest, Named

OPENAI: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ANTHROPIC: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
GOOGLE: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
"""Sources: platform.openai.com, "Create chat completion"; platform.claude.com, "Define tools"; ai.google.dev,
``FunctionDeclaration``; docs.aws.amazon.com, ``ToolSpecification`` (as OpenAI's)."""

KEPT_CHARACTERS: Final = 53
"""So much of a name is kept in that which stands for it: with the rest, 64 characters."""

_OTHER = re.compile(r"[^a-zA-Z0-9_-]")


class Names:
    """The names that stand for others in one request. Bounded by the tools and calls of the request."""

    __slots__ = ("_own",)

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        """``own`` are the client's names, by those that stand for them."""
        self._own = [(f'"{told}"'.encode(), msgspec.json.encode(name)) for told, name in (own or {}).items()]

    def __bool__(self) -> bool:
        return bool(self._own)

    def restored(self, said: bytes) -> bytes:
        """``said``, JSON or events of it, with the client's names. A name is found as a whole text in quotes: inside of
        other texts the quotes would be escaped."""
        for told, own in self._own:
            if told in said:
                said = said.replace(told, own)
        return said


NONE: Final = Names()
"""All names are told as they are."""


def stand_in(name: str) -> str:
    """What stands for ``name``: some of it, and eight digits that no other name has."""
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    kept = _OTHER.sub("_", name)[:KEPT_CHARACTERS]
    return f"{kept}_{digits}" if kept[0].isalpha() or kept[0] == "_" else f"f_{kept}_{digits}"


def fit_chat(asked: dict[str, Any], rule: re.Pattern[str]) -> Names:
    """Puts a stand-in for each name that ``rule`` does not take into a chat, which is ours to change. What is malformed
    stays."""
    own: dict[str, str] = {}
    for carrier in _carriers(asked):
        name = carrier.get("name")
        if isinstance(name, str) and name and not rule.fullmatch(name):
            carrier["name"] = told = stand_in(name)
            own[told] = name
    return Names(own) if own else NONE


def _carriers(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects whose ``name`` is a tool's."""
    choice = asked.get("tool_choice")
    allowed = choice.get("allowed_tools", choice) if isinstance(choice, dict) else None
    for listed in (asked.get("tools"), [choice], allowed.get("tools") if isinstance(allowed, dict) else None):
        yield from _functions(listed)
    yield from (each for each in _objects(asked.get("functions")))
    yield from _objects([asked.get("function_call")])
    for turn in _objects(asked.get("messages")):
        yield from _functions(turn.get("tool_calls"))
        yield from _objects([turn.get("function_call")])
        if turn.get("role") in ("tool", "function"):
            yield turn


def _functions(listed: Any) -> Iterator[dict[str, Any]]:
    return _objects([each.get("function") for each in _objects(listed)])


def _objects(listed: Any) -> Iterator[dict[str, Any]]:
    return (each for each in listed if isinstance(each, dict)) if isinstance(listed, list) else iter(())


def fit_hub(request: HubRequest) -> Names:
    """The same for a request of the hub, by OpenAI's rule."""
    carriers: list[FunctionTool | Function | Named] = [tool.function for tool in request.tools or () if tool.function]
    carriers += [call.function for turn in request.messages for call in turn.tool_calls or ()]
    if isinstance(request.tool_choice, Chosen):
        carriers.append(request.tool_choice.function)
    own: dict[str, str] = {}
    for carrier in carriers:
        if not OPENAI.fullmatch(carrier.name):
            own[told := stand_in(carrier.name)] = carrier.name
            carrier.name = told
    return Names(own) if own else NONE
