"""One client's connection as ASGI shows it: the body that it sends, the answer that it gets, and whether it is there.

What is sent to it goes through one place, so that comments for a client that waits only stand between whole messages.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple, Protocol, Self

from tollway._native.chat import ChatRequest
from tollway.errors import BodyTooLarge, InvalidRequest, RequestTimeout
from tollway.proxy.deadline import Deadline, Line
from tollway.proxy.keep_alive import COMMENT, NUMBERED_COMMENT, KeepAlive
from tollway.proxy.pieces import Streamed, joined

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

WATCH_AFTER_S = 0.05
"""A client is watched for hanging up from here on; most calls to a fast provider never pay for the watch."""

PIECE_S = 15.0
"""A client that is sending a body may pause this long: one that sends nothing must not hold a connection for ever."""

BODY_S = 300.0
"""A body must be in after this long however it drips: 20 MiB over a line of 600 kbit/s."""

SLOW_S = 10.0
"""A client that takes no piece of its answer for so long is left behind, where others need the answer too."""

LONG_S = 1.0
"""A limit that is farther away gets its timer after this time only; most calls never need one."""


class Lines(NamedTuple):
    """Where the timers of one worker's connections stand first: of watches, and of limits."""

    watches: Line
    limits: Line

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Self:
        """Those of a loop's connections."""
        return cls(Line(loop, WATCH_AFTER_S), Line(loop, LONG_S))


class ClientGone(Exception):
    """The client hung up before its answer was complete."""


class Connection:
    """One request's two directions.

    ``committed`` tells that a status line is out, ``said`` that something of an answer's body is, ``gone`` that the
    client left, ``settled`` that station 8 has counted the call, ``is_opaque`` that what is out are bytes which no
    error event can follow. Stations add to ``answer_headers`` what any answer, also a refusal, is to carry. In the
    line ``limits`` stand limits of its task while they are far away. ``tap`` hears the pieces of an answer, but for
    comments and the end.
    """

    __slots__ = (
        "_early_headers",
        "_is_numbered",
        "_is_unheard",
        "_is_watched",
        "_keeper",
        "_needed",
        "_receive",
        "_send",
        "_timer",
        "_watch",
        "_watches",
        "answer_headers",
        "committed",
        "gone",
        "headers",
        "is_opaque",
        "limits",
        "said",
        "settled",
        "tap",
        "task",
        "upload",
    )

    upload: "Upload | None"
    """A form whose body is not all read when its call leaves; it has the connection's reading side until it is."""

    def __init__(
        self,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        task: "asyncio.Task[Any]",
        lines: Lines | None = None,
    ) -> None:
        self.headers = headers
        self._watches = None if lines is None else lines.watches
        self.limits = None if lines is None else lines.limits
        self.answer_headers: Headers = []
        self._receive = receive
        self._send = send
        self.task = task
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._keeper: KeepAlive | None = None
        self._early_headers: Callable[[], Headers] = list
        self._is_numbered = False
        self._is_watched = False
        self.committed = False
        self.said = False
        self.settled = False
        self.is_opaque = False
        self.gone = False
        self.upload = None
        self.tap: Callable[[bytes], None] | None = None
        self._needed: Callable[[], bool] | None = None
        self._is_unheard = False

    async def body(
        self, limit_bytes: int, take: Callable[[int], None], *, piece_s: float = PIECE_S, body_s: float = BODY_S
    ) -> bytes:
        """The whole request body. ``take`` is told the size of each piece that has to wait for others.

        Raises:
            BodyTooLarge: it is longer than ``limit_bytes``; no more than that is ever held.
            ClientGone: the client left in the middle of it.
            RequestTimeout: it paused for ``piece_s``, or was not in after ``body_s``.
            GatewayError: what ``take`` raises.
        """
        declared = self.declared_length(limit_bytes)
        now = self.task.get_loop().time
        end = now() + body_s
        try:
            with Deadline(self.task, min(now() + piece_s, end), self.limits) as limit:
                pieces: list[bytes] = []
                held = 0
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        self.gone = True
                        raise ClientGone
                    piece: bytes = message.get("body", b"")
                    held += len(piece)
                    if held > limit_bytes:
                        raise BodyTooLarge(_too_large(limit_bytes))
                    pieces.append(piece)
                    if held == declared or not message.get("more_body"):
                        break
                    take(len(piece))
                    limit.move(min(now() + piece_s, end))
                return await joined(pieces, held)
        except TimeoutError:
            text = f"The body paused for {piece_s:g} s, or was not complete after {body_s:g} s."
            raise RequestTimeout(text) from None

    def arriving(self, limit_bytes: int, *, piece_s: float = PIECE_S, body_s: float = BODY_S) -> "Arriving":
        """The request body piece by piece, within the bounds of :meth:`body`, whose errors it raises at once or later.

        Raises:
            BodyTooLarge: it says that it is longer than ``limit_bytes``.
            InvalidRequest: its length is no number.
        """
        return Arriving(self, self._receive, limit_bytes, piece_s, body_s)

    def declared_length(self, limit_bytes: int) -> int | None:
        """``content-length``, checked before anything is read or paid for; ``None`` for a chunked body.

        Raises:
            BodyTooLarge: it says more than ``limit_bytes``.
            InvalidRequest: it is no number.
        """
        text = self.headers.get(b"content-length")
        if text is None:
            return None
        if not text.isdigit():
            raise InvalidRequest("The content-length header must be a whole number of bytes.")
        if len(text) > 18 or int(text) > limit_bytes:
            raise BodyTooLarge(_too_large(limit_bytes))
        return int(text)

    def watch(self, after_s: float = WATCH_AFTER_S) -> None:
        """From ``after_s`` on, a client that hangs up cancels the task: the upstream is dropped with it. Again: nothing
        more."""
        if self._is_watched:
            return
        self._is_watched = True
        if self._watches is not None and after_s == WATCH_AFTER_S:
            self._watches.enter(self)
        else:
            self._timer = self.task.get_loop().call_later(after_s, self.passed)

    def passed(self) -> None:
        """From the line, or the timer: by now it is worth to know whether the client still is there."""
        self._watch = self.task.get_loop().create_task(self._await_hang_up())

    async def _await_hang_up(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._needed is None or not self._needed():
            self._hang_up()
            return
        self._go_on()

    def _go_on(self) -> None:
        """To nobody."""
        self._is_unheard = True
        self._send = _forget
        if self._keeper is not None:
            self._keeper.cut()
            self._keeper = None

    def _hang_up(self) -> None:
        self.gone = True
        self.task.cancel()

    def outlive(self, needed: Callable[[], bool]) -> None:
        """From now on a hang-up does not end the call while it is ``needed``: its answer goes on, to nobody, and
        ``gone`` stays unset. Who needs it says by :meth:`forsake` when that is over."""
        self._needed = needed

    def forsake(self) -> None:
        """Nobody else needs the answer at the moment: if its client has hung up, the call ends as if that were now."""
        if self._is_unheard:
            self._is_unheard = False
            self._hang_up()

    def unwatch(self) -> None:
        """Ends the watch, and the comments: the answer is complete or nobody reads it."""
        if self._is_watched and self._watches is not None:
            self._watches.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._keeper is not None:
            self._keeper.stop()

    def keep_alive(self, wait_s: float, headers: Callable[[], Headers]) -> None:
        """From now on a client of events that has heard nothing for ``wait_s`` is sent a comment, and again after as
        long. Where no head is out by then, one leaves: status 200, with what ``headers`` returns. Again: the new terms
        hold.

        What is sent from here on has to be whole events, until it ends or is said to be opaque.
        """
        self._early_headers = headers
        if self._keeper is None:
            self._keeper = KeepAlive(self.task.get_loop(), wait_s, self._send, self._kept_alive, self.limits)
        else:
            self._keeper.change(wait_s)

    def _kept_alive(self) -> list[Message]:
        if self.is_opaque:
            return []
        comment = NUMBERED_COMMENT if self._is_numbered else COMMENT
        messages: list[Message] = [{"type": "http.response.body", "body": comment, "more_body": True}]
        if not self.committed:
            messages.insert(0, {"type": "http.response.start", "status": 200, "headers": self._early_headers()})
            self.committed = True
        return messages

    async def start(self, status: int, headers: Headers) -> None:
        """Sends the head: from here on no other status is possible."""
        self.committed = True
        send = self._send if self._keeper is None else self._keeper.send
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, body: bytes) -> None:
        """Sends a part of the body at once."""
        if self.tap is not None:
            self.tap(body)
        if not self.said:
            self.said = True
            self._is_numbered = _has_number(body)  # of events, all have one or none has
        if self._needed is not None and self._needed():
            message = {"type": "http.response.body", "body": body, "more_body": True}
            return await self._send_in_time(message, self._needed)
        keeper = self._keeper
        if keeper is None:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
            return
        if keeper.saying is not None:
            await keeper.said()
        keeper.is_sending = True  # and stays so if this fails: then nothing is to be said any more
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        keeper.is_sending = False
        keeper.since = keeper.now()

    async def end(self, body: bytes = b"") -> None:
        """Sends the last part of the body."""
        self.said = True
        if self._keeper is not None:
            self._keeper.stop()
        message: Message = {"type": "http.response.body", "body": body, "more_body": False}
        if self._needed is not None and self._needed():
            await self._send_in_time(message, self._needed)
        else:
            await (self._send if self._keeper is None else self._keeper.send)(message)

    async def _send_in_time(self, message: Message, needed: Callable[[], bool]) -> None:
        """Sends a part of an answer that others need: who reads slowly must not hold it up for them."""
        sending = asyncio.ensure_future((self._send if self._keeper is None else self._keeper.send)(message))
        try:
            await asyncio.wait([sending], timeout=SLOW_S)
            if sending.done() or not needed():
                await sending
            else:
                self._go_on()
        finally:
            sending.cancel()

    def close(self) -> None:
        """The call is over, however it ended: nothing of it stays behind."""
        self.unwatch()
        if self._keeper is not None:
            self._keeper.cut()
            self._keeper = None  # it knows this connection: together they would wait for the collector of cycles
        self._early_headers = list
        self.tap = None
        self._needed = None
        self._is_unheard = False
        if self.upload is not None:
            self.upload.close()


def _has_number(events: bytes) -> bool:
    """Whether events have an ``id``; looked for without a pattern, which would cost as much as sending them."""
    return events.startswith(b"id:") or b"\nid:" in events or b"\rid:" in events


class Unheard(Connection):
    """A connection without a client: what it is sent is forgotten, and nobody hangs up."""

    __slots__ = ()

    def __init__(self, headers: dict[bytes, bytes], task: "asyncio.Task[Any]") -> None:
        super().__init__(headers, _never, _forget, task)

    def watch(self, after_s: float = WATCH_AFTER_S) -> None:
        """There is nobody to be watched."""

    def keep_alive(self, wait_s: float, headers: Callable[[], Headers]) -> None:
        """There is nobody who waits."""


async def _never() -> Message:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


async def _forget(message: Message) -> None:
    pass


def _too_large(limit_bytes: int) -> str:
    return f"The body is larger than the {limit_bytes} bytes that this gateway takes."


class Arriving:
    """A request body as it arrives; whichever task asks."""

    def __init__(
        self, connection: Connection, receive: Receive, limit_bytes: int, piece_s: float, body_s: float
    ) -> None:
        self._connection = connection
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._piece_s = piece_s
        self._body_s = body_s
        self._end = connection.task.get_loop().time() + body_s
        self.declared_bytes = connection.declared_length(limit_bytes)
        self.read_bytes = 0
        self.has_ended = self.declared_bytes == 0

    async def piece(self) -> bytes | None:
        """The next piece; ``None`` at the end.

        Raises:
            BodyTooLarge: it is longer than it may be.
            ClientGone: the client left in the middle of it.
            RequestTimeout: it paused too long, or takes too long in all.
        """
        if self.has_ended:
            return None
        now = self._connection.task.get_loop().time()
        try:
            async with asyncio.timeout_at(min(now + self._piece_s, self._end)):
                message = await self._receive()
        except TimeoutError:
            text = f"The body paused for {self._piece_s:g} s, or was not complete after {self._body_s:g} s."
            raise RequestTimeout(text) from None
        if message["type"] == "http.disconnect":
            self._connection.gone = True
            raise ClientGone
        piece: bytes = message.get("body", b"")
        self.read_bytes += len(piece)
        if self.read_bytes > self._limit_bytes:
            raise BodyTooLarge(_too_large(self._limit_bytes))
        self.has_ended = self.read_bytes == self.declared_bytes or not message.get("more_body")
        return piece


class Upload(Protocol):
    """A form on its way: its fields are known, its files may still be arriving."""

    @property
    def is_read(self) -> bool:
        """Whether the client's body is all in."""
        ...

    async def screen(self, check: Callable[[str, str], Awaitable[str]]) -> None:
        """Has ``check`` look at every text by its field's name, now or when it arrives: it returns the text to send.

        Raises:
            tollway.errors.GatewayError: what ``check`` raises.
        """
        ...

    def streamed(self, request: ChatRequest, model: str) -> Streamed:
        """The form as a provider is to get it: for ``model``, and with the prompt that ``request`` holds."""
        ...

    def close(self) -> None:
        """The call is over: what is on disk goes."""
        ...
