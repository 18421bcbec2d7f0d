"""Words for a client that waits: what is said into the silences of an answer, and never into the middle of a message.

A line that begins with a colon is a comment, which clients of server-sent events pass over (WHATWG HTML, section
9.2.6); section 9.2.7 advises one every now and then, against proxies that cut connections on which nothing happens.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from tollway.proxy.deadline import Line, Timer

COMMENT = b": keep-alive\n\n"
"""With a blank line, for clients that read a stream by its blank lines and not line by line."""

NUMBERED_COMMENT = b": keep-alive\n"
"""Among events that have an ``id`` (those of images and transcripts pass as they came), a blank line alone is an event
without data to the SDKs of OpenAI and Anthropic (``SSEDecoder.decode``): they keep the last ``id``, as the standard
says, and take it for a sign that something came."""


class KeepAlive(Timer):
    """Knows how long nothing of an answer has passed to its client.

    After ``wait_s`` it sends what ``words`` returns, and again after as long; when that is nothing it is silent for
    good. ``words`` is asked at the very moment: whatever it notes holds before anybody else can send. Whoever sends
    a part of the answer awaits :meth:`said` first if ``saying`` is set, sets ``is_sending`` meanwhile, and behind it
    ``since`` to what ``now`` returns; :meth:`send` does all that, but for a stream's pieces one more call is dear.
    """

    __slots__ = ("_is_over", "_is_set", "_send", "_wait_s", "_words", "is_sending", "now", "saying", "since")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wait_s: float,
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
        words: Callable[[], Sequence[MutableMapping[str, Any]]],
        line: Line | None = None,
    ) -> None:
        super().__init__(loop, line)
        self.now = loop.time
        self._wait_s = wait_s
        self._send = send
        self._words = words
        self._is_over = False
        self.since = loop.time()
        self._begin(self.since + wait_s)
        self.is_sending = False
        self.saying: asyncio.Task[None] | None = None

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Sends a part of the answer, when nothing else is on its way; the silence begins anew behind it."""
        if self.saying is not None:
            await self.said()
        self.is_sending = True
        try:
            await self._send(message)
        finally:
            self.passed()

    async def said(self) -> None:
        """Returns when what is being said has left, whole.

        Raises:
            Exception: what sending it raised.
        """
        saying = self.saying
        if saying is None:
            return
        if not saying.done():
            await asyncio.wait([saying])  # unlike an await of the task, this does not cancel it when it is cancelled
        self.saying = None
        if not saying.cancelled():
            saying.result()

    def passed(self) -> None:
        """A part of the answer has been sent."""
        self.is_sending = False
        self.since = self.now()  # the timer looks at it when it fires, so none is set for each part

    def due(self) -> None:
        """From the loop."""
        self._handle = None
        self._is_set = False
        now = self._loop.time()
        if self.is_sending:  # the client is slow to take what it is sent: that is no silence
            self._begin(now + self._wait_s)
        elif now < self.since + self._wait_s:
            self._begin(self.since + self._wait_s)
        elif messages := self._words():
            self.saying = self._loop.create_task(self._say(messages))

    def _begin(self, when: float) -> None:
        self._is_set = True
        self._set(when)

    async def _say(self, messages: Sequence[MutableMapping[str, Any]]) -> None:
        for message in messages:
            await self._send(message)
        self.since = self._loop.time()
        if not self._is_over:
            self._begin(self.since + self._wait_s)

    def change(self, wait_s: float) -> None:
        """Another wait, also of the silence that is now."""
        self._wait_s = wait_s
        if self._is_set and not self._is_over:
            self._clear()
            self._begin(self.since + wait_s)

    def stop(self) -> None:
        """Nothing more is said. What is on its way arrives whole."""
        self._is_over = True
        self._clear()

    def cut(self) -> None:
        """Nothing more is said, and what is on its way need not arrive: nobody hears it."""
        self.stop()
        if self.saying is not None:
            self.saying.cancel()
