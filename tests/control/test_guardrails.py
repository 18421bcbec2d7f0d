"""``/api/v1/guardrails``: policies made, changed, restored, bound, tried; those of the file are left alone."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.control.conftest import Api

from tollway.contract.guardrails import PiiCheck, Policy
from tollway.control.guardrails.queries import binding
from tollway.errors import InvalidRequest
from tollway.storage.policies import MOST_POLICIES
from tollway.telemetry.logs import Log

GUARDRAILS = "/api/v1/guardrails"
REDACT: dict[str, Any] = {"input": [{"check": "pii", "entities": ["email"], "action": "redact", "restore": True}]}
BLOCK: dict[str, Any] = {"on_block": "refusal", "output": [{"check": "secrets", "action": "block"}]}


async def put(api: Api, name: str = "own", body: Any = None, query: str = "") -> Any:
    reply = await api("PUT", f"{GUARDRAILS}/{name}{query}", REDACT if body is None else body)
    assert reply.status == 200, reply.body
    return reply.body


async def test_a_policy_is_made_and_shown(api: Api) -> None:
    made = await put(api)
    assert (made["name"], made["managed_by"], made["version"], made["is_active"]) == ("own", "database", 1, True)
    assert (made["policy"], made["mode"], made["input"], made["output"]) == (REDACT, "enforce", ["pii"], [])
    assert (made["bound"], made["faults"]) == ({"tenants": 0, "keys": 0}, [])
    assert made["created_by"].startswith("key:")
    assert (await api("GET", f"{GUARDRAILS}/own")).body == made


async def test_a_change_is_another_version_and_the_old_one_stays_on_record(api: Api) -> None:
    await put(api)
    assert (await put(api, body=BLOCK))["version"] == 2
    assert (await api("GET", f"{GUARDRAILS}/own")).body["policy"] == BLOCK
    old = (await api("GET", f"{GUARDRAILS}/own?version=1")).body
    assert (old["version"], old["policy"], old["is_active"]) == (1, REDACT, False)
    versions = (await api("GET", f"{GUARDRAILS}/own/versions")).body["data"]
    assert [(each["version"], each["is_active"], each["policy"]) for each in versions] == [
        (2, True, BLOCK),
        (1, False, REDACT),
    ]


async def test_an_old_version_is_restored_as_the_next_one(api: Api) -> None:
    await put(api)
    await put(api, body=BLOCK)
    restored = await api("POST", f"{GUARDRAILS}/own/restore", {"version": 1})
    assert (restored.status, restored.body["version"], restored.body["policy"]) == (200, 3, REDACT)
    assert (await api("POST", f"{GUARDRAILS}/own/restore", {"version": 9})).status == 404


async def test_a_deleted_policy_holds_no_more_and_can_be_restored(api: Api) -> None:
    await put(api)
    gone = await api("DELETE", f"{GUARDRAILS}/own")
    assert (gone.status, gone.body["is_active"]) == (200, False)
    assert (await api("GET", f"{GUARDRAILS}/own")).status == 404
    assert (await api("DELETE", f"{GUARDRAILS}/own")).status == 404
    assert [each["version"] for each in (await api("GET", f"{GUARDRAILS}/own/versions")).body["data"]] == [1]
    assert (await api("POST", f"{GUARDRAILS}/own/restore", {"version": 1})).body["version"] == 2


async def test_nobody_overwrites_what_he_has_not_seen(api: Api) -> None:
    assert (await put(api, query="?if_version=0"))["version"] == 1
    for query in ("?if_version=0", "?if_version=2"):
        for method, body in (("PUT", BLOCK), ("DELETE", None)):
            reply = await api(method, f"{GUARDRAILS}/own{query}", body)
            assert (reply.status, reply.error["param"]) == (409, "if_version")
            assert "version 1 holds" in reply.error["message"]
    assert (await put(api, body=BLOCK, query="?if_version=1"))["version"] == 2
    restore = await api("POST", f"{GUARDRAILS}/own/restore?if_version=1", {"version": 1})
    assert restore.status == 409
    assert (await api("DELETE", f"{GUARDRAILS}/own?if_version=2")).status == 200


async def test_two_who_change_a_policy_at_once_make_two_versions(api: Api) -> None:
    made = await asyncio.gather(*(put(api, body=body) for body in (REDACT, BLOCK, REDACT, BLOCK)))
    assert sorted(each["version"] for each in made) == [1, 2, 3, 4]
    held = (await api("GET", f"{GUARDRAILS}/own/versions")).body["data"]
    assert [each["is_active"] for each in held] == [True, False, False, False]


@pytest.mark.parametrize(
    ("name", "body", "param"),
    [
        ("a b", REDACT, "name"),
        ("-a", REDACT, "name"),
        ("x" * 129, REDACT, "name"),
        ("own", {"inputs": []}, "inputs"),
        ("own", {"input": [{"check": "pii"}]}, "input[0]"),
        ("own", {"input": [{"check": "pii", "action": "shred"}]}, "input[0].action"),
        ("own", {"output": [{"check": "webhook", "url": "http://169.254.169.254/x"}]}, "output[0].url"),
        ("own", {"output": [{"check": "webhook", "url": "https://dlp.test/judge", "secret": "0123456789abcdef"}]},
         "output[0].secret"),
        ("own", {"input": [{"check": "presidio", "url": "http://127.0.0.1", "entities": ["PERSON"], "action": "flag"}]},
         "input[0].url"),
        ("own", {"input": [{"check": "moderation", "model": "nobody", "action": "flag"}]}, "input[0].model"),
        ("own", [], None),
        ("own", "default", None),
    ],
)  # fmt: skip
async def test_a_wrong_policy_is_refused_and_its_field_is_named(
    api: Api, name: str, body: object, param: str | None
) -> None:
    reply = await api("PUT", f"{GUARDRAILS}/{name}", body)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert await api.pool.fetchval("select count(*) from guardrail_policies") == 0


async def test_several_faults_are_told_at_once_and_not_without_end(api: Api) -> None:
    reply = await api("PUT", f"{GUARDRAILS}/own", {"input": [{"check": "pii"}, {"check": "secrets"}]})
    assert reply.error["message"] == 'input[0]: "action" is missing; input[1]: "action" is missing.'
    reply = await api("PUT", f"{GUARDRAILS}/own", {"input": [{"check": "pii"}] * 32})
    assert reply.error["message"].endswith("; and 22 more.")
    reply = await api("PUT", f"{GUARDRAILS}/own", [])
    assert reply.error["message"] == "The policy should be a mapping of keys to values, not a list."
    reply = await api("PUT", f"{GUARDRAILS}/own", {"modes": "monitor"})
    assert reply.error["message"] == 'modes: there is no such key; did you mean "mode"?'


async def test_what_the_file_declares_is_shown_without_its_secrets_and_left_alone(api: Api) -> None:
    shown = (await api("GET", f"{GUARDRAILS}/strict")).body
    assert (shown["managed_by"], len(shown["version"])) == ("file", 12)
    assert shown["policy"] == {"output": [{"check": "webhook", "url": "https://dlp.test/judge", "timeout": "250ms"}]}
    default = (await api("GET", f"{GUARDRAILS}/default")).body["policy"]
    check = {"check": "pii", "action": "redact", "entities": ["email"], "threshold": 0.25}
    assert default == {"mode": "monitor", "sample": "5%", "input": [check]}
    for method, path, body in (
        ("PUT", "default", REDACT),
        ("DELETE", "default", None),
        ("POST", "default/restore", {"version": 1}),
        ("GET", "default/versions", None),
    ):
        reply = await api(method, f"{GUARDRAILS}/{path}", body)
        assert (reply.status, reply.error["code"]) == (409, "conflict")
        assert "configuration file" in reply.error["message"]


async def test_what_is_shown_of_the_file_can_be_put_under_another_name(api: Api) -> None:
    for name in ("default", "strict"):
        shown = (await api("GET", f"{GUARDRAILS}/{name}")).body["policy"]
        assert (await put(api, f"copy-{name}", shown))["policy"] == shown


async def test_a_name_that_the_file_takes_later_is_the_files(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into guardrail_policies (name, version, body, created_by) values ('default', 1, '{}', 'x')"
    )
    page = (await api("GET", GUARDRAILS)).body["data"]
    assert [(each["name"], each["managed_by"]) for each in page] == [("default", "file"), ("strict", "file")]
    assert (await api("GET", f"{GUARDRAILS}/default")).body["managed_by"] == "file"


async def test_a_stored_policy_that_is_not_understood_says_why(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into guardrail_policies (name, version, body, created_by) values ('new', 1, $1, 'x')",
        '{"mode": "dream", "input": [{"check": "aura"}, 7]}',
    )
    shown = (await api("GET", f"{GUARDRAILS}/new")).body
    assert [fault.partition(":")[0] for fault in shown["faults"]] == ["input[0].check", "input[1]", "mode"]
    assert (shown["mode"], shown["input"]) == ("dream", ["aura"])
    assert (await api("POST", f"{GUARDRAILS}/new/restore", {"version": 1})).status == 400


async def test_all_policies_are_listed_by_name_page_by_page(api: Api) -> None:
    for name in ("zeta", "alpha", "mid"):
        await put(api, name)
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await api("GET", f"{GUARDRAILS}?limit=2{cursor}")).body
        seen += [policy["name"] for policy in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["alpha", "default", "mid", "strict", "zeta"]


async def test_versions_are_paged_newest_first(api: Api) -> None:
    for _ in range(5):
        await put(api)
    first = (await api("GET", f"{GUARDRAILS}/own/versions?limit=3")).body
    rest = (await api("GET", f"{GUARDRAILS}/own/versions?limit=3&cursor={first['next_cursor']}")).body
    assert [each["version"] for each in first["data"] + rest["data"]] == [5, 4, 3, 2, 1]
    assert (await api("GET", f"{GUARDRAILS}/nobody/versions")).status == 404


async def test_there_are_not_more_policies_than_gateways_heed(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into guardrail_policies (name, version, body, created_by) "
        "select 'p' || n, 1, '{}', 'test' from generate_series(1, $1) n",
        MOST_POLICIES,
    )
    assert (await api("PUT", f"{GUARDRAILS}/own", REDACT)).status == 409
    assert (await put(api, "p1"))["version"] == 2
    await api("DELETE", f"{GUARDRAILS}/p1")
    await put(api)
    assert (await api("POST", f"{GUARDRAILS}/p1/restore", {"version": 1})).status == 409


async def test_tenants_and_keys_are_bound_and_hold_a_policy_in_place(api: Api) -> None:
    await put(api)
    tenant = await api("POST", "/api/v1/tenants", {"name": "acme", "guardrails": "own"})
    key = await api("POST", "/api/v1/keys", {"name": "ci", "tenant": "acme", "guardrails": "own"})
    assert (tenant.status, key.status, key.body["key"]["guardrails"]) == (201, 201, "own")
    assert (await api("GET", f"{GUARDRAILS}/own")).body["bound"] == {"tenants": 1, "keys": 1}
    reply = await api("DELETE", f"{GUARDRAILS}/own")
    assert (reply.status, "1 tenants and 1 keys" in reply.error["message"]) == (409, True)
    await api("PATCH", "/api/v1/tenants/acme", {"guardrails": None})
    changed = await api("PATCH", f"/api/v1/keys/{key.body['key']['id']}", {"guardrails": None})
    assert (changed.status, changed.body["guardrails"]) == (200, None)
    assert (await api("DELETE", f"{GUARDRAILS}/own")).status == 200


async def test_nobody_is_bound_to_a_policy_that_is_not_there(api: Api) -> None:
    await put(api)
    await api("DELETE", f"{GUARDRAILS}/own")
    await api.new_tenant("acme")
    made = await api("POST", "/api/v1/keys", {"name": "k", "tenant": "acme", "guardrails": "strict"})
    path = f"/api/v1/keys/{made.body['key']['id']}"
    for method, where, body in (
        ("POST", "/api/v1/tenants", {"name": "b"}),
        ("PATCH", "/api/v1/tenants/acme", {}),
        ("POST", "/api/v1/keys", {"name": "k", "tenant": "acme"}),
        ("PATCH", path, {}),
    ):
        reply = await api(method, where, {**body, "guardrails": "own"})
        assert (reply.status, reply.error["param"]) == (400, "guardrails")


async def test_a_policy_is_not_taken_away_while_somebody_is_being_bound_to_it(api: Api, pool: asyncpg.Pool) -> None:
    await put(api)
    async with pool.acquire() as connection, binding(connection, "own", frozenset()):
        deleting = asyncio.create_task(api("DELETE", f"{GUARDRAILS}/own"))
        await asyncio.sleep(0.2)
        assert not deleting.done()
        await connection.execute("insert into tenants (name, guardrails) values ('acme', 'own')")
    assert (await deleting).status == 409
    async with pool.acquire() as connection:
        with pytest.raises(InvalidRequest):
            async with binding(connection, "gone", frozenset()):
                raise AssertionError


async def test_only_who_may_change_policies_lets_a_key_have_its_own(api: Api) -> None:
    await put(api)
    await api.new_tenant("acme")
    maker = await api.new_key("api_keys:create")
    body = {"name": "k", "tenant": "acme"}
    reply = await api("POST", "/api/v1/keys", body | {"guardrails": "own"}, key=maker)
    assert (reply.status, "guardrails:update" in reply.error["message"]) == (403, True)
    assert (await api("POST", "/api/v1/keys", body, key=maker)).status == 201


async def test_an_admin_key_has_no_guardrails(api: Api, pool: asyncpg.Pool) -> None:
    reply = await api("POST", "/api/v1/keys", {"name": "k", "admin": True, "guardrails": "strict"})
    assert (reply.status, reply.error["param"]) == (400, "guardrails")
    own = await pool.fetchval("select id from api_keys")
    assert (await api("PATCH", f"/api/v1/keys/{own}", {"guardrails": "strict"})).status == 409
    assert (await api("PATCH", "/api/v1/keys/nobody", {"guardrails": "strict"})).status == 404


async def test_every_change_is_in_the_audit_trail_and_says_which_version(api: Api, pool: asyncpg.Pool) -> None:
    await put(api)
    await put(api, body=BLOCK)
    await api("POST", f"{GUARDRAILS}/own/restore", {"version": 1})
    await api("DELETE", f"{GUARDRAILS}/own")
    rows = await pool.fetch("select action, detail, actor from audit_logs where subject = 'own' order by id")
    assert [(row["action"], msgspec.json.decode(row["detail"])) for row in rows] == [
        ("guardrail.created", {"version": 1}),
        ("guardrail.updated", {"version": 2}),
        ("guardrail.restored", {"version": 3, "restored": 1}),
        ("guardrail.deleted", {"version": 3}),
    ]
    assert all(row["actor"].startswith("key:") for row in rows)


async def test_a_policy_that_holds_is_tried_by_its_name(api: Api) -> None:
    api.guard.policies["own"] = held = Policy("own", "3", (PiiCheck({"email": "redact"}),))
    tried = await api("POST", f"{GUARDRAILS}/test", {"policy": "own", "text": "a@b.c", "direction": "output"})
    assert tried.status == 200
    assert (tried.body["text"], tried.body["blocked"]) == ("[EMAIL]", False)
    assert tried.body["findings"][0] == {
        "check": "pii", "kind": "email", "action": "redact", "count": 1, "start": 0, "end": 5, "confidence": 0.9
    }  # fmt: skip
    ((policy, trial),) = api.guard.asked
    assert policy is held
    assert (trial.direction, trial.text, trial.request, trial.external) == ("output", "a@b.c", None, False)


async def test_a_policy_is_tried_before_it_is_made_and_on_a_whole_request(api: Api) -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": "a@b.c"}]}
    body = {"policy": REDACT, "request": request, "operation": "messages", "external": True}
    assert (await api("POST", f"{GUARDRAILS}/test", body)).status == 200
    ((policy, trial),) = api.guard.asked
    assert policy.input == (PiiCheck({"email": "redact"}, restore=True),)
    assert (trial.operation, trial.external) == ("messages", True)
    assert msgspec.json.decode(trial.request or b"") == request
    assert await api.pool.fetchval("select count(*) from guardrail_policies") == 0


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"policy": "nobody", "text": "x"}, 404, "policy"),
        ({"policy": {"inputs": []}, "text": "x"}, 400, "inputs"),
        ({"policy": {}}, 400, "text"),
        ({"policy": {}, "text": "x", "request": {}}, 400, "text"),
        ({"policy": {}, "text": "x", "direction": "sideways"}, 400, "direction"),
        ({"policy": {}, "text": "x", "operation": "dance"}, 400, "operation"),
        ({"text": "x"}, 400, "policy"),
        ({"policy": {"output": [{"check": "webhook", "url": "http://127.0.0.1:9/"}]}, "text": "x", "external": True},
         400, "output[0].url"),
    ],
)  # fmt: skip
async def test_a_wrong_trial_is_refused(api: Api, body: object, status: int, param: str) -> None:
    reply = await api("POST", f"{GUARDRAILS}/test", body)
    assert (reply.status, reply.error["param"]) == (status, param)
    assert api.guard.asked == []


async def test_a_trial_may_be_as_long_as_a_long_prompt_and_no_longer(api: Api) -> None:
    assert (await api("POST", f"{GUARDRAILS}/test", {"policy": {}, "text": "x" * 250_000})).status == 200
    assert (await api("POST", f"{GUARDRAILS}/test", {"policy": {}, "text": "x" * 262_144})).status == 413


async def test_what_a_policy_is_tried_on_is_kept_nowhere(
    api: Api, pool: asyncpg.Pool, log: Log, log_file: Path
) -> None:
    canary = "text-canary-4711"
    for body in ({"policy": {}, "text": canary}, {"policy": {}, "text": canary, "direction": canary}):
        await api("POST", f"{GUARDRAILS}/test", body)
    await asyncio.to_thread(log.close)
    assert canary not in await asyncio.to_thread(log_file.read_text)
    for table in await pool.fetch("select table_name from information_schema.tables where table_schema = 'public'"):
        everything = f"select string_agg(t::text, '') from {table['table_name']} t"  # noqa: S608 -- from the catalogue
        assert canary not in (await pool.fetchval(everything) or "")
