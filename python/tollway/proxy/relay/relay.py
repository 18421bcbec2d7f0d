"""Relay: what a provider answers is passed on as it arrives, all but its end.

In two steps. :func:`begin` waits for the first of one call's answer, so that station 6 may still ask somebody else;
:func:`relay` passes on the answer that was chosen. In: an answer that has begun. Out: the same, complete: a whole
answer in hand, or a stream of which all but the last event is out. The end waits for settlement, so that a client that
has a complete answer can rely on its usage row. A stream's death becomes an error event; never an invented ``stop``.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType

from tollway._native import chat
from tollway._native.sse import Relay
from tollway.contract.usage import Outcome
from tollway.errors import AnswerBlocked, GatewayError, RateLimited, UpstreamBroken, UpstreamTimeout
from tollway.proxy.causes import Fault
from tollway.proxy.deadline import Deadline
from tollway.proxy.dialects.port import Writer, refused
from tollway.proxy.exchange import Attempted, Begun, Called, Progress, Relayed
from tollway.proxy.pieces import read_all
from tollway.proxy.relay.heads import as_events, refusal, refusal_inside, refusal_late
from tollway.proxy.relay.passage import begin_passage, is_screened_text, passes
from tollway.proxy.relay.screening import (
    DIALECTS,
    blocked,
    broken_off,
    done_elsewhere,
    ends_long_event,
    fork,
    head_of,
    hold,
    screened,
    screened_events,
    withheld,
)
from tollway.proxy.relay.whole import as_chunks, streamed

KEPT_BYTES = 256 * 1024
"""Of a stream, this much text is kept for counting, should the provider not tell its usage."""

INLINE_BYTES = 128 * 1024
"""Larger answers are read off the event loop."""

_LOST = "The provider sent an event that could not be understood."

LINGER_S = 0.1
"""After a stream's last event its end is awaited this long, so that the connection can be used again."""

PREAMBLE_BYTES = 64 * 1024
"""Of a stream, so much is held back until it says something: before that, another target can still take its place."""

_CUT = "The provider's answer was cut before its end."


async def begin(called: Called, progress: Progress) -> Begun:
    """Waits for the first of an answer that may leave, or for the reason why there is none.

    Raises:
        UpstreamError: nothing of the answer could be had.
    """
    try:
        if passes(called):
            if is_screened_text(called):
                return _Whole(called, await _read_all(called), is_stream=False)
            return await begin_passage(called, progress)
        if called.request.stream and called.answer.status == 200 and is_event_stream(called):
            stream = _Stream(called, progress)
            await stream.begin()
            return stream
        whole = await _whole(called, progress)
        await called.answer.close()
        return whole
    except BaseException:
        await called.answer.close()
        raise


async def relay(attempted: Attempted) -> Relayed:
    """Passes the answer on, but for its end."""
    outcome: Outcome | None = None
    try:
        relayed = await attempted.begun.finish()
        outcome = relayed.outcome
        return relayed
    finally:
        called = attempted.begun.called
        growth = attempted.progress.trail.growth
        was_cut_short = outcome == "timeout" and called.task.get_loop().time() >= called.deadline
        was_ended_here = growth is not None and growth.is_over
        # An answer may be long: that is no failure.
        attempted.held.end(None if was_cut_short or was_ended_here else outcome)
        await attempted.begun.close()


def is_event_stream(called: Called) -> bool:
    """Whether the provider answers in server-sent events; some answer a stream's request whole."""
    return (called.answer.header("content-type") or "text/event-stream").startswith("text/event-stream")


class _Refusal:
    """A provider's refusal: all of it is in hand, and its connection given back."""

    def __init__(self, called: Called, body: bytes, fault: Fault) -> None:
        self.called = called
        self.fault: Fault | None = fault
        self._body = body
        self._why = fault

    async def finish(self) -> Relayed:
        """With its status; or as the end of a stream whose head is out already."""
        if self.called.arrival.connection.committed:
            return Relayed(self.called.arrival, 200, None, refusal_late(self.called, self._why), "error")
        return Relayed(self.called.arrival, *refusal(self.called, self._body, self._why), "error")

    async def close(self) -> None:
        """Nothing is left to be closed."""


class _Whole:
    """A whole answer, in the client's dialect. ``is_stream``: its body is the events of a stream."""

    fault: Fault | None = None

    def __init__(self, called: Called, body: bytes, *, is_stream: bool) -> None:
        self.called = called
        self._body = body
        self._is_stream = is_stream

    async def finish(self) -> Relayed:
        """With its head, unless that is out already; as its guard lets it pass."""
        called, body, drops_tokens = self.called, self._body, False
        called.arrival.timing.mark("relay")
        guard = called.guard
        if guard is not None:
            operation = called.asked if called.writer is None else called.arrival.operation
            try:
                if self._is_stream:
                    body = await screened_events(called, guard, body)
                else:
                    body, drops_tokens = await screened(guard, body, operation)
            except AnswerBlocked as error:
                return withheld(called, error)
        if called.arrival.connection.committed:
            return Relayed(called.arrival, 200, None, body if self._is_stream else as_chunks(body), "ok")
        headers = head_of(called, drops_tokens=drops_tokens)
        return Relayed(
            called.arrival, called.answer.status, as_events(headers) if self._is_stream else headers, body, "ok"
        )

    async def close(self) -> None:
        """Nothing is left to be closed."""


async def _whole(called: Called, progress: Progress) -> Begun:
    body = await _read_all(called)
    status = called.answer.status
    if status >= 400:
        return _Refusal(called, body, called.answer.fault(body))
    if status >= 300:
        raise UpstreamBroken("The provider answered with a redirect.", inside=f"status {status}")
    is_small = len(body) < INLINE_BYTES
    try:
        read, asked = chat.read_answer, called.asked
        answer = read(body, asked) if is_small else await asyncio.to_thread(read, body, asked)
    except ValueError as error:
        raise UpstreamBroken("The provider's answer is not JSON.", inside=str(error)) from None
    progress.answer = answer
    if answer.error:
        return _Refusal(called, body, called.answer.fault(body))
    is_awaited_as_stream = called.writer is not None and called.request.stream
    if called.writer is not None:
        write = partial(streamed, called.writer) if is_awaited_as_stream else called.writer.whole
        try:
            body = write(body) if is_small else await asyncio.to_thread(write, body)
        except (ValueError, RecursionError) as error:
            raise UpstreamBroken("The provider's answer could not be understood.", inside=_kind(error)) from None
    return _Whole(called, body, is_stream=is_awaited_as_stream)


async def _read_all(called: Called) -> bytes:
    first = await called.answer.piece() or b""  # is in hand since the call began
    if called.answer.ended:
        return first
    try:
        with Deadline(called.task, called.deadline, called.arrival.connection.limits):
            return await read_all(called.answer.piece, first)
    except TimeoutError:
        raise UpstreamTimeout("The provider did not finish its answer in time.", inside="total timeout") from None


class _Stream:
    """One stream on its way. The head leaves with the first event: before it, a fault is a refusal with a status."""

    def __init__(self, called: Called, progress: Progress) -> None:
        self.called = called
        self.fault: Fault | None = None
        self._progress = progress
        self._guard = fork(called)
        self._outside = hold(called, self._guard)
        self._is_screened = called.guard is not None and called.guard.inspects_output
        self._reader = Relay(
            called.writer is None and not called.request.include_usage,
            KEPT_BYTES,
            dialect=DIALECTS.get(called.asked, "chat"),
            hold_error=True,
            guard=self._guard if self._is_screened else None,
        )
        progress.reader = self._reader
        self._preamble: list[bytes] = []
        self._held_bytes = 0
        self._is_over = False
        self._unsaid: str | None = None
        self._broken: UpstreamTimeout | UpstreamBroken | None = None

    async def begin(self) -> None:
        """Reads until the stream says something, or ends.

        Raises:
            UpstreamError: it ended before that.
        """
        with self:
            await self._read_preamble()
        reader = self._reader
        if reader.blocked:
            return
        if reader.error is not None and not reader.has_content:  # the fault is the first thing said
            self.fault = self.called.answer.event_fault(reader.error)
        elif (self._broken is not None or self._is_over) and not self._is_complete and not reader.has_content:
            raise self._broken or UpstreamBroken(_CUT)

    async def finish(self) -> Relayed:
        """Sends what is in hand, and what follows; the last event is in the result."""
        try:
            return await self._finish()
        finally:
            if self.called.guard is not None and self._guard is not None:
                self.called.guard.session.adopt(self._guard)  # this is the answer that counts

    async def _finish(self) -> Relayed:
        called, reader, arrival = self.called, self._reader, self.called.arrival
        if self._guard is not None and reader.blocked and not reader.has_said:
            return withheld(called, blocked(self._guard))
        if self.fault is not None and reader.error is not None:
            if arrival.connection.committed:
                return Relayed(arrival, 200, None, refusal_inside(called, reader.error), "error")
            return Relayed(arrival, *refusal(called, reader.error, self.fault), "error")
        if not arrival.connection.committed:
            await arrival.connection.start(200, head_of(called, drops_tokens=reader.drops_tokens))
        try:
            return await self._finish_begun()
        except AnswerBlocked as error:
            return Relayed(arrival, 200, None, broken_off(called, error), "blocked")
        except RateLimited as error:
            return Relayed(arrival, 200, None, broken_off(called, error), "cut")

    async def _finish_begun(self) -> Relayed:
        """The rest of a stream whose head is out.

        Raises:
            AnswerBlocked: nothing more of it may pass.
            RateLimited: a limit ends it.
        """
        reader = self._reader
        if self._preamble:
            await self._send(b"".join(self._preamble))
        if reader.done or reader.failed:
            with self:
                await self._linger()
        elif self._broken is None and not self._is_over:
            with self:
                await self._pass_on()
        if self._guard is not None and reader.blocked:
            raise blocked(self._guard)
        outcome, end = _ending(self.called, reader, self._broken, is_complete=self._is_complete)
        if self._outside is not None:
            end = await self._outside.end(end, is_complete=self._is_complete)
        return Relayed(self.called.arrival, 200, None, end, outcome)

    async def close(self) -> None:
        """Gives the connection back, or cuts it."""
        await self.called.answer.close()

    def __enter__(self) -> None:
        """Whatever of the provider's doing breaks the stream in this block ends it, and is kept as its fault."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, UpstreamTimeout | UpstreamBroken):
            self._broken = error
        elif isinstance(error, ValueError):  # an event beyond the bound
            self._broken = UpstreamBroken("The provider sent an event that is too large.", inside=_kind(error))
        else:
            return False
        return True

    @property
    def _is_complete(self) -> bool:
        """Whether nothing is missing: also where the provider sends no ``[DONE]``, or died just after the finish.

        A part that the client's dialect could not say is missing, however well the hub's stream ended.
        """
        reader = self._reader
        ended = reader.done or (reader.complete and len(reader.finish_reasons) >= self.called.request.n)
        return ended and reader.error is None and self._unsaid is None

    def _has_begun(self) -> bool:
        """Whether no other answer can take the place of this one any more, or none has to be awaited.

        A response tells its id in its first event, and clients cancel by it: it is not held back.
        """
        reader = self._reader
        if reader.done or reader.failed or reader.blocked or self._held_bytes > PREAMBLE_BYTES:
            return True
        return self._held_bytes > 0 and (reader.has_content or self.called.asked == "responses")

    async def _read_preamble(self) -> None:
        called, feed, line = self.called, self._feed(), self.called.arrival.connection.limits
        loop, idle_s = called.task.get_loop(), called.route.timeouts.idle_s
        try:
            with Deadline(called.task, min(loop.time() + idle_s, called.deadline), line) as limit:
                while (piece := await called.answer.piece()) is not None:
                    is_long = self._is_screened and ends_long_event(self._reader, piece)
                    self._hold(await done_elsewhere(feed, piece) if is_long else feed(piece))
                    self._check()
                    if self._has_begun():
                        return
                    limit.move(min(loop.time() + idle_s, called.deadline))
        except TimeoutError:
            raise _stalled(called, loop.time()) from None
        self._is_over = True
        self._hold(self._rest())
        self._check()

    async def _pass_on(self) -> None:
        """Relays until the last event, the end or a fault; each piece leaves as soon as it holds a complete event."""
        called, reader, connection = self.called, self._reader, self.called.arrival.connection
        is_screened, is_held = self._is_screened, self._outside is not None
        translates, has_begun, feed = called.writer is not None, reader.has_content, self._feed()
        loop, idle_s, growth = connection.task.get_loop(), called.route.timeouts.idle_s, self._progress.trail.growth
        piece_of, send, now, last = called.answer.piece, connection.piece, loop.time, called.deadline
        try:
            with Deadline(connection.task, min(loop.time() + idle_s, called.deadline), connection.limits) as limit:
                while (piece := await piece_of()) is not None:
                    is_long = is_screened and ends_long_event(reader, piece)
                    ready = await done_elsewhere(feed, piece) if is_long else feed(piece)
                    if ready:
                        limit.when = last  # a client that reads slowly is not the provider's silence
                        if has_begun and not is_held:
                            await send(ready)
                        else:
                            has_begun = await self._send(ready)
                    if translates:
                        self._check()
                    if reader.done or reader.failed:
                        return await self._linger()
                    if is_screened and reader.blocked:
                        return
                    if growth is not None and reader.said_bytes >= growth.next_bytes:
                        growth.reach(reader.said_bytes)
                    idle_at = now() + idle_s
                    limit.move(idle_at if idle_at < last else last)
        except TimeoutError:
            raise _stalled(called, loop.time()) from None
        rest = self._rest()
        if rest:
            await self._send(rest)
        self._check()

    def _hold(self, ready: bytes) -> None:
        if ready:
            self._preamble.append(ready)
            self._held_bytes += len(ready)

    def _feed(self) -> Callable[[bytes], bytes]:
        return self._reader.feed if self.called.writer is None else self._translate

    def _rest(self) -> bytes:
        writer, reader = self.called.writer, self._reader
        return reader.finish() if writer is None else self._said(writer, reader.finish_payloads())

    async def _send(self, ready: bytes) -> bool:
        """Sends events; whether the first of the answer proper is among them, or has left before.

        Raises:
            AnswerBlocked: external checks do not let them pass.
        """
        if self._outside is not None:
            ready = await self._outside.take(ready)
            if not ready:
                return self._reader.has_content
        has_content = self._reader.has_content
        if has_content and self._progress.first_piece_ns is None:
            self._progress.first_piece_ns = self.called.arrival.timing.elapsed_ns()
        await self.called.arrival.connection.piece(ready)
        return has_content

    async def _linger(self) -> None:
        called, task = self.called, self.called.arrival.connection.task
        try:
            with Deadline(task, task.get_loop().time() + LINGER_S):
                while (piece := await called.answer.piece()) is not None:
                    if called.asked == "responses" and called.writer is None:
                        self._reader.feed(piece)  # a [DONE] behind the last event leaves with it
        except (TimeoutError, UpstreamBroken):
            return  # the answer is complete; the connection just can't be used again

    def _translate(self, piece: bytes) -> bytes:
        writer = self.called.writer
        return b"" if writer is None else self._said(writer, self._reader.feed_payloads(piece))

    def _said(self, writer: Writer, payloads: Sequence[bytes]) -> bytes:
        """The hub's events in the client's dialect, up to the first that can't be said."""
        said: list[bytes] = []
        try:
            for payload in payloads:
                said.append(writer.event(payload))
        except (ValueError, RecursionError) as error:
            self._unsaid = _kind(error)
        return b"".join(said)

    def _check(self) -> None:
        if self._unsaid is not None:
            raise UpstreamBroken(_LOST, inside=self._unsaid)


def _stalled(called: Called, now: float) -> UpstreamTimeout:
    is_silent = now < called.deadline
    message = "The provider's stream stalled." if is_silent else "The provider did not finish its answer in time."
    return UpstreamTimeout(message, inside="idle timeout" if is_silent else "total timeout")


def _kind(error: Exception) -> str:
    return type(error).__name__  # its text may quote the answer


def _ending(called: Called, reader: Relay, fault: GatewayError | None, *, is_complete: bool) -> tuple[Outcome, bytes]:
    """How the stream ended, and the bytes that say so to the client."""
    writer, dialect, request_id = called.writer, called.arrival.dialect, called.arrival.request_id
    if reader.error is not None:
        return "error", refusal_inside(called, reader.error)
    if is_complete:
        return "ok", reader.last if writer is None else writer.end()
    fault = fault or UpstreamBroken(_CUT)
    told = refused(fault, request_id)
    end = dialect.fault_event(told) if writer is None else writer.fault(told)
    return ("timeout" if isinstance(fault, UpstreamTimeout) else "cut"), end
