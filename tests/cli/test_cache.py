import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from tests.cli.conftest import Tollway

from tollway.cli.quickstart import FILE, KeptKey, QuickstartKeys

KEY = "ab" * 32
ADMIN = "tw_admin_of_this_test"


class Gateway:
    """The API as a running gateway has it: entries in pages of two, and figures of a worker."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.raw: tuple[int, bytes] | None = None
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = gateway.answer(self.path, self.headers["authorization"])
                status, data = gateway.raw or (status, json.dumps(body).encode())
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_told: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, authorization: str) -> tuple[int, Any]:
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        self.asked.append((parts.path, query))
        if authorization != f"Bearer {ADMIN}":
            return 403, {"error": {"message": "This key lacks the scope cache:view."}}
        if parts.path == "/api/v1/cache/stats":
            return 200, {"worker": {"entries": 7, "bytes": 99}}
        first = int(query.get("cursor", ["0"])[0])
        page = [_entry(number) for number in range(first, min(first + 2, 5))]
        return 200, {"data": page, "next_cursor": str(first + 2) if first + 2 < 5 else None}


def _entry(number: int) -> dict[str, Any]:
    return {
        "key": f"{number:064x}",
        "tenant_id": "acme",
        "model": "m",
        "kind": "exact",
        "provider": "fake",
        "filled_at": "2027-01-15T08:00:00Z",
        "expires_at": "2027-01-15T09:00:00Z",
        "bytes": 5,
        "cost_usd": "0.1",
    }


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    opened = Gateway()
    thread = threading.Thread(target=opened.server.serve_forever)
    thread.start()
    yield opened
    opened.server.shutdown()
    thread.join()
    opened.server.server_close()


async def _rows(dsn: str, query: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [dict(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def test_what_is_to_be_forgotten_is_told_to_the_gateways_and_to_the_trail(
    configured: Tollway, postgres_dsn: str
) -> None:
    globex = configured.json("tenants", "create", "globex")["id"]
    assert configured.json("cache", "delete", KEY) == {"removed": {"key": KEY}}
    assert configured.json("cache", "delete", "--tenant", "globex", "--model", "m") == {
        "removed": {"tenant_id": globex, "model": "m"}
    }
    (removed,) = configured.json("cache", "delete", "--older-than", "2h", "--tenant", "acme").values()
    assert (removed["tenant_id"], removed["before_ms"] > 1_700_000_000_000) == ("acme", True)
    assert configured.json("cache", "flush", "--yes") == {"removed": {}}
    rows = await _rows(postgres_dsn, "select tenant_id, model, key from cache_removals order by id")
    assert [tuple(row.values()) for row in rows] == [
        (None, None, bytes.fromhex(KEY)),
        (globex, "m", None),
        ("acme", None, None),
        (None, None, None),
    ]
    trail = await _rows(postgres_dsn, "select action, actor from audit_logs where action like 'cache.%' order by id")
    assert [row["action"] for row in trail] == ["cache.deleted"] * 3 + ["cache.flushed"]
    assert all(row["actor"].startswith("cli:") for row in trail)


def test_nothing_is_forgotten_by_mistake(configured: Tollway) -> None:
    assert "--yes" in configured.says("cache", "flush", code=2)
    assert "flush" in configured.says("cache", "delete", code=2)
    assert "stands alone" in configured.says("cache", "delete", KEY, "--tenant", "acme", code=2)
    assert "64 hexadecimal digits" in configured.says("cache", "delete", "abc")
    assert "older_than: " in configured.says("cache", "delete", "--older-than", "2")


async def test_a_verdict_counts_once(configured: Tollway, postgres_dsn: str) -> None:
    words = ("cache", "feedback", "acme/m/5", "wrong", "--similarity", "0.97", "--request-id", "r-1")
    assert configured.json(*words, "--tenant", "acme") == {"is_counted": True}
    assert "judged already" in configured(*words, "--tenant", "acme").stderr
    assert "region: " in configured.says(*words, "--tenant", "nobody")
    (row,) = await _rows(postgres_dsn, "select tenant_id, region, confidence, verdict, request_id from cache_feedback")
    assert tuple(row.values()) == ("acme", "acme/m/5", Decimal("0.97"), "wrong", "r-1")


def test_entries_are_listed_by_the_running_gateway_page_by_page(configured: Tollway, gateway: Gateway) -> None:
    words = ("cache", "list", "--url", gateway.url, "--tenant", "acme", "--limit", "4")
    ran = configured(*words, "--json", TOLLWAY_ADMIN_KEY=ADMIN)
    assert [entry["key"] for entry in json.loads(ran.stdout)] == [f"{number:064x}" for number in range(4)]
    assert gateway.asked == [
        ("/api/v1/cache/entries", {"tenant_id": ["acme"], "limit": ["4"]}),
        ("/api/v1/cache/entries", {"tenant_id": ["acme"], "limit": ["2"], "cursor": ["2"]}),
    ]
    assert f"{3:064x}" in configured(*words, TOLLWAY_ADMIN_KEY=ADMIN).stdout


def test_without_a_gateway_or_a_key_for_it_the_list_says_so(configured: Tollway, gateway: Gateway) -> None:
    assert "TOLLWAY_ADMIN_KEY" in configured.says("cache", "list", "--url", gateway.url)
    data_dir = configured.directory / "data"
    data_dir.mkdir(exist_ok=True)
    kept = QuickstartKeys(KeptKey("k", "tw_live_x"), KeptKey("a", ADMIN))
    (data_dir / FILE).write_bytes(
        json.dumps({"api_key": _plain(kept.api_key), "admin_key": _plain(kept.admin_key)}).encode()
    )
    assert len(configured.json("cache", "list", "--url", gateway.url)) == 5
    ran = configured("cache", "list", "--url", gateway.url, TOLLWAY_ADMIN_KEY="tw_admin_another")
    assert (ran.returncode, "lacks the scope" in ran.stderr) == (1, True)
    assert "no gateway answers" in configured.says("cache", "list", "--url", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"{}"),
        (200, b'{"data": [], "next_cursor": "\xe9"}'),
        (404, b'{"detail": "Not Found"}'),
        (502, b"[" * 100_000),
    ],
)
def test_what_is_no_gateway_is_told(configured: Tollway, gateway: Gateway, status: int, body: bytes) -> None:
    gateway.raw = status, body
    ran = configured("cache", "list", "--url", gateway.url, TOLLWAY_ADMIN_KEY=ADMIN)
    assert (ran.returncode, "is no Tollway" in ran.stderr, "Traceback" in ran.stderr) == (1, True, False)


def _plain(key: KeptKey) -> dict[str, str]:
    return {"id": key.id, "secret": key.secret}


async def test_figures_come_from_the_sums_and_the_worker_from_the_gateway(
    configured: Tollway, gateway: Gateway, postgres_dsn: str
) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    try:
        await connection.execute(
            "insert into usage_logs (id, request_id, created_at, tenant_id, api_key_id, model, provider,"
            " provider_model, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens,"
            " cost, usage_source, status, http_status, stream, latency_ms, attempts, cache, saved)"
            " select gen_random_uuid(), 'r', now(), 'acme', 'k', 'm', 'fake', 'm', 1, 1, 0, 0, 0, 0, 'told', 'ok', 200,"
            " false, 1, 1, cache, saved from (values ('exact', 0.25), ('none', null)) as hits (cache, saved)"
        )
    finally:
        await connection.close()
    ran = configured("cache", "stats", "--url", gateway.url, "--json", TOLLWAY_ADMIN_KEY=ADMIN)
    told = json.loads(ran.stdout)
    assert (told["worker"], told["hit_rate"], told["saved_usd"]) == ({"entries": 7, "bytes": 99}, 0.5, "0.25")
    alone = configured("cache", "stats", "--tenant", "acme")
    assert (alone.returncode, "0.25" in alone.stdout, "not known" in alone.stderr) == (0, True, True)


def test_a_policy_is_shown_set_turned_off_and_given_up(configured: Tollway, tmp_path: Path) -> None:
    globex = configured.json("tenants", "create", "globex")["id"]
    of_globex = ("cache", "policy", "--tenant", "globex")
    assert configured.json(*of_globex) == {"tenant_id": globex, "cache": None}
    file = tmp_path / "policy.yaml"
    file.write_text("exact: {ttl: 5m}\nscope: key\n")
    exact = {"exact": {"ttl": "300s", "max_temperature": 0.0}, "scope": "key"}
    assert configured.json(*of_globex, "--set", str(file))["cache"] == exact
    assert "ttl: 300s" in configured(*of_globex).stdout
    assert configured.json(*of_globex, "--off")["cache"] == "off"
    assert configured.json(*of_globex, "--inherit")["cache"] is None
    file.write_text("off\n")
    assert configured.json(*of_globex, "--set", str(file))["cache"] == "off"
    file.write_text("exact: {ttl: 5}\n")
    assert "exact.ttl: " in configured.says(*of_globex, "--set", str(file))
    file.write_text("{")
    assert "not YAML" in configured.says(*of_globex, "--set", str(file))
    assert "No such file" in configured.says(*of_globex, "--set", "nowhere.yaml")


def test_policies_of_keys_and_of_the_configuration(configured: Tollway) -> None:
    configured.json("tenants", "create", "globex")
    key = configured.json("keys", "create", "--name", "ci", "--tenant", "globex")["id"]
    assert configured.json("cache", "policy", "--key", key, "--off") == {"key_id": key, "cache": "off"}
    assert configured.json("cache", "policy", "--tenant", "acme") == {"tenant_id": "acme", "cache": None}
    assert "managed by the configuration file" in configured.says("cache", "policy", "--tenant", "acme", "--off")
    assert "There is no tenant nobody" in configured.says("cache", "policy", "--tenant", "nobody")
    assert "whose policy" in configured.says("cache", "policy", code=2)
    assert "one of them" in configured.says("cache", "policy", "--key", key, "--off", "--inherit", code=2)
