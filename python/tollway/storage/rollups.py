"""The sums of usage rows, by hour and by day: what dashboards and bills read instead of the rows.

They are made by a trigger in the transaction that stores rows (migration 0009): always the sums of the rows, with each
row counted once. Rows that were there before the sums were are summed here, a day at a time.
"""

from datetime import date

from tollway.storage.pool import Connection

TABLES = ("usage_hourly", "usage_daily", "usage_tags_hourly")

_LOCK = 0x746F6C6C7375
_DAY_TIMEOUT_MS = 600_000


async def catch_up(connection: Connection) -> date | None:
    """Sum one day of which there were rows before there were sums; ``None`` when there is no such day left.

    The newest day first: it is what people look at. Rows that arrive meanwhile wait in their journals.

    Raises:
        asyncpg.LockNotAvailableError: others are inserting; try again later.
    """
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = '2s'; set local statement_timeout = {_DAY_TIMEOUT_MS}")
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        day: date | None = await connection.fetchval("select max(day) from usage_unsummed")
        if day is not None:
            await connection.execute("select sum_usage_of($1)", day, timeout=_DAY_TIMEOUT_MS / 1000 + 1)
        return day
