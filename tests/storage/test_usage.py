"""Usage rows into PostgreSQL: exactly once, exactly the money, spend always the sum of the rows."""

import asyncio
from decimal import Decimal

import asyncpg
import msgspec
import pytest

from tollway.contract.guardrails import Found
from tollway.contract.usage import Costs, Try, UsageRow
from tollway.storage import usage
from tollway.storage.usage import insert_usage

ROW = UsageRow(
    id="0199-1",
    request_id="req-1",
    at_us=1_772_236_800_123_456,
    tenant_id="file-tenant",
    api_key_id="key-1",
    user_id=None,
    model="gpt-4o-mini",
    provider="openai",
    provider_model="gpt-4o-mini-2024-07-18",
    prompt_tokens=11,
    completion_tokens=7,
    cached_tokens=3,
    cache_write_tokens=2,
    reasoning_tokens=1,
    cost_picousd=5_850_000,
    price_version="2026-02",
    usage_source="told",
    outcome="ok",
    http_status=200,
    stream=True,
    latency_ms=321,
    first_token_ms=45,
    attempts=2,
    findings=(Found("input", "pii", "email", "redact", 3),),
    costs=Costs(input=2_000_000, output=3_850_000),
    audio_input_tokens=4,
    image_output_tokens=5,
    tags=("project=x", "team=y"),
    service_tier="flex",
    tried=(Try("openai/gpt-4o-mini", 503, "overloaded", 12), Try("openai/gpt-4o-mini", 200, "ok", 300)),
    charged=("file:all||",),
)


def _rows(count: int, **fields: object) -> list[UsageRow]:
    return [msgspec.structs.replace(ROW, id=f"row-{number:06}", **fields) for number in range(count)]


async def _insert(pool: asyncpg.Pool, rows: list[UsageRow]) -> int:
    async with pool.acquire() as connection:
        return await insert_usage(connection, rows)


async def _new_tenant(pool: asyncpg.Pool, name: str) -> str:
    tenant_id: str = await pool.fetchval("insert into tenants (name) values ($1) returning id", name)
    return tenant_id


async def test_a_row_arrives_field_by_field(pool: asyncpg.Pool) -> None:
    assert await _insert(pool, [ROW]) == 1
    stored = await pool.fetchrow("select * from usage_logs")
    assert stored is not None
    assert stored["created_at"].isoformat() == "2026-02-28T00:00:00.123456+00:00"
    assert stored["cost"] == Decimal("0.00000585")
    assert stored["status"] == "ok"
    other = {"created_at", "cost", "status", "findings", "tried", "tags", "charged", "saved"}
    same = set(usage.COLUMNS) - other - set(usage.COSTS)
    assert {name: stored[name] for name in same} == {name: getattr(ROW, name) for name in same}
    shown = {"direction": "input", "check": "pii", "kind": "email", "action": "redact", "count": 3}
    assert msgspec.json.decode(stored["findings"]) == [shown]
    assert (tuple(stored["tags"]), tuple(stored["charged"])) == (ROW.tags, ROW.charged)
    paid = {name: stored[name] for name in usage.COSTS if stored[name] is not None}
    assert paid == {"cost_input": Decimal("0.000002"), "cost_output": Decimal("0.00000385")}
    tried = msgspec.json.decode(stored["tried"])
    assert tried[0] == {"target": "openai/gpt-4o-mini", "status": 503, "result": "overloaded", "took_ms": 12}
    assert len(tried) == 2


async def test_what_an_answer_of_the_cache_saved_arrives_exactly(pool: asyncpg.Pool) -> None:
    hit = msgspec.structs.replace(ROW, cache="semantic", cost_picousd=0, costs=Costs(), saved_picousd=5_850_001)
    await _insert(pool, [hit])
    stored = await pool.fetchrow("select cache, cost, saved from usage_logs")
    assert stored is not None
    assert tuple(stored) == ("semantic", Decimal(0), Decimal("0.000005850001"))


async def test_a_row_without_findings_has_none(pool: asyncpg.Pool) -> None:
    await _insert(pool, [msgspec.structs.replace(ROW, findings=())])
    assert await pool.fetchval("select findings from usage_logs") is None


async def test_a_kind_that_postgresql_can_not_hold_is_no_reason_to_lose_a_row(pool: asyncpg.Pool) -> None:
    odd = Found("output", "webhook", "a\x00b", "flag", 1)
    assert await _insert(pool, [msgspec.structs.replace(ROW, findings=(odd,))]) == 1


def test_the_columns_stand_in_the_order_of_the_fields() -> None:
    renamed = {"at_us": "created_at", "cost_picousd": "cost", "outcome": "status", "saved_picousd": "saved"}
    columns = [[renamed.get(field, field)] if field != "costs" else usage.COSTS for field in UsageRow.__struct_fields__]
    assert usage.COLUMNS == tuple(name for names in columns for name in names)


async def test_nothing_to_store_stores_nothing(pool: asyncpg.Pool) -> None:
    assert await _insert(pool, []) == 0


async def test_a_replayed_batch_adds_no_row_and_no_spend(pool: asyncpg.Pool) -> None:
    tenant_id = await _new_tenant(pool, "acme")
    rows = _rows(10, tenant_id=tenant_id)
    assert await _insert(pool, rows) == 10
    assert await _insert(pool, rows) == 0
    assert await _insert(pool, [*rows[5:], *_rows(15, tenant_id=tenant_id)[10:]]) == 5
    assert await pool.fetchval("select count(*) from usage_logs") == 15
    assert await pool.fetchval("select current_spend from tenants") == 15 * Decimal("0.00000585")


async def test_a_row_that_is_twice_in_a_batch_is_stored_once(pool: asyncpg.Pool) -> None:
    assert await _insert(pool, [ROW, ROW]) == 1


async def test_spend_grows_for_database_tenants_only_and_by_priced_rows_only(pool: asyncpg.Pool) -> None:
    acme, zeta = await _new_tenant(pool, "acme"), await _new_tenant(pool, "zeta")
    await _insert(
        pool,
        [
            msgspec.structs.replace(ROW, id="a", tenant_id=acme, cost_picousd=1),
            msgspec.structs.replace(ROW, id="b", tenant_id=acme, cost_picousd=None),
            msgspec.structs.replace(ROW, id="c", tenant_id="file-tenant", cost_picousd=10**12),
        ],
    )
    rows = await pool.fetch("select id, current_spend from tenants")
    spend = {row["id"]: row["current_spend"] for row in rows}
    assert spend == {acme: Decimal("0.000000000001"), zeta: 0}


async def test_a_hedge_is_spent_and_a_shadow_is_not(pool: asyncpg.Pool) -> None:
    tenant_id = await _new_tenant(pool, "acme")
    rows = [
        msgspec.structs.replace(ROW, id=role, tenant_id=tenant_id, cost_picousd=cost, role=role)
        for role, cost in (("answer", 1), ("hedge", 20), ("shadow", 300))
    ]
    assert await _insert(pool, rows) == 3
    assert await pool.fetchval("select current_spend from tenants") == Decimal("0.000000000021")
    stored = await pool.fetch("select id, role from usage_logs")
    assert {row["id"]: row["role"] for row in stored} == {row.role: row.role for row in rows}


async def test_the_sum_of_many_small_amounts_is_exact(pool: asyncpg.Pool) -> None:
    tenant_id = await _new_tenant(pool, "acme")
    rows = _rows(3_000, tenant_id=tenant_id, cost_picousd=333_333_333_333)
    for start in range(0, 3_000, 700):
        await _insert(pool, rows[start : start + 700])
    assert await pool.fetchval("select current_spend from tenants") == Decimal("999.999999999")


async def test_a_batch_of_thousands_is_one_round_of_copy(pool: asyncpg.Pool) -> None:
    assert await _insert(pool, _rows(20_000)) == 20_000


async def test_two_shippers_with_the_same_rows_and_tenants_store_them_once(pool: asyncpg.Pool) -> None:
    tenants = [await _new_tenant(pool, f"t{number}") for number in range(5)]
    rows = [msgspec.structs.replace(row, tenant_id=tenants[index % 5]) for index, row in enumerate(_rows(1_000))]
    inserted = await asyncio.gather(*(_insert(pool, batch) for batch in (rows, rows[::-1], rows[500:], rows[:500])))
    assert sum(inserted) == 1_000
    assert await pool.fetchval("select sum(current_spend) from tenants") == await pool.fetchval(
        "select sum(cost) from usage_logs"
    )


async def test_odd_text_and_huge_numbers_do_not_hold_up_a_batch(pool: asyncpg.Pool) -> None:
    odd = msgspec.structs.replace(ROW, request_id="a\x00b", model="模型\n'; drop table x", completion_tokens=2**64 - 1)
    assert await _insert(pool, [odd]) == 1
    stored = await pool.fetchrow("select request_id, model, completion_tokens from usage_logs")
    assert stored is not None
    assert tuple(stored) == ("a\ufffdb", "模型\n'; drop table x", 2**63 - 1)


@pytest.mark.parametrize("fields", [{"http_status": 2**40}, {"model": "\ud800"}, {"at_us": 2**62}])
async def test_a_batch_with_an_impossible_row_leaves_nothing(pool: asyncpg.Pool, fields: dict[str, object]) -> None:
    broken = msgspec.structs.replace(ROW, id="broken", **fields)
    with pytest.raises(asyncpg.DataError):
        await _insert(pool, [ROW, broken])
    assert await pool.fetchval("select count(*) from usage_logs") == 0
    assert await _insert(pool, [ROW]) == 1


async def test_the_temporary_table_is_made_once_for_a_connection(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        for number in range(3):
            await insert_usage(connection, [msgspec.structs.replace(ROW, id=str(number))])
        assert await connection.fetchval("select count(*) from usage_arriving") == 0
