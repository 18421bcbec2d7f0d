"""A Responses request as a chat request, and the names of what found no place there.

Chat-only providers keep nothing between calls, so what leans on something kept is refused: ``previous_response_id``,
``conversation``, ``background``, a stored ``prompt``. A field that asks for less than the answer itself
(``prompt_cache_key``, ``max_tool_calls``, ``truncation``) is left out with a warning.
Source: platform.openai.com, API reference, "Create a model response", and ``openai.types.responses``.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from tollway.errors import InvalidRequest
from tollway.proxy.dialects.port import Hubbed
from tollway.proxy.dialects.responses.fields import Fields, refusal
from tollway.proxy.dialects.responses.items import Conversation
from tollway.proxy.dialects.responses.tools import Tools
from tollway.wire.hub import HubRequest, JsonSchema, ResponseFormat, StreamOptions, Turn, hub_bytes
from tollway.wire.tool_names import fit_hub

LOGPROBS = "message.output_text.logprobs"
"""In ``include``: asks for the likelihood of each token."""

Value = TypeVar("Value")

_KEPT_THERE = ("previous_response_id", "conversation", "prompt")
_READ = frozenset(
    "model input instructions tools tool_choice parallel_tool_calls text reasoning max_output_tokens temperature top_p "
    "top_logprobs include stream service_tier user safety_identifier background store truncation".split()
)
_NEEDLESS = frozenset({"stream_options", "metadata"})
"""Heard without being told to the provider: our events are not padded, and metadata comes back with the answer."""

_CHATS = frozenset({"seed", "stop", "frequency_penalty", "presence_penalty", "logit_bias"})
"""Fields of chat that Responses does not list and SDKs let through: they pass as they are."""


def to_hub(body: bytes, model: str) -> Hubbed:
    """The request for ``model``; see :meth:`tollway.proxy.dialects.port.Dialect.to_hub`."""
    try:
        asked = Fields(msgspec.json.decode(body), "")
        warnings: dict[str, None] = {}
        request = _request(asked, model, warnings)
        passed = {name: msgspec.Raw(msgspec.json.encode(asked.value(name))) for name in _CHATS if asked.has(name)}
        names = fit_hub(request)
        return Hubbed(hub_bytes(request, passed), tuple(warnings), names)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidRequest("The body is not the JSON of a request.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None


def _request(asked: Fields, model: str, warnings: dict[str, None]) -> HubRequest:
    _check_state(asked, warnings)
    tools = Tools(warnings)
    tools.add(asked)
    messages = _messages(asked, tools, warnings)
    choice = tools.choice(asked)
    stream = asked.flag("stream") is True
    top_logprobs = asked.count("top_logprobs")
    parallel = asked.flag("parallel_tool_calls")
    tier = asked.text("service_tier")
    listed = tools.listed()
    request = HubRequest(
        model=model,
        messages=messages,
        tools=listed,
        tool_choice=choice,
        parallel_tool_calls=UNSET if parallel is not False or listed is UNSET else False,  # many know no such field
        max_completion_tokens=_set(asked.count("max_output_tokens")),
        temperature=_set(asked.number("temperature")),
        top_p=_set(asked.number("top_p")),
        logprobs=True if top_logprobs or LOGPROBS in _included(asked) else UNSET,
        top_logprobs=_set(top_logprobs or None),
        service_tier=UNSET if tier in (None, "auto") else tier,
        user=_set(asked.text("user") or asked.text("safety_identifier")),
        stream=True if stream else UNSET,
        stream_options=StreamOptions() if stream else UNSET,
    )
    _shape(asked, request)
    _reason(asked, request, warnings)
    return request


def _set(value: Value | None) -> Value | UnsetType:
    return UNSET if value is None else value


def _check_state(asked: Fields, warnings: dict[str, None]) -> None:
    for name in _KEPT_THERE:
        if asked.has(name):
            raise refusal(name, "Nothing is stored here: send the conversation itself in 'input'.")
    asked.inner("metadata")
    if asked.flag("background"):
        raise refusal("background", "The models behind this alias answer at once or not at all.")
    if asked.flag("store"):
        warnings["store"] = None
    if asked.text("truncation") not in (None, "disabled"):
        warnings["truncation"] = None
    for name in asked.names():
        if name not in _READ and name not in _NEEDLESS and name not in _CHATS:
            warnings[name] = None


def _messages(asked: Fields, tools: Tools, warnings: dict[str, None]) -> list[Turn]:
    conversation = Conversation(lambda name: warnings.update({name: None}), tools.add)
    if isinstance(told := asked.value("input"), str):
        conversation.say(told)
    elif told is None:
        raise refusal("input", "This is missing.")
    else:
        for item in asked.each("input"):
            conversation.add(item)
    turns = conversation.turns()
    if not turns:
        raise refusal("input", "There must be something to answer.")
    instructions = asked.text("instructions")
    return [Turn(role="system", content=instructions), *turns] if instructions else turns


def _included(asked: Fields) -> list[Any]:
    included = asked.listed("include") or []
    for place, each in enumerate(included):
        if not isinstance(each, str):
            raise refusal(f"include[{place}]", "This must be a text.")
    return included


def _shape(asked: Fields, request: HubRequest) -> None:
    """``text``: the form of the answer and its length."""
    text = asked.inner("text")
    if text is None:
        return
    request.verbosity = _set(text.text("verbosity"))
    form = text.inner("format")
    match form and form.named("type"):
        case None | "text":
            return
        case "json_object":
            request.response_format = ResponseFormat(type="json_object")
        case "json_schema" if form is not None:
            request.response_format = ResponseFormat(type="json_schema", json_schema=_schema(form))
        case _:
            raise refusal("text.format.type", "A format is one of 'text', 'json_object' and 'json_schema'.")


def _schema(form: Fields) -> JsonSchema:
    if form.inner("schema") is None:
        raise refusal(form.at("schema"), "This is missing.")
    written = msgspec.Raw(msgspec.json.encode(form.value("schema")))
    strict, description = form.flag("strict"), form.text("description")
    return JsonSchema(name=form.named("name"), schema=written, strict=_set(strict), description=_set(description))


def _reason(asked: Fields, request: HubRequest, warnings: dict[str, None]) -> None:
    """``reasoning``. Thoughts are told whether a summary was asked for or not; all that are sent back are heard."""
    reasoning = asked.inner("reasoning")
    if reasoning is None:
        return
    request.reasoning_effort = _set(reasoning.text("effort"))
    reasoning.text("summary")
    if reasoning.text("context") == "current_turn":
        warnings["reasoning.context"] = None
    if reasoning.text("mode") not in (None, "standard"):
        warnings["reasoning.mode"] = None
