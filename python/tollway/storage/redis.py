"""One Redis, as one process sees it: commands that are answered or not, and a channel that is heard.

In: an address, commands, a channel. Out: answers, or ``None`` when there are none; what others publish; whether Redis
answers now. It never raises into its callers and never waits longer than :data:`PATIENCE_S` for an answer. It
connects again for ever, with a jittered back-off; that Redis was lost is logged once, that it is back once. The
address holds a password: no text of an error is ever shown, only its kind.

Protocol: RESP2, which every server speaks, https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Sequence

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tollway.storage.commands import MEMORY, Command, first_of
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

PATIENCE_S = 1.0
"""An answer that takes longer is none."""

PULSE_S = 0.5
"""How often Redis is asked for a sign of life. Each worker of each host does so, which is most of what an idle Redis
hears: hence no oftener."""

WRITTEN_EVERY = 4
"""Of so many signs of life one is asked to write, and for the time: clocks don't part in two seconds."""

PINGED_EVERY = 2
"""With one of so many the connection that listens is asked too."""

LISTENING_PATIENCE_S = 2.0
"""A connection that listens and hears nothing for so long, not even the answers to its pings, is dead."""

SILENCE_S = 1.25
"""Without one for so long, Redis counts as lost. Shorter outages are nobody's business."""

FAILED: tuple[type[Exception], ...] = (
    RedisError,  # refused, cut, read-only, loading, out of memory, a wrong password, no Redis at all
    OSError,  # TimeoutError is one too
    EOFError,
    ValueError,  # an answer that is none: numbers that are no numbers
    RecursionError,  # or lists within lists within lists
)
"""Any reason for which Redis has not answered."""

_RETRY_CAP_S = 1.0
_FLAPPING_CAP_S = 30.0
_STEADY_S = 10.0
_SCHEMES = ("redis://", "rediss://")


class RedisLink:
    """Two connections to one Redis: one asks, one listens to ``channel``.

    ``hear`` gets what anybody publishes there, this process too; ``on_change`` is told when Redis is lost (``False``)
    and when it answers again (``True``), at first too. Both are called on the event loop and must be quick.

    Raises:
        ValueError: ``url`` is none of ``redis://`` or ``rediss://`` that could be used; the text does not repeat it.
    """

    def __init__(
        self,
        url: str,
        channel: str,
        hear: Callable[[bytes], None],
        on_change: Callable[[bool], None],
        log: Log,
        metrics: Metrics,
    ) -> None:
        self._pool = open_pool(url)
        self._client = Redis(connection_pool=self._pool)
        self._channel = channel
        self._hear = hear
        self._on_change = on_change
        self._log = log
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._cut = asyncio.Event()
        self._is_open = False
        self._is_connected = False
        self._is_told_lost = False
        self._answered_at = 0.0
        self._cause = "silence"
        self._ahead_s = 0.0
        self._memory = b""
        self._connections = 0
        self._pulses = 0

    @property
    def connected(self) -> bool:
        """Whether Redis has answered within :data:`SILENCE_S`."""
        return self._is_connected

    @property
    def connections(self) -> int:
        """How often a connection was made. Another number than before: something may have been missed."""
        return self._connections

    @property
    def memory(self) -> bytes:
        """A name that stays the same for as long as Redis remembers: another one, and it has started empty, or was
        emptied, or another one took its place."""
        return self._memory

    def now_ms(self) -> int:
        """The time in Unix milliseconds by the clock of Redis, which all hosts share, off by half a round trip."""
        return round((time.monotonic() + self._ahead_s) * 1000)

    async def ask(self, *commands: Command) -> Sequence[object] | None:
        """The answers to ``commands``, carried out as one transaction.

        ``None``: Redis cannot be reached, or refused one of them; it may have carried them out all the same. Then
        the connections are made anew.
        """
        if not self._is_open:
            return None
        try:
            return await self._asked(commands)
        except FAILED as error:
            self._cause = type(error).__name__
            self._cut.set()
            return None

    async def run(self) -> None:
        """Keeps the connections, for ever, through outages; ends when it is cancelled, with both closed."""
        self._metrics.redis_connected(connected=False)
        self._answered_at = time.monotonic()
        try:
            await first_of(self._watch(), self._keep())
        finally:
            self._lose()

    async def _keep(self) -> None:
        refusals = breaks = 0
        while True:
            before, since = self._connections, time.monotonic()
            await self._connect_once()
            if self._connections == before:
                refusals += 1
            else:
                refusals, breaks = 0, breaks + 1
                if time.monotonic() - since > _STEADY_S:
                    breaks = 0
            # Connections that are made and break again and again must not make the log of it longer and longer.
            pause = max(
                min(_RETRY_CAP_S, 0.05 * 2 ** min(refusals, 10)), min(_FLAPPING_CAP_S, 0.05 * 2 ** min(breaks, 10))
            )
            await asyncio.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311

    async def _connect_once(self) -> None:
        """One life of the connections: returns when one of them is cut."""
        listening = self._client.pubsub()
        self._cut.clear()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await listening.subscribe(self._channel)
            self._pulses = 0
            await self._pulse()
            self._connections += 1
            self._is_open = True
            self._answered()
            await first_of(self._listen(listening), self._beat(listening))
        except FAILED as error:
            self._cause = type(error).__name__
        finally:
            self._is_open = False
            await self._close(listening)

    async def _listen(self, listening: PubSub) -> None:
        while True:
            message = await listening.get_message(timeout=LISTENING_PATIENCE_S)
            if message is None:  # not even an answer to a ping
                raise TimeoutError
            if message["type"] == "message":
                self._hear(bytes(message["data"]))
            await asyncio.sleep(0)  # a flood of messages must not keep the loop

    async def _beat(self, listening: PubSub) -> None:
        """Until a command fails, whose cause is noted."""
        while not self._cut.is_set():
            if self._pulses % PINGED_EVERY == 0:
                await listening.ping()
            await self._pulse()
            try:
                async with asyncio.timeout(PULSE_S):
                    await self._cut.wait()
            except TimeoutError:
                continue

    async def _pulse(self) -> None:
        """A sign of life that asks for the memory's name; now and then it also sets the clock, and fails where nothing
        can be written: a Redis that only reads is no help."""
        is_whole = self._pulses % WRITTEN_EVERY == 0
        if is_whole:
            await self._set_clock()
        (memory,) = await self._asked((("GET", MEMORY),))
        if memory is None or is_whole:
            named = (("SET", MEMORY, uuid.uuid4().hex, "NX"), ("GET", MEMORY))
            _, memory = await self._asked(named, as_one=False)
        if not isinstance(memory, bytes):
            raise ValueError("not the answers of a Redis")
        self._pulses += 1
        self._memory = memory

    async def _set_clock(self) -> None:
        asked_at = time.monotonic()
        (told,) = await self._asked((("TIME",),))
        answered_at = time.monotonic()
        if not isinstance(told, tuple):
            raise ValueError("not the answer of a Redis")
        seconds, microseconds = told
        self._ahead_s = seconds + microseconds / 1_000_000 - (asked_at + answered_at) / 2

    async def _asked(self, commands: Sequence[Command], *, as_one: bool = True) -> Sequence[object]:
        """One command is a transaction by itself."""
        transaction = as_one and len(commands) > 1
        async with self._turn, asyncio.timeout(PATIENCE_S), self._client.pipeline(transaction=transaction) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            answers: Sequence[object] = await pipeline.execute()
        if self._is_open:
            self._answered()
        return answers

    def _answered(self) -> None:
        now = time.monotonic()
        silent_s, self._answered_at = now - self._answered_at, now
        if self._is_connected:
            return
        self._is_connected = True
        self._metrics.redis_connected(connected=True)
        if self._is_told_lost:
            self._is_told_lost = False
            self._log.info("redis_back", silent_s=round(silent_s, 1))
        self._on_change(True)

    async def _watch(self) -> None:
        """Tells of the silence while the connections are still being waited for."""
        every_s = PULSE_S / 2
        while True:
            slept_at = time.monotonic()
            await asyncio.sleep(every_s)
            now = time.monotonic()
            if now - slept_at > 2 * every_s:  # it was this process that was held up: what arrived was not read yet
                continue
            if now - self._answered_at > SILENCE_S and not self._is_told_lost:
                self._is_told_lost = True
                self._log.warning("redis_lost", cause=self._cause)
                self._lose()

    def _lose(self) -> None:
        if self._is_connected:
            self._is_connected = False
            self._metrics.redis_connected(connected=False)
            self._on_change(False)

    async def _close(self, listening: PubSub) -> None:
        try:
            await listening.aclose()  # type: ignore[no-untyped-call]
            await self._pool.disconnect()
        except FAILED:  # it was cut anyway
            pass


def open_pool(url: str, *, patience_s: float = PATIENCE_S, most: int = 4) -> ConnectionPool:
    """Made, and tried without connecting: an option of the address that nobody knows shows now. ``most`` connections,
    each of which waits for ``patience_s`` at most.

    Raises:
        ValueError: the address cannot be used; the text does not repeat it.
    """
    if not url.startswith(_SCHEMES):
        raise ValueError("the address of Redis begins with redis:// or rediss://")
    try:
        pool = ConnectionPool.from_url(
            url,
            max_connections=most,
            socket_timeout=patience_s,
            socket_connect_timeout=min(patience_s, PATIENCE_S),
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
            client_name="tollway",
        )
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, AttributeError, RedisError):
        raise ValueError("the address of Redis cannot be used") from None  # its parts, quoted, may be the password's
    return pool
