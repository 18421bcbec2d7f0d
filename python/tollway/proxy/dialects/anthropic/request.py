"""A request to Anthropic's Messages as the hub's chat, and the names of what found no place there.

Source: platform.claude.com, "Create a Message", and the types of Anthropic's SDK. What only Anthropic knows is kept in
``extra_content.anthropic``, which no other provider gets to see; a field that Anthropic does not know passes beside
the others, for a client may mean it for the provider that it knows is there.
"""

import hashlib
import re
from typing import Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from tollway.errors import InvalidRequest
from tollway.proxy.dialects.anthropic.fields import Count, Lost, Marked, mark_of, read
from tollway.proxy.dialects.anthropic.tools import Choice, put_tools
from tollway.proxy.dialects.anthropic.turns import system_turns, turns_of
from tollway.proxy.dialects.port import Hubbed
from tollway.wire import hub
from tollway.wire.hub import Extra, HubRequest
from tollway.wire.tool_names import fit_hub

MAX_USER_CHARACTERS = 64
"""OpenAI takes no longer name of a user; coding agents send longer ones."""

_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
"""Most models elsewhere know no effort beyond high."""

_MEDIUM_FROM, _HIGH_FROM = 4096, 16_000
"""From so many tokens of a budget on an effort is told as medium, and as high."""

_KEPT = frozenset(
    "container context_management mcp_servers inference_geo speed diagnostics user_profile_id workspace_id compaction "
    "fallbacks fallback_credit_token billing_policy thread".split()
)
"""Anthropic's fields that no other provider has a word for."""

_FOREIGN = frozenset(
    "n best_of max_completion_tokens stream_options extra_content functions function_call prediction".split()
)
"""Chat's fields that may not pass beside: limits and screening went by what Anthropic's dialect says."""

_SILENT = frozenset("betas anthropic_beta anthropic_version diagnostics inference_geo user_profile_id".split())
"""Nothing is asked of the model with these."""

Value = TypeVar("Value")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Format(msgspec.Struct):
    type: Literal["json_schema"]
    schema: msgspec.Raw


class _OutputConfig(msgspec.Struct):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _Format | None = None


class _Thinking(msgspec.Struct):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Count | None = None
    display: str | None = None


class _Asked(msgspec.Struct):
    messages: list[msgspec.Raw]
    model: str | None = None
    system: str | list[msgspec.Raw] | None = None
    max_tokens: Count | None = None
    temperature: int | float | None = None
    top_p: int | float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: Choice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    metadata: _Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    cache_control: Marked | None = None


def hub_of(body: bytes, model: str) -> Hubbed:
    """The request for ``model`` as the hub has it.

    Raises:
        InvalidRequest: a field is malformed.
    """
    try:
        body.decode()  # what passes as it was written would not be checked otherwise
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None
    asked = read(body, _Asked, "")
    fields = read(body, dict[str, msgspec.Raw], "")
    lost = Lost()
    system = [] if asked.system is None else system_turns(asked.system, "system", lost, in_place=False)
    own: Extra = {}
    request = HubRequest(model=model, messages=system + turns_of(asked.messages, lost))
    put_tools(asked.tools, asked.tool_choice, request, own, lost)
    _sample(asked, request)
    _attribute(asked, request, own)
    _think(asked, request, own, lost)
    _form(asked, request)
    if asked.output_config is not None or asked.output_format is not None or asked.thinking is not None:
        own["output_config"] = _output_config(fields)
    passed = _beside(fields, own, lost)
    if own:
        request.extra_content = {"anthropic": own}
    names = fit_hub(request)
    return Hubbed(hub.hub_bytes(request, passed), lost.names, names)


def _beside(fields: dict[str, msgspec.Raw], own: Extra, lost: Lost) -> dict[str, msgspec.Raw]:
    """The fields that Anthropic's dialect does not have. Those that only Anthropic has go into ``own``."""
    passed = {}
    for name, raw in fields.items():
        if name in _Asked.__struct_fields__ or bytes(raw) == b"null":
            continue
        if name in _KEPT:
            own[name] = raw
        elif name not in _SILENT | _FOREIGN:
            passed[name] = raw
        if name in _KEPT - _SILENT | _FOREIGN:
            lost.add(name)
    return passed


def _sample(asked: _Asked, request: HubRequest) -> None:
    request.max_completion_tokens = _set(asked.max_tokens)
    request.temperature = _set(asked.temperature)
    request.top_p = _set(asked.top_p)
    request.top_k = _set(asked.top_k)
    request.stop = asked.stop_sequences or UNSET
    request.cache_control = mark_of(asked.cache_control)
    if asked.stream:
        request.stream = True
        request.stream_options = hub.StreamOptions()


def _attribute(asked: _Asked, request: HubRequest, own: Extra) -> None:
    """Whose call it is, and how soon it is to be served."""
    user = asked.metadata.user_id if asked.metadata is not None else None
    if user:
        request.user = user
        if len(user) > MAX_USER_CHARACTERS:
            request.user = hashlib.sha256(user.encode()).hexdigest()
            own["metadata"] = {"user_id": user}
    if asked.service_tier is not None:
        request.service_tier = "default" if asked.service_tier == "standard_only" else "auto"


def _think(asked: _Asked, request: HubRequest, own: Extra, lost: Lost) -> None:
    """How much to think: Anthropic's words for who knows them, an effort for who does not."""
    told = asked.thinking
    effort = asked.output_config.effort if asked.output_config is not None else None
    kind = told.type if told is not None else None
    if kind == "between_tools":
        lost.add("thinking")
        own["thinking"] = {"type": kind}
    elif kind is not None and told is not None:
        if kind == "enabled" and told.budget_tokens is None:
            raise InvalidRequest("Thinking that is enabled has a budget.", param="thinking.budget_tokens")
        request.thinking = hub.Thinking(type=kind, budget_tokens=_set(told.budget_tokens), display=_set(told.display))
    if kind == "disabled":
        return  # not every model takes an effort of none
    if effort is not None:
        request.reasoning_effort = _EFFORTS[effort]
    elif told is not None and told.budget_tokens is not None:
        budget = told.budget_tokens
        request.reasoning_effort = "low" if budget < _MEDIUM_FROM else "medium" if budget < _HIGH_FROM else "high"


def _form(asked: _Asked, request: HubRequest) -> None:
    """The schema of the answer. Not ``strict``: Anthropic's takes fields that may be missing, OpenAI's does not."""
    told = asked.output_format
    if asked.output_config is not None and asked.output_config.format is not None:
        told = asked.output_config.format
    if told is None:
        return
    title = read(told.schema, dict[str, msgspec.Raw], "output_config.format.schema").get("title")
    name = read(title, object, "output_config.format.schema.title") if title is not None else None
    is_name = isinstance(name, str) and _NAME.fullmatch(name)
    schema = hub.JsonSchema(name=str(name) if is_name else "answer", schema=told.schema)
    request.response_format = hub.ResponseFormat(type="json_schema", json_schema=schema)


def _output_config(fields: dict[str, msgspec.Raw]) -> Extra:
    """Anthropic's own words for effort and form: where they are kept, what the hub says of both is derived."""
    config: Extra = {}
    if (told := fields.get("output_config")) is not None and bytes(told) != b"null":
        config |= read(told, dict[str, msgspec.Raw], "output_config")
    if (form := fields.get("output_format")) is not None and bytes(form) != b"null":
        config.setdefault("format", form)
    return config


def _set(value: Value | None) -> Value | UnsetType:
    return UNSET if value is None else value
