"""What commands print: data on stdout, for a person as a table or for a machine as JSON; talk on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH_OF_A_PIPE = 100_000
"""Nothing is folded or cut in what another program reads."""


def note(sentence: str) -> None:
    """Talk: to stderr."""
    typer.echo(sentence, err=True)


def print_json(value: object) -> None:
    """One JSON document; money is exact, a string without an exponent; times are RFC 3339."""
    plain = msgspec.to_builtins(value, builtin_types=(Decimal,))
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=False, default=shown))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> None:
    """A table, numbers to the right; when there are no rows, the sentence ``nothing`` on stderr."""
    cells = [list(row) for row in rows]
    if not cells:
        note(nothing)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, column in zip(headings, zip(*cells, strict=True), strict=True):
        is_number = all(isinstance(value, int | Decimal) and not isinstance(value, bool) for value in column)
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(shown(value)) for value in row))
    print_rich(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """One thing: a line for each of its fields."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in fields.items():
        table.add_row(Text(name, style="bold"), Text(shown(value), overflow="fold"))
    print_rich(table)


def print_rich(table: Table) -> None:
    """A table of one's own making."""
    Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE, highlight=False).print(table)


def shown(value: object) -> str:
    """A value as a person reads it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return str(value)
