"""Changes of keys, as they happen: PostgreSQL's notifications, and a question every two seconds in case one is lost.

In: a DSN. Out: a call for every key or tenant that changed, so that what the data plane remembers of it is forgotten.
With notifications working a revoked key is refused at once, without them within :data:`POLL_S` and a round trip;
while the database is out of reach nothing can be known, and :attr:`KeyChanges.down_since` says since when.
"""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import asyncpg
import msgspec

from tollway.contract.keys import KeyChange
from tollway.storage.pool import FAILED

CHANNEL = "tollway_keys"
POLL_S = 2.0
SLACK_S = 15.0
"""A row is stamped when it is written and seen when its transaction commits: so long may lie between the two.

Longer than the pool's ``statement_timeout``, and no change of a key takes more than a few statements.
"""

_RETRY_CAP_S = 2.0
_PATIENCE_S = 2.0
_MOST_CHANGES = 10_000

_CHANGED = f"""
    (select 'key' as kind, encode(key_hash, 'hex') as id, updated_at from api_keys where updated_at > $1)
    union all
    (select 'tenant', id, updated_at from tenants where updated_at > $1)
    limit {_MOST_CHANGES + 1}
"""  # noqa: S608 -- a number of ours


class _Announcement(msgspec.Struct):
    digest: str | None = None
    tenant_id: str | None = None


class KeyChanges:
    """Follows changes on a connection of its own.

    ``on_change`` may hear of a change twice. ``on_gap`` means that something may have been missed: forget
    everything that PostgreSQL told. Both are called on the event loop and must be quick.
    """

    def __init__(
        self,
        dsn: str,
        on_change: Callable[[KeyChange], None],
        on_gap: Callable[[], None],
        *,
        poll_s: float = POLL_S,
        slack_s: float = SLACK_S,
    ) -> None:
        self._dsn = dsn
        self._poll_s = poll_s
        self._slack_s = slack_s
        self._on_change = on_change
        self._on_gap = on_gap
        self._connected = False
        self._down_since: float | None = None
        self._last_ok: float | None = None
        self._asked_at: datetime | None = None
        self._told: dict[tuple[str, str], datetime] = {}

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

    async def _follow_once(self, silent_since: float) -> None:
        async with asyncio.timeout(2 * _PATIENCE_S):
            connection = await asyncpg.connect(
                self._dsn,
                timeout=_PATIENCE_S,
                command_timeout=_PATIENCE_S,
                server_settings={"application_name": "tollway changes"},
            )
        cut = asyncio.Event()
        connection.add_termination_listener(lambda _: cut.set())
        try:
            await connection.add_listener(CHANNEL, self._hear)
            if time.monotonic() - silent_since > self._slack_s:
                self._on_gap()
            while True:
                await self._ask(connection)
                self._connected = True
                self._down_since = None
                self._last_ok = time.monotonic()
                await self._pause(cut)
        finally:
            connection.terminate()  # closing politely would wait for a server that may be gone

    async def _pause(self, cut: asyncio.Event) -> None:
        """Until the next question; a connection that is cut is told at once, not by a question that fails."""
        try:
            async with asyncio.timeout(self._poll_s):
                await cut.wait()
        except TimeoutError:
            return
        raise ConnectionResetError("the server closed the connection")

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        try:
            said = msgspec.json.decode(str(payload), type=_Announcement)
            digest = None if said.digest is None else bytes.fromhex(said.digest)
        except ValueError:
            self._on_gap()  # somebody else's words, or a newer gateway's: forgetting too much is always safe
            return
        self._on_change(KeyChange(digest=digest, tenant_id=said.tenant_id))

    async def _ask(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        now: datetime = await connection.fetchval("select clock_timestamp()")
        since = (self._asked_at or now) - timedelta(seconds=self._slack_s)
        rows = await connection.fetch(_CHANGED, since)
        self._asked_at = now
        if len(rows) > _MOST_CHANGES:
            self._told = {}
            self._on_gap()
            return
        seen = {(row["kind"], row["id"]): row["updated_at"] for row in rows}
        for (kind, name), updated_at in seen.items():
            if self._told.get((kind, name)) != updated_at:
                is_key = kind == "key"
                self._on_change(KeyChange(bytes.fromhex(name) if is_key else None, None if is_key else name))
        self._told = seen
