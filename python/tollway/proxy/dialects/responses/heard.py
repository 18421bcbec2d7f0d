"""What an answer of the hub says beside its words, in the terms of Responses: usage, end, sources, likelihoods."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from tollway.proxy.dialects.heard import first_count
from tollway.proxy.dialects.responses.sealed import Extra, Sealed
from tollway.wire.hub import Thought
from tollway.wire.openai_responses import IncompleteDetails, InputDetails, Logprob, OutputDetails, UrlCitation, Usage

_ENDS = {"length": IncompleteDetails("max_output_tokens"), "content_filter": IncompleteDetails("content_filter")}


def decoded(body: bytes) -> dict[str, Any]:
    """An answer, or a piece of it.

    Raises:
        ValueError: it is no JSON object, or nested beyond all use.
    """
    try:
        told = msgspec.json.decode(body)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    if not isinstance(told, dict):
        raise ValueError("the answer is no object")
    return told


def first_choice(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first of the choices; Responses has no others.

    Raises:
        ValueError: ``choices`` is no list of objects.
    """
    choices = told.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise ValueError("the choices are no objects")
    return next((choice for choice in choices if not choice.get("index")), None)


def inner(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object that may be missing.

    Raises:
        ValueError: it is something else.
    """
    value = told.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("a field is no object")
    return value


def calls_of(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls of a message or of a piece of one; the ``function_call`` of old models is one of them.

    Raises:
        ValueError: they are no objects.
    """
    calls, legacy = told.get("tool_calls") or [], told.get("function_call")
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise ValueError("the calls are no objects")
    return calls if not legacy else [*calls, {"index": 0, "function": legacy}]


def function_of(call: Mapping[str, Any]) -> tuple[str, str]:
    """Name and arguments of a call or of a piece of one; each may be empty.

    Raises:
        ValueError: one is no text.
    """
    function = inner(call, "function")
    name, arguments = function.get("name") or "", function.get("arguments")
    if isinstance(arguments, dict):  # some write the object instead of its text
        arguments = json.dumps(arguments)
    if not isinstance(name, str) or not isinstance(arguments, str | None):
        raise ValueError("a call has a name or arguments that are no text")
    return name, arguments or ""


def usage_of(told: Any) -> Usage | None:
    """The usage as Responses counts it: reasoning is inside the output.

    xAI, and Grok on Azure, count it beside the completion; it shows in the total.
    """
    if not isinstance(told, dict):
        return None
    prompt, completion = _details(told, "prompt_tokens_details"), _details(told, "completion_tokens_details")
    inputs, outputs = first_count(told.get("prompt_tokens")) or 0, first_count(told.get("completion_tokens")) or 0
    total = first_count(told.get("total_tokens")) or 0
    reasoning = first_count(completion.get("reasoning_tokens"), told.get("reasoning_tokens")) or 0
    if reasoning and total == inputs + outputs + reasoning:
        outputs += reasoning
    # Beside the details: DeepSeek, Together and Mistral.
    flat = [told.get(name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")]
    cached = first_count(prompt.get("cached_tokens")) or first_count(*flat) or 0
    written = InputDetails(cached_tokens=cached, cache_write_tokens=first_count(prompt.get("cache_write_tokens")) or 0)
    return Usage(
        input_tokens=inputs,
        input_tokens_details=written,
        output_tokens=outputs,
        output_tokens_details=OutputDetails(reasoning_tokens=reasoning),
        total_tokens=total or inputs + outputs,
    )


def _details(told: dict[str, Any], name: str) -> dict[str, Any]:
    inner = told.get(name)
    return inner if isinstance(inner, dict) else {}


def early_end(finish_reason: Any) -> IncompleteDetails | None:
    """Why the answer is not whole; ``None`` if it is, or if the reason is none of OpenAI's."""
    return _ENDS.get(finish_reason) if isinstance(finish_reason, str) else None


def citations_of(told: Mapping[str, Any]) -> list[UrlCitation]:
    """The sources that have an address; chat holds each in an object of its own.

    Raises:
        ValueError: they are no objects.
    """
    annotations = told.get("annotations") or []
    if not isinstance(annotations, list) or not all(isinstance(each, dict) for each in annotations):
        raise ValueError("the annotations are no objects")
    return [found for each in annotations if (found := _citation(inner(each, "url_citation"))) is not None]


def sources_of(told: Mapping[str, Any]) -> list[UrlCitation]:
    """What Perplexity has read, listed beside its choices: it does not tell for which place in the text.

    Raises:
        ValueError: the list has another shape.
    """
    found = told.get("search_results") or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ValueError("the search results are no objects")
    return [source for each in found if (source := _citation(each)) is not None]


def _citation(cited: dict[str, Any]) -> UrlCitation | None:
    url, title = cited.get("url"), cited.get("title") or ""
    if not isinstance(url, str) or not isinstance(title, str):
        return None
    start, end = cited.get("start_index"), cited.get("end_index")
    places = [place if type(place) is int and place >= 0 else 0 for place in (start, end)]
    return UrlCitation(start_index=places[0], end_index=places[1], title=title, url=url)


def logprobs_of(choice: Mapping[str, Any]) -> list[Logprob]:
    """The likelihood of each token of the text.

    Raises:
        ValueError: one is malformed.
    """
    told = inner(choice, "logprobs").get("content")
    if not told:
        return []
    found = msgspec.convert(told, list[Logprob])
    for each in found:
        each.bytes = list(each.token.encode()) if each.bytes is None else each.bytes
        each.top_logprobs = each.top_logprobs or []
        for top in each.top_logprobs:
            top.bytes = list(top.token.encode()) if top.bytes is None else top.bytes
    return found


def carried_of(message: Mapping[str, Any]) -> Sealed:
    """What the message itself, not its calls, carries for its provider.

    Raises:
        ValueError: it has another shape.
    """
    carried = Sealed()
    if blocks := message.get("thinking_blocks"):
        carried.thinking_blocks = msgspec.convert(blocks, list[Thought])
    carried.extra = extra_of(message)
    return carried


def extra_of(carrier: Mapping[str, Any]) -> Extra:
    """``extra_content`` of a message or a call, by vendor.

    Raises:
        ValueError: it has another shape.
    """
    return msgspec.convert(inner(carrier, "extra_content"), Extra)


def made(prefix: str) -> str:
    """A new id."""
    return f"{prefix}_{uuid.uuid4().hex}"


def call_id(told: Any, taken: set[str]) -> str:
    """The id of a new call, which becomes one of those ``taken``: the provider's own, unless it is no one's or twice
    there, for results are matched by it.

    Raises:
        ValueError: it is no text.
    """
    if not isinstance(told, str | None):
        raise ValueError("the id of a call is no text")
    identity = told if told and told not in taken else made("call")
    taken.add(identity)
    return identity
