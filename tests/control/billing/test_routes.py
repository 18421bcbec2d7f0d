"""``/api/v1/billing``: statements, adjustments and prices over HTTP."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tests.control.billing.test_books import JANUARY, noon, row
from tests.control.conftest import SNAPSHOT, Api

from tollway.contract.snapshot import Price
from tollway.control.permissions import ROLES
from tollway.storage.usage import insert_usage

BILLING = "/api/v1/billing"
STATEMENT = f"{BILLING}/statements/from-file/2026-01"


async def _used(api: Api, *numbers: int) -> None:
    async with api.pool.acquire() as connection:
        at = noon(JANUARY.replace(year=2026))
        await insert_usage(connection, [row(number, at, tenant_id="from-file") for number in numbers])


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


async def test_a_draft_becomes_a_closed_statement(api: Api) -> None:
    await _used(api, 5, 7)
    draft = (await api("GET", STATEMENT)).body
    assert (draft["status"], draft["month"], Decimal(draft["total_usd"])) == (
        "draft",
        "2026-01",
        Decimal(12).scaleb(-12),
    )
    assert draft["hash"] is draft["closed_at"] is draft["is_intact"] is None
    closed = await api("POST", f"{STATEMENT}/close")
    assert closed.status == 200
    assert (closed.body["status"], closed.body["items"], closed.body["is_intact"]) == ("closed", draft["items"], True)
    assert closed.body["closed_by"].startswith("key:")
    assert (await api("GET", STATEMENT)).body == closed.body
    assert (await api("POST", f"{STATEMENT}/close")).status == 409


async def test_items_are_by_model_and_kind_and_exact(api: Api) -> None:
    await _used(api, 5)
    items = {item["what"]: item for item in (await api("GET", STATEMENT)).body["items"]}
    assert (items["input"]["amount_usd"], items["input"]["unit"]) == ("0.000000000005", "tokens")
    assert (items["requests"]["quantity"], items["requests"]["unit"]) == ("1", "calls")
    assert items["input"]["kind"] == "usage"


async def test_calls_without_a_price_are_told(api: Api) -> None:
    async with api.pool.acquire() as connection:
        at = noon(JANUARY.replace(year=2026))
        await insert_usage(connection, [row(1, at, tenant_id="from-file", cost_picousd=None, costs=None)])
    assert (await api("GET", STATEMENT)).body["unpriced_calls"] == 1


async def test_statements_are_listed_newest_month_first(api: Api) -> None:
    for tenant, month in (("from-file", "2026-01"), ("from-file", "2026-03"), ("from-file", "2026-02")):
        assert (await api("POST", f"{BILLING}/statements/{tenant}/{month}/close")).status == 200
    first = (await api("GET", f"{BILLING}/statements?limit=2")).body
    rest = (await api("GET", f"{BILLING}/statements?limit=2&cursor={first['next_cursor']}")).body
    assert [each["month"] for each in first["data"] + rest["data"]] == ["2026-03", "2026-02", "2026-01"]
    assert rest["next_cursor"] is None
    (one,) = (await api("GET", f"{BILLING}/statements?month=2026-02&tenant=from-file")).body["data"]
    assert "items" not in one
    assert (await api("GET", f"{BILLING}/statements?tenant=globex")).body["data"] == []


async def test_a_month_that_is_not_over_stays_open(api: Api) -> None:
    reply = await api("POST", f"{BILLING}/statements/from-file/{datetime.now(UTC):%Y-%m}/close")
    assert (reply.status, reply.error["code"]) == (409, "conflict")


@pytest.mark.parametrize("month", ["2026-13", "2026", "2026-1", "1999-01", "2026-01-01"])
async def test_what_is_no_month_is_refused(api: Api, month: str) -> None:
    reply = await api("GET", f"{BILLING}/statements/from-file/{month}")
    assert (reply.status, reply.error["param"]) == (400, "month")


async def test_a_tenant_that_is_not_known_has_no_statement(api: Api) -> None:
    for method, path in (("GET", ""), ("POST", "/close")):
        assert (await api(method, f"{BILLING}/statements/nobody/2026-01{path}")).status == 404
    body = {"tenant": "nobody", "month": "2026-01", "amount_usd": "1", "reason": "why"}
    assert (await api("POST", f"{BILLING}/adjustments", body)).status == 404


async def test_an_adjustment_is_on_record_and_on_its_statement(api: Api) -> None:
    tenant = await api.new_tenant()
    body = {"tenant": tenant, "month": "2026-01", "amount_usd": "-12.345678901234", "reason": "an outage"}
    made = await api("POST", f"{BILLING}/adjustments", body)
    assert made.status == 201
    assert (await api("GET", f"{BILLING}/adjustments?tenant={tenant}")).body["data"] == [made.body]
    (item,) = (await api("GET", f"{BILLING}/statements/{tenant}/2026-01")).body["items"]
    assert (item["kind"], item["amount_usd"], item["reason"]) == ("adjustment", "-12.345678901234", "an outage")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"amount_usd": "0"}, "amount_usd"),
        ({"amount_usd": "0.0000000000001"}, "amount_usd"),
        ({"amount_usd": "NaN"}, "amount_usd"),
        ({"amount_usd": "1e30"}, "amount_usd"),
        ({"amount_usd": "Infinity"}, "amount_usd"),
        ({"amount_usd": "much"}, "amount_usd"),
        ({"reason": " "}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"month": "soon"}, "month"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_adjustment_is_refused(api: Api, change: dict[str, str], param: str) -> None:
    body = {"tenant": "from-file", "month": "2026-01", "amount_usd": "1", "reason": "why"} | change
    reply = await api("POST", f"{BILLING}/adjustments", body)
    assert (reply.status, reply.error["param"]) == (400, param)


async def test_who_may_only_look_changes_nothing(api: Api) -> None:
    viewer = await api.new_key("billing:view")
    assert (await api("GET", STATEMENT, key=viewer)).status == 200
    body = {"tenant": "from-file", "month": "2026-01", "amount_usd": "1", "reason": "why"}
    for path in (f"{STATEMENT.removeprefix(BILLING)}/close", "/adjustments"):
        reply = await api("POST", BILLING + path, body, key=viewer)
        assert reply.status == 403
        assert "billing:update" in reply.error["message"]


def test_bills_are_changed_by_who_bills_alone() -> None:
    assert {role for role, allowed in ROLES.items() if "billing:update" in allowed} == {"platform_admin", "billing"}


async def test_prices_are_those_that_calls_are_priced_by(api: Api) -> None:
    chat = SNAPSHOT.routes["chat"]
    priced = msgspec.structs.replace(chat.targets[0], price=Price(version="v1", input=150_000, output=600_000))
    routes = {**SNAPSHOT.routes, "chat": msgspec.structs.replace(chat, targets=(priced, *chat.targets[1:]))}
    api.router.snapshot = msgspec.structs.replace(SNAPSHOT, routes=routes)
    first = (await api("GET", f"{BILLING}/prices?limit=2")).body
    rest = (await api("GET", f"{BILLING}/prices?limit=2&cursor={first['next_cursor']}")).body
    listed = [(each["model"], each["provider"], each["provider_model"]) for each in first["data"] + rest["data"]]
    assert listed == [("chat", "hub", "org/mini:v1"), ("chat", "openai", "mini"), ("spare", "hub", "org/mini:v1")]
    assert [each["price"] and each["price"]["input"] for each in first["data"]] == [None, 150_000]


async def test_an_export_is_an_object_and_on_record(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the data directory of these settings is
    api = Api(api.pool, api.log)
    api.admin = await api.new_key()
    await _used(api, 5, 7)
    reply = await api("POST", f"{BILLING}/export", {"what": "rows", "format": "jsonl", "month": "2026-01"})
    assert (reply.status, reply.body["rows"]) == (201, 2)
    path = Path(reply.body["object"].removeprefix("file://"))
    assert path.is_relative_to(tmp_path / "data" / "objects" / "exports" / "rows")
    assert len(_lines(path)) == 2
    assert await api.pool.fetchval("select subject from audit_logs where action = 'usage.exported'") == str(
        reply.body["object"]
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"what": "rows"}, "month"),
        ({"what": "rows", "month": "2026-01", "start": "2026-01-01T00:00:00Z"}, "month"),
        ({"what": "rows", "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "start"),
        ({"what": "rows", "start": "2026-01-01T00:00:00", "end": "2026-01-02T00:00:00Z"}, "start"),
        ({"what": "secrets", "month": "2026-01"}, "what"),
        ({"what": "rows", "format": "xls", "month": "2026-01"}, "format"),
    ],
)
async def test_a_wrong_export_is_refused(api: Api, body: dict[str, str], param: str) -> None:
    reply = await api("POST", f"{BILLING}/export", body)
    assert (reply.status, reply.error["param"]) == (400, param)


async def test_an_account_is_compared_with_our_rows(api: Api) -> None:
    await _used(api, 5)
    provider = await api.pool.fetchval("select provider from usage_logs")
    model = await api.pool.fetchval("select provider_model from usage_logs")
    tokens = await api.pool.fetchrow("select prompt_tokens, completion_tokens, cached_tokens from usage_logs")
    account = "day,model,input_tokens,output_tokens,cost_usd\n2026-01-10,{},{},{},{}\n"
    path = f"{BILLING}/reconcile?provider={provider}&form=csv"
    assert tokens is not None
    same = account.format(model, tokens["prompt_tokens"], tokens["completion_tokens"], "0")
    found = (await api("POST", path, raw=same.encode())).body
    assert (found["agreeing"], found["differing"], found["ours_usd"]) == (1, 0, "0.000000000005")
    more = account.format(model, tokens["prompt_tokens"] + 3, tokens["completion_tokens"], "2.5")
    (difference,) = (await api("POST", path, raw=more.encode())).body["differences"]
    assert difference["more_there"] == {"input_tokens": 3, "output_tokens": 0, "cost_usd": "2.499999999995"}
    assert [each["reason"] for each in difference["explanations"]] == ["more_there"]


@pytest.mark.parametrize(
    ("query", "raw", "param"),
    [
        ("provider=openai", b"{}", None),
        ("provider=openai&form=pdf", b"", "form"),
        ("provider=openai&tolerance_usd=-1", b"", "tolerance_usd"),
        ("", b"", "provider"),
    ],
)
async def test_what_is_no_account_is_refused(api: Api, query: str, raw: bytes, param: str | None) -> None:
    reply = await api("POST", f"{BILLING}/reconcile?{query}", raw=raw)
    assert (reply.status, reply.error["param"]) == (400, param)
