"""``/api/v1/tenants/{tenant}/prices``: what a tenant pays otherwise than listed."""

import json

import asyncpg
import msgspec
import pytest
from tests.control.conftest import Api

from tollway.contract.prices import Price, Tariff, TenantPrices, Tier

PRICES = "/api/v1/tenants/{}/prices"
LISTED = {"price_factor": "1", "prices": {}}
OWN = {
    "price_factor": 1.15,
    "prices": {
        "moderation": {
            "input_per_1m": 0.2,
            "output_per_1m": "0.80",
            "per_request": 0.001,
            "tiers": [{"above_tokens": 1000, "input_per_1m": 1, "output_per_1m": 2}],
            "service_tiers": {"flex": {"input_per_1m": 0.1, "output_per_1m": 0.4}},
            "versions": [{"from": "2027-01-31", "input_per_1m": 0.3, "output_per_1m": 0}],
        }
    },
}


async def stored(pool: asyncpg.Pool, name: str) -> TenantPrices | None:
    found = await pool.fetchval("select prices from tenants where name = $1", name)
    return None if found is None else msgspec.json.decode(found, type=TenantPrices)


async def test_a_tenant_pays_what_is_listed_until_it_has_prices_of_its_own(api: Api, pool: asyncpg.Pool) -> None:
    tenant = await api.new_tenant("acme")
    assert (await api("GET", PRICES.format("acme"))).body == {"tenant_id": tenant, **LISTED}
    put = await api("PUT", PRICES.format("acme"), OWN)
    assert put.status == 200
    assert put.body == {
        "tenant_id": tenant,
        "price_factor": "1.15",
        "prices": {
            "moderation": {
                "input_per_1m": "0.2",
                "output_per_1m": "0.8",
                "per_request": "0.001",
                "version": "acme/moderation",
                "tiers": [{"above_tokens": 1000, "input_per_1m": "1", "output_per_1m": "2"}],
                "service_tiers": {"flex": {"input_per_1m": "0.1", "output_per_1m": "0.4"}},
                "versions": [
                    {
                        "from": "2027-01-31T00:00:00+00:00",
                        "input_per_1m": "0.3",
                        "output_per_1m": "0",
                        "version": "acme/moderation@2027-01-31",
                    }
                ],
            }
        },
    }
    assert (await api("GET", PRICES.format(tenant))).body == put.body
    later = Price("acme/moderation@2027-01-31", input=300_000, output=0, from_ms=1_801_353_600_000)
    price = Price(
        "acme/moderation",
        input=200_000,
        output=800_000,
        per_request=10**9,
        tiers=(Tier(above_tokens=1000, input=1_000_000, output=2_000_000),),
        service_tiers={"flex": Tariff(input=100_000, output=400_000)},
        later=(later,),
    )
    assert await stored(pool, "acme") == TenantPrices({"moderation": price}, 1_150_000)
    assert (await api("DELETE", PRICES.format("acme"))).body == {"tenant_id": tenant, **LISTED}
    assert await stored(pool, "acme") is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"price_factor": 0}, "price_factor"),
        ({"price_factor": -1}, "price_factor"),
        ({"price_factor": "1.0000001"}, "price_factor"),
        ({"discount": 1}, "discount"),
        ({"prices": {"unheard-of": {"input_per_1m": 1, "output_per_1m": 1}}}, "prices.unheard-of"),
        ({"prices": {"moderation": {"input_per_1m": 1}}}, "prices.moderation"),
        ({"prices": {"moderation": {"input_per_1m": "cheap", "output_per_1m": 1}}}, "prices.moderation.input_per_1m"),
        (
            {
                "prices": {
                    "moderation": {
                        "input_per_1m": 1,
                        "output_per_1m": 1,
                        "tiers": [{"above_tokens": n, "input_per_1m": 1, "output_per_1m": 1} for n in (2, 2)],
                    }
                }
            },
            "prices.moderation.tiers[1].above_tokens",
        ),
        ([], None),
        ("x", None),
    ],
)
async def test_a_fault_is_named_and_nothing_changes(
    api: Api, pool: asyncpg.Pool, body: object, param: str | None
) -> None:
    await api.new_tenant("acme")
    reply = await api("PUT", PRICES.format("acme"), body)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert await stored(pool, "acme") is None


async def test_what_the_file_declares_is_shown_and_left_alone(api: Api) -> None:
    assert (await api("GET", PRICES.format("from-file"))).body == {"tenant_id": "from-file", **LISTED}
    assert (await api("PUT", PRICES.format("from-file"), LISTED)).status == 409
    assert (await api("DELETE", PRICES.format("from-file"))).status == 409


async def test_there_are_no_prices_of_nobody(api: Api) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert (await api(method, PRICES.format("nobody"), OWN if method == "PUT" else None)).status == 404


async def test_a_change_is_in_the_trail_and_announced(api: Api, pool: asyncpg.Pool, postgres_dsn: str) -> None:
    tenant = await api.new_tenant("acme")
    before = await pool.fetchval("select updated_at from tenants")
    heard: list[str] = []
    listening = await asyncpg.connect(postgres_dsn)
    try:
        await listening.add_listener("tollway_keys", lambda *told: heard.append(told[-1]))
        await api("PUT", PRICES.format("acme"), OWN)
        await listening.fetchval("select 1")
    finally:
        await listening.close()
    assert [json.loads(told) for told in heard] == [{"tenant_id": tenant}]
    assert await pool.fetchval("select updated_at from tenants") > before
    trail = await pool.fetch("select action, subject, detail from audit_logs where action = 'tenant.priced'")
    assert [(line["subject"], json.loads(line["detail"])) for line in trail] == [(tenant, OWN)]
