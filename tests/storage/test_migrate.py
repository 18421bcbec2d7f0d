"""Migrations: once, in order, by one instance at a time, and whole or not at all."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from tollway.storage.migrate import MIGRATIONS, MigrationRefused, is_current, migrate, pending

MIGRATE = """
import asyncio, sys
from pathlib import Path
from tollway.storage.migrate import migrate
applied = asyncio.run(migrate(sys.argv[1], directory=Path(sys.argv[2])))
print(len(applied))
"""

EVERY = len(list(MIGRATIONS.glob("*.sql")))

COLUMNS = """
    select table_name::text, column_name::text, data_type::text from information_schema.columns
    where table_schema = 'public' order by 1, 2
"""


@pytest.fixture
async def connection(empty_dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    opened = await asyncpg.connect(empty_dsn)
    yield opened
    await opened.close()


def _files(directory: Path, *contents: str) -> Path:
    directory.mkdir(exist_ok=True)
    for number, content in enumerate(contents, start=1):
        (directory / f"{number:04}_step.sql").write_text(content)
    return directory


def _start(dsn: str, directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", MIGRATE, dsn, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


async def _until(connection: "asyncpg.Connection[asyncpg.Record]", condition: str) -> None:
    while not await connection.fetchval(f"select {condition}"):  # noqa: ASYNC110 -- another process's doing
        await asyncio.sleep(0.02)


async def test_an_empty_database_becomes_current_once(
    empty_dsn: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    assert not await is_current(connection)
    assert [migration.version for migration in await pending(connection)] == list(range(1, EVERY + 1))
    assert len(await migrate(empty_dsn)) == EVERY
    assert await is_current(connection)
    assert await migrate(empty_dsn) == []


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("tenants", "id name email password_hash is_active is_admin rate_limit monthly_budget current_spend "
         "allowed_models allowed_providers logging_policy created_at updated_at"),
        ("users", "tenant_id email name role is_active"),
        ("api_keys", "tenant_id name key_hash key_prefix is_active environment rate_limit_override "
         "allowed_models_override expires_at"),
        ("usage_logs", "tenant_id api_key_id user_id model provider prompt_tokens completion_tokens cost latency_ms "
         "status"),
        ("audit_logs", "id"),
        ("sso_configs", "id"),
        ("provider_configs", "id"),
        ("budgets", "tenant_id name amount period rolling warn_at key_id user_id model tag per created_at updated_at"),
        ("budget_leases", "purse host granted spent shipped expires_at"),
        ("router_overrides", "alias target weight drained updated_at updated_by"),
    ],
)  # fmt: skip
async def test_the_schema_has_the_promised_columns(table: str, columns: str, pool: asyncpg.Pool) -> None:
    rows = await pool.fetch("select column_name from information_schema.columns where table_name = $1", table)
    assert set(columns.split()) <= {row["column_name"] for row in rows}


async def test_money_is_exact(pool: asyncpg.Pool) -> None:
    floats = await pool.fetch(
        "select table_name, column_name from information_schema.columns "
        "where table_schema = 'public' and data_type in ('real', 'double precision', 'money')"
    )
    assert floats == []


async def test_two_instances_that_start_at_once_migrate_once(
    empty_dsn: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    both = [_start(empty_dsn, MIGRATIONS) for _ in range(2)]
    said = [await asyncio.to_thread(process.communicate) for process in both]
    assert sorted(out.strip() for out, _ in said) == ["0", str(EVERY)], said
    assert await is_current(connection)


async def test_an_instance_killed_half_way_leaves_a_schema_from_which_the_next_succeeds(
    empty_dsn: str,
    connection: "asyncpg.Connection[asyncpg.Record]",
    tmp_path: Path,
    new_database: Callable[[str], str],
) -> None:
    slow = "create table second (n int); select pg_sleep(3); alter table first add column after int;"
    directory = _files(tmp_path / "slow", "create table first (n int);", slow, "create table third (n int);")
    killed = _start(empty_dsn, directory)
    await _until(connection, "exists (select from pg_stat_activity where query like '%pg_sleep(3)%' "
                             "and pid <> pg_backend_pid() and datname = current_database())")  # fmt: skip
    killed.kill()
    killed.communicate()
    assert [migration.version for migration in await pending(connection, directory=directory)] == [2, 3]
    assert await connection.fetchval("select to_regclass('second')") is None

    assert len(await migrate(empty_dsn, directory=directory)) == 2

    fresh_dsn = new_database("template1")
    await migrate(fresh_dsn, directory=directory)
    fresh = await asyncpg.connect(fresh_dsn)
    assert await connection.fetch(COLUMNS) == await fresh.fetch(COLUMNS)
    await fresh.close()


async def test_a_faulty_migration_leaves_nothing_behind(
    empty_dsn: str, connection: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    directory = _files(tmp_path, "create table first (n int);", "create table second (n int); select 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty_dsn, directory=directory)
    assert await connection.fetchval("select to_regclass('second')") is None
    assert [migration.version for migration in await pending(connection, directory=directory)] == [2]


async def test_a_migration_changed_after_it_was_applied_is_refused(
    empty_dsn: str, connection: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    await migrate(empty_dsn, directory=_files(tmp_path, "create table first (n int);"))
    directory = _files(tmp_path, "create table first (n bigint);")
    with pytest.raises(MigrationRefused, match=r"0001 \(step\) was changed after it was applied"):
        await migrate(empty_dsn, directory=directory)
    assert not await is_current(connection, directory=directory)


async def test_an_older_version_refuses_a_newer_schema(
    empty_dsn: str, connection: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    newer = _files(tmp_path / "newer", "create table first (n int);", "create table second (n int);")
    older = _files(tmp_path / "older", "create table first (n int);")
    await migrate(empty_dsn, directory=newer)
    with pytest.raises(MigrationRefused, match=r"0002 \(step\).*an older version never runs on a newer schema"):
        await migrate(empty_dsn, directory=older)
    assert not await is_current(connection, directory=older)


@pytest.mark.parametrize("name", ["0003_gap.sql", "first.sql", "0002_Capital.sql"])
async def test_files_with_odd_names_are_refused(empty_dsn: str, tmp_path: Path, name: str) -> None:
    directory = _files(tmp_path, "create table first (n int);")
    (directory / name).write_text("select 1")
    with pytest.raises(MigrationRefused, match="numbered without gaps"):
        await migrate(empty_dsn, directory=directory)


async def test_who_waits_too_long_for_another_instance_is_told(
    empty_dsn: str, connection: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    directory = _files(tmp_path, "select pg_sleep(30);")
    slow = _start(empty_dsn, directory)
    await _until(connection, "exists (select from pg_locks where locktype = 'advisory')")
    with pytest.raises(MigrationRefused, match="another instance has been migrating"):
        await migrate(empty_dsn, directory=directory, deadline_s=0.2)
    slow.kill()
    slow.communicate()


async def test_a_locked_table_is_tried_again_and_others_get_past_meanwhile(
    empty_dsn: str, connection: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    directory = _files(tmp_path, "create table busy (n int);")
    await migrate(empty_dsn, directory=directory)
    directory = _files(tmp_path, "create table busy (n int);", "alter table busy add column m int;")
    await connection.execute("begin; insert into busy values (1)")
    migrating = asyncio.create_task(migrate(empty_dsn, directory=directory, ddl_lock_timeout_ms=50))
    other = await asyncpg.connect(empty_dsn)
    await _until(other, "exists (select from pg_locks where not granted)")
    await other.execute("insert into busy values (2)")
    assert not migrating.done()
    await connection.execute("commit")
    assert len(await migrating) == 1
    await other.close()


async def test_a_table_that_stays_locked_is_told(
    empty_dsn: str, connection: "asyncpg.Connection[asyncpg.Record]", tmp_path: Path
) -> None:
    await migrate(empty_dsn, directory=_files(tmp_path, "create table busy (n int);"))
    directory = _files(tmp_path, "create table busy (n int);", "alter table busy add column m int;")
    await connection.execute("begin; insert into busy values (1)")
    with pytest.raises(MigrationRefused, match=r"0002.*could not lock"):
        await migrate(empty_dsn, directory=directory, deadline_s=0.1, ddl_lock_timeout_ms=50)
