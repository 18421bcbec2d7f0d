"""Rows of an export as CSV, JSON lines or Parquet: batches of rows in, bytes or a file out.

Money is exact in all three: digits in CSV, a string in JSON, ``decimal(38, 12)`` in Parquet.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec
from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet

from tollway.control.billing.columns import Column, Kind

Format = Literal["csv", "jsonl", "parquet"]
Row = Sequence[object]

ROW_GROUP_ROWS = 20_000
"""Rows that Parquet's writer holds until it writes them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_TEXT, _WHOLE = DataType.utf8(), DataType.int64()
_TYPES: Mapping[Kind, DataType] = {
    "text": _TEXT,
    "whole": _WHOLE,
    "decimal": DataType.decimal128(38, 12),
    "moment": DataType.timestamp("us", tz="UTC"),
    "truth": DataType.bool(),
    "texts": _TEXT,
}


def csv_head(columns: Sequence[Column]) -> bytes:
    """The line of names."""
    return _csv([[column.name for column in columns]])


def csv_lines(columns: Sequence[Column], rows: Iterable[Row]) -> bytes:
    """RFC 4180; a missing value is empty. A text that a spreadsheet would take for a formula has an apostrophe before
    it: a caller's name for its user is a stranger's text, and whoever opens a bill must not run it."""
    return _csv([[_cell(column.kind, value) for column, value in zip(columns, row, strict=True)] for row in rows])


def json_lines(columns: Sequence[Column], rows: Iterable[Row]) -> bytes:
    """One object a line."""
    names = [column.name for column in columns]
    return b"".join(msgspec.json.encode(dict(zip(names, map(_plain, row), strict=True))) + b"\n" for row in rows)


def parquet_file(columns: Sequence[Column], batches: Iterator[Sequence[Row]], path: Path) -> None:
    """Write a Parquet file. It pulls the batches one by one, and is for a thread.

    Raises:
        Exception: whatever ``batches`` raises comes out wrapped; the caller knows what it raised.
    """
    schema = Schema([Field(column.name, _TYPES[column.kind]) for column in columns])
    reader = RecordBatchReader.from_batches(schema, (_batch(columns, rows, schema) for rows in batches))
    write_parquet(reader, path, compression="zstd(3)", max_row_group_size=ROW_GROUP_ROWS)


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _cell(kind: Kind, value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case datetime():
            return _moment(value)
        case list():
            return msgspec.json.encode(value).decode()
    text = str(value)
    return f"'{text}" if kind == "text" and text.startswith(_FORMULA) else text


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            return _moment(value)
    return value


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _batch(columns: Sequence[Column], rows: Sequence[Row], schema: Schema) -> RecordBatch:
    values = zip(*rows, strict=True)
    arrays = [_array(column.kind, list(each)) for column, each in zip(columns, values, strict=True)]
    return RecordBatch.from_arrays(arrays, schema=schema)


def _array(kind: Kind, values: list[object]) -> Array:
    written = _WRITTEN.get(kind)
    if written is None:
        return Array(values, _TYPES[kind])
    through, change = written
    return Array([None if value is None else change(value) for value in values], through).cast(_TYPES[kind])


def _micros(value: object) -> int:
    assert isinstance(value, datetime)  # noqa: S101 -- what the column holds
    delta = value - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _digits(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


# Through what the library makes of Python's values to what the column is.
_WRITTEN: Mapping[Kind, tuple[DataType, Callable[[object], object]]] = {
    "decimal": (_TEXT, _digits),
    "moment": (_WHOLE, _micros),
    "whole": (_WHOLE, lambda value: int(str(value))),
    "texts": (_TEXT, lambda value: msgspec.json.encode(value).decode()),
}
