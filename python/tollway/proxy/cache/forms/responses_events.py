"""Whole answers of OpenAI's Responses as streams.

Source: platform.openai.com, API reference, "Responses: streaming events", and the types of OpenAI's SDK.
"""

from typing import Any

import msgspec

from tollway.proxy.cache.forms.framing import (
    Dict,
    by_token,
    decoded,
    encode,
    named,
    object_of,
    objects_of,
    pieces,
    text_of,
)

_LATE = ("usage", "completed_at", "incomplete_details", "error")
"""What a response does not have before its end."""

_LAST = {"completed": "response.completed", "incomplete": "response.incomplete"}

_SAID_OF_CALLS = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
    "mcp_call": ("arguments", "response.mcp_call_arguments"),
}
"""Items that say a text of their own, under which name, and the events that tell of it."""


def events(body: bytes, characters: int) -> list[bytes]:
    """The events of a response, texts in pieces of about so many ``characters``.

    Raises:
        ValueError: it is none, or not whole.
    """
    response = decoded(body)
    last = _LAST.get(text_of(response.get("status")))
    if last is None:
        raise ValueError("the response is not whole")
    begun = response | {"status": "in_progress", "output": []}
    begun |= {name: None for name in _LATE if name in response}
    telling = _Telling(characters)
    written = msgspec.Raw(encode(begun))
    telling.say("response.created", {"response": written})
    telling.say("response.in_progress", {"response": written})
    for place, item in enumerate(objects_of(response.get("output"))):
        telling.item(place, item)
    telling.say(last, {"response": msgspec.Raw(msgspec.json.format(body, indent=-1))})
    return telling.said


class _Telling:
    """The events on their way out, numbered."""

    def __init__(self, characters: int) -> None:
        self._characters = characters
        self.said: list[bytes] = []

    def say(self, kind: str, fields: Dict) -> None:
        """The next event."""
        event = {"type": kind, "sequence_number": len(self.said), **fields}
        self.said.append(named(kind, encode(event)))

    def item(self, place: int, item: Dict) -> None:
        """One item, from its beginning to its end; a kind that is not known is told whole."""
        begun = dict(item)
        if "status" in item:
            begun["status"] = "in_progress"
        kind = text_of(item.get("type"))
        at = {"item_id": item.get("id") or "", "output_index": place}
        said = _SAID_OF_CALLS.get(kind)
        if kind in ("message", "reasoning"):
            begun |= {name: [] for name in ("content", "summary") if isinstance(item.get(name), list)}
        elif said is not None:
            begun[said[0]] = ""
        self.say("response.output_item.added", {"output_index": place, "item": begun})
        if kind in ("message", "reasoning"):
            for index, part in enumerate(objects_of(item.get("summary") or [])):
                self._summary({**at, "summary_index": index}, part)
            for index, part in enumerate(objects_of(item.get("content") or [])):
                self._part({**at, "content_index": index}, part)
        elif said is not None:
            name, events = said
            self._in_pieces(events, at, text_of(item.get(name)))
            self.say(f"{events}.done", {**at, name: item[name]})
        self.say("response.output_item.done", {"output_index": place, "item": item})

    def _summary(self, at: Dict, part: Dict) -> None:
        text = text_of(part.get("text"))
        self.say("response.reasoning_summary_part.added", {**at, "part": part | {"text": ""}})
        self._in_pieces("response.reasoning_summary_text", at, text)
        self.say("response.reasoning_summary_text.done", {**at, "text": text})
        self.say("response.reasoning_summary_part.done", {**at, "part": part})

    def _part(self, at: Dict, part: Dict) -> None:
        match part:
            case {"type": "output_text", "text": str(text)}:
                self._text(at, part, text)
            case {"type": "refusal", "refusal": str(text)}:
                self._added(at, part, {"refusal": ""})
                self._in_pieces("response.refusal", at, text)
                self.say("response.refusal.done", {**at, "refusal": text})
            case {"type": "reasoning_text", "text": str(text)}:
                self._added(at, part, {"text": ""})
                self._in_pieces("response.reasoning_text", at, text)
                self.say("response.reasoning_text.done", {**at, "text": text})
            case _:
                self._added(at, part, {})
        self.say("response.content_part.done", {**at, "part": part})

    def _added(self, at: Dict, part: Dict, begun: Dict) -> None:
        self.say("response.content_part.added", {**at, "part": part | begun})

    def _text(self, at: Dict, part: Dict, text: str) -> None:
        begun: Dict = {"text": ""}
        begun |= {name: [] for name in ("annotations", "logprobs") if isinstance(part.get(name), list)}
        self._added(at, part, begun)
        kind = "response.output_text.delta"
        told = by_token(text, part.get("logprobs"), self._characters)
        for piece, tokens in told:
            self.say(kind, {**at, "delta": piece, "logprobs": [_told(token) for token in tokens]})
        if not told:
            for piece in pieces(text, self._characters):
                self.say(kind, {**at, "delta": piece, "logprobs": []})
        for index, annotation in enumerate(objects_of(part.get("annotations") or [])):
            added = {**at, "annotation_index": index, "annotation": annotation}
            self.say("response.output_text.annotation.added", added)
        logprobs = [_told(token) for token in objects_of(part.get("logprobs") or [])]
        self.say("response.output_text.done", {**at, "text": text, "logprobs": logprobs})

    def _in_pieces(self, events: str, at: Dict, text: str) -> None:
        for piece in pieces(text, self._characters):
            self.say(f"{events}.delta", {**at, "delta": piece})


def _told(token: Dict) -> Dict:
    """A log probability as events tell it: without bytes."""
    top: list[Any] = [_plain(each) for each in objects_of(token.get("top_logprobs") or [])]
    return {**_plain(token), "top_logprobs": top}


def _plain(token: Dict) -> Dict:
    return {name: object_of(token).get(name) for name in ("token", "logprob")}
