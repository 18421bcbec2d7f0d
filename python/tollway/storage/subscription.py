"""A channel of PostgreSQL, followed through outages: notifications, and a question now and then in case one is lost.

In: a DSN, a channel, and what to do. Out: calls on the event loop, which must be quick. It knows nothing of what is
announced. While the database is out of reach nothing can be known, and :attr:`Subscription.down_since` says since when.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import asyncpg

from tollway.storage.pool import FAILED, Connection

POLL_S = 2.0

_RETRY_CAP_S = 2.0
_PATIENCE_S = 2.0


class Subscription:
    """Follows one channel on a connection of its own.

    ``ask`` is awaited when the connection stands, then every ``poll_s`` seconds, and at once after :meth:`ask_soon`.
    ``heard`` gets the payload of each notification. ``listening`` is told, before the first question on a connection,
    for how many seconds notifications may have gone unheard.
    """

    def __init__(
        self,
        dsn: str,
        channel: str,
        *,
        application_name: str,
        ask: Callable[[Connection], Awaitable[None]],
        heard: Callable[[str], None],
        listening: Callable[[float], None] = lambda _: None,
        poll_s: float = POLL_S,
    ) -> None:
        self._dsn = dsn
        self._channel = channel
        self._application_name = application_name
        self._ask = ask
        self._heard = heard
        self._listening = listening
        self._poll_s = poll_s
        self._connected = False
        self._cut = False
        self._stirred = asyncio.Event()
        self._down_since: float | None = None
        self._last_ok: float | None = None

    @property
    def connected(self) -> bool:
        """Whether notifications arrive now, as far as the last question can tell."""
        return self._connected

    @property
    def down_since(self) -> float | None:
        """``time.monotonic()`` of the moment when the database was found to be out of reach; ``None`` while it is not,
        and before the first try has ended."""
        return self._down_since

    @property
    def last_ok(self) -> float | None:
        """``time.monotonic()`` of the last answered question; ``None`` before the first."""
        return self._last_ok

    def ask_soon(self) -> None:
        """Do not wait for the next question's time."""
        self._stirred.set()

    async def ask_once(self) -> bool:
        """One question on a connection of its own, before anything is followed; ``False`` when the database is out of
        reach."""
        try:
            connection = await self._connect()
            try:
                await self._ask(connection)
            finally:
                connection.terminate()
        except FAILED:
            return False
        return True

    async def follow(self) -> None:
        """Follow for ever, through outages; ends when it is cancelled."""
        silent_since = time.monotonic()
        failures = 0
        while True:
            try:
                await self._follow_once(silent_since)
            except FAILED:
                pass
            finally:
                self._connected = False
                if self._down_since is None:
                    self._down_since = time.monotonic()
            failures = 0 if self._last_ok is not None and self._last_ok > silent_since else failures + 1
            silent_since = self._last_ok if self._last_ok is not None else silent_since
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(_RETRY_CAP_S, 0.1 * 2 ** min(failures, 6)))  # noqa: S311

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        async with asyncio.timeout(2 * _PATIENCE_S):
            return await asyncpg.connect(
                self._dsn,
                timeout=_PATIENCE_S,
                command_timeout=_PATIENCE_S,
                server_settings={"application_name": self._application_name},
            )

    async def _follow_once(self, silent_since: float) -> None:
        connection = await self._connect()
        self._cut = False
        connection.add_termination_listener(self._terminated)
        try:
            await connection.add_listener(self._channel, self._notified)
            self._listening(time.monotonic() - silent_since)
            while True:
                self._stirred.clear()
                await self._ask(connection)
                self._connected = True
                self._down_since = None
                self._last_ok = time.monotonic()
                await self._pause()
        finally:
            connection.remove_termination_listener(self._terminated)
            connection.terminate()  # closing politely would wait for a server that may be gone

    async def _pause(self) -> None:
        """Until the next question; a connection that is cut is told at once, not by a question that fails."""
        try:
            async with asyncio.timeout(self._poll_s):
                await self._stirred.wait()
        except TimeoutError:
            return
        if self._cut:
            raise ConnectionResetError("the server closed the connection")

    def _terminated(self, _connection: object) -> None:
        self._cut = True
        self._stirred.set()

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._heard(str(payload))
