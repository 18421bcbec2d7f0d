"""The cache as people see and steer it: what is in it, what is forgotten, whose policy holds, what hits were worth."""

from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import StartFor
from tests.e2e.test_cache import GUARDRAILS, OTHER_KEY, TENANTS, echo, hit, post
from tests.e2e.test_keys import command
from tests.fakes.gateway import Gateway, config, models
from tests.fakes.upstream import FakeUpstream


@pytest.fixture(scope="module")
def gateway(start_for: StartFor, lasting_dsn: str, lasting_upstream: FakeUpstream) -> Gateway:
    lasting_upstream.default = echo
    settings = config(
        lasting_dsn, lasting_upstream.base_url, cache={"exact": {}}, tenants=TENANTS, guardrails=GUARDRAILS
    )
    settings["server"] = {**settings.get("server", {}), "workers": 2}
    return start_for({**settings, "models": models("m", retries={"attempts": 1})})


@pytest.fixture(scope="module")
def admin(gateway: Gateway) -> str:
    key: str = command(gateway, "keys", "create", "--admin", "--name", "cache")["key"]
    return key


def api(gateway: Gateway, key: str, method: str, path: str, body: Any = None) -> httpx2.Response:
    with httpx2.Client(base_url=gateway.url, headers={"authorization": f"Bearer {key}"}, timeout=30) as client:
        return client.request(method, f"/api/v1{path}", json=body)


def result(gateway: Gateway, text: str, **more: Any) -> str:
    found: str = post(gateway, text, **more).headers["x-tollway-cache"]
    return found


def test_an_entry_is_shown_and_forgotten_by_every_worker_at_once(gateway: Gateway, admin: str) -> None:
    key = hit(lambda: post(gateway, "Forget me?")).headers["x-tollway-cache-key"]
    shown = api(gateway, admin, "GET", f"/cache/entries/{key}")
    assert (shown.json()["tenant_id"], shown.json()["model"]) == ("acme", "m")
    assert "Forget" not in shown.text
    assert key in [entry["key"] for entry in api(gateway, admin, "GET", "/cache/entries?tenant_id=acme").json()["data"]]
    assert api(gateway, admin, "DELETE", f"/cache/entries/{key}").json() == {"is_complete": True}
    # Whichever of the two workers is asked: none has it.
    refused = {post(gateway, "Forget me?", headers={"x-tollway-cache": "only"}).status_code for _ in range(12)}
    assert refused == {504}


def test_a_tenant_is_erased_and_the_others_stay(gateway: Gateway, admin: str) -> None:
    hit(lambda: post(gateway, "Whose?"))
    hit(lambda: post(gateway, "Whose?", key=OTHER_KEY))
    assert api(gateway, admin, "DELETE", "/cache/entries?tenant_id=acme").json() == {"is_complete": True}
    only = {"x-tollway-cache": "only"}
    assert {post(gateway, "Whose?", headers=only).status_code for _ in range(8)} == {504}
    assert result(gateway, "Whose?", key=OTHER_KEY, headers=only) == "exact"
    assert api(gateway, admin, "GET", "/cache/entries?tenant_id=acme").json()["data"] == []


def test_a_flush_from_a_terminal_reaches_every_worker(gateway: Gateway) -> None:
    hit(lambda: post(gateway, "Flushed?"))
    only = {"x-tollway-cache": "only"}
    command(gateway, "cache", "flush", "--yes")
    gateway.wait_until(
        lambda: {post(gateway, "Flushed?", headers=only).status_code for _ in range(8)} == {504}, "every worker"
    )


def test_a_policy_of_the_database_holds_as_soon_as_it_is_made(gateway: Gateway, admin: str) -> None:
    command(gateway, "tenants", "create", "initech")
    key = command(gateway, "keys", "create", "--name", "ci", "--tenant", "initech")["key"]
    hit(lambda: post(gateway, "Policy?", key=key))
    path = "/tenants/initech/cache"
    assert api(gateway, admin, "PUT", path, "off").json()["cache"] == "off"
    gateway.wait_until(
        lambda: all("x-tollway-cache" not in post(gateway, "Policy?", key=key).headers for _ in range(8)), "no cache"
    )
    assert api(gateway, admin, "PUT", path, {"exact": {"ttl": "2h"}, "scope": "key"}).status_code == 200
    gateway.wait_until(
        lambda: post(gateway, "Policy?", key=key).headers.get("x-tollway-cache") == "exact", "the new one"
    )


def test_a_client_judges_a_semantic_hit_by_its_headers(gateway: Gateway) -> None:
    hit(lambda: post(gateway, "What is the capital of France?", key=OTHER_KEY))
    answer = post(gateway, "what is the capital of France", key=OTHER_KEY)
    assert answer.headers["x-tollway-cache"] == "semantic"
    body = {
        "verdict": "good",
        "region": answer.headers["x-tollway-cache-region"],
        "similarity": float(answer.headers["x-tollway-cache-similarity"]),
        "request_id": answer.headers["x-request-id"],
    }
    said = [api(gateway, OTHER_KEY, "POST", "/cache/feedback", body) for _ in range(2)]
    assert [(each.status_code, each.json()["is_counted"]) for each in said] == [(201, True), (201, False)]
    (row,) = gateway.fetch("select tenant_id, region, verdict from cache_feedback")
    assert (row["tenant_id"], row["region"], row["verdict"]) == ("globex", body["region"], "good")


def test_figures_tell_hits_and_what_they_saved(gateway: Gateway, admin: str) -> None:
    hit(lambda: post(gateway, "Figures?"))

    def told() -> Any:
        return api(gateway, admin, "GET", "/cache/stats?days=2&tenant_id=acme").json()

    gateway.wait_until(lambda: told()["exact"] > 0, "rows of hits")
    figures = told()
    assert 0 < figures["hit_rate"] < 1
    assert figures["worker"]["entries"] > 0
    assert command(gateway, "cache", "stats")["exact"] >= figures["exact"]
