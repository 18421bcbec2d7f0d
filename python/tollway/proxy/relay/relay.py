"""Relay: what a provider answers is passed on as it arrives, all but its end.

In: an answer that has begun. Out: the same, complete: a whole answer in hand, or a stream of which all but the last
event is out. The end waits for settlement, so that a client that has a complete answer can rely on its usage row.
A stream's death becomes an error event; never an invented ``stop``.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

from tollway._native import chat
from tollway._native.sse import Relay
from tollway.contract.snapshot import Operation
from tollway.contract.usage import Outcome
from tollway.errors import GatewayError, UpstreamBroken, UpstreamTimeout
from tollway.proxy.deadline import Deadline
from tollway.proxy.dialects.port import Writer, refused
from tollway.proxy.exchange import Called, Progress, Relayed
from tollway.proxy.pieces import read_all
from tollway.proxy.relay.heads import as_events, head, refusal, refusal_inside
from tollway.proxy.relay.passage import pass_on, passes
from tollway.proxy.relay.whole import streamed

KEPT_BYTES = 256 * 1024
"""Of a stream, this much text is kept for counting, should the provider not tell its usage."""

INLINE_BYTES = 128 * 1024
"""Larger answers are read off the event loop."""

_LOST = "The provider sent an event that could not be understood."

LINGER_S = 0.1
"""After a stream's last event its end is awaited this long, so that the connection can be used again."""

_CUT = "The provider's answer was cut before its end."


_STREAMS: Mapping[Operation, Literal["messages", "responses"]] = {"messages": "messages", "responses": "responses"}
"""The dialects whose streams are not chat's; others have chat's framing."""


async def relay(called: Called, progress: Progress) -> Relayed:
    """Passes the answer on, but for its end.

    Raises:
        UpstreamError: nothing of the answer could be had. A stream that has begun never raises it: its end says so.
    """
    try:
        if passes(called):
            return await pass_on(called, progress)
        if called.request.stream and called.answer.status == 200 and is_event_stream(called):
            return await _stream(called, progress)
        return await _whole(called, progress)
    finally:
        await called.answer.close()


def is_event_stream(called: Called) -> bool:
    """Whether the provider answers in server-sent events; some answer a stream's request whole."""
    return (called.answer.header("content-type") or "text/event-stream").startswith("text/event-stream")


async def _whole(called: Called, progress: Progress) -> Relayed:
    body = await _read_all(called)
    status = called.answer.status
    if status >= 400:
        return Relayed(called.arrival, *refusal(called, body, called.answer.fault(body)), "error")
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
        return Relayed(called.arrival, *refusal(called, body, called.answer.fault(body)), "error")
    is_awaited_as_stream = called.writer is not None and called.request.stream
    if called.writer is not None:
        write = partial(streamed, called.writer) if is_awaited_as_stream else called.writer.whole
        try:
            body = write(body) if is_small else await asyncio.to_thread(write, body)
        except (ValueError, RecursionError) as error:
            raise UpstreamBroken("The provider's answer could not be understood.", inside=_kind(error)) from None
    called.arrival.timing.mark("relay")
    headers = head(called)
    return Relayed(called.arrival, status, as_events(headers) if is_awaited_as_stream else headers, body, "ok")


async def _read_all(called: Called) -> bytes:
    first = await called.answer.piece() or b""  # is in hand since the call began
    if called.answer.ended:
        return first
    try:
        with Deadline(called.arrival.connection.task, called.deadline):
            return await read_all(called.answer.piece, first)
    except TimeoutError:
        raise UpstreamTimeout("The provider did not finish its answer in time.", inside="total timeout") from None


async def _stream(called: Called, progress: Progress) -> Relayed:
    passes = called.writer is None
    reader = Relay(
        passes and not called.request.include_usage,
        KEPT_BYTES,
        dialect=_STREAMS.get(called.asked, "chat"),
        hold_error=True,
    )
    progress.reader = reader
    stream = _Stream(called, progress, reader)
    fault: GatewayError | None = None
    try:
        await stream.pass_on()
    except UpstreamTimeout as error:
        fault = error
    except UpstreamBroken as error:
        fault = error
    except ValueError as error:  # an event beyond the bound
        fault = UpstreamBroken("The provider sent an event that is too large.", inside=type(error).__name__)
    if not called.arrival.connection.committed:
        if reader.error is not None:  # nothing has left: the client may still hear the right status
            told = called.answer.event_fault(reader.error)
            return Relayed(called.arrival, *refusal(called, reader.error, told), "error")
        if not stream.is_complete:
            raise fault or UpstreamBroken(_CUT)
        await stream.begin()
    outcome, end = _ending(called, reader, fault, is_complete=stream.is_complete)
    return Relayed(called.arrival, 200, None, end, outcome)


class _Stream:
    """One stream on its way. The head leaves with the first event: before it, a fault is a refusal with a status."""

    def __init__(self, called: Called, progress: Progress, reader: Relay) -> None:
        self._called = called
        self._progress = progress
        self._reader = reader
        self._unsaid: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing: also where the provider sends no ``[DONE]``, or died just after the finish.

        A part that the client's dialect could not say is missing, however well the hub's stream ended.
        """
        reader = self._reader
        ended = reader.done or (reader.complete and len(reader.finish_reasons) >= self._called.request.n)
        return ended and reader.error is None and self._unsaid is None

    async def begin(self) -> None:
        """Sends the head."""
        await self._called.arrival.connection.start(200, head(self._called))

    async def pass_on(self) -> None:
        """Relays until the last event, the end or a fault; each piece leaves as soon as it holds a complete event."""
        called, reader, connection = self._called, self._reader, self._called.arrival.connection
        translates, has_begun = called.writer is not None, False
        feed = self._translate if translates else reader.feed
        loop = connection.task.get_loop()
        idle_s = called.route.timeouts.idle_s
        try:
            with Deadline(connection.task, min(loop.time() + idle_s, called.deadline)) as limit:
                while (piece := await called.answer.piece()) is not None:
                    ready = feed(piece)
                    if ready:
                        limit.move(called.deadline)  # a client that reads slowly is not the provider's silence
                        if has_begun:
                            await connection.piece(ready)
                        else:
                            has_begun = await self._send(ready)
                    if translates:
                        self._check()
                    if reader.done or reader.failed:
                        return await self._linger()
                    limit.move(min(loop.time() + idle_s, called.deadline))
        except TimeoutError:
            stalled = loop.time() < called.deadline
            message = "The provider's stream stalled." if stalled else "The provider did not finish its answer in time."
            raise UpstreamTimeout(message, inside="idle timeout" if stalled else "total timeout") from None
        rest = reader.finish() if called.writer is None else self._said(called.writer, reader.finish_payloads())
        if rest:
            await self._send(rest)
        self._check()

    async def _send(self, ready: bytes) -> bool:
        """Sends the head first, where it is not out; whether the first of the answer proper is among ``ready``."""
        called, connection = self._called, self._called.arrival.connection
        has_content = self._reader.has_content
        if has_content and self._progress.first_piece_ns is None:
            self._progress.first_piece_ns = called.arrival.timing.elapsed_ns()
        if not connection.committed:
            if self._reader.failed and not has_content:
                return False  # the fault is the first thing said
            await self.begin()
        await connection.piece(ready)
        return has_content

    async def _linger(self) -> None:
        called, task = self._called, self._called.arrival.connection.task
        try:
            with Deadline(task, task.get_loop().time() + LINGER_S):
                while (piece := await called.answer.piece()) is not None:
                    if called.asked == "responses" and called.writer is None:
                        self._reader.feed(piece)  # a [DONE] behind the last event leaves with it
        except (TimeoutError, UpstreamBroken):
            return  # the answer is complete; the connection just can't be used again

    def _translate(self, piece: bytes) -> bytes:
        writer = self._called.writer
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
