"""Streams of OpenAI's Responses as whole answers: the last event holds all of it, and must hold what was streamed.

Source: platform.openai.com, API reference, "Responses: streaming events".
"""

from itertools import pairwise
from typing import Any

import msgspec

from tollway.proxy.cache.forms.counted import Counted, of_responses
from tollway.proxy.cache.forms.framing import DONE, Dict, decoded, encode, object_of, objects_of, text_of

_LAST = {"response.completed": "completed", "response.incomplete": "incomplete"}
"""How the last event of a whole answer calls its status."""

_UNFINISHED = {"completed": ("in_progress", "incomplete"), "incomplete": ("in_progress",)}
"""The statuses that no item of such an answer has."""


class _Event(msgspec.Struct):
    type: str
    sequence_number: int | None = None
    output_index: int | None = None
    content_index: int | None = None
    delta: Any = None
    item: dict[str, Any] | None = None
    response: msgspec.Raw = msgspec.Raw()


_DECODER = msgspec.json.Decoder(_Event)


def whole(payloads: list[bytes], counted: Counted | None) -> bytes:
    """The response that was streamed.

    Raises:
        ValueError: it can't be told for sure.
    """
    if payloads and payloads[-1].strip() == DONE:
        payloads = payloads[:-1]
    events = [_DECODER.decode(payload) for payload in payloads]
    if len(events) < 2 or events[0].type != "response.created" or events[-1].type not in _LAST:
        raise ValueError("the stream has no beginning or no end")
    streamed = _Streamed()
    for event in events[1:-1]:
        streamed.hear(event)
    response = decoded(bytes(events[-1].response))
    status = _LAST[events[-1].type]
    output = objects_of(response.get("output"))
    if response.get("status") != status or response.get("error") is not None:
        raise ValueError("the response is not whole")
    if any(item.get("status") in _UNFINISHED[status] for item in output):
        raise ValueError("an item is not whole")
    _check_order(events)
    streamed.check(output)
    if response.get("usage") is None and counted is not None:
        return encode(response | {"usage": of_responses(counted)})
    return bytes(events[-1].response)


def _check_order(events: list[_Event]) -> None:
    numbers = [event.sequence_number for event in events if event.sequence_number is not None]
    if any(later <= sooner for sooner, later in pairwise(numbers)):
        raise ValueError("the events are not in order")


class _Streamed:
    """What the events before the last one have told."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        self._done: dict[int, Dict] = {}
        self._texts: dict[tuple[int, int], list[str]] = {}
        self._arguments: dict[int, list[str]] = {}

    def hear(self, event: _Event) -> None:
        """Takes in an event; most repeat what others say."""
        place = -1 if event.output_index is None else event.output_index
        match event.type:
            case "response.output_item.added":
                self._begun.add(place)
            case "response.output_item.done":
                self._done[place] = object_of(event.item)
            case "response.output_text.delta":
                part = place, -1 if event.content_index is None else event.content_index
                self._texts.setdefault(part, []).append(text_of(event.delta))
            case "response.function_call_arguments.delta":
                self._arguments.setdefault(place, []).append(text_of(event.delta))
            case "response.created" | "response.completed" | "response.incomplete" | "response.failed":
                raise ValueError("a response that begins or ends twice")
            case kind if not kind.startswith("response.") and kind != "keepalive":
                raise ValueError("an event that is not known")

    def check(self, output: Any) -> None:
        """Whether the items of the whole response are those that were streamed, and all of them.

        Raises:
            ValueError: they are not.
        """
        places = set(range(len(output)))
        if self._begun != places or set(self._done) != places:
            raise ValueError("items are missing")
        for place, item in self._done.items():
            if item.get("type") != output[place].get("type"):  # OpenRouter's ids differ
                raise ValueError("an item is another one")
        for (place, index), pieces in self._texts.items():
            content = output[place].get("content") if place in places else None
            if not isinstance(content, list) or not 0 <= index < len(content):
                raise ValueError("a text is missing")
            if object_of(content[index]).get("text") != "".join(pieces):
                raise ValueError("a text is another one")
        for place, pieces in self._arguments.items():
            if place not in places or output[place].get("arguments") != "".join(pieces):
                raise ValueError("arguments are missing")
