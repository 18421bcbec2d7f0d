"""``tollway usage``: what was called and what it cost, from the rows that have reached the database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from tollway.cli.database import ask
from tollway.cli.options import AsJson, ConfigFile, DataDir, ago, load_settings
from tollway.cli.printing import print_json, print_table
from tollway.contract.usage import UsageRole
from tollway.control.billing import queries, rules, sums
from tollway.control.billing.queries import FoundEntry, UsageEntry
from tollway.control.billing.sums import Bucket, Grouping, Sum
from tollway.control.tenants.queries import find_tenant
from tollway.storage.pool import Connection

PAGE = 1000

By = Annotated[
    str | None,
    typer.Option("--by", metavar="A,B", help="One or two of tenant, key, user, model, provider, tag; else model."),
]
Every = Annotated[Bucket | None, typer.Option("--every", help="A sum for each hour, day or month (UTC).")]
User = Annotated[str | None, typer.Option("--user", help="Only this user's.")]
Tag = Annotated[str | None, typer.Option("--tag", metavar="NAME=VALUE", help="Only calls with this tag.")]
Since = Annotated[str, typer.Option("--since", metavar="WHEN", help="7d, 12h, or a date: 2027-01-31.")]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Likewise; else now.")]


def usage(
    by: By = None,
    every: Every = None,
    since: Since = "7d",
    until: Until = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's: a name or an id.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only this model's.")] = None,
    user: User = None,
    tag: Tag = None,
    role: Annotated[
        UsageRole | None,
        typer.Option("--role", help="Only calls of this role. Sums are of answers and the hedges' cost otherwise."),
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="The calls themselves, newest first, instead of sums.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="With --rows: at most so many.")] = 50,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show calls, tokens and cost: summed, or call by call."""
    settings = load_settings(config, data_dir)
    now = datetime.now(UTC)
    asked = rules.UsageSums(
        start=ago(since, now),
        end=None if until is None else ago(until, now, "--until"),
        tenant=tenant,
        model=model,
        user=user,
        tag=tag,
        role=role,
    )
    if rows:
        refuse_sums_only(user=user, tag=tag, by=by, every=every)
        selection = rules.selection(asked, now)
        calls = ask(settings, lambda connection: _calls(connection, selection, limit))
        print_json(calls) if as_json else _print_calls(calls)
    else:
        grouping = grouped(by, every)
        wanted = rules.summed_selection(asked, now)
        found = ask(settings, lambda connection: read_sums(connection, wanted, grouping))
        print_json(found) if as_json else _print_sums(found, grouping)


def grouped(by: str | None, every: Bucket | None) -> Grouping:
    """By what is summed: by model, unless something is said."""
    return rules.grouping("model" if by is None and every is None else by, every)


def refuse_sums_only(**given: object) -> None:
    """Calls one by one are not summed, and can't be selected by what only sums know.

    Raises:
        typer.BadParameter: one of these is given.
    """
    for name, value in given.items():
        if value is not None:
            raise typer.BadParameter("is for sums; calls are listed without it", param_hint=f"--{name}")


async def _calls(connection: Connection, selection: queries.Selection, limit: int) -> list[UsageEntry]:
    selected = selection
    if selection.tenant is not None:
        selected = msgspec.structs.replace(selection, tenant=await tenant_id(connection, selection.tenant))
    found: list[UsageEntry] = []
    while len(found) < limit:
        wanted = min(PAGE, limit - len(found))
        after = found[-1].position if found else None
        page = await queries.list_usage(connection, selected, limit=wanted, after=after)
        found += page
        if len(page) < wanted:
            break
    return found


async def read_sums(connection: Connection, selection: sums.Selection, grouping: Grouping) -> list[Sum]:
    """Every sum. A tenant is named by name or id."""
    if selection.tenant is not None:
        tenant = await tenant_id(connection, selection.tenant)
        selection = msgspec.structs.replace(selection, tenant=tenant)
    found: list[Sum] = []
    while True:
        after = found[-1].place if found else None
        page = await sums.summed(connection, selection, grouping, limit=PAGE, after=after)
        found += page
        if len(page) < PAGE:
            return found


async def tenant_id(connection: Connection, id_or_name: str) -> str:
    """Rows name tenants by id. One that is not in the database is the file's, whose id is its name, or was."""
    found = await find_tenant(connection, id_or_name)
    return id_or_name if found is None else found.id


def sum_headings(grouping: Grouping) -> tuple[str, ...]:
    """The headings of what sums are by."""
    return (*([grouping.every] if grouping.every else ()), *grouping.by)


def sum_cells(entry: Sum, grouping: Grouping) -> tuple[object, ...]:
    """The cells below them."""
    forms = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "month": "%Y-%m"}
    at = (entry.at.strftime(forms[grouping.every]),) if entry.at is not None and grouping.every else ()
    values = (entry.name or entry.value, *((entry.second.name or entry.second.value,) if entry.second else ()))
    return (*at, *(value or "-" for value in values[: len(grouping.by)]))


def _print_sums(found: list[Sum], grouping: Grouping) -> None:
    headings = ("calls", "failed", "prompt tokens", "completion tokens", "cost (USD)", "calls without a price")
    cells = [
        (
            entry.calls,
            entry.failed,
            entry.prompt_tokens,
            entry.completion_tokens,
            entry.cost_usd,
            entry.unpriced,
        )
        for entry in found
    ]
    print_sums(found, grouping, headings, cells)


def print_sums(found: list[Sum], grouping: Grouping, headings: Sequence[str], cells: list[tuple[Any, ...]]) -> None:
    """A table of sums, and their total where it means something: a call with two tags is in two sums."""
    rows = [(*sum_cells(entry, grouping), *line) for entry, line in zip(found, cells, strict=True)]
    if len(rows) > 1 and "tag" not in grouping.by:
        totals = [sum(column, start=type(column[0])(0)) for column in zip(*cells, strict=True)]
        rows.append(("total", *[""] * (len(sum_headings(grouping)) - 1), *totals))
    print_table(
        (*sum_headings(grouping), *headings),
        rows,
        "No calls in this time. Rows reach the database a moment after their call.",
    )


def _print_calls(calls: list[UsageEntry]) -> None:
    headings = (
        "at",
        "request",
        "tenant",
        "model",
        "provider",
        "prompt",
        "completion",
        "cost (USD)",
        "status",
        "ms",
        "role",
        "findings",
    )
    rows = (
        (
            call.created_at,
            call.request_id,
            call.tenant_id,
            call.model,
            call.provider,
            call.prompt_tokens,
            call.completion_tokens,
            call.cost_usd if call.cost_usd is not None else "no price",
            call.status,
            call.latency_ms,
            call.role,
            ", ".join(_found(found) for found in call.findings) or None,
        )
        for call in calls
    )
    print_table(headings, rows, "No calls in this time. Rows reach the database a moment after their call.")


def _found(found: FoundEntry) -> str:
    """``email 2 (input, redact)``."""
    return f"{found.kind} {found.count} ({found.direction}, {found.action})"
