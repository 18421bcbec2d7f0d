"""Answers of providers that speak a dialect of their own, read as if they spoke OpenAI's chat.

A provider maps the request and hands its answer's reader to :class:`TranslatedAnswer`; from there on the hallway sees
chat bytes and never learns whose they were.
"""

import asyncio
import math
from typing import Protocol

from tollway._native.sse import Payloads
from tollway.errors import UpstreamBroken
from tollway.proxy.causes import Fault, envelope
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.pieces import read_all
from tollway.wire.tool_names import NONE, Names

INLINE_BYTES = 64 * 1024
"""Larger answers are read off the event loop."""


class Reader(Protocol):
    """Reads one answer of a provider in its own dialect. One per call: a stream's state lives in it."""

    def whole(self, body: bytes) -> bytes:
        """A whole answer as a ``chat.completion``.

        Raises:
            ValueError: it is not what this provider answers (``msgspec``'s errors are such).
        """
        ...

    def event(self, payload: bytes) -> bytes:
        """The chat events that one event of the provider's stream becomes; often none.

        Raises:
            ValueError: as above.
            StreamFault: the provider tells of a fault inside its stream.
        """
        ...

    def end(self) -> bytes:
        """What is left to say at the end of the provider's stream: its usage and ``[DONE]``; nothing if it was cut."""
        ...

    def fault(self, status: int, body: bytes) -> Fault:
        """What an answer with a status of 400 or more means."""
        ...


class Framing(Protocol):
    """Finds the payloads in the bytes of a stream, however it is cut. One per call."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The payloads that ``chunk`` completes.

        Raises:
            ValueError: the stream can't be read.
        """
        ...

    def finish(self) -> list[bytes]:
        """The stream has ended: what is left of it.

        Raises:
            ValueError: it can't have ended here.
        """
        ...


class StreamFault(Exception):
    """A fault that a provider tells of inside a stream whose status was 200."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class TranslatedAnswer:
    """An answer in OpenAI's chat dialect; see :class:`~tollway.proxy.exchange.UpstreamAnswer`.

    ``status`` may change with the first piece: a stream that begins with a fault was a refusal.
    """

    def __init__(
        self,
        answer: UpstreamAnswer,
        reader: Reader,
        *,
        stream: bool,
        warnings: tuple[str, ...],
        framing: Framing | None = None,
        names: Names = NONE,
    ) -> None:
        self._answer = answer
        self._reader = reader
        self._is_stream = stream and answer.status == 200
        self._payloads: Framing = framing or Payloads()
        self._names = names
        self._fault: Fault | None = None
        self._stream_fault: Fault | None = None
        self._broken: UpstreamBroken | None = None
        self._ended = False
        self._has_spoken = False
        self.status = answer.status
        self.warnings = warnings
        self.secrets = answer.secrets

    @classmethod
    async def begin(
        cls,
        answer: UpstreamAnswer,
        reader: Reader,
        *,
        stream: bool,
        warnings: tuple[str, ...],
        framing: Framing | None = None,
        names: Names = NONE,
    ) -> "TranslatedAnswer":
        """Wraps ``answer``; a refusal is read at once, since its body may say another status than its head.

        ``framing`` is that of the provider's streams: server-sent events unless given. ``names`` are those of tools
        that the provider knows by others.

        Raises:
            UpstreamBroken: the connection died in the body of a refusal.
        """
        translated = cls(answer, reader, stream=stream, warnings=warnings, framing=framing, names=names)
        if answer.status >= 400:
            try:
                translated._fault = reader.fault(answer.status, await read_all(answer.piece))
            except BaseException:
                await answer.close()
                raise
            translated.status = translated._fault.cause.effect.status
        return translated

    def header(self, name: str) -> str | None:
        """The provider's own, but for what the translation changes."""
        if name == "content-type":
            return "text/event-stream; charset=utf-8" if self._is_stream else "application/json"
        if self._fault is not None:
            if name == "retry-after" and self._fault.retry_after_s is not None:
                return str(max(1, math.ceil(self._fault.retry_after_s)))
            if name == "x-should-retry" and not self._fault.should_retry and self.status == 429:
                return "false"
        return self._answer.header(name)

    @property
    def ended(self) -> bool:
        """Whether all of the body has been handed out."""
        return self._ended

    async def piece(self) -> bytes | None:
        """The next chat events, or the whole answer.

        Raises:
            UpstreamError: the connection died, or what came can't be read.
        """
        if self._broken is not None:
            raise self._broken
        if self._ended:
            return None
        if self._fault is not None:
            self._ended = True
            return envelope(self._fault)
        try:
            return await self._events() if self._is_stream else await self._whole()
        except (ValueError, RecursionError) as error:  # a payload beyond the bound is a ValueError, too
            raise _unreadable(error) from None

    def fault(self, body: bytes) -> Fault:
        """What was read of the refusal; ``body`` is what was said of it."""
        if self._fault is None:  # a whole answer of 200 is never a refusal here: its reader would have raised
            raise UpstreamBroken("The provider's answer could not be understood.", inside="no refusal")
        return self._fault

    def event_fault(self, payload: bytes) -> Fault:
        """What its reader read of the event."""
        if self._stream_fault is None:
            raise UpstreamBroken("The provider's answer could not be understood.", inside="no fault")
        return self._stream_fault

    async def close(self) -> None:
        """As the answer's own."""
        await self._answer.close()

    async def _whole(self) -> bytes:
        body = await read_all(self._answer.piece)
        self._ended = True
        if len(body) <= INLINE_BYTES:
            return self._names.restored(self._reader.whole(body))
        return self._names.restored(await asyncio.to_thread(self._reader.whole, body))

    async def _events(self) -> bytes | None:
        """Reads on until there is something to say."""
        while True:
            piece = await self._answer.piece()
            payloads = self._payloads.finish() if piece is None else self._payloads.feed(piece)
            said = b""
            try:
                for payload in payloads:
                    said += self._names.restored(self._reader.event(payload))
            except (ValueError, RecursionError) as error:
                if not said or not self._has_spoken:
                    raise
                self._broken = _unreadable(error)  # once the client has heard what came before it
                return said
            except StreamFault as error:
                self._ended = True
                self._stream_fault = error.fault
                if not said and not self._has_spoken:
                    return self._refused(error.fault)
                return said + b"event: error\ndata: " + envelope(error.fault) + b"\n\n"
            if piece is None:
                self._ended = True
                said += self._reader.end()
                return said or None
            if said:
                self._has_spoken = True
                return said

    def _refused(self, fault: Fault) -> bytes:
        """A fault before the first word: nothing has been sent to the client, so it may still hear the right status."""
        self._fault = fault
        self._is_stream = False
        self.status = fault.cause.effect.status
        return envelope(fault)


def _unreadable(error: Exception) -> UpstreamBroken:
    kind = type(error).__name__  # its text may quote the answer
    return UpstreamBroken("The provider's answer could not be understood.", inside=kind)
