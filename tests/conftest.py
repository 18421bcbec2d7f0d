"""One real PostgreSQL for the whole run, and a fresh, migrated database for each test that asks for one."""

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tollway.storage.cluster import DATABASE
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.migrate import migrate
from tollway.storage.pool import connect

_TEMPLATE = "migrated"
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _apart(work: Coroutine[Any, Any, Any]) -> Any:
    """Run ``work`` on a loop of its own: the test's loop, if there is one, is not disturbed."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _named(dsn: str, database: str) -> str:
    return dsn.replace(f"@/{DATABASE}?", f"@/{database}?")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The DSN of the run's server; for tests that make their own databases."""
    data_dir = Path(tempfile.mkdtemp(prefix="tollway-test-"))
    server = EmbeddedPostgres(data_dir, options=UNSAFE_BUT_FAST)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(data_dir)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> str:
    """The name of a database that has every migration and no rows."""
    _apart(_execute(postgres_server, f"create database {_TEMPLATE}"))
    _apart(migrate(_named(postgres_server, _TEMPLATE)))
    return _TEMPLATE


@contextmanager
def _databases(server: str) -> Iterator[Callable[[str], str]]:
    made: list[str] = []

    def make(template: str) -> str:
        name = f"test_{uuid.uuid4().hex}"
        _apart(_execute(server, f"create database {name} template {template} strategy file_copy"))
        made.append(name)
        return _named(server, name)

    yield make
    for name in made:
        _apart(_execute(server, f"drop database {name} with (force)"))


@pytest.fixture
def new_database(postgres_server: str) -> Iterator[Callable[[str], str]]:
    """Makes a database out of another one (``template1``: an empty one) for this test; returns its DSN."""
    with _databases(postgres_server) as make:
        yield make


@pytest.fixture(scope="module")
def lasting_dsn(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """A migrated database for all tests of a module."""
    with _databases(postgres_server) as make:
        yield make(migrated_template)


@pytest.fixture
def empty_dsn(new_database: Callable[[str], str]) -> str:
    """A database of one's own without any table."""
    return new_database("template1")


@pytest.fixture
def postgres_dsn(new_database: Callable[[str], str], migrated_template: str) -> str:
    """A database of one's own with every migration and no rows."""
    return new_database(migrated_template)


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool on ``postgres_dsn``."""
    opened = await connect(postgres_dsn, application_name="test")
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A server of one's own, not started yet: to be stopped, killed and started at will."""
    data_dir = Path(tempfile.mkdtemp(prefix="tollway-test-"))
    server = EmbeddedPostgres(data_dir, options=UNSAFE_BUT_FAST)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(data_dir)
