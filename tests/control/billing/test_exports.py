"""Exports are whole, exact and the same in every format."""

import asyncio
import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from arro3.io import read_parquet
from tests.control.billing.test_books import JANUARY, noon, row

from tollway.control.billing import books, exports
from tollway.control.billing.columns import TABLES
from tollway.control.billing.exports import Export, export_to_file, export_to_objects
from tollway.storage.objects import Objects
from tollway.storage.usage import insert_usage

NOW = datetime(2027, 3, 1, tzinfo=UTC)
START, END = datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)


def _export(what: str, form: str, tenant: str | None = None) -> Export:
    return Export(what=what, format=form, start=START, end=END, tenant=tenant)  # type: ignore[arg-type]


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file in any format; what is nothing is left out."""
    match path.suffix:
        case ".csv":
            rows: Sequence[dict[str, Any]] = list(csv.DictReader(io.StringIO(path.read_text())))
        case ".jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
        case _:
            table = read_parquet(path).read_all()
            columns = {name: table.column(name).to_pylist() for name in table.column_names}
            rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return [{name: value for name, value in each.items() if value not in (None, "")} for each in rows]


def _files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


async def _used(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await insert_usage(
            connection,
            [
                row(1, noon(JANUARY), tags=("team=a", "env=t"), reasoning_tokens=2),
                row(2, noon(JANUARY, 11), user_id="=cmd|'/c calc'!A1", stream=True, first_token_ms=7),
                row(3, noon(JANUARY, 12), tenant_id="globex", cost_picousd=None, costs=None),
                row(4, noon(JANUARY, 13), role="shadow"),
                row(5, END),
            ],
        )


@pytest.mark.parametrize("what", ["rows", "daily", "focus"])
async def test_every_format_says_the_same(pool: asyncpg.Pool, tmp_path: Path, what: str) -> None:
    await _used(pool)
    objects = Objects(f"file://{tmp_path}/objects")
    found: dict[str, list[dict[str, Any]]] = {}
    async with pool.acquire() as connection:
        for form in ("csv", "jsonl", "parquet"):
            done = await export_to_objects(connection, _export(what, form), objects, NOW)
            path = Path(done.object.removeprefix("file://"))
            found[form] = _read(path)
            assert done.rows == len(found[form])
            assert path.parent.name == "20270101-20270201"
    kinds = {column.name: column.kind for column in TABLES[what].columns}  # type: ignore[index]

    def canonical(rows: list[dict[str, Any]], form: str) -> list[dict[str, object]]:
        return sorted(
            ({name: _canonical(kinds[name], value, form) for name, value in each.items()} for each in rows), key=str
        )

    expected = canonical(found["parquet"], "parquet")
    assert expected
    assert canonical(found["csv"], "csv") == expected
    assert canonical(found["jsonl"], "jsonl") == expected


def _canonical(kind: str, value: Any, form: str) -> object:
    match kind:
        case "decimal":
            return Decimal(value).normalize()
        case "whole":
            return int(value)
        case "truth":
            return value if isinstance(value, bool) else value == "true"
        case "moment":
            return value if isinstance(value, datetime) else datetime.fromisoformat(value)
        case "texts":
            return json.loads(value) if isinstance(value, str) else value
    return value.removeprefix("'") if form == "csv" else value


async def test_a_strangers_text_is_no_formula(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await _used(pool)
    async with pool.acquire() as connection:
        await export_to_file(connection, _export("rows", "csv"), tmp_path / "rows.csv")
    (odd,) = (each for each in _read(tmp_path / "rows.csv") if "user_id" in each)
    assert odd["user_id"] == "'=cmd|'/c calc'!A1"


async def test_a_tenant_and_a_range_select(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await _used(pool)
    async with pool.acquire() as connection:
        await export_to_file(connection, _export("rows", "jsonl", "globex"), tmp_path / "rows.jsonl")
        (globex,) = _read(tmp_path / "rows.jsonl")
        assert globex["id"] == "row-00003"
        done = await export_to_file(connection, _export("rows", "jsonl"), tmp_path / "rows.jsonl")
    assert done.rows == 4


async def test_charges_in_focus_columns_are_what_statements_bill(pool: asyncpg.Pool, tmp_path: Path) -> None:
    await _used(pool)
    async with pool.acquire() as connection:
        await books.adjust(connection, "acme", JANUARY, Decimal("-0.5"), "an outage", "test")
        statement, _ = await books.close_statement(connection, "acme", JANUARY, "test")
        await export_to_file(connection, _export("focus", "jsonl", "acme"), tmp_path / "focus.jsonl")
    charges = _read(tmp_path / "focus.jsonl")
    assert sum(Decimal(charge["BilledCost"]) for charge in charges) == statement.total_usd
    (credit,) = (charge for charge in charges if charge["ChargeCategory"] == "Credit")
    assert (credit["ChargeDescription"], credit["ChargeFrequency"]) == ("an outage", "One-Time")
    usage = [charge for charge in charges if charge["ChargeCategory"] == "Usage"]
    assert {charge["InvoiceId"] for charge in charges} == {"acme/2027-01"}
    assert {charge["BillingPeriodEnd"] for charge in charges} == {"2027-02-01T00:00:00Z"}
    assert {charge["ServiceCategory"] for charge in charges} == {"AI and Machine Learning"}
    (day,) = (each for each in usage if each["SkuMeter"] == "reasoning" and each["ConsumedQuantity"] == "2")
    assert (day["ChargePeriodStart"], day["ChargePeriodEnd"]) == ("2027-01-10T00:00:00Z", "2027-01-11T00:00:00Z")
    assert (day["ConsumedUnit"], day["SubAccountId"]) == ("Tokens", "key-1")
    for mandatory in (
        *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodStart"),
        *("ChargeDescription", "ContractedCost", "EffectiveCost", "ListCost", "InvoiceIssuerName", "ProviderName"),
        *("PublisherName", "ServiceName"),
    ):
        assert all(charge.get(mandatory) for charge in charges), mandatory


async def test_an_export_holds_one_batch_at_a_time(
    pool: asyncpg.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BATCH_ROWS", 10)
    async with pool.acquire() as connection:
        await insert_usage(connection, [row(number, noon(JANUARY)) for number in range(1, 96)])
        for form in ("csv", "jsonl", "parquet"):
            done = await export_to_file(connection, _export("rows", form), tmp_path / f"rows.{form}")
            assert done.rows == len(_read(tmp_path / f"rows.{form}")) == 95


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
async def test_a_database_that_goes_away_leaves_no_half_export(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(exports, "BATCH_ROWS", 10)
    connection, killer = await asyncpg.connect(postgres_dsn), await asyncpg.connect(postgres_dsn)
    await insert_usage(connection, [row(number, noon(JANUARY)) for number in range(1, 96)])
    fetch = asyncpg.cursor.Cursor.fetch

    async def dying(self: Any, *arguments: Any, **more: Any) -> Any:
        await killer.execute("select pg_terminate_backend($1, 5000)", connection.get_server_pid())
        return await fetch(self, *arguments, **more)

    monkeypatch.setattr(asyncpg.cursor.Cursor, "fetch", dying)
    (tmp_path / "file").mkdir()
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await export_to_file(connection, _export("rows", form), tmp_path / "file" / "rows")
    assert _files(tmp_path) == []
    await killer.close()
    connection.terminate()


@pytest.mark.parametrize("form", ["csv", "parquet"])
async def test_an_export_that_is_given_up_ends(
    pool: asyncpg.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(exports, "BATCH_ROWS", 1)
    under_way = asyncio.Event()
    fetch = asyncpg.cursor.Cursor.fetch

    async def slow(self: Any, *arguments: Any, **more: Any) -> Any:
        under_way.set()
        await asyncio.sleep(0.05)
        return await fetch(self, *arguments, **more)

    async with pool.acquire() as connection:
        await insert_usage(connection, [row(number, noon(JANUARY)) for number in range(1, 200)])
        monkeypatch.setattr(asyncpg.cursor.Cursor, "fetch", slow)
        export = asyncio.ensure_future(export_to_file(connection, _export("rows", form), tmp_path / "rows"))
        await under_way.wait()
        export.cancel()
        with pytest.raises(asyncio.CancelledError):
            await export
        monkeypatch.undo()
        assert await connection.fetchval("select 1") == 1
    assert _files(tmp_path) == []


def test_no_two_exports_have_one_name() -> None:
    export = _export("rows", "csv")
    assert export.name(NOW) != export.name(NOW)
    assert export.name(NOW + timedelta(hours=1)).startswith("exports/rows/20270101-20270201/20270301T010000Z-")
    assert msgspec.structs.replace(export, format="jsonl").name(NOW).endswith(".jsonl")
