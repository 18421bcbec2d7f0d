"""Relay: what a provider answers is passed on as it arrives, all but its end.

In: an answer that has begun. Out: the same, complete: a whole answer in hand, or a stream of which all but the last
event is out. The end waits for settlement, so that a client that has a complete answer can rely on its usage row.
A stream's death becomes an error event; never an invented ``stop``.
"""

import asyncio

from tollway._native import chat
from tollway._native.sse import Relay
from tollway.contract.usage import Outcome
from tollway.errors import GatewayError, UpstreamBroken, UpstreamTimeout
from tollway.proxy.causes import seen_as
from tollway.proxy.deadline import Deadline
from tollway.proxy.exchange import Called, Progress, Relayed
from tollway.proxy.pieces import read_all
from tollway.proxy.relay.heads import error_body, head
from tollway.wire.error_envelope import envelope
from tollway.wire.openai_chat import DONE

KEPT_BYTES = 256 * 1024
"""Of a stream, this much text is kept for counting, should the provider not tell its usage."""

INLINE_BYTES = 128 * 1024
"""Larger answers are read off the event loop."""

LINGER_S = 0.1
"""After a stream's last event its end is awaited this long, so that the connection can be used again."""


async def relay(called: Called, progress: Progress) -> Relayed:
    """Passes the answer on, but for its end.

    Raises:
        UpstreamError: a whole answer could not be had. A stream that has begun never raises it: its end says so.
    """
    try:
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
        return Relayed(called.arrival, seen_as(status), head(called), error_body(called, body), "error")
    if status >= 300:
        raise UpstreamBroken("The provider answered with a redirect.", inside=f"status {status}")
    try:
        if len(body) < INLINE_BYTES:
            answer = chat.read_answer(body)
        else:
            answer = await asyncio.to_thread(chat.read_answer, body)
    except ValueError as error:
        raise UpstreamBroken("The provider's answer is not JSON.", inside=str(error)) from None
    progress.answer = answer
    called.arrival.timing.mark("relay")
    return Relayed(called.arrival, status, head(called), body, "error" if answer.error else "ok")


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
    connection = called.arrival.connection
    reader = Relay(not called.request.include_usage, KEPT_BYTES)
    progress.reader = reader
    await connection.start(200, head(called))
    fault: GatewayError | None = None
    try:
        await _pass_on(called, reader, progress)
    except UpstreamTimeout as error:
        fault = error
    except UpstreamBroken as error:
        fault = error
    except ValueError as error:  # an event beyond the bound
        fault = UpstreamBroken("The provider sent an event that is too large.", inside=str(error))
    outcome, end = _ending(reader, fault, called.request.n)
    return Relayed(called.arrival, 200, None, end, outcome)


async def _pass_on(called: Called, reader: Relay, progress: Progress) -> None:
    """Relays until the last event, the end or a fault; each piece leaves as soon as it holds a complete event."""
    connection, answer = called.arrival.connection, called.answer
    loop = connection.task.get_loop()
    idle_s = called.route.timeouts.idle_s
    try:
        with Deadline(connection.task, min(loop.time() + idle_s, called.deadline)) as limit:
            while (piece := await answer.piece()) is not None:
                ready = reader.feed(piece)
                if ready:
                    if progress.first_piece_ns is None and reader.has_content:
                        progress.first_piece_ns = called.arrival.timing.elapsed_ns()
                    limit.move(called.deadline)  # a client that reads slowly is not the provider's silence
                    await connection.piece(ready)
                if reader.done or reader.failed:
                    return await _linger(called)
                limit.move(min(loop.time() + idle_s, called.deadline))
    except TimeoutError:
        stalled = loop.time() < called.deadline
        message = "The provider's stream stalled." if stalled else "The provider did not finish its answer in time."
        raise UpstreamTimeout(message, inside="idle timeout" if stalled else "total timeout") from None
    rest = reader.finish()
    if rest:
        await connection.piece(rest)


async def _linger(called: Called) -> None:
    try:
        task = called.arrival.connection.task
        with Deadline(task, task.get_loop().time() + LINGER_S):
            while await called.answer.piece() is not None:
                pass
    except (TimeoutError, UpstreamBroken):
        return  # the answer is complete; the connection just can't be used again


def _ending(reader: Relay, fault: GatewayError | None, choices: int) -> tuple[Outcome, bytes]:
    """How the stream ended, and the bytes that say so to the client."""
    if reader.error is not None:
        return "error", b""  # the provider's own error event is out already
    if reader.done or (reader.complete and len(reader.finish_reasons) >= choices):
        return "ok", DONE  # also where the provider itself sends no [DONE], or died just after the finish
    if fault is None:
        fault = UpstreamBroken("The provider's answer was cut before its end.")
    end = b"data: " + envelope(fault) + b"\n\n"
    return ("timeout" if isinstance(fault, UpstreamTimeout) else "cut"), end
