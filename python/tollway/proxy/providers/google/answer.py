"""Gemini's answers as OpenAI's: whole, streamed and refused.

Thoughts become ``reasoning_content``. A signature, which Gemini 3 wants back in the next turn, is kept in
``extra_content.google.thought_signature`` of the tool call or of the message, as Google's own OpenAI-compatible
endpoint does; parts that OpenAI has no place for (images, code, Google's own tools) in ``extra_content.google.parts``.
"""

import time
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET

from tollway.proxy.causes import Fault
from tollway.proxy.providers.google.answered import Answered, Candidate, LogprobsResult, Part, TokenLogprob, held
from tollway.proxy.providers.google.answered import FunctionCall as AnsweredCall
from tollway.proxy.providers.google.citations import Citations
from tollway.proxy.providers.google.counts import is_told, usage_of
from tollway.proxy.providers.google.faults import fault_of
from tollway.proxy.providers.google.request import MADE_ID_PREFIX
from tollway.proxy.providers.translated import StreamFault
from tollway.wire.openai_chat import (
    DONE,
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    FinishReason,
    FunctionCall,
    Message,
    ToolCall,
    Usage,
    event,
)

MAX_CALLS = 10_000
"""An answer with more tool calls is none that a model gives."""

MAX_CHOICES = 128
"""More candidates than anyone can ask for."""

_FINISH: dict[str, FinishReason] = {
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}
"""All others are ``stop``, also the calls that the model got wrong (``MALFORMED_FUNCTION_CALL``, …)."""

_DECODER = msgspec.json.Decoder(Answered)


class GoogleReader:
    """Reads one answer."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._choices: dict[int, _Told] = {}
        self._blocked = False
        self._usage: Usage | None = None

    def whole(self, body: bytes) -> bytes:
        """As the protocol says."""
        answered = _decoded(body)
        self._note(answered)
        if not answered.candidates and not self._blocked and answered.usage_metadata is None:
            raise ValueError("neither candidates nor a reason for having none")
        choices = []
        for candidate in answered.candidates or ():
            told = self._told(candidate)
            message = told.read(candidate)
            message.role = "assistant"
            for call in message.tool_calls or ():
                call.index = UNSET
            if message.content is UNSET:
                message.content = None
            if annotations := told.citations.annotations():
                message.annotations = annotations
            logprobs = _logprobs(candidate.logprobs_result)
            choices.append(Choice(index=told.index, message=message, finish_reason=told.finish(), logprobs=logprobs))
        if not choices:
            message = Message(role="assistant", content=None)
            choices.append(Choice(index=0, message=message, finish_reason="content_filter"))
        usage = UNSET if self._usage is None else self._usage
        return msgspec.json.encode(
            Completion(id=self._id, created=self._created, model=self._model, choices=choices, usage=usage)
        )

    def event(self, payload: bytes) -> bytes:
        """As the protocol says."""
        if payload.lstrip()[:1] == b"[":  # errors have been seen in a list
            if b'"error"' in payload:
                raise StreamFault(fault_of(500, payload))
            raise ValueError("a list where an event was to be")
        answered = _decoded(payload)
        if bytes(answered.error) not in _NO_VALUE:
            raise StreamFault(fault_of(500, payload))
        self._note(answered)
        said = [] if not self._blocked else [self._begun(0)]
        for candidate in answered.candidates or ():
            told = self._told(candidate)
            said.append(self._begun(told.index))
            delta = told.read(candidate)
            logprobs = _logprobs(candidate.logprobs_result) or UNSET
            if logprobs is not UNSET or delta not in _NOTHING:
                said.append(self._chunk(ChunkChoice(index=told.index, delta=delta, logprobs=logprobs)))
        return b"".join(said)

    def end(self) -> bytes:
        """As the protocol says: whether the stream was cut shows in the finish reason that every choice must have."""
        choices = self._choices.values()
        if not choices or not (self._blocked or all(told.finish_reason for told in choices)):
            return b""
        said = []
        for told in choices:
            if annotations := told.citations.annotations():
                said.append(self._chunk(ChunkChoice(index=told.index, delta=Message(annotations=annotations))))
            finish = told.finish() if told.finish_reason else "content_filter"
            said.append(self._chunk(ChunkChoice(index=told.index, delta=Message(), finish_reason=finish)))
        if self._usage is not None:
            said.append(self._chunk(usage=self._usage))
        return b"".join([*said, DONE])

    def fault(self, status: int, body: bytes) -> Fault:
        """As the protocol says."""
        return fault_of(status, body)

    def _note(self, answered: Answered) -> None:
        """What an answer says of itself; once a stream has begun to be passed on, its name stays."""
        if not self._choices:
            self._id = answered.response_id or self._id
            self._model = answered.model_version or self._model
            self._created = _seconds(answered.create_time) or self._created
        if answered.prompt_feedback is not None and answered.prompt_feedback.block_reason:
            self._blocked = True
        metadata = answered.usage_metadata
        if metadata is not None and (self._blocked or is_told(metadata)):  # a prompt that is blocked may cost nothing
            self._usage = usage_of(metadata)  # every event of a stream counts from the beginning

    def _told(self, candidate: Candidate) -> "_Told":
        index = candidate.index or 0
        if index >= MAX_CHOICES:
            raise ValueError("more candidates than were asked for")
        told = self._choices.get(index)
        if told is None:
            told = self._choices[index] = _Told(index)
        return told

    def _begun(self, index: int) -> bytes:
        """The chunk that opens a choice, if it is not open yet."""
        told = self._choices.setdefault(index, _Told(index))
        if told.begun:
            return b""
        told.begun = True
        return self._chunk(ChunkChoice(index=index, delta=Message(role="assistant", content="")))

    def _chunk(self, *choices: ChunkChoice, usage: Usage | None = None) -> bytes:
        told = UNSET if usage is None else usage
        return event(Chunk(id=self._id, created=self._created, model=self._model, choices=list(choices), usage=told))


class _Told:
    """What one candidate has told so far."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.begun = False
        self.finish_reason: str | None = None
        self.citations = Citations()
        self._ids: set[str] = set()
        self._calls = 0

    def read(self, candidate: Candidate) -> Message:
        """The candidate, or a piece of it, as a message; what it does not tell is unset."""
        self.finish_reason = candidate.finish_reason or self.finish_reason
        parts = (candidate.content.parts if candidate.content is not None else None) or []
        message = Message()
        if texts := [part.text for part in parts if part.text is not None and not part.thought]:
            message.content = "".join(texts)
            self.citations.read(message.content)
        if thoughts := [part.text for part in parts if part.text and part.thought]:
            message.reasoning_content = "".join(thoughts)
        calls = [self._call(part.function_call, part) for part in parts if part.function_call is not None]
        if calls:
            message.tool_calls = calls
        if own := _own(parts):
            message.extra_content = {"google": own}
        cited = candidate.citation_metadata
        citations = (cited.citation_sources or cited.citations or []) if cited is not None else []
        self.citations.ground(candidate.grounding_metadata, citations)
        return message

    def finish(self) -> FinishReason:
        """Why it ended; Gemini says STOP beside calls, too."""
        if self._calls:
            return "tool_calls"
        return _FINISH.get(self.finish_reason or "", "stop")

    def _call(self, call: AnsweredCall, part: Part) -> ToolCall:
        if self._calls == MAX_CALLS:
            raise ValueError("too many tool calls")
        identifier = call.id
        if not identifier or identifier in self._ids:
            identifier = f"{MADE_ID_PREFIX}{uuid.uuid4().hex[:24]}"  # OpenAI takes 40 characters, and may be next
        self._ids.add(identifier)
        signature = part.thought_signature
        extra = {"google": {"thought_signature": signature}} if signature else UNSET
        function = FunctionCall(call.name, _arguments(call))
        made = ToolCall(index=self._calls, id=identifier, type="function", function=function, extra_content=extra)
        self._calls += 1
        return made


_NO_VALUE = (b"", b"null")
_NOTHING = (Message(), Message(content=""))


def _decoded(body: bytes) -> Answered:
    try:
        return _DECODER.decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _arguments(call: AnsweredCall) -> str:
    """A call's arguments as compact JSON, every number as it was written."""
    written = bytes(call.args)
    if written in _NO_VALUE:
        return "{}"
    if not written.startswith(b"{"):
        raise ValueError("arguments that are no object")
    return msgspec.json.format(written, indent=-1).decode()


def _own(parts: Iterable[Part]) -> dict[str, Any]:
    """What goes into ``extra_content.google`` of a message."""
    own: dict[str, Any] = {}
    kept: list[dict[str, Any]] = []
    for part in parts:
        if own_part := held(part):
            kept.append(own_part)
        elif part.thought_signature and part.function_call is None:
            own["thought_signature"] = part.thought_signature  # the last text's, be it empty
    if kept:
        own["parts"] = kept
    return own


def _logprobs(result: LogprobsResult | None) -> dict[str, Any] | None:
    if result is None or not result.chosen_candidates:
        return None
    tops = result.top_candidates or []
    content = []
    for place, chosen in enumerate(result.chosen_candidates):
        likeliest = (tops[place].candidates or []) if place < len(tops) else []
        content.append({**_logprob(chosen), "top_logprobs": [_logprob(each) for each in likeliest]})
    return {"content": content, "refusal": None}


def _logprob(each: TokenLogprob) -> dict[str, Any]:
    return {"token": each.token, "logprob": each.log_probability, "bytes": list(each.token.encode())}


def _seconds(time_told: str | None) -> int | None:
    """A time as RFC 3339 writes it, in seconds since 1970."""
    try:
        return int(datetime.fromisoformat(time_told).timestamp()) if time_told else None
    except (ValueError, OverflowError):
        return None
