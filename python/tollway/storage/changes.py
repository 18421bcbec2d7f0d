"""Changes of keys, as they happen: PostgreSQL's notifications, and a question every two seconds in case one is lost.

In: a DSN. Out: a call for every key or tenant that changed, so that what the data plane remembers of it is forgotten.
With notifications working a revoked key is refused at once, without them within :data:`POLL_S` and a round trip;
while the database is out of reach nothing can be known, and :attr:`KeyChanges.down_since` says since when.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from tollway.contract.keys import KeyChange
from tollway.storage.pool import Connection
from tollway.storage.subscription import POLL_S, Subscription

CHANNEL = "tollway_keys"
SLACK_S = 15.0
"""A row is stamped when it is written and seen when its transaction commits: so long may lie between the two.

Longer than the pool's ``statement_timeout``, and no change of a key takes more than a few statements.
"""

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
        self._slack_s = slack_s
        self._on_change = on_change
        self._on_gap = on_gap
        self._asked_at: datetime | None = None
        self._told: dict[tuple[str, str], datetime] = {}
        self._subscription = Subscription(
            dsn,
            CHANNEL,
            application_name="tollway changes",
            ask=self._ask,
            heard=self._hear,
            listening=self._listening,
            poll_s=poll_s,
        )

    @property
    def connected(self) -> bool:
        """Whether notifications arrive now, as far as the last question can tell."""
        return self._subscription.connected

    @property
    def down_since(self) -> float | None:
        """``time.monotonic()`` of the moment when the database was found to be out of reach; ``None`` while it is not,
        and before the first try has ended."""
        return self._subscription.down_since

    @property
    def last_ok(self) -> float | None:
        """``time.monotonic()`` of the last answered question; ``None`` before the first."""
        return self._subscription.last_ok

    async def follow(self) -> None:
        """Follow for ever, through outages; ends when it is cancelled."""
        await self._subscription.follow()

    def _listening(self, silent_s: float) -> None:
        if silent_s > self._slack_s:
            self._on_gap()

    def _hear(self, payload: str) -> None:
        try:
            said = msgspec.json.decode(payload, type=_Announcement)
            digest = None if said.digest is None else bytes.fromhex(said.digest)
        except ValueError:
            self._on_gap()  # somebody else's words, or a newer gateway's: forgetting too much is always safe
            return
        self._on_change(KeyChange(digest=digest, tenant_id=said.tenant_id))

    async def _ask(self, connection: Connection) -> None:
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
