"""The data plane's key source: what a digest means, and what is said when nobody can tell."""

import hashlib
from datetime import UTC, datetime

import asyncpg
import msgspec
import pytest

from tollway.contract.budgets import MOST_PICOUSD, Budget
from tollway.contract.keys import GATEWAY_USE, KeyRecord
from tollway.contract.limits import LimitValues
from tollway.contract.prices import Price, TenantPrices
from tollway.errors import DependencyUnavailable
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.keys import MOST_BUDGETS, PostgresKeySource
from tollway.storage.migrate import migrate
from tollway.storage.pool import connect

DIGEST = hashlib.sha256(b"a secret").digest()

INSERT_TENANT = """
    insert into tenants (id, name, rate_limit, allowed_models, guardrails)
    values ('t-1', 'acme', $1::jsonb, $2, 'strict')
"""

INSERT_KEY = """
    insert into api_keys (id, tenant_id, name, key_hash, key_prefix, environment, scopes, rate_limit_override,
                          allowed_models_override, expires_at)
    values ('k-1', $1, 'ci', $2, 'tw_live_abc', 'live', $3, $4::jsonb, $5, $6)
"""


async def _store(
    pool: asyncpg.Pool,
    *,
    tenant_models: list[str] | None = None,
    key_models: list[str] | None = None,
    tenant_limits: str | None = None,
    key_limits: str | None = None,
    expires_at: datetime | None = None,
) -> None:
    await pool.execute(INSERT_TENANT, tenant_limits, tenant_models)
    await pool.execute(INSERT_KEY, "t-1", DIGEST, [GATEWAY_USE], key_limits, key_models, expires_at)


async def _found(pool: asyncpg.Pool) -> KeyRecord:
    record = await PostgresKeySource(pool).find(DIGEST)
    assert record is not None
    return record


async def test_an_unknown_digest_is_nobody(pool: asyncpg.Pool) -> None:
    assert await PostgresKeySource(pool).find(hashlib.sha256(b"another").digest()) is None


async def test_a_key_comes_with_what_its_tenant_adds(pool: asyncpg.Pool) -> None:
    await _store(
        pool,
        tenant_limits='{"rpm": 100}',
        key_limits='{"rpm": 5, "concurrency": 2}',
        expires_at=datetime(2030, 1, 1, 0, 0, 0, 1999, UTC),
    )
    assert await _found(pool) == KeyRecord(
        key_id="k-1",
        key_name="ci",
        tenant_id="t-1",
        tenant_name="acme",
        scopes=frozenset({GATEWAY_USE}),
        is_active=True,
        environment="live",
        expires_at_ms=1_893_456_000_001,
        tenant_limits=LimitValues(rpm=100),
        key_limits=LimitValues(rpm=5, concurrency=2),
        allowed_models=None,
        policy="strict",
    )


@pytest.mark.parametrize(
    ("tenant", "key", "both"),
    [
        (None, None, None),
        (["a", "b"], None, {"a", "b"}),
        (None, ["b", "c"], {"b", "c"}),
        (["a", "b"], ["b", "c"], {"b"}),
        (["a"], ["b"], set()),
        ([], None, set()),
    ],
)
async def test_a_model_must_be_allowed_by_tenant_and_key(
    pool: asyncpg.Pool, tenant: list[str] | None, key: list[str] | None, both: set[str] | None
) -> None:
    await _store(pool, tenant_models=tenant, key_models=key)
    assert (await _found(pool)).allowed_models == both


@pytest.mark.parametrize("change", ["update tenants set is_active = false", "update api_keys set is_active = false"])
async def test_a_key_is_active_only_if_its_tenant_is_too(pool: asyncpg.Pool, change: str) -> None:
    await _store(pool)
    await pool.execute(change)
    assert not (await _found(pool)).is_active


async def test_an_admin_key_is_known_but_may_not_call_models(pool: asyncpg.Pool) -> None:
    await pool.execute(INSERT_KEY, None, DIGEST, ["tenants:view"], None, None, None)
    record = await _found(pool)
    assert record.is_active
    assert record.tenant_id == ""
    assert GATEWAY_USE not in record.scopes


async def test_only_a_tenants_key_can_be_given_the_scope_for_models(pool: asyncpg.Pool) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute(INSERT_KEY, None, DIGEST, [GATEWAY_USE], None, None, None)


async def test_without_the_database_nobody_is_called_unknown_and_it_recovers(own_postgres: EmbeddedPostgres) -> None:
    dsn = own_postgres.start()
    await migrate(dsn)
    pool = await connect(dsn)
    source = PostgresKeySource(pool)
    assert await source.find(DIGEST) is None
    own_postgres.stop()
    for _ in range(3):
        with pytest.raises(DependencyUnavailable, match="database is out of reach"):
            await source.find(DIGEST)
    own_postgres.start()
    assert await source.find(DIGEST) is None
    await pool.close()


async def test_a_database_that_does_not_answer_is_waited_for_in_bounds(pool: asyncpg.Pool) -> None:
    await _store(pool)
    async with pool.acquire() as other, other.transaction():
        await other.execute("lock table api_keys in access exclusive mode")
        with pytest.raises(DependencyUnavailable):
            await PostgresKeySource(pool, patience_s=0.1).find(DIGEST)
    assert (await _found(pool)).key_id == "k-1"


async def test_a_pool_that_is_used_up_is_waited_for_in_bounds(postgres_dsn: str) -> None:
    pool = await connect(postgres_dsn, max_size=1)
    async with pool.acquire():
        with pytest.raises(DependencyUnavailable):
            await PostgresKeySource(pool, patience_s=0.1).find(DIGEST)
    await pool.close()


async def test_a_database_without_tables_is_out_of_reach_not_empty(empty_dsn: str) -> None:
    pool = await connect(empty_dsn)
    with pytest.raises(DependencyUnavailable):
        await PostgresKeySource(pool).find(DIGEST)
    await pool.close()


async def test_a_key_comes_with_its_tenants_budgets(pool: asyncpg.Pool) -> None:
    await _store(pool)
    assert ((await _found(pool)).budgets, (await _found(pool)).may_spend) == ((), True)
    await pool.execute("update tenants set monthly_budget = 12.5")
    await pool.execute(
        "insert into budgets (id, tenant_id, name, amount, period, rolling, warn_at, key_id, user_id, model, tag, per)"
        " values ('b-1', 't-1', 'b', 9000000000000000000, 'week', true, '{50,80}', 'k', 'u', 'm', 'a=b', '{user,key}')"
    )
    monthly, made = (await _found(pool)).budgets
    assert monthly == Budget(
        id="tenant:t-1", name="acme", amount_picousd=12_500_000_000_000, period="month", tenant_id="t-1"
    )
    assert made == Budget(
        id="b-1",
        name="b",
        amount_picousd=9 * 10**18,
        period="week",
        rolling=True,
        warn_at=(50, 80),
        tenant_id="t-1",
        key_id="k",
        user="u",
        model="m",
        tag="a=b",
        per=("user", "key"),
    )


async def test_who_has_a_budget_of_nothing_may_spend_nothing(pool: asyncpg.Pool) -> None:
    await _store(pool)
    await pool.execute("update tenants set monthly_budget = 0")
    assert ((await _found(pool)).budgets, (await _found(pool)).may_spend) == ((), False)


async def test_a_key_comes_with_no_more_budgets_than_a_call_can_be_under(pool: asyncpg.Pool) -> None:
    await _store(pool)
    await pool.execute("update tenants set monthly_budget = 99999999")
    await pool.execute(
        "insert into budgets (tenant_id, name, amount, period) "
        "select 't-1', number::text, 1, 'day' from generate_series(1, 100) as number"
    )
    budgets = (await _found(pool)).budgets
    assert len(budgets) == MOST_BUDGETS + 1 == 64
    assert budgets[0].amount_picousd == MOST_PICOUSD


async def test_a_tenants_own_prices_come_with_its_keys(pool: asyncpg.Pool) -> None:
    await _store(pool)
    assert (await _found(pool)).prices is None
    prices = TenantPrices({"m": Price("acme/m", input=1, output=2, from_ms=3)}, 1_150_000)
    await pool.execute("update tenants set prices = $1::jsonb", msgspec.json.encode(prices).decode())
    assert (await _found(pool)).prices == prices
