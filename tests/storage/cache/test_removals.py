"""Removals and the secret, as PostgreSQL has them: those of old, those that come, each once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import asyncpg
from tests.fakes.cached import key_of

from tollway.contract.cache import Selection
from tollway.storage.cache.removals import CacheRemovals, Said

ADD = "insert into cache_removals (tenant_id, key_id, model, key, before_ms) values ($1, $2, $3, $4, $5)"
NOWHERE = "postgresql://tollway@127.0.0.1:1/tollway"


class Following:
    """What a follower has told."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.secrets: list[bytes] = []
        self.order: list[str] = []

    def removed(self, said: Said) -> None:
        self.said.append(said)
        self.order.append("removed")

    def learned(self, secret: bytes) -> None:
        self.secrets.append(secret)
        self.order.append("learned")

    @contextlib.asynccontextmanager
    async def follow(self, dsn: str, poll_s: float = 0.05) -> AsyncIterator[CacheRemovals]:
        changes = CacheRemovals(dsn, self.removed, self.learned, poll_s=poll_s)
        task = asyncio.create_task(changes.follow())
        try:
            yield changes
            assert not task.done()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another process's
            await asyncio.sleep(0.01)


async def test_a_removal_is_heard_as_it_was_said_and_once(postgres_dsn: str, pool: asyncpg.Pool) -> None:
    following = Following()
    async with following.follow(postgres_dsn):
        await until(lambda: following.secrets)
        await pool.execute(ADD, "acme", "ci", "m", key_of("a"), 5)
        await pool.execute(ADD, None, None, None, None, None)
        await until(lambda: len(following.said) == 2)
        await asyncio.sleep(0.3)
    assert [said.selection for said in following.said] == [
        Selection(tenant_id="acme", key_id="ci", model="m", key=key_of("a"), before_ms=5),
        Selection(),
    ]
    assert all(0 <= said.age_ms < 10_000 for said in following.said)
    assert following.said[0].at_ms <= following.said[1].at_ms


async def test_an_announcement_is_not_waited_for(postgres_dsn: str, pool: asyncpg.Pool) -> None:
    following = Following()
    async with following.follow(postgres_dsn, poll_s=600):
        await until(lambda: following.secrets)
        await pool.execute(ADD, "acme", None, None, None, None)
        await until(lambda: following.said)


async def test_an_announcement_that_is_lost_is_no_loss(postgres_dsn: str, pool: asyncpg.Pool) -> None:
    await pool.execute("alter table cache_removals disable trigger announce")
    following = Following()
    async with following.follow(postgres_dsn):
        await until(lambda: following.secrets)
        await pool.execute(ADD, "acme", None, None, None, None)
        await until(lambda: following.said)


async def test_removals_of_old_come_before_the_secret_and_mean_what_was_there_then(
    postgres_dsn: str, pool: asyncpg.Pool
) -> None:
    await pool.execute(ADD, "acme", None, None, None, None)
    await pool.execute("update cache_removals set at = clock_timestamp() - interval '1 hour'")
    await pool.execute(ADD, "globex", None, None, None, 7)
    await pool.execute("update cache_removals set at = at - interval '1 minute' where tenant_id = 'globex'")
    following = Following()
    assert await CacheRemovals(postgres_dsn, following.removed, following.learned).learn()
    assert following.order == ["removed", "removed", "learned"]
    old, late = following.said
    assert old.selection == Selection(tenant_id="acme", before_ms=old.at_ms + 5_000)
    assert late.selection == Selection(tenant_id="globex", before_ms=7)


async def test_removals_beyond_what_an_answer_lives_are_not_told(postgres_dsn: str, pool: asyncpg.Pool) -> None:
    await pool.execute(ADD, "acme", None, None, None, None)
    await pool.execute("update cache_removals set at = clock_timestamp() - interval '40 days'")
    following = Following()
    assert await CacheRemovals(postgres_dsn, following.removed, following.learned).learn()
    assert following.order == ["learned"]


async def test_too_many_removals_are_one_of_everything_that_was_there_then(
    postgres_dsn: str, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        "insert into cache_removals (at, tenant_id) "
        "select clock_timestamp() - n * interval '1 second', 'acme' from generate_series(20, 10100) n"
    )
    following = Following()
    assert await CacheRemovals(postgres_dsn, following.removed, following.learned).learn()
    assert following.said[-1].selection.tenant_id is None
    assert following.said[-1].selection.before_ms == following.said[-1].at_ms + 5_000
    assert len(following.said) == 10_001


async def test_the_secret_is_the_same_for_all_and_told_once(postgres_dsn: str) -> None:
    one, other = Following(), Following()
    async with one.follow(postgres_dsn), other.follow(postgres_dsn):
        await until(lambda: one.secrets and other.secrets)
        await asyncio.sleep(0.3)
    assert one.secrets == other.secrets
    assert [len(secret) for secret in one.secrets] == [32]


async def test_a_database_out_of_reach_is_told_and_waited_for() -> None:
    following = Following()
    assert not await CacheRemovals(NOWHERE, following.removed, following.learned).learn()
    async with following.follow(NOWHERE) as changes:
        await asyncio.sleep(0.3)
        assert not changes.connected
    assert following.order == []
