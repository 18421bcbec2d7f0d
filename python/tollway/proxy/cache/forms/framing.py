"""Server-sent events as bytes: their payloads, their frames, and a text in the pieces that a stream has."""

from typing import Any

import msgspec

from tollway._native.sse import Payloads

Dict = dict[str, Any]

DONE = b"[DONE]"
"""What OpenAI's streams end with."""

MOST_PIECES = 1024
"""A longer text has longer pieces: what is around a piece would soon be more than the piece."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Dict)
encode = _ENCODER.encode


def payloads(events: bytes) -> list[bytes]:
    """The data of each event, in order; comments, names and ids are left out.

    Raises:
        ValueError: the last event has no end.
    """
    reader = Payloads(len(events) + 1)
    told = reader.feed(events)
    if reader.finish():
        raise ValueError("the last event has no end")
    return told


def decoded(payload: bytes) -> Dict:
    """The object that a payload is.

    Raises:
        ValueError: it is none.
    """
    return _DECODER.decode(payload)


def named(kind: str, payload: bytes) -> bytes:
    """An event of a dialect whose events have their type for a name."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), payload)


def pieces(text: str, characters: int) -> list[str]:
    """The text in pieces of at most so many characters, cut in front of blanks where there are some, as models do.

    An empty text has none.
    """
    most = max(characters, -(-len(text) // MOST_PIECES))
    found = []
    start, end = 0, len(text)
    while end - start > most:
        blank = text.rfind(" ", start + 1, start + most + 1)
        cut = blank if blank > 0 else start + most
        found.append(text[start:cut])
        start = cut
    if start < end:
        found.append(text[start:])
    return found


def by_token(text: str, logprobs: Any, characters: int) -> list[tuple[str, list[Dict]]]:
    """The text in such pieces, each with the log probabilities of its tokens.

    Empty where the tokens don't add up to the text: some hold a part of a character only.
    """
    if not isinstance(logprobs, list) or not all(
        isinstance(each, dict) and isinstance(each.get("token"), str) for each in logprobs
    ):
        return []
    if "".join(each["token"] for each in logprobs) != text:
        return []
    most = max(characters, -(-len(text) // MOST_PIECES))
    found: list[tuple[str, list[Dict]]] = []
    said, told = "", list[Dict]()
    for each in logprobs:
        if told and len(said) + len(each["token"]) > most:
            found.append((said, told))
            said, told = "", []
        said += each["token"]
        told.append(each)
    return [*found, (said, told)] if told else found


def index_of(told: Any) -> int:
    """A place among others.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(told, int) or isinstance(told, bool) or told < 0:
        raise ValueError("a place that is none")
    return told


def text_of(told: Any) -> str:
    """A text.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(told, str):
        raise ValueError("a text that is none")
    return told


def object_of(told: Any) -> Dict:
    """An object.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(told, dict):
        raise ValueError("an object that is none")
    return told


def objects_of(told: Any) -> list[Dict]:
    """A list of objects.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(told, list):
        raise ValueError("a list of objects that is none")
    for each in told:
        if not isinstance(each, dict):
            raise ValueError("an object that is none")
    return told
