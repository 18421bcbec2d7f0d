"""The two forms of an answer: whole, and as a stream of events. What was heard in one form is told in the other.

In and out are bytes as a client gets them, in the dialect that it speaks. Whatever of an answer can't be told for sure
is not guessed: a wrong answer from a cache is worse than none. All functions are pure, and take their time with large
answers: a caller puts those into a thread.
"""

from collections.abc import Callable, Mapping

from tollway.contract.snapshot import Operation
from tollway.proxy.cache.forms import chat, chat_events, completions, messages, responses, responses_events
from tollway.proxy.cache.forms.counted import Counted
from tollway.proxy.cache.forms.framing import payloads
from tollway.proxy.cache.forms.pace import paced

__all__ = ["Counted", "events", "paced", "whole"]

PIECE_CHARACTERS = 64
"""A text that is sent at once comes in pieces of so many characters; each piece costs the client an event."""

PACED_CHARACTERS = 12
"""A text that comes at a pace: about three tokens a piece."""

_WHOLE: Mapping[Operation, Callable[[list[bytes], Counted | None], bytes]] = {
    "chat": chat.whole,
    "completions": completions.whole,
    "messages": messages.whole,
    "responses": responses.whole,
}
_EVENTS: Mapping[Operation, Callable[[bytes, int], list[bytes]]] = {
    "chat": chat_events.events,
    "completions": completions.events,
    "messages": messages.events,
    "responses": responses_events.events,
}


def whole(operation: Operation, events: bytes, usage: Counted | None = None) -> bytes | None:
    """The whole answer that was streamed as ``events``: all that left, in order, framed; comments may be among them.

    ``usage`` is what settlement knows of the call's tokens: it is told where the stream did not tell its own. Where an
    operation is never streamed the answer is whole already. ``None`` where it can't be told for sure: the end is
    missing, an error came, or events contradict each other or are not understood.
    """
    assemble = _WHOLE.get(operation)
    if assemble is None:
        return events
    try:
        return assemble(payloads(events), usage)
    except (ValueError, RecursionError):
        return None


def events(operation: Operation, body: bytes, *, is_paced: bool = False) -> list[bytes]:
    """The events of a stream, framed, from which a client's code gets the whole answer ``body`` again.

    Those of chat and completions end with ``[DONE]``, with the usage in front of it. ``is_paced``: in smaller pieces,
    for :func:`paced`. Where an operation is never streamed the one event is the body.

    Raises:
        ValueError: the body is no such answer.
    """
    tell = _EVENTS.get(operation)
    if tell is None:
        return [body]
    try:
        return tell(body, PACED_CHARACTERS if is_paced else PIECE_CHARACTERS)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None
