"""The gateway's database, as a command reaches it: on a connection of its own, not through the gateway.

In: settings. Out: what some work on a connection returns. The embedded PostgreSQL of a running gateway is used as it
is; where none runs, it is started for the time of the command, under the gateway's own lock.
"""

import asyncio
import fcntl
import os
import pwd
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import asyncpg

from tollway.charge import Places
from tollway.cli.exits import CommandFailed
from tollway.cli.printing import note
from tollway.control.tenants.queries import Declared
from tollway.settings import Settings
from tollway.storage import pool
from tollway.storage.account import AccountUnusable
from tollway.storage.embedded import EmbeddedPostgres, EmbeddedPostgresFailed
from tollway.storage.migrate import MigrationRefused, migrate
from tollway.storage.pool import Connection
from tollway.supervisor import CannotStart, hold

STARTING_S = 30.0
"""How long a gateway that has just been started may need for its PostgreSQL."""

Result = TypeVar("Result")

_OTHER_SCHEMA = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)


def ask(settings: Settings, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    """What ``work`` returns, done on a connection to the gateway's database.

    Raises:
        CommandFailed: the database is out of reach, or its schema is not this version's.
    """
    with reached(settings) as dsn:
        return asyncio.run(on_connection(dsn, work))


async def on_connection(dsn: str, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    """The same where the address is known already.

    Raises:
        CommandFailed: as above.
    """
    try:
        connection = await asyncpg.connect(
            dsn, timeout=5.0, command_timeout=60.0, server_settings={"application_name": "tollway cli"}
        )
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=2.0)
    except _OTHER_SCHEMA as error:
        raise CommandFailed("The database's schema is not this version's. Bring it there: tollway migrate") from error
    except pool.FAILED as error:
        raise unreachable(error) from error


@contextmanager
def reached(settings: Settings, *, migrated: bool = True) -> Iterator[str]:
    """The database's address, good inside the block.

    A server that is started here is ``migrated``, as the gateway would do it at its start.

    Raises:
        CommandFailed: it can't be started.
    """
    if not settings.storage.is_embedded:
        yield settings.storage.postgres.reveal()
        return
    try:
        with _embedded(Places(Path(settings.storage.data_dir)), migrated=migrated) as dsn:
            yield dsn
    except (EmbeddedPostgresFailed, AccountUnusable, MigrationRefused) as error:
        raise CommandFailed(str(error)) from error


def unreachable(error: Exception) -> CommandFailed:
    """The sentence for a database that does not answer."""
    return CommandFailed(f"The database does not answer: {str(error) or type(error).__name__}")


def declared(settings: Settings) -> Declared:
    """What the configuration file declares, which is changed there and not here."""
    return Declared(tenants=frozenset(settings.tenants), policies=frozenset(settings.guardrails))


def actor() -> str:
    """How the audit trail names whoever runs this command: by the system's account."""
    try:
        return f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"cli:{os.getuid()}"


def serving(places: Places) -> bool:
    """Whether a gateway runs on this host, in this data directory.

    Raises:
        CommandFailed: the directory is another account's.
    """
    if not places.lock.exists():
        return False
    with _queue(places) as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)  # commands that run the gateway's PostgreSQL hold its lock, and queue
        held = _held(places)
        if held is None:
            return True
        held.close()
        return False


@contextmanager
def _embedded(places: Places, *, migrated: bool) -> Iterator[str]:
    with _queue(places) as queue:
        # Commands queue here before they look at the gateway's lock: whoever then finds that one taken knows that a
        # gateway has it, and not another command that is about to stop its server.
        fcntl.flock(queue, fcntl.LOCK_EX)
        held = _held(places)
        if held is not None:
            with held, EmbeddedPostgres(places.data_dir, tell=note) as dsn:
                if migrated:
                    asyncio.run(_migrate(dsn))
                yield dsn
            return
    yield _of_running_gateway(places)


def _queue(places: Places) -> IO[str]:
    try:
        places.make()
        return places.lock.with_name("command").open("a+")
    except OSError as error:
        raise _not_ours(error, places) from error


def _held(places: Places) -> IO[str] | None:
    """The gateway's lock; ``None`` when a gateway has it."""
    try:
        return hold(places.lock)
    except CannotStart:
        return None
    except OSError as error:
        raise _not_ours(error, places) from error


def _not_ours(error: OSError, places: Places) -> CommandFailed:
    where = error.filename or places.data_dir
    return CommandFailed(
        f"{where}: {error.strerror}. Is the gateway run by another account? Then run this as that one."
    )


async def _migrate(dsn: str) -> None:
    try:
        await migrate(dsn)
    except pool.FAILED as error:
        raise unreachable(error) from error


def _of_running_gateway(places: Places) -> str:
    server = EmbeddedPostgres(places.data_dir)
    deadline = time.monotonic() + STARTING_S
    while (dsn := server.running_dsn()) is None:
        if time.monotonic() > deadline:
            raise CommandFailed(f"A gateway uses {places.data_dir}, but its PostgreSQL does not answer.")
        time.sleep(0.1)
    return dsn
