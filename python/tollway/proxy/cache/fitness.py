"""Which answers may be kept: whole, good, unaltered, and with something in them.

First by what is known of the call, before its answer is looked at; then by the answer. Whatever is not known to be fit
is not kept: an answer that was cut or refused once must not be replayed for an hour.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tollway._native.chat import ChatAnswer
from tollway.contract.snapshot import Operation
from tollway.proxy.exchange import Progress, Screened, Settled

OPERATIONS = frozenset[Operation](
    {"chat", "completions", "messages", "responses", "embeddings", "moderations", "rerank"}
)
"""What is cached at all."""

SAYING = frozenset[Operation]({"chat", "completions", "messages", "responses"})
"""Where a model says something until it has finished: of these alone questions may mean the same."""

_FINISHED = frozenset({"stop", "tool_calls", "function_call", "end_turn", "tool_use", "stop_sequence", "completed"})
"""The reasons to end that leave nothing out. Any other is one of a provider's own: cut at a length, refused, filtered,
paused."""

_ALTERED = frozenset({"redact", "mask", "hash", "block"})
"""What guardrails do to an answer that makes it another one. What they do is told by the policy of one caller."""


def is_fit(screened: Screened, progress: Progress, settled: Settled) -> bool:
    """Whether the answer to a call may be kept, by what is known of the call."""
    row = settled.row
    if row.outcome != "ok" or row.http_status != 200 or settled.relayed.status != 200 or row.role != "answer":
        return False
    if row.model != screened.request.model:  # another alias has stepped in, while this one could not answer
        return False
    operation, choices = screened.arrival.operation, screened.request.n
    return not _is_altered(screened) and _has_finished(operation, progress, choices)


def _is_altered(screened: Screened) -> bool:
    guard = screened.guard
    if guard is None:
        return False
    if guard.session.has_originals or any(
        found.direction == "output" and found.action in _ALTERED for found in guard.found()
    ):
        return True
    # Log probabilities repeat the text token by token, so screening drops them.
    return guard.sees_answers and b'"logprobs"' in screened.request.body


def _has_finished(operation: Operation, progress: Progress, choices: int) -> bool:
    if operation not in SAYING:
        return progress.answer is not None and not progress.answer.error
    heard = progress.answer or progress.reader
    if heard is None:
        return False
    reasons = heard.finish_reasons
    wanted = heard.choices if isinstance(heard, ChatAnswer) else choices
    return len(reasons) >= max(1, wanted) and all(reason in _FINISHED for reason in reasons)


class _Message(msgspec.Struct, frozen=True):
    content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message = _Message()
    text: Any = None
    finish_reason: Any = None


class _Chat(msgspec.Struct, frozen=True):
    choices: list[_Choice]
    error: Any = None


class _Part(msgspec.Struct, frozen=True):
    type: str = ""
    text: Any = None


class _Item(msgspec.Struct, frozen=True):
    type: str = ""
    content: list[_Part] | None = None


class _Responses(msgspec.Struct, frozen=True):
    status: str
    output: list[_Item]
    error: Any = None


class _Messages(msgspec.Struct, frozen=True):
    type: str
    content: list[_Part]
    stop_reason: str


class _Listed(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw] = []
    results: list[msgspec.Raw] = []
    error: Any = None


def _chat(body: bytes) -> bool:
    told = msgspec.json.decode(body, type=_Chat)
    return told.error is None and bool(told.choices) and all(map(_says, told.choices))


def _says(choice: _Choice) -> bool:
    said = choice.message
    if said.refusal or choice.finish_reason not in _FINISHED:
        return False
    return bool(said.content or said.tool_calls or said.function_call or said.audio)


def _completions(body: bytes) -> bool:
    told = msgspec.json.decode(body, type=_Chat)
    choices = told.choices
    return (
        told.error is None
        and bool(choices)
        and all(bool(each.text) and each.finish_reason in _FINISHED for each in choices)
    )


def _messages(body: bytes) -> bool:
    told = msgspec.json.decode(body, type=_Messages)
    says = any(part.type == "tool_use" or bool(part.text) for part in told.content)
    return told.type == "message" and told.stop_reason in _FINISHED and says


def _responses(body: bytes) -> bool:
    told = msgspec.json.decode(body, type=_Responses)
    parts = [part for item in told.output for part in item.content or () if item.type == "message"]
    if told.status != "completed" or told.error is not None or any(part.type == "refusal" for part in parts):
        return False
    return any(bool(part.text) for part in parts) or any(item.type.endswith("_call") for item in told.output)


def _listed(body: bytes) -> bool:
    told = msgspec.json.decode(body, type=_Listed)
    return told.error is None and bool(told.data or told.results)


_READ: Mapping[Operation, Callable[[bytes], bool]] = {
    "chat": _chat,
    "completions": _completions,
    "messages": _messages,
    "responses": _responses,
    "embeddings": _listed,
    "moderations": _listed,
    "rerank": _listed,
}


def says_something(operation: Operation, body: bytes) -> bool:
    """Whether a whole answer, in the client's dialect, is complete and says something. From 64 KiB on, call it from a
    thread."""
    read = _READ.get(operation)
    try:
        return read is not None and read(body)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return False
