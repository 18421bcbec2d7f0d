"""``/api/v1/tenants``: made, listed, shown, changed."""

import asyncpg
import msgspec
import pytest
from tests.control.conftest import Api

from tollway.contract.limits import LimitValues
from tollway.control.tenants import rules
from tollway.control.tenants.queries import Declared, TenantPatch
from tollway.errors import InvalidRequest

TENANTS = "/api/v1/tenants"


async def test_a_tenant_is_made_and_shown_by_id_and_by_name(api: Api) -> None:
    wanted = {
        "name": "acme",
        "is_active": True,
        "limits": {"rpm": 60, "concurrency": 2},
        "allowed_models": ["gpt-4o-mini", "claude-haiku"],
        "guardrails": "strict",
        "monthly_budget_usd": "99.95",
    }
    made = await api("POST", TENANTS, wanted)
    assert made.status == 201
    assert wanted.items() <= made.body.items()
    assert made.body["current_spend_usd"] == "0"
    for reference in (made.body["id"], "acme"):
        assert (await api("GET", f"{TENANTS}/{reference}")).body == made.body


async def test_a_name_is_enough(api: Api) -> None:
    made = await api("POST", TENANTS, {"name": "acme"})
    assert (made.body["limits"], made.body["allowed_models"], made.body["guardrails"]) == (None, None, None)
    assert made.body["is_active"] is True


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": " a"}, "name"),
        ({"name": 7}, "name"),
        ({"name": "a", "colour": "red"}, "colour"),
        ({"name": "a", "limits": {"rpm": -1}}, "limits.rpm"),
        ({"name": "a", "limits": {"tpm": 0}}, "limits.tpm"),
        ({"name": "a", "limits": {"concurrency": 10**12}}, "limits.concurrency"),
        ({"name": "a", "limits": {"rpm": 1.5}}, "limits.rpm"),
        ({"name": "a", "limits": {"rpw": 1}}, "limits.rpw"),
        ({"name": "a", "limits": []}, "limits"),
        ({"name": "a", "allowed_models": ["ok", ""]}, "allowed_models[1]"),
        ({"name": "a", "allowed_models": "gpt"}, "allowed_models"),
        ({"name": "a", "allowed_models": ["m"] * 1_001}, "allowed_models"),
        ({"name": "a", "guardrails": "unheard-of"}, "guardrails"),
        ({"name": "a", "monthly_budget_usd": -1}, "monthly_budget_usd"),
        ({"name": "a", "monthly_budget_usd": "1e-13"}, "monthly_budget_usd"),
        ({"name": "a", "monthly_budget_usd": "much"}, "monthly_budget_usd"),
    ],
)
async def test_a_wrong_field_is_named(api: Api, body: object, param: str) -> None:
    reply = await api("POST", TENANTS, body)
    assert reply.status == 400
    assert reply.error["param"] == param
    assert param in reply.error["message"]


async def test_a_name_can_be_taken_once(api: Api) -> None:
    await api.new_tenant("acme")
    reply = await api("POST", TENANTS, {"name": "acme"})
    assert (reply.status, reply.error["code"]) == (409, "conflict")
    other = await api.new_tenant("other")
    assert (await api("PATCH", f"{TENANTS}/{other}", {"name": "acme"})).status == 409


async def test_what_the_file_declares_is_left_alone(api: Api) -> None:
    assert (await api("POST", TENANTS, {"name": "from-file"})).status == 409
    reply = await api("PATCH", f"{TENANTS}/from-file", {"is_active": False})
    assert (reply.status, reply.error["code"]) == (409, "conflict")
    assert "configuration file" in reply.error["message"]
    other = await api.new_tenant()
    assert (await api("PATCH", f"{TENANTS}/{other}", {"name": "from-file"})).status == 409


async def test_a_patch_changes_what_it_names_and_nothing_else(api: Api) -> None:
    made = (await api("POST", TENANTS, {"name": "acme", "limits": {"rpm": 5}, "allowed_models": ["a"]})).body
    changed = (
        await api("PATCH", f"{TENANTS}/acme", {"is_active": False, "limits": None, "guardrails": "default"})
    ).body
    assert changed["updated_at"] > made["updated_at"]
    assert changed == made | {
        "is_active": False,
        "limits": None,
        "guardrails": "default",
        "updated_at": changed["updated_at"],
    }
    assert (await api("PATCH", f"{TENANTS}/acme", {"allowed_models": None})).body["allowed_models"] is None
    for budget, shown in ((0, "0"), (12.5, "12.5"), (None, None)):
        changed = (await api("PATCH", f"{TENANTS}/acme", {"monthly_budget_usd": budget})).body
        assert changed["monthly_budget_usd"] == shown


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, None),
        ({"name": None}, "name"),
        ({"is_active": None}, "is_active"),
        ({"current_spend_usd": "0"}, "current_spend_usd"),
        ({"id": "x"}, "id"),
        ({"guardrails": "unheard-of"}, "guardrails"),
    ],
)
async def test_a_wrong_patch_is_refused(api: Api, body: object, param: str | None) -> None:
    await api.new_tenant()
    reply = await api("PATCH", f"{TENANTS}/acme", body)
    assert (reply.status, reply.error["param"]) == (400, param)


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    assert (await api("GET", f"{TENANTS}/nobody")).status == 404
    assert (await api("PATCH", f"{TENANTS}/nobody", {"is_active": False})).status == 404


async def test_a_list_is_paged_newest_first_without_gaps_or_repeats(api: Api) -> None:
    names = [f"tenant-{number}" for number in range(7)]
    for name in names:
        await api.new_tenant(name)
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await api("GET", f"{TENANTS}?limit=3{cursor}")).body
        seen += [tenant["name"] for tenant in page["data"]]
        await api.new_tenant(f"newer-{len(seen)}")
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == names[::-1]


async def test_a_list_is_filtered(api: Api) -> None:
    await api.new_tenant("on")
    await api.new_tenant("off")
    await api("PATCH", f"{TENANTS}/off", {"is_active": False})
    page = await api("GET", f"{TENANTS}?is_active=false")
    assert [tenant["name"] for tenant in page.body["data"]] == ["off"]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=!!", "cursor=e30", "colour=red"])
async def test_a_wrong_query_names_its_parameter(api: Api, query: str) -> None:
    reply = await api("GET", f"{TENANTS}?{query}")
    assert reply.status == 400
    assert reply.error["param"] == query.partition("=")[0]


async def test_every_change_is_in_the_audit_trail_with_its_actor(api: Api, pool: asyncpg.Pool) -> None:
    made = (await api("POST", TENANTS, {"name": "acme"})).body
    await api("PATCH", f"{TENANTS}/acme", {"limits": {"rpm": 9}})
    rows = await pool.fetch("select actor, action, detail from audit_logs where subject = $1 order by id", made["id"])
    assert [row["action"] for row in rows] == ["tenant.created", "tenant.updated"]
    admin = await pool.fetchval("select id from api_keys")
    assert {row["actor"] for row in rows} == {f"key:{admin}"}
    assert msgspec.json.decode(rows[1]["detail"]) == {"limits": {"rpm": 9}}


def test_a_rule_needs_no_database() -> None:
    patch = TenantPatch(limits=LimitValues(rpm=1), allowed_models=("b", "a", "b"))
    assert rules.checked_patch(patch, Declared()).allowed_models == ("b", "a")
    with pytest.raises(InvalidRequest, match="nothing to change"):
        rules.checked_patch(TenantPatch(), Declared())
