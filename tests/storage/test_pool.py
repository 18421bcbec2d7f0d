"""The pool: made without a database, recovering with it."""

import asyncpg
import pytest

from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.pool import OUT_OF_REACH, connect


async def test_a_pool_is_made_while_the_database_is_down_and_works_once_it_is_up(
    own_postgres: EmbeddedPostgres,
) -> None:
    dsn = own_postgres.start()
    own_postgres.stop()
    pool = await connect(dsn, connect_timeout_s=1.0)
    with pytest.raises(OUT_OF_REACH):
        await pool.fetchval("select 1")
    own_postgres.start()
    assert await pool.fetchval("select 1") == 1
    own_postgres.stop()
    with pytest.raises(OUT_OF_REACH):
        await pool.fetchval("select 1")
    own_postgres.start()
    assert await pool.fetchval("select 2") == 2
    await pool.close()


async def test_a_statement_that_takes_too_long_is_ended(postgres_dsn: str) -> None:
    pool = await connect(postgres_dsn, statement_timeout_s=0.1)
    with pytest.raises(OUT_OF_REACH):
        await pool.fetchval("select pg_sleep(60)")
    assert await pool.fetchval("select 1") == 1
    await pool.close()


async def test_the_server_sees_who_is_connected(postgres_dsn: str) -> None:
    pool = await connect(postgres_dsn, application_name="tollway worker 3")
    assert await pool.fetchval("show application_name") == "tollway worker 3"
    await pool.close()


async def test_wrong_sql_is_not_taken_for_an_outage(pool: asyncpg.Pool) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError) as caught:
        await pool.fetchval("selekt 1")
    assert not isinstance(caught.value, OUT_OF_REACH)
