"""The hub's answer as a response of OpenAI's: whole, and the frame that whole answers and streams share."""

import time
from typing import Any, get_args

import msgspec
from msgspec import UNSET, Raw

from tollway.proxy.dialects.heard import MOST_CALLS, said
from tollway.proxy.dialects.responses.heard import (
    call_id,
    calls_of,
    carried_of,
    citations_of,
    decoded,
    early_end,
    extra_of,
    first_choice,
    function_of,
    inner,
    logprobs_of,
    made,
    sources_of,
    usage_of,
)
from tollway.proxy.dialects.responses.sealed import seal
from tollway.proxy.dialects.responses.tools import NAMESPACE, namespaced
from tollway.wire.openai_responses import (
    FunctionCall,
    IncompleteDetails,
    Item,
    ItemStatus,
    OutputMessage,
    OutputRefusal,
    OutputText,
    Part,
    Reasoning,
    Response,
    ServiceTier,
    Status,
    SummaryText,
    UrlCitation,
    Usage,
)

_TIERS: dict[str, ServiceTier] = {tier: tier for tier in get_args(ServiceTier)}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "reasoning": {"effort": None, "summary": None},
    "text": {"format": {"type": "text"}},
}
_BROUGHT = b'"namespace"'
_NO_VALUE = (b"", b"null")


class _Asked(msgspec.Struct):
    """What a response repeats of its request. The conversation, which may be large, is passed over."""

    instructions: Raw = Raw()
    max_output_tokens: Raw = Raw()
    max_tool_calls: Raw = Raw()
    parallel_tool_calls: Raw = Raw()
    prompt_cache_key: Raw = Raw()
    reasoning: dict[str, Any] | None = None
    safety_identifier: Raw = Raw()
    temperature: Raw = Raw()
    text: dict[str, Any] | None = None
    tool_choice: Raw = Raw()
    tools: list[dict[str, Any]] | None = None
    top_logprobs: Raw = Raw()
    top_p: Raw = Raw()
    user: Raw = Raw()
    metadata: Raw = Raw()


class Answering:
    """One response: its id, its time, and what it repeats of its request."""

    def __init__(self, body: bytes, alias: str) -> None:
        """``body`` is the request, which :func:`~tollway.proxy.dialects.responses.request.to_hub` has taken."""
        asked = msgspec.json.decode(body, type=_Asked)
        self._repeated: dict[str, Raw] = {}
        for name in _Asked.__struct_fields__:
            value = getattr(asked, name)
            if isinstance(value, Raw) and bytes(value) not in _NO_VALUE:
                self._repeated[name] = value.copy()  # else it would keep the whole body in memory
        for name, default in _DEFAULTS.items():
            if (given := getattr(asked, name)) is not None:
                filled = default | {field: value for field, value in given.items() if value is not None}
                self._repeated[name] = Raw(msgspec.json.encode(filled))
        # Those of other types were not told to the model, and some hold secrets.
        told = [tool for tool in asked.tools or () if tool["type"] in ("function", NAMESPACE)]
        self._tools = [Raw(msgspec.json.encode(tool)) for tool in told]
        self._namespaced = namespaced(told) | (_brought(body) if _BROUGHT in body else {})
        self._alias = alias
        self._id = made("resp")
        self._created_at = int(time.time())

    def call(self, identity: str, name: str, arguments: str = "", status: ItemStatus = "completed") -> FunctionCall:
        """A call of the function that the model knows as ``name``."""
        item = FunctionCall(id=made("fc"), call_id=identity, name=name, arguments=arguments, status=status)
        if (own := self._namespaced.get(name)) is not None:
            item.namespace, item.name = own
        return item

    def begun(self) -> Response:
        """The response before its first word."""
        return self._response("in_progress", [], None, None)

    def ended(self, output: list[Item], end: IncompleteDetails | None, usage: Usage | None, tier: Any) -> Response:
        """The response with all that was said; ``tier`` is what the provider calls its ``service_tier``."""
        response = self._response("incomplete" if end else "completed", output, usage, tier)
        response.incomplete_details = end
        if not end:
            response.completed_at = int(time.time())
        return response

    def broken(self, output: list[Item]) -> Response:
        """The response that could not go on."""
        return self._response("failed", output, None, None)

    def _response(self, status: Status, output: list[Item], usage: Usage | None, tier: Any) -> Response:
        response = Response(
            id=self._id,
            created_at=self._created_at,
            status=status,
            model=self._alias,
            output=output,
            tools=self._tools,
            usage=usage,
            service_tier=_TIERS.get(tier) if isinstance(tier, str) else None,  # others have words of their own
        )
        for name, value in self._repeated.items():
            setattr(response, name, value)
        return response


def _brought(body: bytes) -> dict[str, tuple[str, str]]:
    """Functions of namespaces that items of the conversation have brought."""
    items = msgspec.json.decode(body).get("input")
    listed = [item.get("tools") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return namespaced(tool for tools in listed if isinstance(tools, list) for tool in tools)


def whole(answering: Answering, body: bytes) -> bytes:
    """The client's whole answer; see :meth:`tollway.proxy.dialects.port.Writer.whole`."""
    told = decoded(body)
    choice = first_choice(told)
    if choice is None:
        raise ValueError("the answer has no choices")
    end = early_end(choice.get("finish_reason"))
    output = _items(answering, choice, sources_of(told))
    if end and output:
        output[-1].status = "incomplete"
    return msgspec.json.encode(answering.ended(output, end, usage_of(told.get("usage")), told.get("service_tier")))


def _items(answering: Answering, choice: dict[str, Any], sources: list[UrlCitation]) -> list[Item]:
    message = inner(choice, "message")  # Azure leaves it out of an answer that was filtered
    if not message and choice.get("finish_reason") is None:
        raise ValueError("the answer says nothing, and not why")
    heard = said(message)
    carried = carried_of(message)
    calls: list[Item] = []
    taken: set[str] = set()
    for call in calls_of(message):
        item = _call(answering, call, taken)
        calls.append(item)
        if extra := extra_of(call):
            carried.calls[item.call_id] = extra
    if len(calls) > MOST_CALLS:
        raise ValueError("too many calls")
    output: list[Item] = []
    if heard.thought or carried:
        summary = [SummaryText(text=heard.thought)] if heard.thought else []
        sealed = seal(carried) if carried else UNSET
        output.append(Reasoning(id=made("rs"), summary=summary, encrypted_content=sealed))
    content: list[Part] = []
    if heard.text:
        sources = citations_of(message) or sources
        content.append(OutputText(text=heard.text, annotations=sources, logprobs=logprobs_of(choice)))
    if heard.refusal:
        content.append(OutputRefusal(refusal=heard.refusal))
    if content:
        output.append(OutputMessage(id=made("msg"), content=content))
    return output + calls


def _call(answering: Answering, call: dict[str, Any], taken: set[str]) -> FunctionCall:
    name, arguments = function_of(call)
    if not name:
        raise ValueError("a call has no name")
    identity = call_id(call.get("id"), taken)
    return answering.call(identity, name, arguments if arguments.strip() else "{}")
