"""Partitions of usage rows and of their sums: made before their time begins, dropped when it is over for good.

Rows have one for each day (UTC), sums one for each month. What no partition takes is in a default one.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import msgspec

from tollway.storage.pool import Connection

AHEAD_DAYS = 7
"""With a week made ahead, making them can fail for days before a row goes to the default partition."""

AHEAD_MONTHS = 1

_LOCK = 0x746F6C6C7573
_FULL_PER_CENT = 60
"""Of a page of sums: an update finds room beside the line it replaces, and no index has to learn of it."""


class Partitioned(msgspec.Struct, frozen=True):
    """A table and how it is cut up."""

    name: str
    column: str
    unit: Literal["day", "month"]

    def first(self, moment: date) -> date:
        """When the partition that holds ``moment`` begins."""
        return moment if self.unit == "day" else moment.replace(day=1)

    def following(self, first: date) -> date:
        """When the one after it begins."""
        return self.first(first + timedelta(days=1 if self.unit == "day" else 31))

    def partition(self, first: date) -> str:
        """The name of the partition that begins then."""
        return f"{self.name}_{first:%Y%m%d}" if self.unit == "day" else f"{self.name}_{first:%Y%m}"

    def begins(self, partition: str) -> date | None:
        """When a partition of this name begins; ``None`` for the default one, and for one that is not ours."""
        text = partition.removeprefix(f"{self.name}_")
        try:
            return datetime.strptime(text, "%Y%m%d" if self.unit == "day" else "%Y%m").date()
        except ValueError:
            return None

    def wanted(self, today: date, count: int) -> list[date]:
        """The beginnings of the partition that holds ``today`` and of the ``count`` after it."""
        found = [self.first(today)]
        for _ in range(count):
            found.append(self.following(found[-1]))
        return found


ROWS = Partitioned("usage_logs", "created_at", "day")
SUMS = tuple(Partitioned(name, "bucket", "month") for name in ("usage_hourly", "usage_daily", "usage_tags_hourly"))


async def ensure(connection: Connection, now: datetime, ahead_days: int = AHEAD_DAYS) -> list[date]:
    """Make the partitions of today and the next ``ahead_days`` days that are missing; returns the days made.

    The months of the sums are made with them. Safe from several instances at once, and beside running inserts: a new
    partition is filled with the rows that the default partition holds of its time, then attached. No lock is waited
    for longer than half a second.

    Raises:
        asyncpg.LockNotAvailableError: somebody uses the table in a way that forbids it; try again later.
    """
    today = now.astimezone(UTC).date()
    wanted = {ROWS: ROWS.wanted(today, ahead_days)} | {sums: sums.wanted(today, AHEAD_MONTHS) for sums in SUMS}
    if not any([await _missing(connection, table, firsts) for table, firsts in wanted.items()]):
        return []
    async with connection.transaction():
        await _begin(connection)
        days: list[date] = []
        for table, firsts in wanted.items():
            missing = await _missing(connection, table, firsts)
            if missing and table is not ROWS:  # sums change under whoever moves them, unless nobody stores rows
                await connection.execute("lock table only usage_logs in share row exclusive mode")
            for first in missing:
                await _make(connection, table, first)
            days += missing if table is ROWS else []
        return days


async def drop(connection: Connection, now: datetime, keep: Mapping[str, timedelta]) -> list[str]:
    """Drop the partitions whose time is over: all that ended longer ago than ``keep`` says for their table.

    What is not named in ``keep`` is kept. Rows of such a time that came late are in the default partition: they are
    given one of their own, and that is dropped. Each partition is dropped by itself, so that no lock is held for long;
    returns their names, oldest first.

    Raises:
        asyncpg.LockNotAvailableError: somebody uses the table; what is left goes the next time.
    """
    dropped = []
    for table in (ROWS, *SUMS):
        if (kept := keep.get(table.name)) is None:
            continue
        until = (now.astimezone(UTC) - kept).date()
        for first in await _over(connection, table, until):
            async with connection.transaction():
                await _begin(connection)
                name = table.partition(first)
                if await _missing(connection, table, [first]):
                    await _make(connection, table, first)
                await connection.execute(f"drop table {name}")
                if table is ROWS:
                    await connection.execute("delete from usage_unsummed where day = $1", first)
            dropped.append(name)
    return dropped


async def _begin(connection: Connection) -> None:
    await connection.execute("set local lock_timeout = '500ms'")
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)


async def _over(connection: Connection, table: Partitioned, until: date) -> list[date]:
    """The beginnings of partitions that end at ``until`` or before, also of those that are only in the default one."""
    firsts = {table.begins(name) for name in await _existing(connection, table)}
    late = await connection.fetch(
        f"select distinct ({table.column} at time zone 'UTC')::date as day from {table.name}_default "  # noqa: S608 -- ours
        f"where {table.column} < $1::date::timestamp at time zone 'UTC'",
        until,
    )
    firsts |= {table.first(row["day"]) for row in late}
    return sorted(first for first in firsts if first is not None and table.following(first) <= until)


async def _existing(connection: Connection, table: Partitioned) -> set[str]:
    found = await connection.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::text::regclass", table.name
    )
    return {row["name"] for row in found}


async def _missing(connection: Connection, table: Partitioned, firsts: list[date]) -> list[date]:
    existing = await _existing(connection, table)
    return [first for first in firsts if table.partition(first) not in existing]


async def _make(connection: Connection, table: Partitioned, first: date) -> None:
    # DDL takes no parameters; all values are built from dates and names of ours.
    name = table.partition(first)
    begin, end = (f"'{moment.isoformat()} 00:00:00+00'" for moment in (first, table.following(first)))
    within = f"{table.column} >= {begin} and {table.column} < {end}"
    room = "" if table is ROWS else f"with (fillfactor = {_FULL_PER_CENT})"
    await connection.execute(
        f"""
        create table {name} (like {table.name} including all) {room};
        with moved as (delete from {table.name}_default where {within} returning *)
            insert into {name} select * from moved;
        -- Without this the attachment would read the whole table to check it.
        alter table {name} add constraint {name}_within check ({within});
        alter table {table.name} attach partition {name} for values from ({begin}) to ({end});
        alter table {name} drop constraint {name}_within;
        """  # noqa: S608 -- see above
    )
