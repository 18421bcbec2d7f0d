"""``/api/v1/router``: how targets stand, what people decide about them, and where a call would go."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.control.conftest import Api

from tollway.contract.routing import FOR_GOOD_MS, Override, TargetStatus
from tollway.control.permissions import ADMIN
from tollway.storage.overrides import OverrideChanges, current_overrides

ROUTER = "/api/v1/router"
MINI = f"{ROUTER}/targets/openai/mini"
HUB = f"{ROUTER}/targets/hub/org/mini:v1"


async def _overrides(api: Api) -> dict[tuple[str, str], Override]:
    async with api.pool.acquire() as connection:
        return {(override.target, override.alias): override for override in await current_overrides(connection)}


async def _audited(pool: asyncpg.Pool) -> list[tuple[str, str, Any]]:
    rows = await pool.fetch("select action, subject, detail from audit_logs where action like 'target.%' order by id")
    return [(row["action"], row["subject"], msgspec.json.decode(row["detail"])) for row in rows]


async def test_models_are_listed_with_their_targets_rules_and_fallbacks(api: Api) -> None:
    reply = await api("GET", f"{ROUTER}/models")
    assert reply.status == 200
    chat, spare = reply.body["data"]
    assert (chat["alias"], chat["strategy"], chat["fallbacks"], chat["shadow"]) == (
        "chat",
        "weighted",
        {"error": ["spare"]},
        "hub/new",
    )
    assert chat["rules"][0]["name"] == "eu"
    assert chat["rules"][0]["when"]["headers"] == {"x-region": ["eu"]}
    assert chat["targets"][0] == {
        "name": "openai/mini",
        "weight": 3,
        "declared_weight": 3,
        "tier": 1,
        "tags": ["eu", "stable"],
        "is_available": True,
        "drained": False,
        "state": "closed",
    }
    assert [target["name"] for target in spare["targets"]] == ["hub/org/mini:v1"]
    assert (await api("GET", f"{ROUTER}/models?model=spare")).body["data"] == [spare]


async def test_targets_show_what_this_host_sees_of_them_and_of_their_keys_by_name(api: Api) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
    until_ms = int(until.timestamp() * 1000)
    api.router.seen = {
        "openai/mini": TargetStatus(
            name="openai/mini", in_flight=4, stream_latency_us=150_500, consecutive_failures=2, ramp=0.25
        ),
        "openai/mini#b": TargetStatus(name="openai/mini#b", state="cooling", until_ms=until_ms),
        "hub/org/mini:v1": TargetStatus(name="hub/org/mini:v1", state="open", until_ms=until_ms),
    }
    reply = await api("GET", f"{ROUTER}/targets")
    hub_new, hub, mini = reply.body["data"]
    assert (mini["state"], mini["in_flight"], mini["stream_latency_ms"], mini["whole_latency_ms"]) == (
        "closed",
        4,
        150.5,
        None,
    )
    assert (mini["consecutive_failures"], mini["ramp"], mini["is_available"]) == (2, 0.25, True)
    assert [(key["name"], key["state"]) for key in mini["keys"]] == [("a", "closed"), ("b", "cooling")]
    assert (hub["provider"], hub["model"], hub["state"], hub["is_available"]) == ("hub", "org/mini:v1", "open", False)
    assert datetime.fromisoformat(hub["until"]) == until
    assert [share["model"] for share in hub["shares"]] == ["chat", "spare"]
    assert (hub_new["name"], hub_new["shadows"], hub_new["shares"]) == ("hub/new", ["chat"], [])
    assert "secret" not in str(reply.body)
    assert (await api("GET", HUB)).body == hub


async def test_a_target_whose_keys_are_all_set_aside_is_not_available(api: Api) -> None:
    api.router.seen = {name: TargetStatus(name=name, state="open") for name in ("openai/mini#a", "openai/mini#b")}
    assert (await api("GET", MINI)).body["is_available"] is False
    del api.router.seen["openai/mini#a"]
    assert (await api("GET", MINI)).body["is_available"] is True


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("provider=openai", ["openai/mini"]),
        ("model=spare", ["hub/org/mini:v1"]),
        ("state=open", ["openai/mini"]),
        ("available=false", ["openai/mini"]),
        ("available=true", ["hub/new", "hub/org/mini:v1"]),
        ("model=missing", []),
    ],
)
async def test_targets_are_filtered(api: Api, query: str, names: list[str]) -> None:
    api.router.seen = {"openai/mini": TargetStatus(name="openai/mini", state="open")}
    reply = await api("GET", f"{ROUTER}/targets?{query}")
    assert [target["name"] for target in reply.body["data"]] == names


@pytest.mark.parametrize("kind", ["targets", "models"])
async def test_lists_are_paged(api: Api, kind: str) -> None:
    whole = (await api("GET", f"{ROUTER}/{kind}")).body["data"]
    seen = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api("GET", f"{ROUTER}/{kind}?limit=1" + (f"&cursor={cursor}" if cursor else ""))).body
        assert len(page["data"]) == 1
        seen += page["data"]
        cursor = page["next_cursor"]
    assert seen == whole


async def test_health_counts_states_and_says_which_models_nobody_can_serve(api: Api) -> None:
    api.router.seen = {"hub/org/mini:v1": TargetStatus(name="hub/org/mini:v1", state="open")}
    health = (await api("GET", f"{ROUTER}/health")).body
    assert health["targets"] == {"closed": 2, "open": 1, "half_open": 0, "cooling": 0}
    assert health["models"] == [
        {"alias": "spare", "is_served": False, "available": 0, "targets": 1},
        {"alias": "chat", "is_served": True, "available": 1, "targets": 2},
    ]
    await api("PATCH", MINI, {"drained": True})
    health = (await api("GET", f"{ROUTER}/health")).body
    assert (health["drained"], health["opened"]) == (1, 0)
    assert [model["is_served"] for model in health["models"]] == [False, False]


async def test_a_target_is_drained_and_filled_again(api: Api, pool: asyncpg.Pool) -> None:
    reply = await api("PATCH", MINI, {"drained": True, "note": "maintenance until noon"})
    assert reply.status == 200
    shown = reply.body
    assert (shown["drained"], shown["is_available"], shown["decided"]["note"]) == (
        True,
        False,
        "maintenance until noon",
    )
    assert shown["decided"]["by"].startswith("key:")
    assert await _overrides(api) == {("openai/mini", ""): Override(target="openai/mini", drained=True)}
    reply = await api("PATCH", MINI, {"drained": False})
    assert (reply.body["drained"], reply.body["is_available"], reply.body["decided"]) == (False, True, None)
    assert await _overrides(api) == {}, "what overrides nothing is no override"
    assert await _audited(pool) == [
        ("target.updated", "openai/mini", {"drained": True, "note": "maintenance until noon"}),
        ("target.updated", "openai/mini", {"drained": False}),
    ]


async def test_a_share_lies_above_the_declared_one_and_goes_back_to_it(api: Api, pool: asyncpg.Pool) -> None:
    reply = await api("PATCH", HUB, {"weight": 0, "model": "chat"})
    chat, spare = reply.body["shares"]
    assert (chat["weight"], chat["declared_weight"], chat["decided"]["note"]) == (0, 1, None)
    assert (spare["weight"], spare["declared_weight"], spare["decided"]) == (1, 1, None)
    (model, _) = (await api("GET", f"{ROUTER}/models")).body["data"]
    assert [(target["weight"], target["declared_weight"]) for target in model["targets"]] == [(3, 3), (0, 1)]
    assert await _overrides(api) == {
        ("hub/org/mini:v1", "chat"): Override(target="hub/org/mini:v1", alias="chat", weight=0)
    }
    reply = await api("PATCH", HUB, {"weight": None, "model": "chat"})
    assert reply.body["shares"][0]["weight"] == 1
    assert await _overrides(api) == {}
    assert (await _audited(pool))[-1] == ("target.updated", "hub/org/mini:v1", {"weight": None, "model": "chat"})


async def test_a_target_is_opened_for_a_time_or_for_good_and_closed(api: Api, pool: asyncpg.Pool) -> None:
    before_ms = time.time_ns() // 1_000_000
    reply = await api("POST", f"{HUB}/open", {"for": "1h", "note": "bad answers"})
    assert (reply.status, reply.body["opened"], reply.body["is_available"]) == (200, True, False)
    until_ms = (await _overrides(api))["hub/org/mini:v1", ""].opened_until_ms
    assert until_ms is not None
    assert 3_600_000 <= until_ms - before_ms < 3_700_000
    assert reply.body["opened_until"] is not None
    for body in ({"for": None}, None):
        reply = await api("POST", f"{HUB}/open", body)
        assert (reply.body["opened"], reply.body["opened_until"]) == (True, None)
        assert (await _overrides(api))["hub/org/mini:v1", ""].opened_until_ms == FOR_GOOD_MS
    reply = await api("POST", f"{HUB}/close")
    assert (reply.body["opened"], reply.body["is_available"]) == (False, True)
    assert datetime.fromisoformat(reply.body["closed_at"]).timestamp() * 1000 >= before_ms - 1
    override = (await _overrides(api))["hub/org/mini:v1", ""]
    assert override.opened_until_ms is None
    assert override.closed_at_ms is not None
    assert [(action, detail) for action, _, detail in await _audited(pool)] == [
        ("target.opened", {"for_ms": 3_600_000, "note": "bad answers"}),
        ("target.opened", {"for_ms": None, "note": None}),
        ("target.opened", {"for_ms": None, "note": None}),
        ("target.closed", {}),
    ]


async def test_an_opening_that_has_run_out_is_none(api: Api, pool: asyncpg.Pool) -> None:
    await api("POST", f"{MINI}/open", {"for": "1h"})
    await pool.execute("update router_overrides set opened_until_ms = $1", time.time_ns() // 1_000_000 - 1)
    shown = (await api("GET", MINI)).body
    assert (shown["opened"], shown["opened_until"], shown["is_available"]) == (False, None, True)


async def test_draining_outlives_opening_and_closing(api: Api) -> None:
    await api("PATCH", MINI, {"drained": True})
    await api("POST", f"{MINI}/open", {"for": "1h"})
    assert (await api("POST", f"{MINI}/close")).body["drained"] is True


async def test_a_reset_takes_everything_back_at_once(api: Api, pool: asyncpg.Pool) -> None:
    await api("PATCH", HUB, {"drained": True, "weight": 7, "model": "chat"})
    await api("PATCH", MINI, {"drained": True})
    reply = await api("DELETE", HUB)
    assert (reply.status, reply.body["drained"], reply.body["shares"][0]["weight"]) == (200, False, 1)
    assert list(await _overrides(api)) == [("openai/mini", "")]
    (_, subject, detail) = (await _audited(pool))[-1]
    assert subject == "hub/org/mini:v1"
    assert sorted(forgotten["alias"] for forgotten in detail["forgotten"]) == ["", "chat"]
    assert (await api("DELETE", HUB)).status == 200, "nothing to take back is fine"
    assert len(await _audited(pool)) == 3


async def test_what_was_decided_about_a_target_that_is_gone_is_shown_and_can_be_taken_back(
    api: Api, pool: asyncpg.Pool
) -> None:
    await pool.execute("insert into router_overrides (target, drained, updated_by) values ('old/model', true, 'test')")
    shown = (await api("GET", f"{ROUTER}/targets")).body["data"][2]
    assert (shown["name"], shown["is_declared"], shown["drained"]) == ("old/model", False, True)
    assert (await api("GET", f"{ROUTER}/targets/old/model")).body == shown
    assert (await api("PATCH", f"{ROUTER}/targets/old/model", {"drained": False})).status == 404
    assert (await api("DELETE", f"{ROUTER}/targets/old/model")).status == 200
    assert (await api("DELETE", f"{ROUTER}/targets/old/model")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{ROUTER}/targets/openai/maxi", None),
        ("PATCH", f"{ROUTER}/targets/openai/maxi", {"drained": True}),
        ("DELETE", f"{ROUTER}/targets/openai/maxi", None),
        ("POST", f"{ROUTER}/targets/openai/maxi/open", {}),
        ("POST", f"{ROUTER}/targets/openai/maxi/close", {}),
        ("POST", f"{ROUTER}/targets/openai/mini", {}),
        ("POST", f"{ROUTER}/targets/open", {}),
        ("PATCH", f"{ROUTER}/targets/" + "x" * 1000, {"drained": True}),
    ],
)
async def test_what_there_is_not_is_404(api: Api, method: str, path: str, body: object) -> None:
    reply = await api(method, path, body)
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    if path.endswith("maxi"):
        assert "hub/new, hub/org/mini:v1, openai/mini" in reply.error["message"]
    assert await _overrides(api) == {}


async def test_a_model_that_a_target_does_not_answer_for_is_404_with_those_it_does(api: Api) -> None:
    reply = await api("PATCH", MINI, {"weight": 3, "model": "spare"})
    assert (reply.status, reply.error["param"]) == (404, "model")
    assert "There are: chat." in reply.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("PATCH", MINI, {}, None),
        ("PATCH", MINI, {"note": "why"}, None),
        ("PATCH", MINI, {"drained": None}, "drained"),
        ("PATCH", MINI, {"drained": True, "model": "chat"}, "model"),
        ("PATCH", MINI, {"weight": 3}, "model"),
        ("PATCH", MINI, {"weight": -1, "model": "chat"}, "weight"),
        ("PATCH", MINI, {"weight": 1_000_001, "model": "chat"}, "weight"),
        ("PATCH", MINI, {"weight": 1.5, "model": "chat"}, "weight"),
        ("PATCH", MINI, {"drained": True, "note": "a\u0000b"}, "note"),
        ("PATCH", MINI, {"drained": True, "note": "x" * 501}, "note"),
        ("PATCH", MINI, {"drain": True}, "drain"),
        ("POST", f"{MINI}/open", {"for": "soon"}, "for"),
        ("POST", f"{MINI}/open", {"for": "0s"}, "for"),
        ("POST", f"{MINI}/open", {"for": "366d"}, "for"),
        ("POST", f"{MINI}/open", {"for": 30}, "for"),
        ("POST", f"{MINI}/close", {"for": "30s"}, "for"),
        ("POST", f"{ROUTER}/explain", {}, "model"),
        ("POST", f"{ROUTER}/explain", {"model": "chat", "needs": ["wings"]}, "needs[0]"),
        ("POST", f"{ROUTER}/explain", {"model": "chat", "prompt_tokens": -1}, "prompt_tokens"),
        ("POST", f"{ROUTER}/explain", {"model": "chat", "tenant": "nobody"}, "tenant"),
        ("POST", f"{ROUTER}/explain", {"model": "chat", "headers": {"x": 1}}, "headers[...]"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_changes(
    api: Api, method: str, path: str, body: object, param: str | None
) -> None:
    reply = await api(method, path, body)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert await _overrides(api) == {}


async def test_seeing_is_not_deciding(api: Api) -> None:
    viewer = await api.new_key("router:view")
    assert (await api("GET", f"{ROUTER}/targets", key=viewer)).status == 200
    assert (await api("POST", f"{ROUTER}/explain", {"model": "chat"}, key=viewer)).status == 200
    for method, path in (("PATCH", MINI), ("POST", f"{MINI}/open"), ("POST", f"{MINI}/close"), ("DELETE", MINI)):
        assert (await api(method, path, {"drained": True}, key=viewer)).status == 403
    stranger = await api.new_key(*(ADMIN - {"router:view", "router:update"}))
    for path in ("models", "targets", "health"):
        assert (await api("GET", f"{ROUTER}/{path}", key=stranger)).status == 403


async def test_an_explanation_is_the_routers_and_calls_nobody(api: Api) -> None:
    reply = await api(
        "POST",
        f"{ROUTER}/explain",
        {
            "model": "chat",
            "headers": {"X-Region": "eu"},
            "metadata": {"team": "search"},
            "user": "u-1",
            "prompt_tokens": 9000,
            "stream": True,
            "needs": ["vision"],
        },
    )
    assert (reply.status, reply.body) == (200, {"model": "chat", "order": ["openai/mini"]})
    (asked,) = api.router.asked
    assert (asked.headers, asked.metadata, asked.user) == ({"x-region": "eu"}, {"team": "search"}, "u-1")
    assert (asked.prompt_tokens, asked.stream, asked.needs, asked.tenant) == (9000, True, frozenset({"vision"}), "")


async def test_an_explanation_is_for_a_tenant_of_the_file_or_of_the_database(api: Api) -> None:
    tenant_id = await api.new_tenant("acme")
    await api("PATCH", f"/api/v1/tenants/{tenant_id}", {"allowed_models": ["spare"], "monthly_budget_usd": 0})
    for tenant in ("from-file", "acme", tenant_id):
        assert (await api("POST", f"{ROUTER}/explain", {"model": "chat", "tenant": tenant})).status == 200
    file, by_name, by_id = api.router.asked
    assert (file.tenant, file.tenant_name, file.allowed_models) == ("from-file", "from-file", None)
    assert by_name == by_id
    assert (by_name.tenant, by_name.tenant_name, by_name.allowed_models) == (tenant_id, "acme", frozenset({"spare"}))
    assert (file.may_spend, by_name.may_spend) == (True, False)


async def test_an_unknown_model_is_404_with_those_there_are(api: Api) -> None:
    for method, path, body in (
        ("POST", f"{ROUTER}/explain", {"model": "caht"}),
        ("GET", f"{ROUTER}/models?model=caht", None),
    ):
        reply = await api(method, path, body)
        assert (reply.status, reply.error["param"]) == (404, "model")
        assert "There are: chat, spare." in reply.error["message"]


async def test_a_decision_is_followed_as_soon_as_it_is_answered(api: Api, postgres_dsn: str) -> None:
    heard = asyncio.Queue[tuple[Override, ...]]()
    changes = OverrideChanges(postgres_dsn, lambda overrides: heard.put_nowait(tuple(overrides)), poll_s=3600.0)
    task = asyncio.create_task(changes.follow())
    async with asyncio.timeout(60):
        while not changes.connected:  # noqa: ASYNC110 -- the first question has no event
            await asyncio.sleep(0.01)
        await api("PATCH", MINI, {"drained": True})
        assert await heard.get() == (Override(target="openai/mini", drained=True),)
        await api("DELETE", MINI)
        assert await heard.get() == ()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_decision_that_cannot_be_recorded_is_not_made(api: Api) -> None:
    await api.pool.execute("alter table audit_logs rename to elsewhere")
    for method, path in (("PATCH", MINI), ("POST", f"{MINI}/open")):
        assert (await api(method, path, {"drained": True} if method == "PATCH" else {})).status in {500, 503}
    assert await _overrides(api) == {}
