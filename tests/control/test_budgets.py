"""``/api/v1/billing/budgets``: made, listed with what is spent of them, changed, taken away."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.control.conftest import Api
from tests.storage.test_usage import ROW

from tollway.contract.budgets import Ask, Budget
from tollway.storage.budgets import PostgresBank
from tollway.storage.keys import MOST_BUDGETS, PostgresKeySource
from tollway.storage.usage import insert_usage
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics, prepare

BUDGETS = "/api/v1/billing/budgets"
FULL = {
    "tenant": "acme",
    "name": "research",
    "amount_usd": "12.5",
    "period": "week",
    "rolling": True,
    "warn_at": [80, 50, 80],
    "user": "alice",
    "model": "chat",
    "tag": "team=red",
    "per": ["user", "model"],
}


@pytest.fixture
def bank(pool: asyncpg.Pool, log: Log, tmp_path: Path) -> Iterator[PostgresBank]:
    prepare(tmp_path / "metrics")
    with closing(Metrics(tmp_path / "metrics", "worker")) as metrics:
        yield PostgresBank(pool, log, metrics, patience_s=30.0)


async def made(api: Api, **fields: Any) -> dict[str, Any]:
    reply = await api("POST", BUDGETS, {"tenant": "acme", "name": "b", "amount_usd": 1, "period": "month"} | fields)
    assert reply.status == 201, reply.body
    body: dict[str, Any] = reply.body
    return body


async def spend(pool: asyncpg.Pool, purse: str, picousd: int) -> None:
    row = msgspec.structs.replace(ROW, id=f"row-{purse}", cost_picousd=picousd, charged=(purse,))
    async with pool.acquire() as connection:
        await insert_usage(connection, [row], "host")


async def test_the_smallest_amount_is_written_out(api: Api) -> None:
    await api.new_tenant("acme")
    shown = await made(api, amount_usd="0.000000000005")
    assert (shown["amount_usd"], shown["left_usd"]) == ("0.000000000005", "0.000000000005")


async def test_a_budget_is_made_and_shown(api: Api) -> None:
    tenant = await api.new_tenant("acme")
    shown = await made(api, **FULL)
    assert shown["tenant_id"] == tenant
    expected = FULL | {"warn_at": [50, 80], "key": None, "managed_by": "database", "period_start": None}
    assert {name: value for name, value in expected.items() if name != "tenant"}.items() <= shown.items()
    assert (shown["spent_usd"], shown["leased_usd"], shown["left_usd"]) == ("0", "0", None)
    assert (await api("GET", f"{BUDGETS}/{shown['id']}")).body == shown | {"subjects": []}
    key = await api.new_key("gateway:use", tenant=tenant)
    key_id = (await api("GET", "/api/v1/keys?tenant=acme")).body["data"][0]["id"]
    assert key
    assert (await made(api, key=key_id))["key"] == key_id


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tenant": "nobody"}, "tenant"),
        ({"name": ""}, "name"),
        ({"amount_usd": 0}, "amount_usd"),
        ({"amount_usd": -1}, "amount_usd"),
        ({"amount_usd": "NaN"}, "amount_usd"),
        ({"amount_usd": "Infinity"}, "amount_usd"),
        ({"amount_usd": "9000000.000000000001"}, "amount_usd"),
        ({"amount_usd": "0.0000000000001"}, "amount_usd"),
        ({"amount_usd": "1e-400"}, "amount_usd"),
        ({"amount_usd": "1e400"}, "amount_usd"),
        ({"amount_usd": None}, "amount_usd"),
        ({"period": "year"}, "period"),
        ({"period": "total", "rolling": True}, "rolling"),
        ({"warn_at": [0]}, "warn_at"),
        ({"warn_at": [101]}, "warn_at"),
        ({"warn_at": list(range(1, 10))}, "warn_at"),
        ({"per": ["tag"]}, "per[0]"),
        ({"tag": "red"}, "tag"),
        ({"user": ""}, "user"),
        ({"user": "a\x00b"}, "user"),
        ({"model": "m" * 201}, "model"),
        ({"key": "nobody's"}, "key"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_field_is_named(api: Api, fields: dict[str, Any], param: str) -> None:
    await api.new_tenant("acme")
    body = {"tenant": "acme", "name": "b", "amount_usd": 1, "period": "month"} | fields
    reply = await api("POST", BUDGETS, body)
    assert (reply.status, reply.error["param"]) == (400, param)


async def test_a_name_is_a_tenants_once(api: Api) -> None:
    await api.new_tenant("acme")
    await api.new_tenant("other")
    await made(api)
    body = {"tenant": "acme", "name": "b", "amount_usd": 1, "period": "day"}
    assert (await api("POST", BUDGETS, body)).status == 409
    assert (await api("POST", BUDGETS, body | {"tenant": "other"})).status == 201
    second = await made(api, name="c")
    assert (await api("PATCH", f"{BUDGETS}/{second['id']}", {"name": "b"})).status == 409


async def test_a_tenant_has_so_many_budgets_and_no_more(api: Api, pool: asyncpg.Pool) -> None:
    tenant = await api.new_tenant("acme")
    await pool.execute(
        "insert into budgets (tenant_id, name, amount, period) "
        "select $1, 'b' || number, 1, 'day' from generate_series(1, $2) as number",
        tenant,
        MOST_BUDGETS,
    )
    body = {"tenant": "acme", "name": "one more", "amount_usd": 1, "period": "day"}
    assert (await api("POST", BUDGETS, body)).status == 409


async def test_what_is_spent_leased_and_left_adds_up(api: Api, pool: asyncpg.Pool, bank: PostgresBank) -> None:
    await api.new_tenant("acme")
    shown = await made(api, amount_usd="0.00001")
    budget = Budget(id=shown["id"], name="b", amount_picousd=10_000_000, period="month")
    purse = budget.purse(key_id="", user=None, model="", now_s=int(datetime.now(UTC).timestamp()))
    await bank.renew("host", [Ask(purse, 0, 0, 4_000_000, 1)])
    await spend(pool, purse.name, 1_000_000)
    for reply in (await api("GET", f"{BUDGETS}/{shown['id']}"), await api("GET", BUDGETS)):
        found = reply.body if "data" not in reply.body else next(b for b in reply.body["data"] if b["id"] == budget.id)
        assert (found["spent_usd"], found["leased_usd"], found["left_usd"]) == ("0.000001", "0.000003", "0.000006")
        assert found["period_start"] == datetime.fromtimestamp(purse.period_start_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_who_spends_most_of_a_budget_for_each_is_shown(api: Api, pool: asyncpg.Pool, bank: PostgresBank) -> None:
    await api.new_tenant("acme")
    shown = await made(api, amount_usd="0.000001", period="total", per=["user"])
    budget = Budget(id=shown["id"], name="b", amount_picousd=1_000_000, period="total", per=("user",))
    for user, cost in (("alice", 200_000), ("bob", 700_000)):
        purse = budget.purse(key_id="", user=user, model="", now_s=0)
        await bank.renew("host", [Ask(purse, 0, 0, cost, 1)])
        await spend(pool, purse.name, cost)
    found = (await api("GET", f"{BUDGETS}/{shown['id']}")).body
    assert (Decimal(found["spent_usd"]), found["left_usd"]) == (Decimal("0.0000009"), None)
    assert [(each["subject"], Decimal(each["left_usd"])) for each in found["subjects"]] == [
        ("user=bob", Decimal("0.0000003")),
        ("user=alice", Decimal("0.0000008")),
    ]


async def test_what_the_file_declares_is_shown_first_and_changed_there(api: Api) -> None:
    await api.new_tenant("acme")
    await made(api)
    listed = (await api("GET", f"{BUDGETS}?limit=1")).body["data"]
    assert [(budget["id"], budget["managed_by"]) for budget in listed[:2]] == [
        ("file:all", "file"),
        ("file:tenant:from-file", "file"),
    ]
    assert len(listed) == 3
    own = (await api("GET", f"{BUDGETS}?tenant=from-file")).body["data"]
    assert [(budget["id"], budget["amount_usd"]) for budget in own] == [("file:tenant:from-file", "20")]
    assert (await api("GET", f"{BUDGETS}/file:tenant:from-file")).body["period"] == "month"
    for method, body in (("PATCH", {"amount_usd": 1}), ("DELETE", None)):
        assert (await api(method, f"{BUDGETS}/file:all", body)).status == 409
    declared = {"tenant": "from-file", "name": "b", "amount_usd": 1, "period": "day"}
    assert (await api("POST", BUDGETS, declared)).status == 409


async def test_a_tenants_own_budget_is_shown_with_the_tenants_and_changes_with_it(api: Api) -> None:
    tenant = await api.new_tenant("acme")
    assert (await api("PATCH", "/api/v1/tenants/acme", {"monthly_budget_usd": "7.5"})).status == 200
    (own,) = (await api("GET", f"{BUDGETS}?tenant=acme")).body["data"]
    assert (own["id"], own["amount_usd"], own["period"]) == (f"tenant:{tenant}", "7.5", "month")
    assert (await api("GET", f"{BUDGETS}/tenant:{tenant}")).status == 200
    assert (await api("DELETE", f"{BUDGETS}/tenant:{tenant}")).status == 409
    await api("PATCH", "/api/v1/tenants/acme", {"monthly_budget_usd": 0})
    assert (await api("GET", f"{BUDGETS}?tenant=acme")).body["data"] == []


async def test_a_list_is_paged_newest_first(api: Api) -> None:
    await api.new_tenant("acme")
    names = [f"b{number}" for number in range(5)]
    for name in names:
        await made(api, name=name)
    seen, cursor = [], ""
    while True:
        page = (await api("GET", f"{BUDGETS}?tenant=acme&limit=2{cursor}")).body
        seen += [budget["name"] for budget in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == names[::-1]


async def test_a_patch_changes_what_it_names(api: Api) -> None:
    await api.new_tenant("acme")
    shown = await made(api, **FULL)
    changed = (await api("PATCH", f"{BUDGETS}/{shown['id']}", {"amount_usd": 3, "warn_at": []})).body
    assert changed["updated_at"] > shown["updated_at"]
    assert changed == shown | {
        "amount_usd": "3",
        "left_usd": None,
        "warn_at": [],
        "updated_at": changed["updated_at"],
    }
    assert (await api("PATCH", f"{BUDGETS}/{shown['id']}", {"name": "other"})).body["amount_usd"] == "3"
    for body in ({}, {"period": "day"}, {"amount_usd": 0}, {"name": None}):
        assert (await api("PATCH", f"{BUDGETS}/{shown['id']}", body)).status == 400
    assert (await api("PATCH", f"{BUDGETS}/nothing", {"name": "x"})).status == 404


async def test_a_budget_is_taken_away_with_all_that_was_known_of_it(
    api: Api, pool: asyncpg.Pool, bank: PostgresBank
) -> None:
    await api.new_tenant("acme")
    shown = await made(api, period="total")
    purse = Budget(id=shown["id"], name="b", amount_picousd=5, period="total").purse(
        key_id="", user=None, model="", now_s=0
    )
    await bank.renew("host", [Ask(purse, 0, 0, 4, 1)])
    await spend(pool, purse.name, 2)
    assert (await api("DELETE", f"{BUDGETS}/{shown['id']}")).body["id"] == shown["id"]
    for method in ("GET", "DELETE"):
        assert (await api(method, f"{BUDGETS}/{shown['id']}")).status == 404
    left = await pool.fetchrow(
        "select (select count(*) from budget_terms), (select count(*) from budget_purses), "
        "(select count(*) from budget_spend), (select count(*) from budget_leases), (select count(*) from usage_logs)"
    )
    assert left is not None
    assert tuple(left) == (0, 0, 0, 0, 1)


async def test_every_change_is_in_the_audit_trail(api: Api, pool: asyncpg.Pool) -> None:
    await api.new_tenant("acme")
    shown = await made(api)
    await api("PATCH", f"{BUDGETS}/{shown['id']}", {"amount_usd": 2})
    await api("DELETE", f"{BUDGETS}/{shown['id']}")
    actions = await pool.fetch("select action, actor from audit_logs where subject = $1 order by id", shown["id"])
    assert [row["action"] for row in actions] == ["budget.created", "budget.updated", "budget.deleted"]
    assert all(row["actor"].startswith("key:") for row in actions)


async def test_permissions_are_held(api: Api) -> None:
    await api.new_tenant("acme")
    shown = await made(api)
    viewer, other = await api.new_key("billing:view"), await api.new_key("tenants:view")
    path = f"{BUDGETS}/{shown['id']}"
    assert (await api("GET", BUDGETS, key=viewer)).status == (await api("GET", path, key=viewer)).status == 200
    assert (await api("GET", BUDGETS, key=other)).status == 403
    for method, where in (("POST", BUDGETS), ("PATCH", path), ("DELETE", path)):
        assert (await api(method, where, {"name": "x"}, key=viewer)).status == 403


async def test_keys_come_with_the_budgets_and_hear_of_every_change(api: Api, pool: asyncpg.Pool) -> None:
    tenant = await api.new_tenant("acme")
    secret = await api.new_key("gateway:use", tenant=tenant)
    digest = await pool.fetchval("select key_hash from api_keys where tenant_id = $1", tenant)
    assert secret
    stamps = [await pool.fetchval("select updated_at from tenants")]

    async def budgets() -> list[tuple[str, int]]:
        record = await PostgresKeySource(pool).find(digest)
        assert record is not None
        stamps.append(await pool.fetchval("select updated_at from tenants"))
        assert stamps[-1] > stamps[-2]
        return [(budget.id, budget.amount_picousd) for budget in record.budgets]

    shown = await made(api)
    assert await budgets() == [(shown["id"], 10**12)]
    await api("PATCH", f"{BUDGETS}/{shown['id']}", {"amount_usd": 2})
    assert await budgets() == [(shown["id"], 2 * 10**12)]
    await api("PATCH", "/api/v1/tenants/acme", {"monthly_budget_usd": 3})
    assert await budgets() == [(f"tenant:{tenant}", 3 * 10**12), (shown["id"], 2 * 10**12)]
    await api("DELETE", f"{BUDGETS}/{shown['id']}")
    assert await budgets() == [(f"tenant:{tenant}", 3 * 10**12)]
