"""Partitions of ``usage_logs``: one for each day (UTC), made before the day begins."""

from datetime import UTC, date, datetime, timedelta

from tollway.storage.pool import Connection

AHEAD_DAYS = 7
"""With a week made ahead, making them can fail for days before a row goes to the default partition."""

_LOCK = 0x746F6C6C7573


async def ensure(connection: Connection, now: datetime, ahead_days: int = AHEAD_DAYS) -> list[date]:
    """Make the partitions of today and the next ``ahead_days`` days that are missing; returns the days made.

    Safe from several instances at once, and beside running inserts: a new partition is filled with the rows that
    the default partition holds of its day, then attached. No lock is waited for longer than half a second.

    Raises:
        asyncpg.LockNotAvailableError: somebody uses the table in a way that forbids it; try again later.
    """
    first = now.astimezone(UTC).date()
    wanted = [first + timedelta(days=offset) for offset in range(ahead_days + 1)]
    if not await _missing(connection, wanted):
        return []
    async with connection.transaction():
        await connection.execute("set local lock_timeout = '500ms'")
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        missing = await _missing(connection, wanted)
        for day in missing:
            await _make(connection, day)
        return missing


async def _missing(connection: Connection, days: list[date]) -> list[date]:
    found = await connection.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'usage_logs'::regclass"
    )
    existing = {row["name"] for row in found}
    return [day for day in days if _name(day) not in existing]


async def _make(connection: Connection, day: date) -> None:
    # DDL takes no parameters; both values are built from a date.
    name = _name(day)
    begin, end = (f"'{moment.isoformat()} 00:00:00+00'" for moment in (day, day + timedelta(days=1)))
    in_day = f"created_at >= {begin} and created_at < {end}"
    await connection.execute(
        f"""
        create table {name} (like usage_logs including all);
        with moved as (delete from usage_logs_default where {in_day} returning *)
            insert into {name} select * from moved;
        -- Without this the attachment would read the whole table to check it.
        alter table {name} add constraint {name}_day check ({in_day});
        alter table usage_logs attach partition {name} for values from ({begin}) to ({end});
        alter table {name} drop constraint {name}_day;
        """  # noqa: S608 -- see above
    )


def _name(day: date) -> str:
    return f"usage_logs_{day:%Y%m%d}"
