"""``/api/v1/billing/usage``: what was used, summed and row by row, to the last pico-dollar."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from tests.control.conftest import Api

from tollway.contract.guardrails import Found
from tollway.contract.usage import UsageRow
from tollway.storage.usage import insert_usage

USAGE = "/api/v1/billing/usage"
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)

ROW = UsageRow(
    id="0",
    request_id="req",
    at_us=0,
    tenant_id="from-file",
    api_key_id="ci",
    user_id=None,
    model="small",
    provider="openai",
    provider_model="small-2026",
    prompt_tokens=10,
    completion_tokens=5,
    cached_tokens=4,
    cache_write_tokens=0,
    reasoning_tokens=1,
    cost_picousd=1,
    price_version="1",
    usage_source="told",
    outcome="ok",
    http_status=200,
    stream=False,
    latency_ms=10,
    first_token_ms=None,
    attempts=1,
)


def _row(number: int, at: datetime = NOON, **fields: object) -> UsageRow:
    at_us = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return msgspec.structs.replace(ROW, id=f"row-{number:03}", request_id=f"req-{number}", at_us=at_us, **fields)


async def _store(api: Api, *rows: UsageRow) -> None:
    async with api.pool.acquire() as connection:
        assert await insert_usage(connection, rows) == len(rows)


async def test_sums_are_exact_and_say_what_they_leave_out(api: Api) -> None:
    await _store(
        api,
        _row(1, cost_picousd=1),
        _row(2, cost_picousd=999_999_999_999),
        _row(3, cost_picousd=None, outcome="timeout", http_status=504),
        _row(4, model="large", cost_picousd=7),
    )
    reply = await api("GET", f"{USAGE}?by=model")
    assert reply.status == 200
    large, small = reply.body["data"]
    assert small["costs_usd"].pop("unsplit") == "1.000000000000"
    assert {Decimal(cost) for cost in small.pop("costs_usd").values()} == {Decimal(0)}
    assert small == {
        "at": None,
        "value": "small",
        "name": None,
        "second": None,
        "calls": 3,
        "failed": 1,
        "unpriced": 1,
        "cache_hits": 0,
        "prompt_tokens": 30,
        "completion_tokens": 15,
        "cached_tokens": 12,
        "cache_write_tokens": 0,
        "reasoning_tokens": 3,
        "audio_input_tokens": 0,
        "audio_output_tokens": 0,
        "image_input_tokens": 0,
        "image_output_tokens": 0,
        "cost_usd": "1.000000000000",
        "saved_usd": "0",
        "mean_latency_ms": 10,
        "mean_first_token_ms": None,
    }
    assert (large["value"], Decimal(large["cost_usd"])) == ("large", Decimal("0.000000000007"))
    assert reply.body["next_cursor"] is None


async def test_tenants_and_keys_are_named(api: Api) -> None:
    tenant_id = await api.new_tenant("acme")
    await api.new_key(tenant=tenant_id)
    key_id = await api.pool.fetchval("select id from api_keys where tenant_id = $1", tenant_id)
    await _store(api, _row(1, tenant_id=tenant_id, api_key_id=key_id), _row(2))
    by_tenant = {line["value"]: line["name"] for line in (await api("GET", USAGE)).body["data"]}
    assert by_tenant == {tenant_id: "acme", "from-file": None}
    by_key = {line["value"]: line["name"] for line in (await api("GET", f"{USAGE}?by=key")).body["data"]}
    assert by_key == {key_id: "test", "ci": None}


async def test_days_are_days_of_utc(api: Api) -> None:
    midnight = NOON.replace(hour=0)
    await _store(api, _row(1, midnight), _row(2, midnight - timedelta(microseconds=1)))
    days = [line["at"] for line in (await api("GET", f"{USAGE}?every=day")).body["data"]]
    assert days == [f"{midnight - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}", f"{midnight:%Y-%m-%dT%H:%M:%SZ}"]


async def test_a_range_has_its_start_and_lacks_its_end(api: Api) -> None:
    await _store(api, *(_row(hour, NOON + timedelta(hours=hour)) for hour in range(4)))
    start, end = (f"{NOON + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}" for hour in (1, 3))
    (line,) = (await api("GET", f"{USAGE}?start={start}&end={end}")).body["data"]
    assert line["calls"] == 2
    rows = (await api("GET", f"{USAGE}/rows?start={start}&end={end}")).body["data"]
    assert [row["id"] for row in rows] == ["row-002", "row-001"]


async def test_the_last_thirty_days_are_meant_when_nothing_is_said(api: Api) -> None:
    await _store(api, _row(1), _row(2, NOON - timedelta(days=40)))
    (line,) = (await api("GET", USAGE)).body["data"]
    assert line["calls"] == 1


@pytest.mark.parametrize("field", ["tenant", "model", "key", "provider"])
async def test_sums_and_rows_are_filtered(api: Api, field: str) -> None:
    column = {"tenant": "tenant_id", "key": "api_key_id"}.get(field, field)
    await _store(api, _row(1, NOON, **{column: "wanted"}), _row(2))
    (line,) = (await api("GET", f"{USAGE}?by={field}&{field}=wanted")).body["data"]
    assert (line["value"], line["calls"]) == ("wanted", 1)
    (row,) = (await api("GET", f"{USAGE}/rows?{field}=wanted")).body["data"]
    assert row["id"] == "row-001"


async def test_sums_are_paged(api: Api) -> None:
    await _store(api, *(_row(number, model=f"model-{number}") for number in range(5)))
    first = (await api("GET", f"{USAGE}?by=model&limit=3")).body
    rest = (await api("GET", f"{USAGE}?by=model&limit=3&cursor={first['next_cursor']}")).body
    assert [line["value"] for line in first["data"] + rest["data"]] == [f"model-{number}" for number in range(5)]
    assert rest["next_cursor"] is None


async def test_rows_of_one_moment_are_paged_without_gaps_or_repeats(api: Api) -> None:
    await _store(api, *(_row(number) for number in range(7)))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api("GET", f"{USAGE}/rows?limit=2" + (f"&cursor={cursor}" if cursor else ""))).body
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert seen == [f"row-{number:03}" for number in range(6, -1, -1)]


async def test_a_row_shows_what_was_recorded(api: Api) -> None:
    await _store(api, _row(1, cost_picousd=5_850_000, first_token_ms=45, stream=True))
    (row,) = (await api("GET", f"{USAGE}/rows")).body["data"]
    assert row["cost_usd"] == "0.000005850000"
    assert row["created_at"] == f"{NOON:%Y-%m-%dT%H:%M:%SZ}"
    assert (row["status"], row["usage_source"], row["first_token_ms"], row["stream"]) == ("ok", "told", 45, True)


async def test_a_row_shows_kinds_and_counts_of_what_was_found(api: Api) -> None:
    await _store(api, _row(1), _row(2, findings=(Found("output", "secrets", "jwt", "mask", 3),)))
    rows = (await api("GET", f"{USAGE}/rows")).body["data"]
    found = {"direction": "output", "check": "secrets", "kind": "jwt", "action": "mask", "count": 3}
    assert {row["id"]: row["findings"] for row in rows} == {"row-001": [], "row-002": [found]}


async def test_a_hedge_costs_and_is_no_call_and_a_shadow_is_summed_only_when_asked_for(api: Api) -> None:
    await _store(
        api,
        _row(1, cost_picousd=1),
        _row(2, cost_picousd=20, role="hedge", outcome="client_gone"),
        _row(3, cost_picousd=300, role="shadow", outcome="error"),
    )
    (plain,) = (await api("GET", USAGE)).body["data"]
    assert (plain["calls"], plain["failed"], plain["prompt_tokens"]) == (1, 0, 20)
    assert Decimal(plain["cost_usd"]) == Decimal("0.000000000021")
    for role, failed, cost in (("answer", 0, 1), ("hedge", 1, 20), ("shadow", 1, 300)):
        (line,) = (await api("GET", f"{USAGE}?role={role}")).body["data"]
        assert (line["calls"], line["failed"], int(Decimal(line["cost_usd"]).scaleb(12))) == (1, failed, cost)
        (row,) = (await api("GET", f"{USAGE}/rows?role={role}")).body["data"]
        assert row["role"] == role
    rows = (await api("GET", f"{USAGE}/rows")).body["data"]
    assert [row["role"] for row in rows] == ["shadow", "hedge", "answer"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("by=colour", "by"),
        ("role=copy", "role"),
        ("by=tenant;drop", "by"),
        ("start=2026-01-01T00:00:00", "start"),
        ("start=yesterday", "start"),
        ("end=0001-01-01T00:00:00Z", "end"),
        ("end=9999-12-31T23:59:59Z", "end"),
        ("start=0001-01-01T00:00:00%2B14:00", "start"),
        ("by=tenant,tenant", "by"),
        ("by=tenant,model,key", "by"),
        ("every=minute", "every"),
        ("start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", "start"),
        ("limit=1000", "limit"),
        ("cursor=%2B%2B", "cursor"),
        ("colour=red", "colour"),
    ],
)
async def test_a_wrong_parameter_is_named(api: Api, query: str, param: str) -> None:
    reply = await api("GET", f"{USAGE}?{query}")
    assert (reply.status, reply.error["param"]) == (400, param)
