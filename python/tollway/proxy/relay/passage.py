"""Passage of what is no chat: sound, subtitles, and the event streams of images, speech and transcripts.

In: an answer that has begun. Out: the same, all but its end. Every byte leaves as it came, when it came; nothing is
held but the last event of a stream, which waits for settlement. What is cut must not look complete: a stream ends in
an error event then, and bytes end without the end that HTTP gives them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tollway._native import chat
from tollway._native.guardrails import Screen
from tollway._native.sse import Payloads, Relay
from tollway.contract.snapshot import Operation
from tollway.contract.usage import Outcome
from tollway.errors import AnswerBlocked, GatewayError, UpstreamBroken, UpstreamTimeout
from tollway.proxy.causes import Fault, cleaned_body
from tollway.proxy.deadline import Deadline
from tollway.proxy.dialects.port import refused
from tollway.proxy.exchange import Called, Progress, Relayed
from tollway.proxy.relay.heads import framed, head, refusal, refusal_late, secrets_of
from tollway.proxy.relay.screening import blocked, broken_off, done_elsewhere, fork, hold, withheld

PASSAGES = frozenset[Operation]({"images", "image_edits", "speech", "transcriptions", "translations"})
"""What may be answered with something else than JSON or a stream of chat."""

MOST_EVENT_BYTES = 64 * 1024 * 1024
"""As large as a whole answer: the last event of an image's stream holds the image."""

KEPT_BYTES = 256 * 1024
"""Of a transcript, this much text is kept for counting, should the provider not tell its usage."""

INLINE_BYTES = 128 * 1024
"""Larger events are read off the event loop."""

LINGER_S = 0.1
"""After a stream's last event its end is awaited this long, so that the connection can be used again."""

_LAST = frozenset({"image_generation.completed", "image_edit.completed", "speech.audio.done", "transcript.text.done"})
"""The types of the events that end a stream and tell its usage."""

_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")

_DONE = b"[DONE]"
_DONE_EVENT = b"data: [DONE]\n\n"
"""How vLLM ends the stream of a transcript."""


def passes(called: Called) -> bool:
    """Whether the answer is none that is read whole, as JSON."""
    if called.asked not in PASSAGES or called.answer.status != 200:
        return False
    kind = called.answer.header("content-type") or "application/json"
    return "json" not in kind.partition(";")[0].lower()


def is_screened_text(called: Called) -> bool:
    """Whether what passes is a plain text or subtitles that are to be screened: then it is read whole, too."""
    if called.guard is None or not called.guard.sees_answers or called.asked not in ("transcriptions", "translations"):
        return False
    return not (called.answer.header("content-type") or "").startswith("text/event-stream")


async def begin_passage(called: Called, progress: Progress) -> "_Bytes":
    """Waits for the first that may leave.

    Raises:
        UpstreamError: nothing of it could be had.
    """
    kind = called.answer.header("content-type") or ""
    passage = _Events(called, progress) if kind.startswith("text/event-stream") else _Bytes(called, progress)
    await passage.begin()
    return passage


class _Bytes:
    """Sound or plain text on its way: no event can tell of a fault, so what is cut is left without its end.

    The head leaves with the first piece: before it, a fault is a refusal with a status.
    """

    is_opaque = True
    fault: Fault | None = None

    def __init__(self, called: Called, progress: Progress) -> None:
        self.called = called
        self._progress = progress
        self._waiting: list[bytes] | None = []
        self._broken: UpstreamTimeout | UpstreamBroken | None = None
        self._is_ended = False
        self._is_silent = True
        """Whether nothing is there yet that may leave."""
        self.is_over = False
        """Whether nothing more is to come, though the provider may not have ended its answer."""

    async def begin(self) -> None:
        """Reads until there is something to send, or the end.

        Raises:
            UpstreamError: there is nothing but that.
        """
        await self._guarded(self._run(self.called.task, self._has_begun))
        if self._broken is not None and self._is_silent:
            raise self._broken
        if self.is_opaque and self.called.arrival.connection.committed:  # a comment's head has said: events
            raise UpstreamBroken("The provider did not answer in events.", inside="bytes after a comment")

    async def finish(self) -> Relayed:
        """Passes pieces on until the answer's end or death, within the route's timeouts."""
        waiting, self._waiting = self._waiting, None
        for piece in waiting or ():
            await self._send(piece)
        if self._broken is None and not self._is_ended:
            await self._guarded(self._run(self.called.arrival.connection.task, lambda: False))
        return await self._relayed(self._broken)

    async def close(self) -> None:
        """Gives the connection back, or cuts it."""
        await self.called.answer.close()

    def _has_begun(self) -> bool:
        return self.is_over or not self._is_silent

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (UpstreamTimeout, UpstreamBroken) as error:
            self._broken = error

    async def _run(self, task: "asyncio.Task[Any]", is_enough: Callable[[], bool]) -> None:
        called = self.called
        loop, idle_s = task.get_loop(), called.route.timeouts.idle_s
        until = min(loop.time() + (LINGER_S if self.is_over else idle_s), called.deadline)
        try:
            with Deadline(task, until, called.arrival.connection.limits) as limit:
                while (piece := await called.answer.piece()) is not None:
                    limit.move(called.deadline)  # a client that reads slowly is not the provider's silence
                    await self.take(piece)
                    if is_enough():
                        return
                    limit.move(min(loop.time() + (LINGER_S if self.is_over else idle_s), called.deadline))
            self._is_ended = True
        except TimeoutError:
            if self.is_over:
                return
            stalled = loop.time() < called.deadline
            message = "The provider's answer stalled." if stalled else "The provider did not finish its answer in time."
            raise UpstreamTimeout(message, inside="idle timeout" if stalled else "total timeout") from None

    async def take(self, piece: bytes) -> None:
        """A piece has arrived."""
        await self._send(piece)

    async def _relayed(self, fault: GatewayError | None) -> Relayed:
        """The passage is over; ``fault`` says why too early. An empty answer is one, too."""
        await self._send(b"")
        return Relayed(self.called.arrival, 200, None, b"", "ok" if fault is None else _outcome(fault))

    async def _send(self, piece: bytes) -> None:
        self._is_silent = self._is_silent and not piece
        if self._waiting is not None:
            if piece:
                self._waiting.append(piece)
            return
        connection = self.called.arrival.connection
        if self._progress.first_piece_ns is None:
            self._progress.first_piece_ns = self.called.arrival.timing.elapsed_ns()
        if not connection.said:
            connection.is_opaque = self.is_opaque
        if not connection.committed:
            await connection.start(200, head(self.called))
        if piece:
            await connection.piece(piece)


class _Event(msgspec.Struct):
    """What of an event is read here."""

    type: str = ""
    delta: str = ""


class _Whole:
    """Cuts the bytes of a stream behind its blank lines, so that what has left is whole events."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> bytes:
        """What may leave.

        Raises:
            UpstreamBroken: an event is beyond the bound.
        """
        start = max(0, len(self._held) - 2)
        self._held += piece
        ends = [at + len(blank) for blank in _BLANK_LINES if (at := self._held.rfind(blank, start)) >= 0]
        if not ends:
            if len(self._held) > MOST_EVENT_BYTES:
                raise _too_large(None)
            return b""
        ready = bytes(self._held[: max(ends)])
        del self._held[: len(ready)]
        return ready

    def finish(self) -> bytes:
        """What is left at the end, with the blank line that it lacks."""
        rest, self._held = bytes(self._held), bytearray()
        return rest + b"\n\n" if rest.strip() else rest


class _Events(_Bytes):
    """A stream of events that say in ``type`` what they are. Whole events pass, their frames as they came."""

    is_opaque = False

    def __init__(self, called: Called, progress: Progress) -> None:
        super().__init__(called, progress)
        self._payloads = Payloads(MOST_EVENT_BYTES)
        self._heard = Relay(False, KEPT_BYTES)
        progress.reader = self._heard
        self._whole = _Whole()
        self._guard = fork(called)
        self._screen = None if self._guard is None else self._guard.stream("responses")
        self._outside = hold(called, self._guard, "responses", MOST_EVENT_BYTES)
        self._withheld: AnswerBlocked | None = None
        self._last = b""
        self._error: bytes | None = None
        self._is_typed = False
        self._is_done = False
        self._lasts = 0

    async def begin(self) -> None:
        """As above; an error that is the first event is a refusal.

        Raises:
            UpstreamError: nothing came.
        """
        await super().begin()
        if self._error is not None and self._is_silent:
            self.fault = self.called.answer.event_fault(self._error)

    async def finish(self) -> Relayed:
        """As above, and counts what was found, however it ends."""
        try:
            return await super().finish()
        finally:
            if self.called.guard is not None and self._guard is not None:
                self.called.guard.session.adopt(self._guard)  # this is the answer that counts

    async def take(self, piece: bytes) -> None:
        """Passes on the events that are whole; the last one waits for the end, or for another."""
        if self._failed() or self._withheld is not None:
            return  # nothing that comes behind an error is worth anything
        try:
            payloads = self._payloads.feed(piece)
        except ValueError as error:
            raise _too_large(error) from None
        await self._hear(payloads)
        if self._failed() and self._is_silent:
            return
        ready = self._whole.feed(piece) if self._screen is None else await self._screened(self._screen, payloads)
        if self._failed():  # providers have been seen to repeat a key in what they say of an error
            ready = cleaned_body(ready, secrets_of(self.called))
        if self._is_done:
            self._last += ready
        elif ready:
            last, self._last = self._last, b""
            await self._pass_on(last + ready)

    async def _pass_on(self, ready: bytes) -> None:
        if self._outside is not None:
            try:
                ready = await self._outside.take(ready)
            except AnswerBlocked as error:
                self._withheld, self.is_over, ready = error, True, b""
        if ready:
            await self._send(ready)

    async def _screened(self, screen: Screen, payloads: list[bytes]) -> bytes:
        """The events as they may leave, in frames of our own; behind a block nothing."""
        frames: list[bytes] = []
        for payload in payloads:
            if payload.strip() == _DONE:
                said: list[bytes] | None = [*(screen.finish() or ()), payload]
            elif len(payload) < INLINE_BYTES:
                said = screen.event(payload)
            else:
                said = await done_elsewhere(screen.event, payload)
            if said is None:
                self._withheld, self.is_over = blocked(self._guard), True
                break
            frames += [framed(_type(event), event) for event in said]
        return b"".join(frames)

    async def _relayed(self, fault: GatewayError | None) -> Relayed:
        """With the last event; the end of a stream that lacks it says so."""
        if self._withheld is None and fault is None:
            await self._end()
        if self._withheld is not None:
            return self._broken_off(self._withheld)
        return await self._told(fault)

    def _broken_off(self, why: AnswerBlocked) -> Relayed:
        if self._is_silent:
            return withheld(self.called, why)
        return Relayed(self.called.arrival, 200, None, broken_off(self.called, why), "blocked")

    async def _end(self) -> None:
        payloads = self._payloads.finish()
        await self._hear(payloads)
        if self._screen is not None:
            self._last += await self._screened(self._screen, payloads)
            self._last += b"".join([framed(_type(event), event) for event in self._screen.finish() or ()])
        elif self._is_done or not self._is_typed:  # else it is half an event
            self._last += self._whole.finish()
        if self._outside is not None and self._withheld is None:
            ends = _DONE_EVENT if self._last.endswith(_DONE_EVENT) else b""
            try:
                self._last = await self._outside.end(self._last, is_complete=True) + ends
            except AnswerBlocked as error:
                self._withheld = error

    async def _told(self, fault: GatewayError | None) -> Relayed:
        called = self.called
        if self._error is not None and self._is_silent:
            told = called.answer.event_fault(self._error)
            if called.arrival.connection.committed:
                return Relayed(called.arrival, 200, None, refusal_late(called, told), "error")
            return Relayed(called.arrival, *refusal(called, self._error, told), "error")
        await self._send(b"")
        if self._error is not None:
            return Relayed(called.arrival, 200, None, self._last, "error")
        if self._is_done or (fault is None and not self._is_typed):
            return Relayed(called.arrival, 200, None, self._last, "ok")
        if fault is None:
            fault = UpstreamBroken("The provider's answer was cut before its end.")
        said = called.arrival.dialect.fault_event(refused(fault, called.arrival.request_id))
        return Relayed(called.arrival, 200, None, self._last + said, _outcome(fault))

    def _failed(self) -> bool:
        return self._error is not None

    async def _hear(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            if len(payload) < INLINE_BYTES:
                self._enter(payload)
            else:
                await done_elsewhere(self._enter, payload)

    def _enter(self, payload: bytes) -> None:
        """Learns from an event what settlement needs."""
        if payload.strip() == _DONE:
            self._is_done = self.is_over = True
            return
        try:
            event = msgspec.json.decode(payload, type=_Event)
            answer = chat.read_answer(payload, self.called.asked)
        except (ValueError, RecursionError):
            return  # not ours to judge: it passes
        self._is_done = event.type in _LAST
        self._is_typed = self._is_typed or bool(event.type)
        if answer.error or event.type == "error":
            self._error = payload
            self.is_over = True
        elif self._is_done:
            self._lasts += 1
            self.is_over = self._lasts >= self.called.request.n
            self._progress.answer = answer
        elif event.type == "transcript.text.delta":
            said = msgspec.json.encode({"choices": [{"delta": {"content": event.delta}}]})
            self._heard.feed(b"data: " + said + b"\n\n")  # counted as if chat had said it, should no usage come


def _type(payload: bytes) -> str | None:
    try:
        return msgspec.json.decode(payload, type=_Event).type or None
    except (ValueError, RecursionError):
        return None


def _too_large(error: Exception | None) -> UpstreamBroken:
    return UpstreamBroken("The provider sent an event that is too large.", inside=type(error).__name__)


def _outcome(fault: GatewayError) -> Outcome:
    return "timeout" if isinstance(fault, UpstreamTimeout) else "cut"
