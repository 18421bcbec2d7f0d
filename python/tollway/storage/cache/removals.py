"""What is to be forgotten of cached answers, as PostgreSQL tells every host; and the secret that answers are sealed by.

In: a DSN. Out: a call for every removal, those of old first, then the secret: nothing that was sealed is opened before
it is known what was removed since. A removal is heard at once, and found within
:data:`~tollway.storage.subscription.POLL_S` and a round trip when its announcement is lost.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg
import msgspec

from tollway.contract.cache import Selection
from tollway.storage.pool import Connection
from tollway.storage.subscription import POLL_S, Subscription

CHANNEL = "tollway_cache"
KEPT = timedelta(days=31)
"""No answer lives longer: older removals mean nothing."""

SLACK_S = 15.0
"""A row is stamped when it is written and seen when its transaction commits: so long may lie between the two."""

RECENT_MS = 10_000
SKEW_MS = 5_000
"""Hosts' clocks are taken to be no further apart, where a removal is heard late."""

MOST_ROWS = 10_000

_ROWS = f"""
    select id, at, tenant_id, key_id, model, key, before_ms from cache_removals
    where at > $1 order by at desc, id desc limit {MOST_ROWS + 1}
"""  # noqa: S608 -- a number of ours


class Said(NamedTuple):
    """A removal, when it was said, in Unix milliseconds by the clock of PostgreSQL, and how long ago."""

    selection: Selection
    at_ms: int
    age_ms: int


class CacheRemovals:
    """Follows removals on a connection of its own. ``removed`` and ``learned`` are called on the event loop and must be
    quick; the latter gets the secret."""

    def __init__(
        self,
        dsn: str,
        removed: Callable[[Said], None],
        learned: Callable[[bytes], None],
        *,
        poll_s: float = POLL_S,
    ) -> None:
        self._removed = removed
        self._learned = learned
        self._has_learned = False
        self._asked_at: datetime | None = None
        self._told: set[int] = set()
        self._subscription = Subscription(
            dsn, CHANNEL, application_name="tollway cache", ask=self._ask, heard=self._hear, poll_s=poll_s
        )

    @property
    def connected(self) -> bool:
        """Whether removals are heard now, as far as the last question can tell."""
        return self._subscription.connected

    async def learn(self) -> bool:
        """Ask once, before anybody is served; ``False`` when the database is out of reach, which takes seconds to know:
        then nothing is opened or sealed until it is back."""
        return await self._subscription.ask_once()

    async def follow(self) -> None:
        """Follow for ever, through outages; ends when it is cancelled."""
        await self._subscription.follow()

    def _hear(self, _payload: str) -> None:
        self._subscription.ask_soon()

    async def _ask(self, connection: Connection) -> None:
        now: datetime = await connection.fetchval("select clock_timestamp()")
        since = now - KEPT if self._asked_at is None else self._asked_at - timedelta(seconds=SLACK_S)
        rows = await connection.fetch(_ROWS, since)
        for row in reversed(rows[:MOST_ROWS]):
            if row["id"] not in self._told:
                said_ms = _unix_ms(row["at"])
                self._removed(_said(_selection(row), said_ms, _unix_ms(now) - said_ms))
        if len(rows) > MOST_ROWS:  # all that is older counts as a removal of everything
            said_ms = _unix_ms(rows[-1]["at"])
            self._removed(Said(Selection(before_ms=said_ms + SKEW_MS), said_ms, _unix_ms(now) - said_ms))
        self._asked_at, self._told = now, {row["id"] for row in rows}
        if not self._has_learned:
            self._learned(await connection.fetchval("select secret from cache_secret"))
            self._has_learned = True


def _said(selection: Selection, at_ms: int, age_ms: int) -> Said:
    """One that is news means all that is there now; an older one only what was filled before it was said."""
    if age_ms <= RECENT_MS:
        return Said(selection, at_ms, age_ms)
    before_ms = at_ms + SKEW_MS if selection.before_ms is None else min(selection.before_ms, at_ms + SKEW_MS)
    return Said(msgspec.structs.replace(selection, before_ms=before_ms), at_ms, age_ms)


def _selection(row: asyncpg.Record) -> Selection:
    return Selection(
        tenant_id=row["tenant_id"],
        key_id=row["key_id"],
        model=row["model"],
        key=row["key"],
        before_ms=row["before_ms"],
    )


def _unix_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
