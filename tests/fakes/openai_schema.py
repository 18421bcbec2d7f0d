"""Strict checkers made of the types in OpenAI's own SDK: no unknown and no misplaced field.

For chat requests it walks the ``TypedDict``s of ``openai.types.chat`` and adds what the API refuses beyond its types;
the hub's own extensions (``wire/hub.py``) are known only if the caller says so. For what is written to clients of
Responses it takes the SDK's models, which let unknown fields pass, and looks for any that did.
"""

import json
import re
import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, Required, Union, get_args, get_origin

from openai import BaseModel
from openai.types.chat import completion_create_params
from openai.types.chat.chat_completion_content_part_param import ChatCompletionContentPartParam
from openai.types.responses import Response, ResponseErrorEvent, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError
from typing_extensions import get_type_hints, is_typeddict

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

_EXTENSIONS: dict[str, frozenset[str]] = {
    "CompletionCreateParamsNonStreaming": frozenset({"cache_control", "extra_content", "thinking", "top_k"}),
    "CompletionCreateParamsStreaming": frozenset({"cache_control", "extra_content", "thinking", "top_k"}),
    "ChatCompletionAssistantMessageParam": frozenset(
        {"cache_control", "extra_content", "reasoning_content", "thinking_blocks"}
    ),
    "ChatCompletionSystemMessageParam": frozenset({"cache_control"}),
    "ChatCompletionDeveloperMessageParam": frozenset({"cache_control"}),
    "ChatCompletionUserMessageParam": frozenset({"cache_control"}),
    "ChatCompletionToolMessageParam": frozenset({"cache_control", "is_error"}),
    "ChatCompletionContentPartTextParam": frozenset({"cache_control", "citations", "extra_content"}),
    "ChatCompletionContentPartImageParam": frozenset({"cache_control", "extra_content"}),
    "ChatCompletionContentPartInputAudioParam": frozenset({"cache_control"}),
    "File": frozenset({"cache_control", "citations"}),
    "FileFile": frozenset({"file_url"}),
    "ChatCompletionFunctionToolParam": frozenset({"cache_control", "extra_content"}),
    "ChatCompletionMessageFunctionToolCallParam": frozenset({"cache_control", "extra_content"}),
}
"""Fields of the hub beyond OpenAI's, by the type that they stand in."""

_UNLISTED: dict[type[BaseModel], set[str]] = {
    Response: {"store", "frequency_penalty", "presence_penalty"},
    ResponseErrorEvent: {"error"},
}
"""Fields that OpenAI sends and its types do not list: of a response as the records show, of an error as reported in
openai/openai-dotnet#881."""


def check_chat_request(body: Any, *, extensions: bool) -> list[str]:
    """Why OpenAI would refuse ``body``, each reason with its place; empty if it would not."""
    kind: Any = completion_create_params.CompletionCreateParamsNonStreaming
    if isinstance(body, dict) and body.get("stream") is True:
        kind = completion_create_params.CompletionCreateParamsStreaming
    faults = _Checker(extensions).check(body, kind, "")
    return faults or _rules(body, is_hub=extensions)


def check_response(body: bytes) -> list[str]:
    """What of a response is not as OpenAI's types say."""
    return _modelled(Response, body)


def check_response_event(data: bytes) -> list[str]:
    """The same of the data of one event of a streamed response."""
    return _modelled(ResponseStreamEvent, data)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _modelled(kind: Any, body: bytes) -> list[str]:
    try:
        return _unknown(_adapter(kind).validate_python(json.loads(body)), "")
    except ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5]]


def _unknown(value: Any, place: str) -> list[str]:
    if isinstance(value, list):
        return [fault for at, one in enumerate(value) for fault in _unknown(one, f"{place}[{at}]")]
    if not isinstance(value, BaseModel):
        return []
    unknown = (value.model_extra or {}).keys() - _UNLISTED.get(type(value), set())
    faults = [f"{place}.{name}: not known here" for name in unknown]
    return faults + [fault for name, one in value for fault in _unknown(one, f"{place}.{name}")]


class _Checker:
    def __init__(self, extensions: bool) -> None:
        self._extensions = extensions

    def check(self, value: Any, kind: Any, place: str) -> list[str]:
        origin, of = get_origin(kind), get_args(kind)
        if origin is Required:
            return self.check(value, of[0], place)
        if origin in (Union, types.UnionType):
            return self._union(value, of, place)
        if origin is Literal:
            same = any(value == one and type(value) is type(one) for one in of)
            return [] if same else [f"{place}: none of {of}"]
        if is_typeddict(kind):
            return self._fields(value, kind, place)
        if origin is not None and issubclass(origin, Mapping):
            if not isinstance(value, dict):
                return [f"{place}: no object"]
            return [fault for name, one in value.items() for fault in self.check(one, of[1], f"{place}.{name}")]
        if origin is not None and issubclass(origin, Iterable):
            if not isinstance(value, list):
                return [f"{place}: no list"]
            return [fault for at, one in enumerate(value) for fault in self.check(one, of[0], f"{place}[{at}]")]
        return [] if _is_a(value, kind) else [f"{place}: no {getattr(kind, '__name__', kind)}"]

    def _union(self, value: Any, kinds: tuple[Any, ...], place: str) -> list[str]:
        """The faults of the kind that is meant: the one whose ``role`` and ``type`` fit, else the least wrong."""
        tried = [self.check(value, kind, place) for kind in kinds if self._is_meant(value, kind)]
        return min(tried, key=len, default=[f"{place}: of no known kind"])

    def _is_meant(self, value: Any, kind: Any) -> bool:
        origin: Any = get_origin(kind)
        if origin in (Union, types.UnionType):
            return True
        holds_many = isinstance(origin, type) and issubclass(origin, Iterable)
        if not is_typeddict(kind):
            return holds_many == isinstance(value, list | dict)
        if not isinstance(value, dict):
            return False
        told = get_type_hints(kind)
        return all(value.get(name) in get_args(told[name]) for name in ("role", "type") if name in told)

    def _fields(self, value: Any, kind: Any, place: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{place}: no object"]
        told: dict[str, Any] = get_type_hints(kind, include_extras=True)
        more = _EXTENSIONS.get(kind.__name__, frozenset()) if self._extensions else frozenset()
        faults = [f"{place}.{name}: not known here" for name in value.keys() - told.keys() - more]
        needed = {name for name, one in told.items() if _is_needed(one)}
        faults += [f"{place}.{name}: missing" for name in needed - value.keys()]
        for name in value.keys() & told.keys():
            one = told[name]
            if self._extensions and kind.__name__ == "ChatCompletionToolMessageParam" and name == "content":
                one = str | list[ChatCompletionContentPartParam]  # a result may hold an image
            faults += self.check(value[name], one, f"{place}.{name}")
        return faults


def _is_needed(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is Required


def _is_a(value: Any, kind: Any) -> bool:
    if kind in (object, Any):
        return True
    if kind is type(None):
        return value is None
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _rules(body: dict[str, Any], *, is_hub: bool) -> list[str]:
    """What the API refuses though the types let it pass."""
    faults = [] if body["messages"] else [".messages: empty"]
    for name in ("tool_choice", "parallel_tool_calls"):
        if name in body and not body.get("tools"):
            faults.append(f".{name}: without tools")
    if "tools" in body and not body["tools"]:
        faults.append(".tools: empty")
    if "stream_options" in body and body.get("stream") is not True:
        faults.append(".stream_options: without a stream")
    if "top_logprobs" in body and body.get("logprobs") is not True:
        faults.append(".top_logprobs: without logprobs")
    names = [tool["function"]["name"] for tool in body.get("tools", ()) if tool["type"] == "function"]
    faults += [f".tools: {name!r} is no name" for name in names if not _NAME.fullmatch(name)]
    faults += [f".tools: {name!r} is there twice" for name in set(names) if names.count(name) > 1]
    for tool in body.get("tools", ()):
        if not is_hub and tool["type"] == "function" and "parameters" in tool["function"]:
            faults += _root(tool["function"]["parameters"])
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "function" and choice["function"]["name"] not in names:
        faults.append(".tool_choice: no such function")
    return faults + _calls(body["messages"], is_hub=is_hub)


def _root(schema: dict[str, Any]) -> list[str]:
    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
        return [".tools: parameters are to be an object with properties"]
    return [f".tools: {name!r} at the root" for name in ("anyOf", "oneOf", "allOf", "not", "enum") if name in schema]


def _calls(messages: list[dict[str, Any]], *, is_hub: bool) -> list[str]:
    """Every call has its result behind it, before anyone else speaks, and every result its call."""
    faults = []
    waiting: set[str] = set()
    for at, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                faults.append(f".messages[{at}].tool_call_id: no such call")
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            faults.append(f".messages[{at}]: calls before it have no results")
        waiting = {call["id"] for call in message.get("tool_calls") or ()}
        if not is_hub and any(len(identity) > 40 for identity in waiting):
            faults.append(f".messages[{at}].tool_calls: an id of more than 40 characters")
        if message["role"] == "assistant" and not waiting and message.get("content") is None:
            if message.get("refusal") is None and message.get("function_call") is None:
                faults.append(f".messages[{at}]: says nothing")
    return faults + ([".messages: calls without results"] if waiting else [])
