"""Whole answers of the hub as Anthropic's messages; the words for why an answer ended and for errors."""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from tollway.proxy.dialects.anthropic.signatures import Packing
from tollway.proxy.dialects.anthropic.usage import Counts
from tollway.proxy.dialects.heard import MOST_CALLS, said
from tollway.proxy.dialects.port import Refused
from tollway.wire.anthropic_messages import (
    Block,
    Detail,
    Ending,
    Error,
    Message,
    RedactedThinkingBlock,
    StopDetails,
    StopReason,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
)

MOST_THOUGHTS = 1024
"""An answer with more blocks of thought is none that a model gives."""

_STOPS: dict[str, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Source: platform.claude.com, "Errors". Anthropic's own 529 is told as 503: its SDKs repeat either."""


def error_of(refused: Refused) -> Error:
    """An error in Anthropic's words."""
    return Error(Detail(_ERROR_TYPES.get(refused.status, "api_error"), refused.message), refused.request_id)


def ending(finish: object, *, has_calls: bool, stop: object, refusal: str, is_refused: bool) -> Ending:
    """Why an answer ended.

    ``finish`` is the hub's reason. OpenAI says ``stop`` beside the calls of a function that it was told to call;
    Anthropic's SDKs run tools on ``tool_use`` only. ``stop`` is the sequence that ended the answer, where the provider
    tells it (vLLM). ``refusal`` is the reason of a filter, ``is_refused`` is said of an answer that is a refusal.
    """
    reason = _STOPS.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    details = StopDetails(refusal) if refusal else None
    if reason == "end_turn" and is_refused:
        return Ending(stop_reason="refusal", stop_details=details)
    if reason == "end_turn" and has_calls:
        return Ending(stop_reason="tool_use")
    if reason == "end_turn" and isinstance(stop, str) and stop:
        return Ending(stop_reason="stop_sequence", stop_sequence=stop)
    return Ending(stop_reason=reason, stop_details=details)


def message_of(body: bytes, alias: str) -> Message:
    """The message that a ``chat.completion`` becomes. ``alias`` names the model where the answer does not.

    Raises:
        ValueError: it is none, or a call in it has no JSON object for its arguments.
    """
    try:
        told = msgspec.json.decode(body)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
    choice = _choice(told)
    message = choice.get("message") or {}  # Azure leaves it out of an answer that was filtered
    if not isinstance(message, dict) or not (message or choice.get("finish_reason")):
        raise ValueError("a choice without a message")
    finish, heard, packing = choice.get("finish_reason"), said(message), Packing()
    thoughts = thoughts_of(message.get("thinking_blocks"))
    blocks: list[Block] = list(thoughts)
    if heard.thought and not any(isinstance(block, ThinkingBlock) for block in thoughts):
        blocks.append(ThinkingBlock(heard.thought, ""))
    is_filtered = finish == "content_filter"
    text = heard.text if is_filtered else heard.text + heard.refusal
    if text:
        blocks.append(TextBlock(text))
    packing.keep(message.get("extra_content"))
    calls = _calls(message, packing, is_cut=finish == "length")
    _carry(packing.signatures(), blocks)
    counts = Counts()
    counts.hear(told.get("usage"))
    end = ending(
        finish,
        has_calls=bool(calls),
        stop=choice.get("stop_reason"),
        refusal=heard.refusal if is_filtered else "",
        is_refused=bool(heard.refusal),
    )
    return Message(
        id=name_of(told, "id") or made_id("msg"),
        model=name_of(told, "model") or alias,
        content=blocks + calls,
        stop_reason=end.stop_reason,
        stop_sequence=end.stop_sequence,
        stop_details=end.stop_details,
        usage=counts.usage(),
    )


def made_id(kind: str) -> str:
    """An id for what a provider gave none."""
    return f"{kind}_{uuid.uuid4().hex}"


def name_of(told: Mapping[str, Any], field: str) -> str:
    """The ``id`` or the ``model`` of an answer; empty where there is none, as in Azure's first chunk."""
    value = told.get(field)
    return value if isinstance(value, str) else ""


def thoughts_of(told: object) -> list[ThinkingBlock | RedactedThinkingBlock]:
    """The blocks of a ``thinking_blocks``, with their signatures byte for byte.

    Raises:
        ValueError: it is no list of such blocks, or a longer one than any model makes.
    """
    if told is None:
        return []
    if not isinstance(told, list) or len(told) > MOST_THOUGHTS:
        raise ValueError("the blocks of thought are no list")
    return [_thought(block) for block in told]


def _thought(block: object) -> ThinkingBlock | RedactedThinkingBlock:
    match block:
        case {"type": "redacted_thinking", "data": str(data)}:
            return RedactedThinkingBlock(data)
        case {"type": "thinking", **fields}:
            thinking, signature = fields.get("thinking") or "", fields.get("signature") or ""
            if isinstance(thinking, str) and isinstance(signature, str):
                return ThinkingBlock(thinking, signature)
    raise ValueError("a block of thought that is none")


def _choice(told: object) -> dict[str, Any]:
    choices = told.get("choices") if isinstance(told, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ValueError("an answer without a choice")
    return choices[0]  # a Messages client asks for one


def _carry(signatures: list[str], blocks: list[Block]) -> None:
    """Puts the packed signatures behind what was said, the first one on a thought that is last and has none."""
    for signature in signatures:
        last = blocks[-1] if blocks else None
        if isinstance(last, ThinkingBlock) and not last.signature:
            last.signature = signature
        else:
            blocks.append(ThinkingBlock("", signature))


def calls_told(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of a message's, or a delta's, calls; the ``function_call`` of old models is one of them.

    Raises:
        ValueError: they are no list of objects, or more than any model makes.
    """
    told, legacy = message.get("tool_calls") or [], message.get("function_call")
    if not isinstance(told, list) or len(told) > MOST_CALLS or not all(isinstance(call, dict) for call in told):
        raise ValueError("the calls are no list of objects")
    return told if legacy is None else [*told, {"index": 0, "function": legacy}]


def function_of(call: Mapping[str, Any]) -> tuple[str, str]:
    """The name and the arguments of a call, or what a piece of one says of them: each may be empty.

    Raises:
        ValueError: they are no texts.
    """
    function = call.get("function") or {}  # a piece may tell an id alone
    if not isinstance(function, dict):
        raise ValueError("a call of no function")
    name, arguments = function.get("name") or "", function.get("arguments") or ""
    if isinstance(arguments, dict):  # of a server that forgets that they are a text
        arguments = msgspec.json.encode(arguments).decode()
    if not isinstance(name, str) or not isinstance(arguments, str):
        raise ValueError("the name or the arguments of a call are no text")
    return name, arguments


def _calls(message: Mapping[str, Any], packing: Packing, *, is_cut: bool) -> list[Block]:
    """The calls, with ids that differ. Where the limit cut the last call short, it is left out: it can't be made."""
    calls: list[Block] = []
    seen: set[str] = set()
    told = calls_told(message)
    for place, call in enumerate(told):
        name, arguments = function_of(call)
        if not name:
            raise ValueError("a call without a name")
        try:
            written = _input(arguments)
        except ValueError:
            if is_cut and place == len(told) - 1:
                break
            raise
        identity = call.get("id")
        if not isinstance(identity, str) or not identity or identity in seen:
            identity = made_id("toolu")
        seen.add(identity)
        packing.keep(call.get("extra_content"), identity)
        calls.append(ToolUseBlock(identity, name, written))
    return calls


def _input(arguments: str) -> msgspec.Raw:
    """The arguments as they were written, every number as it was."""
    if not arguments.strip():
        return msgspec.Raw(b"{}")
    try:
        value = msgspec.json.decode(arguments)
        written = arguments.encode()
    except RecursionError:
        raise ValueError("arguments that are nested too deeply") from None
    if value is None:
        return msgspec.Raw(b"{}")
    if not isinstance(value, dict):
        raise ValueError("arguments that are no object")
    return msgspec.Raw(written)
