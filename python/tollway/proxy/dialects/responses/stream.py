"""The hub's chunks as the events of a response: one automaton, from ``response.created`` to the whole response.

At most one thought and one message are open; whatever else begins closes them. Calls stay open to the end, since
pieces of parallel calls may come interleaved, which Responses can say: nothing is held back.
"""

from typing import Any

from msgspec import UNSET

from tollway.proxy.dialects.heard import Calls, said
from tollway.proxy.dialects.port import Refused
from tollway.proxy.dialects.responses.answer import Answering
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
    sources_of,
    usage_of,
)
from tollway.proxy.dialects.responses.opened import FRAME, OpenCall, OpenMessage, OpenThought, Telling
from tollway.proxy.dialects.responses.sealed import Sealed, add_extra, seal
from tollway.wire.openai_responses import (
    Completed,
    Created,
    Failed,
    Failure,
    FailureCode,
    Incomplete,
    IncompleteDetails,
    InProgress,
    ItemStatus,
    UrlCitation,
    Usage,
    error,
)


class StreamWriter:
    """See :class:`~tollway.proxy.dialects.port.Writer`."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._telling = Telling()
        self._thought: OpenThought | None = None
        self._message: OpenMessage | None = None
        self._calls: list[OpenCall] = []
        self._places = Calls()
        self._ids: set[str] = set()
        self._carried = Sealed()
        self._end: IncompleteDetails | None = None
        self._usage: Usage | None = None
        self._tier: Any = None
        self._sources: list[UrlCitation] = []

    def event(self, payload: bytes) -> bytes:
        """As the port says. An error among the chunks says nothing: ``fault`` follows it."""
        if payload.strip() == b"[DONE]":
            return b""
        told = decoded(payload)
        if told.get("error"):
            return b""
        self._begin()
        self._usage = usage_of(told.get("usage")) or self._usage
        self._tier = told.get("service_tier") or self._tier
        self._sources = sources_of(told) or self._sources
        if (choice := first_choice(told)) is not None:
            self._hear(choice, len(payload))
        return self._telling.taken()

    def end(self) -> bytes:
        """As the port says."""
        self._begin()
        if self._message is not None:
            self._message.cite_all(self._sources)
        last = len(self._telling.output) - 1
        for item in self._open_items():
            status: ItemStatus = "incomplete" if self._end and item.place == last else "completed"
            if isinstance(item, OpenThought):
                item.close(self._take_carried(after=False) or UNSET, status)
            else:
                item.close(status)
        self._tell_carried(after=bool(self._telling.output))
        response = self._answering.ended(self._telling.output, self._end, self._usage, self._tier)
        self._telling.say(Incomplete(response=response) if self._end else Completed(response=response))
        return self._telling.taken()

    def fault(self, refused: Refused) -> bytes:
        """As the port says."""
        self._begin()
        for item in self._open_items():
            item.settle("incomplete")
        self._telling.say(error(refused.type, refused.code, refused.message, refused.param))
        response = self._answering.broken(self._telling.output)
        response.error = Failure(_failure(refused.status), refused.message)
        self._telling.say(Failed(response=response))
        return self._telling.taken()

    def _begin(self) -> None:
        if not self._telling.has_begun:
            response = self._answering.begun()
            self._telling.say(Created(response=response))
            self._telling.say(InProgress(response=response))

    def _open_items(self) -> list[OpenThought | OpenMessage | OpenCall]:
        return [item for item in (self._thought, self._message, *self._calls) if item is not None]

    def _hear(self, choice: dict[str, Any], size: int) -> None:
        delta = inner(choice, "delta")
        heard = said(delta)
        carried = carried_of(delta)
        if heard.thought:
            self._open_thought().add(heard.thought)
        if carried:
            self._telling.keep(size)
            self._carry(carried)
        if heard.text:
            self._open_message().add(heard.text, logprobs_of(choice))
        if heard.refusal:
            self._open_message().refuse(heard.refusal)
        if self._message is not None:
            for source in citations_of(delta):
                self._message.cite(source)
        for piece in calls_of(delta):
            self._hear_call(piece, size)
        if choice.get("finish_reason"):
            self._end = early_end(choice["finish_reason"])

    def _hear_call(self, piece: dict[str, Any], size: int) -> None:
        name, arguments = function_of(piece)
        extra = extra_of(piece)
        place = self._places.place(piece)
        if place < len(self._calls):
            call = self._calls[place]
            if extra:
                self._telling.keep(size)
                self._carried.calls[call.identity] = extra
        else:
            if not name:
                raise ValueError("a call begins without a name")
            identity = call_id(piece.get("id"), self._ids)
            if extra:
                self._telling.keep(size)
                self._carried.calls[identity] = extra
            self._telling.keep(FRAME)
            self._close_message()
            self._close_thought()
            self._tell_carried(after=False)
            call = OpenCall(self._telling, self._answering.call(identity, name, status="in_progress"))
            self._calls.append(call)
        call.add(arguments)

    def _carry(self, carried: Sealed) -> None:
        self._carried.thinking_blocks += carried.thinking_blocks
        add_extra(self._carried.extra, carried.extra)

    def _open_thought(self) -> OpenThought:
        self._close_message()
        if self._thought is None:
            self._telling.keep(FRAME)
            self._thought = OpenThought(self._telling)
        return self._thought

    def _open_message(self) -> OpenMessage:
        if self._message is None:
            self._telling.keep(FRAME)
            self._close_thought()
            self._tell_carried(after=False)
            self._message = OpenMessage(self._telling)
        return self._message

    def _close_message(self) -> None:
        if self._message is not None:
            self._message.close("completed")
            self._message = None

    def _close_thought(self) -> None:
        if self._thought is not None:
            self._thought.close(self._take_carried(after=False) or UNSET, "completed")
            self._thought = None

    def _tell_carried(self, *, after: bool) -> None:
        """What there is to carry and no thought to carry it gets an item of its own."""
        if sealed := self._take_carried(after=after):
            OpenThought(self._telling).close(sealed, "completed")

    def _take_carried(self, *, after: bool) -> str | None:
        carried, self._carried = self._carried, Sealed()
        carried.after = after
        return seal(carried) if carried else None


def _failure(status: int) -> FailureCode:
    if status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if 400 <= status < 500 else "server_error"
