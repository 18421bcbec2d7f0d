"""``tollway usage``: what was called and what it cost, from the rows that have reached the database."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from tollway.cli.database import ask
from tollway.cli.options import AsJson, ConfigFile, DataDir, ago, load_settings
from tollway.cli.printing import print_json, print_table
from tollway.contract.usage import UsageRole
from tollway.control.billing import queries, rules
from tollway.control.billing.queries import Dimension, FoundEntry, Selection, UsageEntry, UsageSum
from tollway.control.tenants.queries import find_tenant
from tollway.storage.pool import Connection

PAGE = 1000


def usage(
    by: Annotated[Dimension, typer.Option("--by", help="What to sum by.")] = "model",
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="7d, 12h, or a date: 2027-01-31.")] = "7d",
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Likewise; else now.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's: a name or an id.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only this model's.")] = None,
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
    asked = rules.UsageRange(
        start=ago(since, now),
        end=None if until is None else ago(until, now, "--until"),
        tenant=tenant,
        model=model,
        role=role,
    )
    selection = rules.selection(asked, now)
    if rows:
        calls = ask(settings, lambda connection: _calls(connection, selection, limit))
        print_json(calls) if as_json else _print_calls(calls)
    else:
        sums = ask(settings, lambda connection: _sums(connection, selection, by))
        print_json(sums) if as_json else _print_sums(sums, by)


async def _calls(connection: Connection, selection: Selection, limit: int) -> list[UsageEntry]:
    selected = await _by_tenants_id(connection, selection)
    found: list[UsageEntry] = []
    while len(found) < limit:
        wanted = min(PAGE, limit - len(found))
        after = found[-1].position if found else None
        page = await queries.list_usage(connection, selected, limit=wanted, after=after)
        found += page
        if len(page) < wanted:
            break
    return found


async def _sums(connection: Connection, selection: Selection, by: Dimension) -> list[UsageSum]:
    selected = await _by_tenants_id(connection, selection)
    found: list[UsageSum] = []
    while True:
        after = found[-1].value if found else None
        page = await queries.sum_usage(connection, selected, by, limit=PAGE, after=after)
        found += page
        if len(page) < PAGE:
            return found


async def _by_tenants_id(connection: Connection, selection: Selection) -> Selection:
    """Rows name tenants by id. One that is not in the database is the file's, whose id is its name, or was."""
    if selection.tenant is None:
        return selection
    found = await find_tenant(connection, selection.tenant)
    return selection if found is None else msgspec.structs.replace(selection, tenant=found.id)


def _print_sums(sums: list[UsageSum], by: Dimension) -> None:
    headings = (by, "calls", "failed", "prompt tokens", "completion tokens", "cost (USD)", "calls without a price")
    rows = [
        (
            entry.name or entry.value,
            entry.calls,
            entry.failed,
            entry.prompt_tokens,
            entry.completion_tokens,
            entry.cost_usd,
            entry.unpriced,
        )
        for entry in sums
    ]
    if len(rows) > 1:
        totals = [sum(column, start=type(column[0])(0)) for column in zip(*(row[1:] for row in rows), strict=True)]
        rows.append(("total", *totals))
    print_table(headings, rows, "No calls in this time. Rows reach the database a moment after their call.")


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
