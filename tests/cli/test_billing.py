import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import msgspec
import pytest
from tests.cli.conftest import Tollway
from tests.storage.test_usage import ROW

from tollway.contract.usage import Costs, UsageRow
from tollway.storage.usage import insert_usage

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


def _row(number: int, at: datetime = NOON, **fields: object) -> UsageRow:
    plain: dict[str, object] = {
        "id": f"row-{number}",
        "tenant_id": "acme",
        "model": "m",
        "provider": "fake",
        "provider_model": "m",
        "prompt_tokens": 10,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "completion_tokens": 5,
        "reasoning_tokens": 0,
        "at_us": (at - EPOCH) // timedelta(microseconds=1),
        "costs": Costs(input=100_000_000_000, output=150_000_000_000),
        "cost_picousd": 250_000_000_000,
    }
    return msgspec.structs.replace(ROW, **(plain | fields))


async def _insert(dsn: str, *rows: UsageRow) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await insert_usage(connection, rows)
    finally:
        await connection.close()


@pytest.fixture
def used(configured: Tollway, postgres_dsn: str) -> Tollway:
    asyncio.run(_insert(postgres_dsn, _row(1), _row(2, NOON + timedelta(days=1))))
    return configured


def test_costs_are_told_by_kind(used: Tollway) -> None:
    (line,) = used.json("billing", "costs", "--since", "2026-01-01", "--until", "2026-02-01")
    assert (line["value"], line["cost_usd"], line["costs_usd"]["output"]) == ("m", "0.500000000000", "0.300000000000")
    shown = used("billing", "costs", "--since", "2026-01-01", "--until", "2026-02-01", "--every", "day").stdout
    assert shown.splitlines()[0].split()[:3] == ["day", "input", "output"]
    assert shown.splitlines()[-1].split() == ["total", "0.200000000000", "0.300000000000", "0.500000000000", "0"]


def test_a_month_is_adjusted_and_closed_and_late_calls_are_on_the_next(used: Tollway, postgres_dsn: str) -> None:
    assert "acme" in used.says("billing", "adjust", "--reason", "sorry", "--", "acme", "2026-01", "-0.1", code=0)
    assert used.json("billing", "statement", "acme", "2026-01")["total_usd"] == "0.400000000000"
    (closed,) = used.json("billing", "close", "2026-01", "--all")
    assert (closed["status"], closed["total_usd"], closed["is_intact"]) == ("closed", "0.400000000000", True)
    asyncio.run(_insert(postgres_dsn, _row(3)))
    shown = used("billing", "statement", "acme", "2026-02").stdout
    assert "2026-01" in shown
    assert "0.250000000000" in shown
    assert "closed already" in used.says("billing", "close", "2026-01", "--tenant", "acme")
    assert "is closed" in used.says("billing", "adjust", "acme", "2026-01", "1", "--reason", "more")
    assert [each["month"] for each in used.json("billing", "statements")] == ["2026-01"]
    assert [each["reason"] for each in used.json("billing", "adjustments")] == ["sorry"]


def test_an_export_is_a_file_or_an_object(used: Tollway) -> None:
    made = used.json("billing", "export", "focus", "--month", "2026-01", "--format", "jsonl", "--to", "focus.jsonl")
    charges = [json.loads(line) for line in (used.directory / "focus.jsonl").read_text().splitlines()]
    assert made["rows"] == len(charges)
    assert sum(Decimal(charge["BilledCost"]) for charge in charges) == Decimal("0.5")
    made = used.json("billing", "export", "rows", "--since", "2026-01-01", "--until", "2026-02-01", "--tenant", "acme")
    path = Path(made["object"].removeprefix("file://"))
    assert path.is_relative_to(used.directory / "data" / "objects")
    assert len(path.read_text().splitlines()) == 3


def test_a_provider_s_account_is_compared(used: Tollway) -> None:
    account = used.directory / "account.csv"
    account.write_text(
        "day,model,input_tokens,output_tokens,cost_usd\n2026-01-10,m,10,5,0.25\n2026-01-11,m,10,5,0.25\n"
    )
    assert "2 days and models agree" in used.says("billing", "reconcile", "account.csv", "--provider", "fake", code=0)
    account.write_text("day,model,input_tokens,output_tokens,cost_usd\n2026-01-10,m,10,5,0.75\n")
    ran = used("billing", "reconcile", "account.csv", "--provider", "simulator")
    assert ran.returncode == 1
    assert "cost +0.5" in ran.stdout
    assert "another price" in ran.stdout


def test_prices_are_those_of_the_configuration(used: Tollway) -> None:
    assert used.json("billing", "prices") == [{"model": "m", "provider": "fake", "provider_model": "m", "price": None}]
    assert "no price" in used("billing", "prices").stdout


def test_wrong_usage_is_told(used: Tollway) -> None:
    assert "--all" in used.says("billing", "close", "2026-01", code=2)
    assert "month" in used.says("billing", "close", "soon", "--all")
    assert "not over" in used.says("billing", "close", f"{datetime.now(UTC):%Y-%m}", "--all")
    assert "no tenant nobody" in used.says("billing", "statement", "nobody", "2026-01")
    assert "USD" in used.says("billing", "adjust", "acme", "2026-01", "much", "--reason", "x", code=2)
    assert "month: should be given" in used.says("billing", "export", "rows")
    assert "No such file" in used.says("billing", "reconcile", "nothing.csv", "--provider", "fake")
