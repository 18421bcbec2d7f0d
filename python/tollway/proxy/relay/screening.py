"""Station 7, screen output: what a model says is judged before the client gets it.

In: an answer that was chosen, in the dialect that it came in. Out: the same, rewritten as the call's policy asks, with
the originals of placeholders put back; or the reason why it may not pass. Streams are screened within their relay,
event by event; here are whole answers, external checks, and what a client hears of a block. A check that can't look
lets nothing pass.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar, TypeVarTuple

from tollway._native.guardrails import Segments, Session
from tollway._native.sse import Relay
from tollway.contract.snapshot import Operation
from tollway.errors import AnswerBlocked, GatewayError, InternalError
from tollway.proxy.dialects.port import refused
from tollway.proxy.exchange import Called, Relayed
from tollway.proxy.guard import Guard
from tollway.proxy.outside import MOST_EDITS, Placed, consult
from tollway.proxy.refusal import JSON, REFUSABLE
from tollway.proxy.refusal import refusal as refusal_answer
from tollway.proxy.relay.heads import head, warn

_Given = TypeVarTuple("_Given")
_Result = TypeVar("_Result")

INLINE_BYTES = 16 * 1024
"""Larger answers are screened off the event loop, which nothing may hold for 2 ms."""

MOST_EVENT_BYTES = 4 * 1024 * 1024
"""A larger event is not held for external checks."""

_UNSEEN = "The answer could not be screened, as a guardrail asks."

StreamDialect = Literal["chat", "messages", "responses"]

DIALECTS: Mapping[Operation, StreamDialect] = {"messages": "messages", "responses": "responses"}
"""The dialects whose streams are not chat's; others have chat's framing."""


def fork(called: Called) -> Session | None:
    """The session of one answer that may not be the one that counts; ``None`` where no check looks at answers."""
    guard = called.guard
    return guard.session.fork() if guard is not None and guard.sees_answers else None


async def screened(guard: Guard, body: bytes, operation: Operation) -> tuple[bytes, bool]:
    """A whole answer as the client may have it, and whether log probabilities had to be dropped. External checks see
    what the native ones have left.

    Raises:
        AnswerBlocked: it may not have it.
    """
    session, is_without_tokens = guard.session, False
    if guard.inspects_output:
        told = await _off_loop(len(body), lambda: session.answer(body, operation))
        if told is None:
            raise blocked(session)
        body, is_without_tokens = told
    if guard.outside:
        before = body
        texts = await _off_loop(len(body), lambda: session.answer_texts(before, operation))
        if texts:
            edits = await judged(guard, session, texts)
            edited = await _off_loop(len(body), lambda: session.edit_answer(before, operation, edits))
            if edited is None:
                raise blocked(session)
            body = edited
    return body, is_without_tokens


async def screened_events(called: Called, guard: Guard, body: bytes) -> bytes:
    """The same of a whole stream that is in hand, in the client's dialect.

    Raises:
        AnswerBlocked: the client may not have it.
    """
    dialect: StreamDialect = DIALECTS.get(called.arrival.operation, "chat")
    if guard.inspects_output:
        relay = Relay(False, 0, len(body), dialect=dialect, guard=guard.session)
        said, before = relay, body
        body = await _off_loop(len(body), lambda: said.feed(before) + said.finish() + said.last)
        if relay.blocked:
            raise blocked(guard.session)
    if guard.outside:
        body = await Hold(guard, guard.session, dialect, len(body)).end(body, is_complete=True)
    return body


class Hold:
    """Events of a stream on their way to the client, held until external checks have judged what they say."""

    def __init__(self, guard: Guard, session: Session, dialect: StreamDialect, most_event_bytes: int) -> None:
        self._guard = guard
        self._session = session
        self._segments = Segments(dialect, most_event_bytes)

    async def take(self, events: bytes) -> bytes:
        """What may leave now, of whole events and of those before; often nothing.

        Raises:
            AnswerBlocked: nothing more may leave.
        """
        try:
            is_due = self._segments.take(events)
        except ValueError:
            raise AnswerBlocked(_UNSEEN, inside="an event beyond the bound") from None
        return await self._released() if is_due else b""

    async def end(self, events: bytes, *, is_complete: bool) -> bytes:
        """The same of the last events.

        Raises:
            AnswerBlocked: nothing more may leave.
        """
        said = await self.take(events)
        said += await self._released()
        return said + self._segments.last if is_complete else said

    async def _released(self) -> bytes:
        texts = self._segments.texts()
        edits = await judged(self._guard, self._session, texts) if texts else []
        events = self._segments.release(self._session, edits)
        if events is None:
            raise blocked(self._session)
        return events


def hold(
    called: Called,
    session: Session | None,
    dialect: StreamDialect | None = None,
    most_event_bytes: int = MOST_EVENT_BYTES,
) -> Hold | None:
    """What holds a stream back for external checks, where there are any. The dialect is the client's, unless told."""
    guard = called.guard
    if guard is None or session is None or not guard.outside:
        return None
    return Hold(guard, session, dialect or DIALECTS.get(called.arrival.operation, "chat"), most_event_bytes)


async def judged(guard: Guard, session: Session, texts: Sequence[str]) -> list[Placed]:
    """What the external checks have found in ``texts``.

    Raises:
        AnswerBlocked: nothing of the texts may pass.
    """
    try:
        edits = await consult(guard.outside, texts, "output", guard.tenant, session)
    except InternalError as error:
        raise AnswerBlocked(_UNSEEN, inside=error.inside) from None
    if session.blocked is not None:
        raise blocked(session)
    if len(edits) > MOST_EDITS:
        raise AnswerBlocked("A guardrail found more in the answer than can be taken out.")
    return edits


def blocked(session: Session | None) -> AnswerBlocked:
    """Why an answer may not pass: the kind of what was found, never the value."""
    why = None if session is None else session.blocked
    if why is None:
        return AnswerBlocked(_UNSEEN, inside="a check failed")
    return AnswerBlocked(f"A guardrail withholds the answer: {why.check} found {why.kind}.")


def withheld(called: Called, why: AnswerBlocked) -> Relayed:
    """What the client gets in place of an answer of which nothing is out: an error, or the dialect's own refusal."""
    arrival, guard = called.arrival, called.guard
    if arrival.connection.committed:
        return Relayed(arrival, 200, None, broken_off(called, why), "blocked")
    if guard is not None and guard.on_block == "refusal" and arrival.operation in REFUSABLE:
        kind, body = refusal_answer(arrival, called.request, why.outside)
        return Relayed(arrival, 200, _typed(called, kind), body, "blocked")
    told = arrival.dialect.envelope(refused(why, arrival.request_id))
    return Relayed(arrival, why.status, _typed(called, JSON), told, "blocked")


def broken_off(called: Called, why: GatewayError) -> bytes:
    """The event that ends a stream of which nothing more may pass."""
    told = refused(why, called.arrival.request_id)
    return called.arrival.dialect.fault_event(told) if called.writer is None else called.writer.fault(told)


def _typed(called: Called, kind: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, kind if name == b"content-type" else value) for name, value in head(called)]


def head_of(called: Called, *, drops_tokens: bool) -> list[tuple[bytes, bytes]]:
    """The head of a screened answer."""
    headers = head(called)
    if drops_tokens:
        warn(headers, b"dropped:logprobs")
    return headers


def ends_long_event(reader: Relay, piece: bytes) -> bool:
    """Whether to screen what ``piece`` makes whole takes too long for the event loop."""
    return reader.held_bytes + len(piece) >= INLINE_BYTES and (b"\n" in piece or b"\r" in piece)


async def done_elsewhere(work: Callable[[*_Given], _Result], *given: *_Given) -> _Result:
    """Does ``work`` on a thread, and to its end even for a task that is cancelled meanwhile: settlement asks the same
    relay and the same session, which answer to one at a time."""
    doing = asyncio.get_running_loop().run_in_executor(None, work, *given)
    cancelled: asyncio.CancelledError | None = None
    while not doing.done():
        try:
            await asyncio.wait({doing})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from doing.exception()
    return doing.result()


async def _off_loop(size_bytes: int, work: Callable[[], _Result]) -> _Result:
    return work() if size_bytes < INLINE_BYTES else await done_elsewhere(work)
