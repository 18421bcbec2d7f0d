import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from tests.cli.conftest import Tollway


async def _insert(dsn: str, rows: list[dict[str, object]]) -> None:
    now = datetime.now(UTC)
    plain: dict[str, object] = {
        "request_id": "r",
        "created_at": now,
        "tenant_id": "acme",
        "api_key_id": "acme/ci",
        "model": "m",
        "provider": "fake",
        "provider_model": "m",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "cost": Decimal("0.1"),
        "usage_source": "told",
        "status": "ok",
        "http_status": 200,
        "stream": False,
        "latency_ms": 1,
        "attempts": 1,
    }
    connection = await asyncpg.connect(dsn)
    try:
        for number, row in enumerate(rows):
            values = {"id": f"id-{number}", **plain, **row}
            places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
            await connection.execute(
                f"insert into usage_logs ({', '.join(values)}) values ({places})",  # noqa: S608 -- names of ours
                *values.values(),
            )
    finally:
        await connection.close()


@pytest.fixture
def used(configured: Tollway, postgres_dsn: str) -> Tollway:
    globex = configured.json("tenants", "create", "globex")
    now = datetime.now(UTC)
    rows: list[dict[str, object]] = [
        {},
        {"cost": Decimal("0.000000000001"), "status": "timeout", "created_at": now - timedelta(hours=1)},
        {"model": "other", "cost": None, "tenant_id": globex["id"], "created_at": now - timedelta(hours=2)},
        {"model": "old", "created_at": now - timedelta(days=20)},
    ]
    asyncio.run(_insert(postgres_dsn, rows))
    return configured


def test_calls_are_summed_exactly(used: Tollway) -> None:
    m, other = used.json("usage", "--by", "model")
    assert (m["value"], m["calls"], m["failed"], m["prompt_tokens"]) == ("m", 2, 1, 20)
    assert m["cost_usd"] == "0.100000000001"
    assert (other["value"], other["unpriced"]) == ("other", 1)
    assert Decimal(other["cost_usd"]) == 0


@pytest.mark.parametrize(
    ("by", "values"), [("tenant", {"acme", "globex"}), ("provider", {"fake"}), ("key", {"acme/ci"})]
)
def test_sums_are_by_what_is_asked(used: Tollway, by: str, values: set[str]) -> None:
    assert {entry["name"] or entry["value"] for entry in used.json("usage", "--by", by)} == values


def test_two_dimensions_and_a_time_are_columns(used: Tollway) -> None:
    lines = used("usage", "--by", "tenant,model", "--every", "month", "--since", "30d").stdout.splitlines()
    assert lines[0].split()[:3] == ["month", "tenant", "model"]
    assert lines[-1].split()[0] == "total"
    found = used.json("usage", "--every", "day", "--by", "tenant,model")
    assert {(entry["name"] or entry["value"], entry["second"]["value"]) for entry in found} == {
        ("acme", "m"),
        ("globex", "other"),
    }


def test_a_time_and_a_tenant_select(used: Tollway) -> None:
    assert {entry["value"] for entry in used.json("usage", "--since", "30d")} == {"m", "other", "old"}
    assert {entry["value"] for entry in used.json("usage", "--since", "30d", "--until", "10d")} == {"old"}
    assert {entry["value"] for entry in used.json("usage", "--tenant", "globex")} == {"other"}
    assert {entry["value"] for entry in used.json("usage", "--tenant", "acme", "--since", "90m")} == {"m"}


def test_the_calls_themselves_are_listed_newest_first(used: Tollway) -> None:
    assert [row["id"] for row in used.json("usage", "--rows")] == ["id-0", "id-1", "id-2"]
    assert [row["id"] for row in used.json("usage", "--rows", "--limit", "2")] == ["id-0", "id-1"]
    assert "no price" in used("usage", "--rows").stdout


def test_roles_are_told_apart(used: Tollway, postgres_dsn: str) -> None:
    other: list[dict[str, object]] = [
        {"id": "hedge", "role": "hedge", "cost": Decimal("0.02"), "tenant_id": "initech"},
        {"id": "shadow", "role": "shadow", "cost": Decimal("0.3"), "tenant_id": "initech"},
    ]
    asyncio.run(_insert(postgres_dsn, other))
    (hedge,) = used.json("usage", "--tenant", "initech")
    assert (hedge["calls"], Decimal(hedge["cost_usd"])) == (0, Decimal("0.02"))
    (shadow,) = used.json("usage", "--tenant", "initech", "--role", "shadow")
    assert (shadow["calls"], Decimal(shadow["cost_usd"])) == (1, Decimal("0.3"))
    assert [row["id"] for row in used.json("usage", "--rows", "--role", "hedge")] == ["hedge"]
    assert "shadow" in used("usage", "--rows").stdout


def test_a_person_gets_a_total(used: Tollway) -> None:
    total = used("usage").stdout.splitlines()[-1].split()
    assert total == ["total", "3", "1", "30", "15", "0.100000000001", "1"]


def test_wrong_usage_is_told(used: Tollway) -> None:
    assert "--since" in used.says("usage", "--since", "soon", code=2)
    assert "by: should be of" in used.says("usage", "--by", "colour")
    assert "--tag" in used.says("usage", "--rows", "--tag", "a=b", code=2)
    assert "start" in used.says("usage", "--since", "1d", "--until", "2d")
