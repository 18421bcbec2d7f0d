"""``/api/v1/keys``: a secret once, a digest for ever, revoked for good."""

import hashlib
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest
from tests.control.conftest import Api

from tollway.contract.keys import GATEWAY_USE
from tollway.contract.limits import LIMIT_FIELDS, LimitValues
from tollway.control.keys import rules
from tollway.control.permissions import ADMIN
from tollway.errors import Forbidden, InvalidRequest
from tollway.storage.keys import PostgresKeySource

KEYS = "/api/v1/keys"


async def test_a_key_is_made_for_a_tenant_by_id_or_name_and_the_gateway_knows_it(api: Api, pool: asyncpg.Pool) -> None:
    tenant_id = await api.new_tenant("acme")
    wanted = {
        "name": "ci",
        "limits": {"rpm": 5, "output_tpd": 1_000_000_000_000},
        "allowed_models": ["gpt-4o-mini"],
        "expires_at": "2100-01-01T00:00:00Z",
    }
    for reference in (tenant_id, "acme"):
        made = await api("POST", KEYS, wanted | {"tenant": reference})
        assert made.status == 201
        assert wanted.items() <= made.body["key"].items()
        assert made.body["key"]["scopes"] == [GATEWAY_USE]
        assert made.body["secret"].startswith("tw_live_")
        record = await PostgresKeySource(pool).find(hashlib.sha256(made.body["secret"].encode()).digest())
        assert record is not None
        assert (record.tenant_id, record.tenant_name, record.is_active) == (tenant_id, "acme", True)
        assert record.key_limits == LimitValues(rpm=5, output_tpd=10**12)
        assert record.expires_at_ms == 4_102_444_800_000


async def test_the_secret_is_shown_once_and_stored_nowhere(api: Api, pool: asyncpg.Pool) -> None:
    made = (await api("POST", KEYS, {"name": "ci", "tenant": await api.new_tenant()})).body
    random_part = made["secret"].removeprefix(made["key"]["prefix"])
    assert random_part != made["secret"]
    for later in (await api("GET", KEYS), await api("GET", f"{KEYS}/{made['key']['id']}")):
        assert random_part not in str(later.body)
    for table in await pool.fetch("select table_name from information_schema.tables where table_schema = 'public'"):
        everything = f"select string_agg(t::text, '') from {table['table_name']} t"  # noqa: S608 -- from the catalogue
        content = await pool.fetchval(everything)
        assert random_part not in (content or "")


async def test_a_test_key_says_so(api: Api) -> None:
    made = await api("POST", KEYS, {"name": "t", "tenant": await api.new_tenant(), "environment": "test"})
    assert made.body["secret"].startswith("tw_test_")
    assert made.body["key"]["environment"] == "test"


async def test_an_admin_key_gets_all_scopes_or_those_asked_for_and_works(api: Api) -> None:
    made = await api("POST", KEYS, {"name": "ops", "admin": True})
    assert made.body["secret"].startswith("tw_admin_")
    assert set(made.body["key"]["scopes"]) == ADMIN
    assert made.body["key"]["tenant_id"] is None
    made = await api("POST", KEYS, {"name": "bills", "admin": True, "scopes": ["billing:view"]})
    assert (await api("GET", "/api/v1/billing/usage", key=made.body["secret"])).status == 200
    assert (await api("GET", KEYS, key=made.body["secret"])).status == 403


async def test_nobody_grants_what_he_lacks(api: Api) -> None:
    limited = await api.new_key("api_keys:create", "tenants:view")
    for body in ({"name": "x", "admin": True}, {"name": "x", "admin": True, "scopes": ["tenants:update"]}):
        reply = await api("POST", KEYS, body, key=limited)
        assert (reply.status, reply.error["param"]) == (403, "scopes")
    granted = await api("POST", KEYS, {"name": "x", "admin": True, "scopes": ["tenants:view"]}, key=limited)
    assert granted.status == 201
    assert (await api("POST", KEYS, {"name": "x", "tenant": await api.new_tenant()}, key=limited)).status == 201


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tenant": "acme"}, "name"),
        ({"name": "x"}, "tenant"),
        ({"name": "x", "tenant": "nobody"}, "tenant"),
        ({"name": "x", "tenant": "a\x00b"}, "tenant"),
        ({"name": "x", "tenant": "acme", "admin": True}, "tenant"),
        ({"name": "x", "admin": True, "limits": {"rpm": 1}}, "limits"),
        ({"name": "x", "admin": True, "allowed_models": ["m"]}, "allowed_models"),
        ({"name": "x", "admin": True, "scopes": []}, "scopes"),
        ({"name": "x", "admin": True, "scopes": ["gateway:use"]}, "scopes"),
        ({"name": "x", "admin": True, "scopes": ["everything"]}, "scopes"),
        ({"name": "x", "tenant": "acme", "scopes": ["billing:view"]}, "scopes"),
        ({"name": "x", "tenant": "acme", "environment": "admin"}, "environment"),
        ({"name": "x", "tenant": "acme", "expires_at": "2100-01-01T00:00:00"}, "expires_at"),
        ({"name": "x", "tenant": "acme", "expires_at": "2000-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "tenant": "acme", "expires_at": "soon"}, "expires_at"),
        ({"name": "x", "tenant": "acme", "limits": {"rpm": 0}}, "limits.rpm"),
        ({"name": "x", "tenant": "acme", "limits": {"output_tpm": 1_000_000_001}}, "limits.output_tpm"),
        ({"name": "x", "tenant": "acme", "limits": {field: 1 for field, _, _ in LIMIT_FIELDS[:9]}}, "limits"),
        ({"name": "x", "tenant": "acme", "secret": "tw_live_mine"}, "secret"),
    ],
)
async def test_a_wrong_field_is_named(api: Api, body: object, param: str) -> None:
    await api.new_tenant("acme")
    reply = await api("POST", KEYS, body)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert param in reply.error["message"]


async def test_keys_of_a_tenant_in_the_file_are_made_there(api: Api) -> None:
    reply = await api("POST", KEYS, {"name": "x", "tenant": "from-file"})
    assert (reply.status, reply.error["code"]) == (409, "conflict")


@pytest.mark.parametrize(("method", "suffix"), [("POST", "/revoke"), ("DELETE", "")])
async def test_a_key_is_revoked_once_and_stays_so(api: Api, pool: asyncpg.Pool, method: str, suffix: str) -> None:
    made = (await api("POST", KEYS, {"name": "ops", "admin": True})).body
    path = f"{KEYS}/{made['key']['id']}"
    assert (await api("GET", KEYS, key=made["secret"])).status == 200
    revoked = await api(method, path + suffix)
    assert (revoked.status, revoked.body["is_active"]) == (200, False)
    assert revoked.body["revoked_at"] is not None
    assert (await api("GET", KEYS, key=made["secret"])).status == 401
    assert (await api(method, path + suffix)).body == revoked.body
    trail = "select count(*) from audit_logs where action = 'key.revoked' and subject = $1"
    assert await pool.fetchval(trail, made["key"]["id"]) == 1


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    for method, path in (("GET", "/x"), ("DELETE", "/x"), ("POST", "/x/revoke")):
        assert (await api(method, KEYS + path)).status == 404


async def test_a_list_is_paged_and_filtered(api: Api) -> None:
    acme, other = await api.new_tenant("acme"), await api.new_tenant("other")
    for number in range(5):
        await api("POST", KEYS, {"name": f"key-{number}", "tenant": acme})
    await api("POST", KEYS, {"name": "elsewhere", "tenant": other})
    first = (await api("GET", f"{KEYS}?tenant=acme&limit=3")).body
    rest = (await api("GET", f"{KEYS}?tenant={acme}&limit=3&cursor={first['next_cursor']}")).body
    assert [key["name"] for key in first["data"] + rest["data"]] == [f"key-{number}" for number in range(4, -1, -1)]
    assert rest["next_cursor"] is None
    await api("DELETE", f"{KEYS}/{first['data'][0]['id']}")
    assert [key["name"] for key in (await api("GET", f"{KEYS}?tenant=acme&is_active=false")).body["data"]] == ["key-4"]
    assert (await api("GET", f"{KEYS}?tenant=nobody")).status == 400


async def test_making_a_key_is_in_the_audit_trail_without_its_secret(api: Api, pool: asyncpg.Pool) -> None:
    made = (await api("POST", KEYS, {"name": "ops", "admin": True, "scopes": ["audit:view"]})).body
    row = await pool.fetchrow("select action, detail from audit_logs where subject = $1", made["key"]["id"])
    assert row is not None
    assert row["action"] == "key.created"
    assert msgspec.json.decode(row["detail"])["scopes"] == ["audit:view"]
    assert made["secret"] not in row["detail"]


def test_a_made_key_does_not_show_its_secret_by_accident() -> None:
    draft = rules.checked_draft(rules.KeyDraft("x", admin=True), ADMIN, datetime.now(UTC))
    made = rules.new_key(draft, None)
    assert made.secret not in repr(made)
    assert made.record.digest == hashlib.sha256(made.secret.encode()).digest()


def test_the_rules_decide_by_the_time_they_are_given() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    draft = rules.KeyDraft("x", "acme", expires_at=now)
    assert rules.checked_draft(draft, ADMIN, now - timedelta(microseconds=1)).scopes == (GATEWAY_USE,)
    with pytest.raises(InvalidRequest, match="future"):
        rules.checked_draft(draft, ADMIN, now)


def test_a_granter_without_scopes_grants_no_admin_key() -> None:
    with pytest.raises(Forbidden):
        rules.checked_draft(rules.KeyDraft("x", admin=True), frozenset(), datetime.now(UTC))
