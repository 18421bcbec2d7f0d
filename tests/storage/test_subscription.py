"""A channel that is followed: what its followers rely on. Outages are in their tests."""

import asyncio

import asyncpg

from tollway.storage.pool import Connection
from tollway.storage.subscription import Subscription


async def test_what_is_announced_while_a_question_is_under_way_is_asked_for_again(
    pool: asyncpg.Pool, postgres_dsn: str
) -> None:
    asked = asyncio.Queue[int]()
    may_end = asyncio.Event()
    heard = asyncio.Queue[str]()
    questions = iter(range(10))

    async def ask(connection: Connection) -> None:
        assert await connection.fetchval("select 1") == 1
        asked.put_nowait(next(questions))
        await may_end.wait()

    def hear(payload: str) -> None:
        heard.put_nowait(payload)
        subscription.ask_soon()

    subscription = Subscription(postgres_dsn, "channel", application_name="test", ask=ask, heard=hear, poll_s=3600.0)
    task = asyncio.create_task(subscription.follow())
    assert await asyncio.wait_for(asked.get(), 60) == 0
    await pool.execute("select pg_notify('channel', 'said')")
    assert await asyncio.wait_for(heard.get(), 60) == "said"
    assert asked.empty(), "one question at a time"
    may_end.set()
    assert await asyncio.wait_for(asked.get(), 60) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_connection_that_somebody_ends_is_replaced_at_once(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    backends = asyncio.Queue[int]()
    silences: list[float] = []

    async def ask(connection: Connection) -> None:
        backends.put_nowait(await connection.fetchval("select pg_backend_pid()"))

    subscription = Subscription(
        postgres_dsn,
        "channel",
        application_name="test",
        ask=ask,
        heard=lambda _: None,
        listening=silences.append,
        poll_s=3600.0,
    )
    task = asyncio.create_task(subscription.follow())
    first = await asyncio.wait_for(backends.get(), 60)
    await pool.execute("select pg_terminate_backend($1)", first)
    assert await asyncio.wait_for(backends.get(), 60) != first
    assert len(silences) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
