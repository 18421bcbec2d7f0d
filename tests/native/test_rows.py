"""Rows as PostgreSQL copies them: what the slow twin says of any row, and nothing of what is no row."""

import json
from decimal import Decimal, localcontext
from typing import get_args

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.native.twins import rows as twin
from tests.storage.test_usage import ROW

from tollway._native import rows
from tollway.contract.guardrails import Action, Direction, Found
from tollway.contract.usage import CacheOutcome, Costs, Outcome, Try, UsageRole, UsageRow, UsageSource
from tollway.storage.usage import COLUMNS, insert_batch

COUNT = st.integers(0, 2**64 - 1)
SMALL = st.integers(-(2**31), 2**31 - 1)
MONEY = st.integers(0, 2**63 - 1)
TEXT = st.text(max_size=40)
MAYBE_TEXT = st.none() | TEXT
YEAR_1_US = -62_135_596_800_000_000
YEAR_10000_US = 253_402_300_800_000_000

ROWS = st.builds(
    UsageRow,
    *(TEXT, TEXT, st.integers(YEAR_1_US, YEAR_10000_US - 1), TEXT, TEXT, MAYBE_TEXT, TEXT, TEXT, TEXT),
    *(COUNT, COUNT, COUNT, COUNT, COUNT, st.none() | MONEY, MAYBE_TEXT),
    *(st.sampled_from(get_args(UsageSource)), st.sampled_from(get_args(Outcome)), SMALL, st.booleans()),
    *(COUNT, st.none() | COUNT, SMALL, COUNT, st.sampled_from(get_args(UsageRole))),
    st.lists(
        st.builds(
            Found,
            st.sampled_from(get_args(Direction)),
            TEXT,
            TEXT,
            st.sampled_from(get_args(Action)),
            st.integers(0, 9**9),
        ),
        max_size=3,
    ).map(tuple),
    st.none() | st.builds(Costs, *[MONEY] * 8),
    *(COUNT, COUNT, COUNT, COUNT, st.lists(TEXT, max_size=17).map(tuple), MAYBE_TEXT),
    st.lists(st.builds(Try, TEXT, SMALL, TEXT, st.integers(0, 9**9)), max_size=3).map(tuple),
    st.sampled_from(get_args(CacheOutcome)),
    st.lists(TEXT, max_size=3).map(tuple),
    st.none() | MONEY,
)


def batch_of(*found: UsageRow) -> rows.Batch:
    batch = rows.Batch()
    for row in found:
        batch.add(msgspec.msgpack.encode(row))
    return batch


def test_it_writes_the_columns_that_storage_names() -> None:
    assert len(COLUMNS) == rows.COLUMNS
    (found,) = twin.columns(batch_of(ROW).copy())
    assert len(found) == rows.COLUMNS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=4))
async def test_postgresql_has_what_the_twin_says_of_any_row(postgres_dsn: str, found: list[UsageRow]) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    try:
        async with connection.transaction():
            found = [msgspec.structs.replace(row, id=f"{index} {row.id}") for index, row in enumerate(found)]
            assert await insert_batch(connection, batch_of(*found).copy()) == len(found)
            stored = await connection.fetch(f"select {', '.join(COLUMNS)} from usage_logs order by id")  # noqa: S608
            await connection.execute("delete from usage_logs")
    finally:
        await connection.close()
    assert [_read(record.values()) for record in stored] == [
        _read(twin.record(row)) for row in sorted(found, key=lambda row: twin.text(row.id))
    ]


def _read(columns: object) -> list[object]:
    assert hasattr(columns, "__iter__")
    names = iter(COLUMNS)
    return [json.loads(value) if next(names) in ("findings", "tried") and value else value for value in columns]


@given(MONEY)
@settings(max_examples=500)
def test_pico_dollars_become_dollars_without_rounding(picousd: int) -> None:
    (columns,) = twin.columns(batch_of(msgspec.structs.replace(ROW, cost_picousd=picousd)).copy())
    sent = columns[COLUMNS.index("cost")]
    assert sent is not None
    with localcontext(prec=60):
        assert twin.decimal(sent) == Decimal(picousd).scaleb(-12)


@given(ROWS, st.data())
def test_a_row_that_is_cut_or_damaged_is_refused_or_read_and_never_anything_else(
    row: UsageRow, data: st.DataObject
) -> None:
    payload = bytearray(msgspec.msgpack.encode(row))
    at = data.draw(st.integers(0, len(payload) - 1))
    batch = batch_of(ROW)
    before = batch.copy()
    with pytest.raises(ValueError, match="usage row"):
        batch.add(bytes(payload[:at]))
    assert (batch.copy(), len(batch)) == (before, 1)
    payload[at] = data.draw(st.integers(0, 255))
    try:
        batch.add(bytes(payload))
    except ValueError:
        assert batch.copy() == before
        return
    assert len(list(twin.columns(batch.copy()))) == 2


@given(st.binary(max_size=200))
def test_rubbish_is_no_row(rubbish: bytes) -> None:
    batch = rows.Batch()
    with pytest.raises(ValueError, match="usage row"):
        batch.add(rubbish)
    assert len(batch) == 0


@given(
    ROWS, st.lists(st.none() | st.integers(-5, 5) | st.text() | st.floats() | st.dictionaries(st.text(), st.binary()))
)
def test_fields_that_a_newer_version_appends_are_passed_over(row: UsageRow, more: list[object]) -> None:
    longer = rows.Batch()
    longer.add(msgspec.msgpack.encode([*msgspec.msgpack.decode(msgspec.msgpack.encode(row)), *more]))
    assert longer.copy() == batch_of(row).copy()


def test_fields_that_an_older_version_did_not_have_get_their_defaults() -> None:
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(ROW))
    for count in range(23, len(fields)):
        older = msgspec.msgpack.encode(fields[:count])
        batch = rows.Batch()
        batch.add(older)
        assert batch.copy() == batch_of(msgspec.msgpack.decode(older, type=UsageRow)).copy()


def test_one_row_of_a_batch_is_copied_by_itself() -> None:
    others = [msgspec.structs.replace(ROW, id=str(number)) for number in range(3)]
    batch = batch_of(*others)
    assert [batch.copy_of(index) for index in range(3)] == [batch_of(row).copy() for row in others]
    with pytest.raises(ValueError, match="not so many"):
        batch.copy_of(3)


def test_times_that_no_reader_can_tell_are_refused() -> None:
    for at_us in (YEAR_1_US - 1, YEAR_10000_US, 2**62, 2**63, -(2**63)):
        with pytest.raises(ValueError, match="out of range"):
            batch_of(msgspec.structs.replace(ROW, at_us=at_us))
