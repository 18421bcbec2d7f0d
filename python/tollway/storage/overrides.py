"""What people decided about targets, as they decide it: all of it, whenever it is not what it was.

In: a DSN. Out: a call with every override there is. A decision is heard at once, and found within
:data:`~tollway.storage.subscription.POLL_S` and a round trip when its announcement is lost. While the database is out
of reach the last known overrides stay: a target that somebody drained is not filled again by an outage.
"""

from collections.abc import Callable, Sequence

import asyncpg

from tollway.contract.routing import Override
from tollway.storage.pool import Connection
from tollway.storage.subscription import POLL_S, Subscription

CHANNEL = "tollway_router"
MOST_OVERRIDES = 10_000
"""Beyond so many the oldest are not heeded. There is one for each target, and one for each share, at most."""

CLOSING_S = 60
"""For so long a closing is told. It is an act and no state: a worker that starts tomorrow must not do it again."""

_ALL = f"""
    select target, alias, weight, drained, opened_until_ms,
           case when closed_at_ms > extract(epoch from clock_timestamp()) * 1000 - {CLOSING_S * 1000}
                then closed_at_ms end as closed_at_ms
    from (select * from router_overrides order by updated_at desc limit {MOST_OVERRIDES}) newest
    order by target, alias
"""  # noqa: S608 -- numbers of ours


async def current_overrides(connection: Connection) -> tuple[Override, ...]:
    """Every override there is, by target and alias.

    Raises:
        asyncpg.PostgresError, OSError: the database is out of reach.
    """
    return tuple(_override(row) for row in await connection.fetch(_ALL))


class OverrideChanges:
    """Follows overrides on a connection of its own.

    ``on_change`` is called on the event loop with all of them, and must be quick; not before there is one.
    """

    def __init__(self, dsn: str, on_change: Callable[[Sequence[Override]], None], *, poll_s: float = POLL_S) -> None:
        self._on_change = on_change
        self._last: tuple[Override, ...] = ()
        self._subscription = Subscription(
            dsn, CHANNEL, application_name="tollway router", ask=self._ask, heard=self._hear, poll_s=poll_s
        )

    @property
    def connected(self) -> bool:
        """Whether decisions are heard now, as far as the last question can tell."""
        return self._subscription.connected

    @property
    def last_ok(self) -> float | None:
        """``time.monotonic()`` of the last answered question; ``None`` before the first."""
        return self._subscription.last_ok

    async def learn(self) -> bool:
        """Ask once, before anybody is served: a worker that was just started must not fill what is drained. ``False``
        when the database is out of reach, which takes seconds to know."""
        return await self._subscription.ask_once()

    async def follow(self) -> None:
        """Follow for ever, through outages; ends when it is cancelled."""
        await self._subscription.follow()

    def _hear(self, _payload: str) -> None:
        self._subscription.ask_soon()

    async def _ask(self, connection: Connection) -> None:
        found = await current_overrides(connection)
        if found != self._last:
            self._on_change(found)
            self._last = found  # only now: what could not be taken is told again


def _override(row: asyncpg.Record) -> Override:
    return Override(
        target=row["target"],
        alias=row["alias"],
        weight=row["weight"],
        drained=row["drained"],
        opened_until_ms=row["opened_until_ms"],
        closed_at_ms=row["closed_at_ms"],
    )
