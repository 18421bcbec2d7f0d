"""The database's schema: numbered SQL files, applied once, in order, forwards only.

In: a DSN and a folder of ``0001_name.sql`` files. Out: a schema that is exactly this version's. Any number of
instances may start at once: one holds the advisory lock and migrates, the others wait and find it done. Each file
is one transaction with its entry in ``schema_migrations``, so a ``kill -9`` leaves whole files only. Going back is
not offered: a file that was applied never changes, and a database that is ahead of the code is refused.
"""

import asyncio
import hashlib
import random
import re
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec

from tollway.storage.pool import Connection

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 0x746F6C6C776179  # "tollway": the key of the advisory lock, which is per database
_LOCK_POLL_S = 0.1
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class MigrationRefused(Exception):
    """The schema can't be brought to this version; the message says why and what helps."""


class Migration(msgspec.Struct, frozen=True):
    """One file. ``checksum`` is the SHA-256 of its bytes, in hex."""

    version: int
    name: str
    checksum: str
    sql: str = ""


async def migrate(
    dsn: str,
    *,
    directory: Path = MIGRATIONS,
    deadline_s: float = 60.0,
    ddl_lock_timeout_ms: int = 500,
) -> list[Migration]:
    """Apply what is missing, and return it.

    Waits up to ``deadline_s`` for another instance that is migrating. A statement waits at most
    ``ddl_lock_timeout_ms`` for a table: who waits for a lock holds up everybody behind him, so it is better to give
    up, let them pass, and try again until the deadline.

    Raises:
        MigrationRefused: an applied file has changed, the database is ahead, or a lock could not be had.
        asyncpg.PostgresError, OSError: the database is out of reach, or a file is wrong.
    """
    deadline = asyncio.get_running_loop().time() + deadline_s
    connection = await asyncpg.connect(
        dsn,
        timeout=10.0,
        server_settings={
            "application_name": "tollway migrate",
            "lock_timeout": str(ddl_lock_timeout_ms),
            "statement_timeout": "0",
            "client_min_messages": "warning",
            # The server notices within this time that we were killed, and gives the lock to the next instance.
            "client_connection_check_interval": "1000",
        },
    )
    try:
        await _take_lock(connection, deadline, deadline_s)
        await connection.execute(_CREATE_LEDGER)
        missing = await pending(connection, directory=directory)
        for migration in missing:
            await _apply(connection, migration, deadline)
        return missing
    finally:
        await connection.close(timeout=5.0)


async def pending(connection: Connection, *, directory: Path = MIGRATIONS) -> list[Migration]:
    """The migrations that this database lacks, in order; all of them when it is empty. Changes nothing.

    Raises:
        MigrationRefused: the database does not go with this version of the code.
    """
    known = _read(directory)
    applied = await _applied(connection)
    _check(known, applied)
    return known[len(applied) :]


async def is_current(connection: Connection, *, directory: Path = MIGRATIONS) -> bool:
    """Whether the schema is exactly what this version of the code expects."""
    try:
        return not await pending(connection, directory=directory)
    except MigrationRefused:
        return False


_CREATE_LEDGER = """
    create table if not exists schema_migrations (
        version    integer     primary key,
        name       text        not null,
        checksum   text        not null,
        applied_at timestamptz not null default now()
    )
"""


async def _take_lock(connection: Connection, deadline: float, deadline_s: float) -> None:
    clock = asyncio.get_running_loop().time
    while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
        if clock() >= deadline:
            raise MigrationRefused(
                f"another instance has been migrating this database for {deadline_s:.0f} s; "
                "start again when it is done (pg_stat_activity shows it as 'tollway migrate')"
            )
        await asyncio.sleep(_LOCK_POLL_S)


async def _apply(connection: Connection, migration: Migration, deadline: float) -> None:
    clock = asyncio.get_running_loop().time
    while True:
        try:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "insert into schema_migrations (version, name, checksum) values ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
            return
        except asyncpg.LockNotAvailableError as error:
            if clock() >= deadline:
                raise MigrationRefused(
                    f"migration {migration.version:04} ({migration.name}) could not lock a table that others "
                    "are using: end the long transactions, then start again"
                ) from error
            await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311 -- jitter, not a secret


async def _applied(connection: Connection) -> list[Migration]:
    if not await connection.fetchval("select to_regclass('schema_migrations') is not null"):
        return []
    rows = await connection.fetch("select version, name, checksum from schema_migrations order by version")
    return [Migration(row["version"], row["name"], row["checksum"]) for row in rows]


def _check(known: Sequence[Migration], applied: Sequence[Migration]) -> None:
    if len(applied) > len(known):
        first = applied[len(known)]
        raise MigrationRefused(
            f"the database has migration {first.version:04} ({first.name}), which this version of Tollway does not "
            "know: it was migrated by a newer one. Start that one; an older version never runs on a newer schema."
        )
    for ours, theirs in zip(known, applied, strict=False):
        if ours.version != theirs.version:
            raise MigrationRefused(
                f"migration {ours.version:04} ({ours.name}) is missing from the database although "
                f"{theirs.version:04} ({theirs.name}) was applied"
            )
        if ours.checksum != theirs.checksum:
            raise MigrationRefused(
                f"migration {ours.version:04} ({ours.name}) was changed after it was applied to this database; "
                "put the file back as it was and make the change in a new one"
            )


def _read(directory: Path) -> list[Migration]:
    found: list[Migration] = []
    for path in sorted(directory.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None or int(match[1]) != len(found) + 1:
            raise MigrationRefused(f"{path.name}: migrations are named 0001_name.sql and numbered without gaps")
        content = path.read_bytes()
        found.append(Migration(int(match[1]), match[2], hashlib.sha256(content).hexdigest(), content.decode()))
    return found
