"""A chat request in, a request of Anthropic's Messages API out, and the names of the fields that got lost on the way.

Sources: platform.claude.com, "Create a Message" (API version 2023-06-01), and the SDK's published types. What the
provider can't take as a parameter is dropped and named; content that it can't take is refused before anything is sent.
"""

from typing import Any

import msgspec

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.drops import Drops
from tollway.proxy.providers.anthropic.models import Abilities, abilities_of
from tollway.proxy.providers.anthropic.parts import mark, own_of
from tollway.proxy.providers.anthropic.schema import closed
from tollway.proxy.providers.anthropic.thinking import think
from tollway.proxy.providers.anthropic.tools import choose, tools_of
from tollway.proxy.providers.anthropic.turns import Conversation, converse

FILES_BETA = "files-api-2025-04-14"
"""Without it a reference to an uploaded file is refused."""

_OWN = ("container", "inference_geo", "speed", "diagnostics", "user_profile_id")
"""Anthropic's fields that OpenAI does not know; they pass as they are. Others have a rule below."""

_BETA = ("context_management", "mcp_servers")
"""Fields that Anthropic takes only from who asks for their beta in ``anthropic-beta``."""

_RULED = frozenset(
    "model messages stream stream_options max_tokens max_completion_tokens temperature top_p top_k stop tools "
    "functions tool_choice function_call parallel_tool_calls user safety_identifier metadata reasoning_effort thinking "
    "response_format output_config service_tier cache_control extra_content".split()
)

_NOTHING_ASKED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "store": (False,),
}
"""Values that ask for what Anthropic does anyway: nothing is lost with them."""


class Mapped(msgspec.Struct, frozen=True):
    """The request's body, the fields that were dropped, and the betas it needs."""

    body: dict[str, Any]
    warnings: tuple[str, ...]
    betas: tuple[str, ...]


def map_request(body: dict[str, Any], model: str, *, strict: bool = False, has_beta: bool = False) -> Mapped:
    """Maps a chat request for ``model``. ``has_beta`` says whether the caller asks for some beta.

    Raises:
        InvalidRequest: content that can't be taken, or something that can't be understood; in strict mode also a
            parameter that would be dropped.
    """
    drops = Drops(strict=strict)
    taken = abilities_of(model)
    talk = converse(body.get("messages"), drops)
    out: dict[str, Any] = {"model": model, "max_tokens": _max_tokens(body, taken), "messages": talk.turns}
    if talk.system:
        out["system"] = talk.system
    if body.get("stream") is True:
        out["stream"] = True
    choice, tools = choose(body, tools_of(body, drops, has_schemas=taken.has_schemas), drops)
    if tools:
        out["tools"] = tools
    if choice is not None:
        out["tool_choice"] = choice
    _sample(body, out, taken, drops)
    _stop(body, out, drops)
    _attribute(body, out, drops)
    _format(body, out, taken, drops)
    think(body, out, taken, talk, drops)
    mark(out, body, "cache_control")
    own = own_of(body)
    for field in _OWN + (_BETA if has_beta else ()):
        if (value := body.get(field, own.get(field))) is not None:
            out[field] = value
    _name_the_rest(body, out, drops)
    return Mapped(out, drops.names, _betas(talk))


def _betas(talk: Conversation) -> tuple[str, ...]:
    return (FILES_BETA,) if talk.names_files else ()


def _max_tokens(body: dict[str, Any], taken: Abilities) -> int:
    for field in ("max_completion_tokens", "max_tokens"):
        told = body.get(field)
        if told is not None:
            if isinstance(told, bool) or not isinstance(told, int) or told < 0:
                raise InvalidRequest("This must be a number of tokens.", param=field)
            return told
    return taken.max_tokens


def _sample(body: dict[str, Any], out: dict[str, Any], taken: Abilities, drops: Drops) -> None:
    temperature, top_p, top_k = (_number(body, field) for field in ("temperature", "top_p", "top_k"))
    if not taken.samples:  # these models refuse other values than the defaults
        for field, value, default in (("temperature", temperature, 1), ("top_p", top_p, 1), ("top_k", top_k, None)):
            if value is not None and value != default:
                drops.add(field)
        return
    if temperature is not None:
        if temperature > 1:
            drops.add("temperature")
        out["temperature"] = min(temperature, 1)
    if top_p is not None and (temperature is None or taken.samples_by_both):
        out["top_p"] = top_p
    elif top_p not in (None, 1):
        drops.add("top_p")
    if top_k is not None:
        if not isinstance(top_k, int):
            raise InvalidRequest("This must be a whole number.", param="top_k")
        out["top_k"] = top_k


def _number(body: dict[str, Any], field: str) -> float | None:
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest("This must be a number.", param=field)
    return value


def _stop(body: dict[str, Any], out: dict[str, Any], drops: Drops) -> None:
    told = body.get("stop")
    if told is None:
        return
    sequences = [told] if isinstance(told, str) else told
    if not isinstance(sequences, list) or not all(isinstance(each, str) for each in sequences):
        raise InvalidRequest("This must be a text or a list of texts.", param="stop")
    kept = [each for each in sequences if each.strip()]  # blank ones are refused
    if len(kept) < len(sequences):
        drops.add("stop")
    if kept:
        out["stop_sequences"] = kept


def _attribute(body: dict[str, Any], out: dict[str, Any], drops: Drops) -> None:
    """Whose call it is, and how soon it is to be served."""
    metadata = own_of(body).get("metadata", body.get("metadata"))
    inner = metadata.get("user_id") if isinstance(metadata, dict) else None
    if metadata and (not isinstance(metadata, dict) or metadata.keys() - {"user_id"}):
        drops.add("metadata")
    for who in (inner, body.get("user"), body.get("safety_identifier")):
        if isinstance(who, str) and who:
            out["metadata"] = {"user_id": who}
            break
    tier = body.get("service_tier")
    if tier in ("default", "standard_only"):
        out["service_tier"] = "standard_only"
    elif tier == "auto":
        out["service_tier"] = "auto"
    elif tier is not None:
        drops.add("service_tier")


def _format(body: dict[str, Any], out: dict[str, Any], taken: Abilities, drops: Drops) -> None:
    own = own_of(body).get("output_config")
    config = body.get("output_config") if own is None else own
    if config is not None:
        if not isinstance(config, dict):
            raise InvalidRequest("This must be an object.", param="output_config")
        if config:
            out["output_config"] = config
    if own is not None:  # the format, too, is Anthropic's own; the other one was made of it
        return
    told = body.get("response_format")
    kind = told.get("type") if isinstance(told, dict) else None
    if told is None or kind == "text":
        return
    if kind == "json_object" or (kind == "json_schema" and not taken.has_schemas):
        drops.add("response_format")  # there is no way to ask for JSON of any shape, nor for a shape of old models
        return
    wrapper = told.get("json_schema") if kind == "json_schema" else None
    if not isinstance(wrapper, dict):
        raise InvalidRequest("This format of answers is not understood.", param="response_format")
    schema = closed(wrapper.get("schema"), "response_format.json_schema.schema")
    out["output_config"] = {**out.get("output_config", {}), "format": {"type": "json_schema", "schema": schema}}


def _name_the_rest(body: dict[str, Any], out: dict[str, Any], drops: Drops) -> None:
    """Everything that has no rule and says something is told to be lost."""
    for field, value in body.items():
        if field in _RULED or field in out or value is None or value in _NOTHING_ASKED.get(field, ()):
            continue
        drops.add(field)
