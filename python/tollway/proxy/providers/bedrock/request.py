"""A chat request in, a Converse request out, and the names of the fields that got lost on the way.

Converse has few parameters of its own; what only some models take stands in ``additionalModelRequestFields``. What is
Amazon's alone a client writes in ``extra_content.bedrock``, in Converse's own form.
Source: docs.aws.amazon.com, API reference of Bedrock Runtime, "Converse" (2023-09-30).
"""

from typing import Any

import msgspec

from tollway.errors import InvalidRequest
from tollway.proxy.providers.anthropic.drops import Drops
from tollway.proxy.providers.anthropic.schema import closed
from tollway.proxy.providers.bedrock.caching import settle_points
from tollway.proxy.providers.bedrock.models import Traits, traits_of
from tollway.proxy.providers.bedrock.parts import points_of
from tollway.proxy.providers.bedrock.thinking import think
from tollway.proxy.providers.bedrock.tools import tool_config
from tollway.proxy.providers.bedrock.turns import converse

_OWN: dict[str, type] = {
    "guardrailConfig": dict,
    "performanceConfig": dict,
    "requestMetadata": dict,
    "promptVariables": dict,
    "serviceTier": dict,
    "outputConfig": dict,
    "additionalModelRequestFields": dict,
    "additionalModelResponseFieldPaths": list,
    "projectIdentifier": str,
}
"""What ``extra_content.bedrock`` may hold."""

_RULED = frozenset(
    "model messages stream stream_options max_tokens max_completion_tokens temperature top_p top_k stop tools "
    "functions tool_choice function_call parallel_tool_calls reasoning_effort thinking response_format service_tier "
    "cache_control extra_content".split()
)

_NOTHING_ASKED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "store": (False,),
    "metadata": ({},),
}
"""Values that ask for what Converse does anyway: nothing is lost with them."""

MAX_STOP_SEQUENCES = 2500


class Mapped(msgspec.Struct, frozen=True):
    """The request's body, whether its answer is to be streamed, and the fields that were dropped."""

    body: dict[str, Any]
    stream: bool
    warnings: tuple[str, ...]


def map_request(body: dict[str, Any], model: str, *, strict: bool = False) -> Mapped:
    """Maps a chat request for ``model``.

    Raises:
        InvalidRequest: content that can't be taken, or something that can't be understood; in strict mode also a
            parameter that would be dropped.
    """
    drops = Drops(strict=strict)
    traits = traits_of(model)
    talk = converse(body.get("messages"), drops, takes_thoughts=traits.takes_thoughts)
    stream = body.get("stream") is True
    out: dict[str, Any] = {"messages": talk.turns}
    if talk.system:
        out["system"] = talk.system
    if (tools := tool_config(body, talk, drops, has_schemas=traits.has_schemas)) is not None:
        out["toolConfig"] = tools
    _configure(body, out, traits, drops)
    _format(body, out, traits, drops)
    if body.get("service_tier") in ("flex", "priority"):
        out["serviceTier"] = {"type": body["service_tier"]}
    elif body.get("service_tier") not in (None, "auto", "default"):
        drops.add("service_tier")
    think(body, out, traits, talk, drops)
    last = talk.turns[-1]["content"]
    if "cachePoint" not in last[-1] and "reasoningContent" not in last[-1]:
        last += points_of(body, "cache_control")
    settle_points(out, traits, drops)
    _add_own(body, out, drops, stream)
    for field, value in body.items():
        if field not in _RULED and value is not None and value not in _NOTHING_ASKED.get(field, ()):
            drops.add(field)
    # What a rule began and left empty says nothing.
    filled = {name: value for name, value in out.items() if value or name == "messages"}
    return Mapped(filled, stream, drops.names)


def _configure(body: dict[str, Any], out: dict[str, Any], traits: Traits, drops: Drops) -> None:
    """``inferenceConfig``, and the one number that Converse leaves to the models."""
    config: dict[str, Any] = {}
    for field in ("max_tokens", "max_completion_tokens"):  # the latter is the newer name and wins
        told = body.get(field)
        if told is not None:
            if isinstance(told, bool) or not isinstance(told, int) or not 1 <= told < 2**31:
                raise InvalidRequest("This must be a number of tokens.", param=field)
            config["maxTokens"] = told
    _sample(body, config, traits, drops)
    if sequences := _stop(body, drops):
        config["stopSequences"] = sequences
    out["inferenceConfig"] = config
    _add_top_k(body.get("top_k"), out, traits, drops)


def _sample(body: dict[str, Any], config: dict[str, Any], traits: Traits, drops: Drops) -> None:
    temperature, top_p = _share(body, "temperature", drops), _share(body, "top_p", drops)
    if not traits.claude.samples:  # these models refuse other values than the defaults
        for field, value in (("temperature", temperature), ("top_p", top_p)):
            if value not in (None, 1):
                drops.add(field)
        return
    if temperature is not None:
        config["temperature"] = temperature
    if top_p is not None and (temperature is None or traits.claude.samples_by_both):
        config["topP"] = top_p
    elif top_p not in (None, 1):
        drops.add("top_p")


def _add_top_k(top_k: Any, out: dict[str, Any], traits: Traits, drops: Drops) -> None:
    if top_k is None:
        return
    if isinstance(top_k, bool) or not isinstance(top_k, int):
        raise InvalidRequest("This must be a whole number.", param="top_k")
    if traits.top_k is None or not traits.claude.samples:
        drops.add("top_k")
        return
    place = out.setdefault("additionalModelRequestFields", {})
    for name in traits.top_k[:-1]:
        place = place.setdefault(name, {})
    place[traits.top_k[-1]] = top_k


def _share(body: dict[str, Any], field: str, drops: Drops) -> float | None:
    """A number from 0 to 1; OpenAI's temperature goes up to 2."""
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise InvalidRequest("This must be a number, and not below 0.", param=field)
    if value > 1:
        drops.add(field)
    return min(value, 1)


def _stop(body: dict[str, Any], drops: Drops) -> list[str]:
    told = body.get("stop")
    if told is None:
        return []
    sequences = [told] if isinstance(told, str) else told
    if not isinstance(sequences, list) or not all(isinstance(each, str) for each in sequences):
        raise InvalidRequest("This must be a text or a list of texts.", param="stop")
    kept = [each for each in sequences if each.strip()][:MAX_STOP_SEQUENCES]  # blank ones are refused
    if len(kept) < len(sequences):
        drops.add("stop")
    return kept


def _format(body: dict[str, Any], out: dict[str, Any], traits: Traits, drops: Drops) -> None:
    told = body.get("response_format")
    kind = told.get("type") if isinstance(told, dict) else None
    if told is None or kind == "text":
        return
    if kind == "json_object" or (kind == "json_schema" and not traits.has_schemas):
        drops.add("response_format")  # there is no way to ask for JSON of any shape, nor for a shape of these models
        return
    wrapper = told.get("json_schema") if isinstance(told, dict) and kind == "json_schema" else None
    if not isinstance(wrapper, dict) or not isinstance(wrapper.get("schema"), dict):
        raise InvalidRequest("This format of answers is not understood.", param="response_format")
    schema = wrapper["schema"]
    if traits.vendor == "anthropic":
        schema = closed(schema, "response_format.json_schema.schema")
    form: dict[str, Any] = {"schema": msgspec.json.encode(schema).decode()}  # as text: so Amazon's schema has it
    for field in ("name", "description"):
        if isinstance(wrapper.get(field), str) and wrapper[field]:
            form[field] = wrapper[field]
    out["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": form}}}


def _add_own(body: dict[str, Any], out: dict[str, Any], drops: Drops, stream: bool) -> None:
    """What the client wrote in Converse's own form; it wins, and inside two of the fields only where it speaks."""
    extra = body.get("extra_content")
    if extra is None:
        return
    own = extra.get("bedrock") if isinstance(extra, dict) else None
    if not isinstance(extra, dict) or not isinstance(own, dict | None):
        raise InvalidRequest("`extra_content` holds an object for each vendor.", param="extra_content")
    for name, value in (own or {}).items():
        param = f"extra_content.bedrock.{name}"
        if name not in _OWN:
            drops.add(param)
            continue
        if not _fits(value, _OWN[name]):
            raise InvalidRequest("This is not what Converse takes.", param=param)
        if name in ("additionalModelRequestFields", "outputConfig"):
            value = {**out.get(name, {}), **value}
        if name == "guardrailConfig" and not stream:
            value = {key: each for key, each in value.items() if key != "streamProcessingMode"}
        out[name] = value


def _fits(value: Any, wanted: type) -> bool:
    return isinstance(value, wanted)
