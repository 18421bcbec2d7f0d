"""Changes of keys: heard at once, found by asking when a notification is lost, and through outages."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from tollway.contract.keys import KeyChange
from tollway.storage.changes import KeyChanges
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.migrate import migrate

DIGEST = hashlib.sha256(b"a secret").digest()
OF_KEY = KeyChange(digest=DIGEST, tenant_id=None)
OF_TENANT = KeyChange(digest=None, tenant_id="t-1")
MUTED = "alter table api_keys disable trigger announce; alter table tenants disable trigger announce"


class Heard:
    """What was heard, and a way to wait for more."""

    def __init__(self) -> None:
        self.changes: list[KeyChange] = []
        self.gaps = 0

    def change(self, change: KeyChange) -> None:
        self.changes.append(change)

    def gap(self) -> None:
        self.gaps += 1

    def forget(self) -> None:
        self.changes.clear()
        self.gaps = 0


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another process's
            await asyncio.sleep(0.01)


async def _until_asked_again(changes: KeyChanges) -> None:
    before = changes.last_ok
    await _until(lambda: changes.last_ok != before)


@contextlib.asynccontextmanager
async def _following(
    dsn: str, heard: Heard, *, poll_s: float = 0.05, slack_s: float = 15.0
) -> AsyncIterator[KeyChanges]:
    changes = KeyChanges(dsn, heard.change, heard.gap, poll_s=poll_s, slack_s=slack_s)
    task = asyncio.create_task(changes.follow())
    try:
        yield changes
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert not changes.connected


async def _make(database: "asyncpg.Pool | asyncpg.Connection[asyncpg.Record]") -> None:
    await database.execute("insert into tenants (id, name) values ('t-1', 'acme')")
    await database.execute(
        "insert into api_keys (tenant_id, name, key_hash, key_prefix, environment, scopes) "
        "values ('t-1', 'ci', $1, 'tw_live_abc', 'live', '{gateway:use}')",
        DIGEST,
    )


@pytest.mark.parametrize("way", ["heard", "found by asking"])
async def test_new_revoked_and_changed_keys_and_tenants_are_told(
    pool: asyncpg.Pool, postgres_dsn: str, way: str
) -> None:
    heard = Heard()
    poll_s = 3600.0 if way == "heard" else 0.05
    if way != "heard":
        await pool.execute(MUTED)
    async with _following(postgres_dsn, heard, poll_s=poll_s) as changes:
        await _until(lambda: changes.connected)
        await _make(pool)
        await _until(lambda: OF_KEY in heard.changes)
        heard.forget()
        await pool.execute("update api_keys set is_active = false")
        await _until(lambda: OF_KEY in heard.changes)
        heard.forget()
        await pool.execute("update tenants set is_active = false")
        await _until(lambda: OF_TENANT in heard.changes)
    assert heard.gaps == 0


async def test_a_deleted_key_is_told(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    await _make(pool)
    heard = Heard()
    async with _following(postgres_dsn, heard, poll_s=3600.0) as changes:
        await _until(lambda: changes.connected)
        heard.forget()
        await pool.execute("delete from api_keys")
        await _until(lambda: OF_KEY in heard.changes)


async def test_spend_is_no_change_of_a_tenant(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    await _make(pool)
    heard = Heard()
    async with _following(postgres_dsn, heard) as changes:
        await _until(lambda: changes.connected)
        heard.forget()
        await pool.execute("update tenants set current_spend = current_spend + 1")
        await pool.execute("update api_keys set name = 'marker'")
        await _until(lambda: OF_KEY in heard.changes)
    assert OF_TENANT not in heard.changes


async def test_asking_again_does_not_tell_again(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    await pool.execute(MUTED)
    heard = Heard()
    async with _following(postgres_dsn, heard, poll_s=0.01) as changes:
        await _until(lambda: changes.connected)
        await _make(pool)
        await _until(lambda: OF_KEY in heard.changes)
        for _ in range(5):
            await _until_asked_again(changes)
    assert heard.changes.count(OF_KEY) == 1


async def test_a_change_made_before_its_transaction_committed_is_found(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    await _make(pool)
    await pool.execute(MUTED)
    heard = Heard()
    async with _following(postgres_dsn, heard) as changes, pool.acquire() as slow:
        await _until(lambda: changes.connected)
        async with slow.transaction():
            await slow.execute("update api_keys set is_active = false")
            heard.forget()
            await _until_asked_again(changes)
            assert heard.changes == []
        await _until(lambda: OF_KEY in heard.changes)


@pytest.mark.parametrize("payload", ["nonsense", '{"digest": "xyz"}', "[]", ""])
async def test_an_announcement_nobody_understands_makes_everything_be_forgotten(
    pool: asyncpg.Pool, postgres_dsn: str, payload: str
) -> None:
    heard = Heard()
    async with _following(postgres_dsn, heard) as changes:
        await _until(lambda: changes.connected)
        await pool.execute("select pg_notify('tollway_keys', $1)", payload)
        await _until(lambda: heard.gaps)


async def test_it_starts_without_the_database_and_survives_its_restarts(own_postgres: EmbeddedPostgres) -> None:
    dsn = own_postgres.start()
    own_postgres.stop()
    heard = Heard()
    async with _following(dsn, heard) as changes:
        await asyncio.sleep(0.2)
        assert not changes.connected
        assert changes.last_ok is None
        own_postgres.start()
        await migrate(dsn)
        await _until(lambda: changes.connected)
        own_postgres.stop()
        await _until(lambda: not changes.connected)
        own_postgres.start()
        connection = await asyncpg.connect(dsn)
        await _make(connection)
        await connection.close()
        await _until(lambda: OF_KEY in heard.changes)
    assert heard.gaps == 0


async def test_an_outage_is_known_at_once_and_until_it_ends(own_postgres: EmbeddedPostgres) -> None:
    dsn = own_postgres.start()
    await migrate(dsn)
    async with _following(dsn, Heard(), poll_s=3600.0) as changes:
        assert changes.down_since is None, "nothing was tried yet"
        await _until(lambda: changes.connected)
        assert changes.down_since is None
        own_postgres.stop()
        await _until(lambda: changes.down_since is not None)
        since = changes.down_since
        await asyncio.sleep(0.5)
        assert changes.down_since == since, "tries that fail do not move it"
        own_postgres.start()
        await _until(lambda: changes.connected)
        assert changes.down_since is None


async def test_after_a_long_gap_everything_is_forgotten(own_postgres: EmbeddedPostgres) -> None:
    dsn = own_postgres.start()
    await migrate(dsn)
    heard = Heard()
    async with _following(dsn, heard, slack_s=0.1) as changes:
        await _until(lambda: changes.connected)
        heard.forget()
        own_postgres.stop()
        await _until(lambda: not changes.connected)
        await asyncio.sleep(0.2)
        own_postgres.start()
        await _until(lambda: heard.gaps)
