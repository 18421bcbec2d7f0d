"""A whole answer of the hub, as the one chunk of a stream: some providers answer a stream's request whole.

A client that passes reads JSON all the same; one whose dialect is written here waits for events, and gets them.
"""

from typing import Any

import msgspec

from tollway.proxy.dialects.port import Writer

Dict = dict[str, Any]


def streamed(writer: Writer, body: bytes) -> bytes:
    """All events of the client's stream, from first to last, of a ``chat.completion``.

    Raises:
        ValueError: it is none.
    """
    return writer.event(_chunk(body)) + writer.end()


def _chunk(body: bytes) -> bytes:
    answer = msgspec.json.decode(body, type=Dict)
    choices = answer.get("choices")
    if not isinstance(choices, list):
        raise ValueError("an answer without choices")
    chunk = answer | {"object": "chat.completion.chunk", "choices": [_choice(choice) for choice in choices]}
    return msgspec.json.encode(chunk)


def as_chunks(body: bytes) -> bytes:
    """The same for a client of chat whose stream's head is out already; what is no chat's answer is one event."""
    try:
        chunk = _chunk(body)
    except ValueError:
        chunk = body
    return b"data: " + chunk.replace(b"\n", b" ") + b"\n\ndata: [DONE]\n\n"


def _choice(choice: Any) -> Dict:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise ValueError("a choice without a message")
    said = {name: value for name, value in choice.items() if name != "message"}
    delta: Dict = choice["message"]
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta = delta | {"tool_calls": [_call(at, call) for at, call in enumerate(calls)]}
    return said | {"delta": delta}


def _call(at: int, call: Any) -> Dict:
    if not isinstance(call, dict):
        raise ValueError("a call that is none")
    return {"index": at} | call
