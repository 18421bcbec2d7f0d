"""A refusal as an answer: what a client hears instead of an error where its policy says so (``on_block: refusal``)."""

import time
from typing import Any

import msgspec

from tollway._native.chat import ChatRequest
from tollway.contract.snapshot import Operation
from tollway.proxy.exchange import Arrival

REFUSABLE = frozenset[Operation]({"chat", "messages", "responses"})
"""Operations whose answers can say that they are a refusal; of any other a block is an error."""

EVENTS = b"text/event-stream; charset=utf-8"
JSON = b"application/json"

_DONE = b"data: [DONE]\n\n"
_NOTHING_USED = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def refusal(arrival: Arrival, request: ChatRequest, reason: str) -> tuple[bytes, bytes]:
    """The content type and the body of an answer that refuses, in the client's dialect; whole, or a whole stream.

    It is made as the hub's answer: no provider was asked, and no token counts.
    """
    writer = arrival.dialect.writer(request.body, request.model)
    if not request.stream:
        message = {"role": "assistant", "content": None, "refusal": reason}
        choices = [{"index": index, "message": message, "logprobs": None} for index in range(request.n)]
        body = _hub(arrival, request, "chat.completion", choices, usage=_NOTHING_USED)
        return JSON, body if writer is None else writer.whole(body)
    chunks = [_chunk(arrival, request, {"role": "assistant", "refusal": reason}, None), _chunk(arrival, request, {})]
    if request.include_usage:
        chunks.append(_hub(arrival, request, "chat.completion.chunk", [], usage=_NOTHING_USED))
    if writer is None:
        return EVENTS, b"".join([b"data: " + chunk + b"\n\n" for chunk in chunks]) + _DONE
    return EVENTS, b"".join([writer.event(chunk) for chunk in chunks]) + writer.end()


def _chunk(
    arrival: Arrival, request: ChatRequest, delta: dict[str, Any], finish: str | None = "content_filter"
) -> bytes:
    choices = [{"index": index, "delta": delta, "logprobs": None} for index in range(request.n)]
    return _hub(arrival, request, "chat.completion.chunk", choices, finish)


def _hub(
    arrival: Arrival,
    request: ChatRequest,
    kind: str,
    choices: list[dict[str, Any]],
    finish: str | None = "content_filter",
    usage: dict[str, int] | None = None,
) -> bytes:
    answer: dict[str, Any] = {
        "id": f"chatcmpl-{arrival.id}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
        "choices": [{**choice, "finish_reason": finish} for choice in choices],
    }
    return msgspec.json.encode(answer if usage is None else {**answer, "usage": usage})
