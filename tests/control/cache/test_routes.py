"""``/api/v1/cache``, and the policies of tenants and keys."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.control.conftest import Api

from tollway.contract.cache import CachePolicy, EntryFacts, ExactCaching, Selection, SemanticCaching, region_of
from tollway.storage.keys import PostgresKeySource

BASE = "/api/v1/cache"
KEY = "ab" * 32
OTHERS_KEY = "from-file-key-0123456789"


def _entry(number: int, tenant_id: str = "from-file", *, is_semantic: bool = False) -> EntryFacts:
    return EntryFacts(
        key=bytes([number]) * 32,
        tenant_id=tenant_id,
        key_id=f"{tenant_id}/ci",
        model="chat",
        operation="chat",
        provider="openai",
        provider_model="mini",
        filled_at_ms=1_800_000_000_000,
        expires_at_ms=1_800_000_060_000,
        body_bytes=512,
        prompt_tokens=10,
        completion_tokens=20,
        cost_picousd=5,
        is_semantic=is_semantic,
    )


async def _trail(api: Api, action: str) -> list[tuple[str, Any]]:
    rows = await api.pool.fetch("select subject, detail from audit_logs where action = $1 order by id", action)
    return [(row["subject"], json.loads(row["detail"])) for row in rows]


async def _removals(api: Api) -> Sequence[dict[str, Any]]:
    rows = await api.pool.fetch("select tenant_id, key_id, model, key, before_ms from cache_removals order by id")
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


# -- what is there


async def test_entries_are_listed_in_pages_without_what_was_asked_or_answered(api: Api) -> None:
    api.desk.kept = [_entry(3), _entry(1, is_semantic=True), _entry(2, "other")]
    first = (await api("GET", f"{BASE}/entries?limit=2")).body
    assert [entry["key"] for entry in first["data"]] == ["01" * 32, "02" * 32]
    assert first["data"][0] == {
        "key": "01" * 32,
        "tenant_id": "from-file",
        "key_id": "from-file/ci",
        "model": "chat",
        "operation": "chat",
        "provider": "openai",
        "provider_model": "mini",
        "kind": "semantic",
        "filled_at": "2027-01-15T08:00:00Z",
        "expires_at": "2027-01-15T08:01:00Z",
        "bytes": 512,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "cost_usd": "0.000000000005",
    }
    rest = (await api("GET", f"{BASE}/entries?limit=2&cursor={first['next_cursor']}")).body
    assert ([entry["key"] for entry in rest["data"]], rest["next_cursor"]) == (["03" * 32], None)
    chosen = (await api("GET", f"{BASE}/entries?tenant_id=other&model=chat")).body["data"]
    assert [entry["key"] for entry in chosen] == ["02" * 32]


async def test_a_tenant_may_be_named_where_its_id_is_meant(api: Api) -> None:
    tenant = await api.new_tenant("acme")
    api.desk.kept = [_entry(1), _entry(2, tenant)]
    found = (await api("GET", f"{BASE}/entries?tenant_id=acme")).body["data"]
    assert [entry["tenant_id"] for entry in found] == [tenant]


async def test_one_entry_is_shown_by_its_key(api: Api) -> None:
    api.desk.kept = [_entry(0xAB)]
    assert (await api("GET", f"{BASE}/entries/{KEY}")).body["key"] == KEY
    for unknown in ("cd" * 32, "ab", "zz" * 32, "ab " * 21 + "a"):
        assert (await api("GET", f"{BASE}/entries/{unknown}")).status == 404


async def _row(api: Api, cache: str, saved: str | None, *, tenant: str, at: datetime, role: str = "answer") -> None:
    await api.pool.execute(
        "insert into usage_logs (id, request_id, created_at, tenant_id, api_key_id, model, provider, provider_model,"
        " prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, cost, usage_source,"
        " status, http_status, stream, latency_ms, attempts, cache, saved, role)"
        " values (gen_random_uuid(), 'r', $1, $2, 'k', 'chat', 'openai', 'mini', 1, 1, 0, 0, 0, 0, 'told', 'ok', 200,"
        " false, 1, 1, $3, $4::text::numeric, $5)",
        at,
        tenant,
        cache,
        saved,
        role,
    )


async def test_stats_say_what_the_worker_knows_and_what_all_of_them_saved_by_day(api: Api) -> None:
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    for cache, saved in (("exact", "0.5"), ("exact", None), ("semantic", "0.000000000001"), ("none", None)):
        await _row(api, cache, saved, tenant="from-file", at=now)
    await _row(api, "exact", "2", tenant="other", at=yesterday)
    await _row(api, "none", None, tenant="from-file", at=now, role="shadow")
    await _row(api, "exact", "9", tenant="from-file", at=now - timedelta(days=40))
    told = (await api("GET", f"{BASE}/stats")).body
    assert told["worker"] == {
        "entries": 0,
        "questions": 1,
        "namespaces": 1,
        "bytes": 99,
        "is_shared": False,
        "evicted": 2,
        "expired": 3,
        "removed": 4,
    }
    assert told["days"] == [
        {"day": str(yesterday.date()), "calls": 1, "exact": 1, "semantic": 0, "saved_usd": "2"},
        {"day": str(now.date()), "calls": 4, "exact": 2, "semantic": 1, "saved_usd": "0.500000000001"},
    ]
    assert {name: told[name] for name in ("calls", "exact", "semantic", "hit_rate", "saved_usd")} == {
        "calls": 5,
        "exact": 3,
        "semantic": 1,
        "hit_rate": 0.8,
        "saved_usd": "2.500000000001",
    }
    own = (await api("GET", f"{BASE}/stats?tenant_id=from-file&days=60")).body
    assert (own["exact"], own["saved_usd"]) == (3, "9.500000000001")
    assert (await api("GET", f"{BASE}/stats?model=nobody")).body["hit_rate"] is None
    assert (await api("GET", f"{BASE}/stats?days=367")).status == 400


# -- what is to be forgotten


@pytest.mark.parametrize(
    ("query", "meant", "stored"),
    [
        ("tenant_id=from-file", Selection(tenant_id="from-file"), {"tenant_id": "from-file"}),
        ("key_id=from-file/ci", Selection(key_id="from-file/ci"), {"key_id": "from-file/ci"}),
        (
            "model=chat&tenant_id=gone",
            Selection(model="chat", tenant_id="gone"),
            {"tenant_id": "gone", "model": "chat"},
        ),
    ],
)
async def test_what_is_meant_is_forgotten_here_stored_for_all_hosts_and_in_the_trail(
    api: Api, query: str, meant: Selection, stored: dict[str, Any]
) -> None:
    reply = await api("DELETE", f"{BASE}/entries?{query}")
    assert (reply.status, reply.body) == (200, {"is_complete": True})
    assert api.desk.removed == [meant]
    assert await _removals(api) == [stored]
    ((_, detail),) = await _trail(api, "cache.deleted")
    assert detail == stored


async def test_one_entry_is_forgotten_whether_it_is_known_here_or_not(api: Api) -> None:
    api.desk.reaches_everybody = False
    assert (await api("DELETE", f"{BASE}/entries/{KEY}")).body == {"is_complete": False}
    assert api.desk.removed == [Selection(key=bytes.fromhex(KEY))]
    assert await _removals(api) == [{"key": bytes.fromhex(KEY)}]
    assert await _trail(api, "cache.deleted") == [(KEY, {"key": KEY})]
    assert (await api("DELETE", f"{BASE}/entries/{KEY[:-1]}")).status == 404


async def test_what_is_older_is_meant_by_the_time_it_was_filled(api: Api) -> None:
    before = time.time() * 1000
    await api("DELETE", f"{BASE}/entries?older_than=2h")
    (meant,) = api.desk.removed
    assert meant.before_ms is not None
    assert before - 7_200_000 - 1 <= meant.before_ms <= time.time() * 1000 - 7_200_000
    reply = await api("DELETE", f"{BASE}/entries?older_than=2")
    assert (reply.status, reply.error["param"]) == (400, "older_than")


async def test_everything_goes_by_a_flush_and_by_nothing_else(api: Api) -> None:
    assert (await api("DELETE", f"{BASE}/entries")).status == 400
    assert api.desk.removed == []
    assert (await api("POST", f"{BASE}/flush")).body == {"is_complete": True}
    assert (await api("POST", f"{BASE}/flush", {})).status == 200
    assert (await api("POST", f"{BASE}/flush", {"tenant_id": "a"})).status == 400
    assert api.desk.removed == [Selection(), Selection()]
    assert await _removals(api) == [{}, {}]
    assert await _trail(api, "cache.flushed") == [("cache", {}), ("cache", {})]


async def test_a_removal_is_announced_and_old_ones_are_deleted(api: Api, postgres_dsn: str) -> None:
    await api.pool.execute("insert into cache_removals (at) values (now() - interval '32 days')")
    heard: list[str] = []
    listening = await asyncpg.connect(postgres_dsn)
    try:
        await listening.add_listener("tollway_cache", lambda *told: heard.append(told[-1]))
        await api("POST", f"{BASE}/flush")
        await listening.fetchval("select 1")
    finally:
        await listening.close()
    assert [json.loads(told) for told in heard] == [
        {"removal": await api.pool.fetchval("select id from cache_removals")}
    ]


async def test_a_removal_that_can_not_be_recorded_does_not_happen(api: Api) -> None:
    await api.pool.execute("alter table audit_logs rename to elsewhere")
    assert (await api("POST", f"{BASE}/flush")).status == 503
    assert api.desk.removed == []
    assert await _removals(api) == []


# -- verdicts


def _said(region: str, **more: object) -> dict[str, object]:
    return {"region": region, "similarity": 0.97, "verdict": "wrong", "request_id": "r-1", **more}


async def test_a_tenants_key_judges_its_own_tenants_hits_once_each(api: Api) -> None:
    tenant = await api.new_tenant("acme")
    own = await api.new_key(tenant=tenant)
    for key, tenant_id in ((own, tenant), (OTHERS_KEY, "from-file")):
        region = region_of(tenant_id, "moderation", 0.93)
        first = await api("POST", f"{BASE}/feedback", _said(region), key=key)
        assert (first.status, first.body) == (201, {"is_counted": True})
        again = await api("POST", f"{BASE}/feedback", _said(region, verdict="good"), key=key)
        assert again.body == {"is_counted": False}
    rows = await api.pool.fetch(
        "select tenant_id, region, confidence::float8 as confidence, verdict, source, request_id from cache_feedback"
    )
    assert [tuple(row) for row in rows] == [
        (tenant, f"{tenant}/moderation/5", 0.97, "wrong", "client", "r-1"),
        ("from-file", "from-file/moderation/5", 0.97, "wrong", "client", "r-1"),
    ]


async def test_nobody_judges_another_tenants_hits_but_an_admin_who_says_whose(api: Api) -> None:
    tenant = await api.new_tenant("acme")
    own = await api.new_key(tenant=tenant)
    others = region_of("from-file", "moderation", 0.5)
    for body in (_said(others), _said(others, tenant_id="from-file"), _said(f"{tenant}/nobody/3")):
        assert (await api("POST", f"{BASE}/feedback", body, key=own)).status == 400
    assert (await api("POST", f"{BASE}/feedback", _said(others))).error["param"] == "tenant_id"
    reply = await api("POST", f"{BASE}/feedback", _said(others, tenant_id="from-file"))
    assert reply.status == 201
    assert await api.pool.fetchval("select array_agg(tenant_id) from cache_feedback") == ["from-file"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": "bad"},
        {"similarity": 1.01},
        {"similarity": "0.9"},
        {"request_id": "a b"},
        {"region": ""},
        {"region": "from-file/moderation/8"},
        {"region": "from-file/moderation"},
        {"more": 1},
    ],
)
async def test_what_is_no_verdict_is_refused(api: Api, wrong: dict[str, object]) -> None:
    body = _said(region_of("from-file", "moderation", 0.5)) | wrong
    reply = await api("POST", f"{BASE}/feedback", body, key=OTHERS_KEY)
    assert (reply.status, reply.error["param"]) == (400, next(iter(wrong)))
    assert await api.pool.fetchval("select count(*) from cache_feedback") == 0


async def test_an_expired_key_of_the_file_is_nobodys(api: Api) -> None:
    body = _said(region_of("from-file", "moderation", 0.5))
    assert (await api("POST", f"{BASE}/feedback", body, key="from-file-key-expired-01")).status == 401


# -- policies


async def _policy_of(api: Api, secret: str) -> CachePolicy | None:
    digest = await api.pool.fetchval(
        "select key_hash from api_keys where key_prefix = left($1, length(key_prefix))", secret
    )
    record = await PostgresKeySource(api.pool).find(digest)
    assert record is not None
    return record.cache


async def test_a_key_has_its_own_policy_else_its_tenants_else_the_files(api: Api) -> None:
    tenant = await api.new_tenant("acme")
    secret = await api.new_key(tenant=tenant)
    key_id = await api.pool.fetchval("select id from api_keys where tenant_id = $1", tenant)
    of_tenant, of_key = "/api/v1/tenants/acme/cache", f"/api/v1/keys/{key_id}/cache"
    assert (await api("GET", of_tenant)).body == {"tenant_id": tenant, "cache": None}
    assert await _policy_of(api, secret) is None
    body = {"semantic": {"threshold": 0.97, "ttl": "5m", "shadow": "2%"}, "scope": "user"}
    put = await api("PUT", of_tenant, body)
    assert put.body["tenant_id"] == tenant
    assert put.body["cache"]["semantic"] == {
        "threshold": 0.97,
        "ttl": "300s",
        "embedder": "builtin",
        "adaptive": False,
        "max_wrong": "1%",
        "shadow": "2%",
    }
    assert (await api("GET", of_tenant)).body == put.body
    semantic = SemanticCaching(threshold=0.97, ttl_s=300.0, shadow_share=0.02)
    assert await _policy_of(api, secret) == CachePolicy(semantic=semantic, scope="user")
    assert (await api("PUT", of_key, {"exact": {}})).body == {
        "key_id": key_id,
        "cache": {"exact": {"ttl": "3600s", "max_temperature": 0.0}, "scope": "tenant"},
    }
    assert await _policy_of(api, secret) == CachePolicy(exact=ExactCaching())
    assert (await api("PUT", of_key, raw=b' "off" ')).body == {"key_id": key_id, "cache": "off"}
    assert await _policy_of(api, secret) == CachePolicy()
    assert (await api("DELETE", of_key)).body == {"key_id": key_id, "cache": None}
    assert await _policy_of(api, secret) == CachePolicy(semantic=semantic, scope="user")
    assert await _trail(api, "tenant.cached") == [(tenant, body)]
    assert await _trail(api, "key.cached") == [(key_id, {"exact": {}}), (key_id, "off"), (key_id, None)]


async def test_what_is_shown_may_be_put_back(api: Api) -> None:
    await api.new_tenant("acme")
    path = "/api/v1/tenants/acme/cache"
    put = await api("PUT", path, {"exact": {"max_temperature": 0.5}, "semantic": {"adaptive": True}})
    assert (await api("PUT", path, put.body["cache"])).body == put.body


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"exact": {"ttl": 60}}, "exact.ttl"),
        ({"semantic": {"embedder": "nobody"}}, "semantic.embedder"),
        ({"semantic": {"max_entries": 5}}, "semantic.max_entries"),
        ({"max_bytes": "1MiB"}, "max_bytes"),
        ({"scope": "all"}, "scope"),
        ("on", None),
        ([], None),
    ],
)
async def test_a_fault_of_a_policy_is_named_and_nothing_changes(api: Api, body: object, param: str | None) -> None:
    await api.new_tenant("acme")
    reply = await api("PUT", "/api/v1/tenants/acme/cache", body)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert await api.pool.fetchval("select cache from tenants") is None


async def test_what_the_file_declares_is_shown_and_left_alone(api: Api) -> None:
    path = "/api/v1/tenants/from-file/cache"
    told = (await api("GET", path)).body
    assert (told["tenant_id"], told["cache"]["semantic"]["threshold"], told["cache"]["scope"]) == (
        "from-file",
        0.9,
        "key",
    )
    assert (await api("PUT", path, {"exact": {}})).status == 409
    assert (await api("DELETE", path)).status == 409


async def test_nobody_has_no_policy_and_an_admin_key_none_either(api: Api) -> None:
    for path in ("/api/v1/tenants/nobody/cache", "/api/v1/keys/nobody/cache"):
        for method in ("GET", "PUT", "DELETE"):
            assert (await api(method, path, {} if method == "PUT" else None)).status == 404
    admin = await api.pool.fetchval("select id from api_keys where tenant_id is null")
    assert (await api("PUT", f"/api/v1/keys/{admin}/cache", {"exact": {}})).status == 409


async def test_a_change_is_announced(api: Api, postgres_dsn: str) -> None:
    tenant = await api.new_tenant("acme")
    before = await api.pool.fetchval("select updated_at from tenants")
    heard: list[Any] = []
    listening = await asyncpg.connect(postgres_dsn)
    try:
        await listening.add_listener("tollway_keys", lambda *told: heard.append(msgspec.json.decode(told[-1])))
        await api("PUT", "/api/v1/tenants/acme/cache", {"exact": {}})
        await listening.fetchval("select 1")
    finally:
        await listening.close()
    assert heard == [{"tenant_id": tenant}]
    assert await api.pool.fetchval("select updated_at from tenants") > before
