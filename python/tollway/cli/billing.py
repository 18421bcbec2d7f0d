"""``tollway billing``: costs, statements, adjustments, exports, prices, and a provider's account against our rows."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from tollway.cli.database import actor, ask
from tollway.cli.exits import FAILED, CommandFailed
from tollway.cli.options import AsJson, ConfigFile, DataDir, ago, load_settings
from tollway.cli.printing import note, print_fields, print_json, print_table
from tollway.cli.targets import load_snapshot
from tollway.cli.usage import (
    By,
    Every,
    Since,
    Tag,
    Until,
    User,
    grouped,
    print_sums,
    read_sums,
    tenant_id,
)
from tollway.control.billing import books, rules
from tollway.control.billing.columns import What
from tollway.control.billing.encoding import Format
from tollway.control.billing.exports import Exported, export_to_file, export_to_objects
from tollway.control.billing.invoices import Form, read_account
from tollway.control.billing.reconcile import DEFAULT_TOLERANCE_USD, Difference, Reconciled
from tollway.control.billing.rules import ShownStatement
from tollway.control.billing.tallies import compared
from tollway.control.tenants.queries import find_tenant
from tollway.settings import Settings
from tollway.storage.objects import Objects
from tollway.storage.pool import Connection

PAGE = 200
LARGEST_ACCOUNT_BYTES = 256 << 20

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="A name or an id.")]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant's: a name or an id.")]
Month = Annotated[str, typer.Argument(metavar="MONTH", help="As in 2027-01 (UTC).")]
OfMonth = Annotated[str | None, typer.Option("--month", metavar="MONTH", help="As in 2027-01 (UTC).")]

billing = typer.Typer(help="Costs, statements, exports, and what providers bill.", no_args_is_help=True)


@billing.command()
def costs(
    by: By = None,
    every: Every = None,
    since: Since = "30d",
    until: Until = None,
    tenant: OfTenant = None,
    model: Annotated[str | None, typer.Option("--model", help="Only this model's.")] = None,
    user: User = None,
    tag: Tag = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what was paid for what: input, output, cached tokens…"""
    settings, now = load_settings(config, data_dir), datetime.now(UTC)
    asked = rules.UsageSums(
        start=ago(since, now),
        end=None if until is None else ago(until, now, "--until"),
        tenant=tenant,
        model=model,
        user=user,
        tag=tag,
    )
    wanted, grouping = rules.summed_selection(asked, now), grouped(by, every)
    found = ask(settings, lambda connection: read_sums(connection, wanted, grouping))
    if as_json:
        print_json([rules.shown_cost(entry) for entry in found])
        return
    kinds = ("input", "cached_input", "cache_write", "output", "reasoning", "audio", "image", "other", "unsplit")
    used = [kind for kind in kinds if any(getattr(entry.costs_usd, kind) for entry in found)]
    cells = [(*(getattr(entry.costs_usd, kind) for kind in used), entry.cost_usd, entry.unpriced) for entry in found]
    headings = (*(kind.replace("_", " ") for kind in used), "cost (USD)", "calls without a price")
    print_sums(found, grouping, headings, cells)


@billing.command()
def statement(
    tenant: Tenant, month: Month, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Show a tenant's statement of a month: as it was closed, or as it would be if it were closed now."""
    settings, first = load_settings(config, data_dir), rules.month(month)

    async def work(connection: Connection) -> ShownStatement:
        whose = await _tenant(connection, settings, tenant)
        closed = await books.find_statement(connection, whose, first)
        if closed is not None:
            return rules.shown_closed(*closed)
        return rules.shown_draft(whose, first, await books.draft(connection, whose, first))

    _print_statement(ask(settings, work), as_json)


@billing.command()
def statements(
    tenant: OfTenant = None,
    month: OfMonth = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 100,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List closed statements, newest month first."""
    settings, first = load_settings(config, data_dir), None if month is None else rules.month(month)

    async def work(connection: Connection) -> list[books.Statement]:
        whose = None if tenant is None else await tenant_id(connection, tenant)
        return await books.list_statements(connection, tenant_id=whose, month=first, limit=limit)

    found = [rules.shown_header(each) for each in ask(settings, work)]
    if as_json:
        print_json(found)
        return
    rows = [(each.month, each.tenant_id, each.total_usd, each.closed_at, each.closed_by) for each in found]
    print_table(("month", "tenant", "total (USD)", "closed", "by"), rows, "No statement is closed yet.")


@billing.command()
def close(
    month: Month,
    tenant: OfTenant = None,
    everybody: Annotated[bool, typer.Option("--all", help="Of every tenant that has something on it.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Close statements of a month that is over, for good. Calls that are stored later go on the next ones."""
    if (tenant is None) != everybody:
        raise typer.BadParameter("say whose: a tenant, or --all", param_hint="--tenant")
    settings, first = load_settings(config, data_dir), rules.month(month)
    rules.may_close(first, datetime.now(UTC))

    async def one(connection: Connection) -> list[ShownStatement]:
        whose = await _tenant(connection, settings, tenant or "")
        return [rules.shown_closed(*await books.close_statement(connection, whose, first, actor()))]

    done = ask(settings, (lambda connection: _close_all(connection, first)) if everybody else one)
    if as_json:
        print_json(done)
        return
    rows = [(each.tenant_id, each.total_usd, len(each.items), each.unpriced_calls) for each in done]
    headings = ("tenant", "total (USD)", "items", "calls without a price")
    print_table(headings, rows, f"Nobody has anything on a statement of {month} that is open.")


@billing.command()
def adjust(
    tenant: Tenant,
    month: Month,
    amount: Annotated[str, typer.Argument(metavar="USD", help="US dollars; a credit is below 0: -- -12.50")],
    reason: Annotated[str, typer.Option("--reason", help="Why; whoever pays will read it.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a debit or a credit on a statement that is open."""
    settings, first = load_settings(config, data_dir), rules.month(month)
    usd, why = rules.amount(_dollars(amount, "USD"), "USD"), rules.reason(reason)

    async def work(connection: Connection) -> books.AdjustmentEntry:
        whose = await _tenant(connection, settings, tenant)
        return await books.adjust(connection, whose, first, usd, why, actor())

    made = ask(settings, work)
    print_json(made) if as_json else note(f"{made.amount_usd:f} USD are on {tenant}'s statement of {month}.")


@billing.command()
def adjustments(
    tenant: OfTenant = None,
    month: OfMonth = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 100,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List adjustments, newest first."""
    settings, first = load_settings(config, data_dir), None if month is None else rules.month(month)

    async def work(connection: Connection) -> list[books.AdjustmentEntry]:
        whose = None if tenant is None else await tenant_id(connection, tenant)
        return await books.list_adjustments(connection, tenant_id=whose, month=first, limit=limit)

    found = ask(settings, work)
    if as_json:
        print_json(found)
        return
    rows = [(each.created_at, each.tenant_id, f"{each.month:%Y-%m}", each.amount_usd, each.reason) for each in found]
    print_table(("made", "tenant", "statement", "USD", "reason"), rows, "There is no adjustment.")


@billing.command()
def export(
    what: Annotated[What, typer.Argument(help="Calls, daily sums, or charges in the columns of FOCUS 1.2.")],
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = "csv",
    month: OfMonth = None,
    since: Annotated[str | None, typer.Option("--since", metavar="WHEN", help="Instead of a month.")] = None,
    until: Until = None,
    tenant: OfTenant = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="A file; else storage.objects.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write usage or charges to a file, or into object storage."""
    settings, now = load_settings(config, data_dir), datetime.now(UTC)
    start = None if since is None else ago(since, now)
    end = ago(until, now, "--until") if until is not None else None if since is None else now
    wanted = rules.export(rules.ExportDraft(what=what, format=form, month=month, start=start, end=end, tenant=tenant))

    async def work(connection: Connection) -> Exported:
        whose = None if wanted.tenant is None else await tenant_id(connection, wanted.tenant)
        mine = rules.export_of(wanted, whose)
        if to is not None:
            return await export_to_file(connection, mine, to)
        return await export_to_objects(connection, mine, Objects(settings.storage.objects_address), now)

    made = ask(settings, work)
    print_json(made) if as_json else note(f"{made.rows:,} rows are in {made.object}")


@billing.command()
def prices(config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List what every target costs, as the configuration and the price list have it."""
    _, snapshot = load_snapshot(config, data_dir)
    found = rules.listed_prices(snapshot)
    if as_json:
        print_json(found)
        return
    rows = [(each.model, f"{each.provider}/{each.provider_model}", *_rates(each.price)) for each in found]
    headings = ("model", "target", "input (USD/1M)", "output (USD/1M)", "version")
    print_table(headings, rows, "There is no model yet.")


@billing.command()
def reconcile(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The provider's export: JSON of its API, or CSV.")],
    provider: Annotated[str, typer.Option("--provider", help="A name of the configuration, or a kind.")],
    form: Annotated[Form | None, typer.Option("--form", help="Whose export it is; else the provider's kind's.")] = None,
    tolerance: Annotated[
        str, typer.Option("--tolerance", metavar="USD", help="What a day's cost of a model may differ by.")
    ] = f"{DEFAULT_TOLERANCE_USD:f}",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare what a provider says with what is in our rows, by day and model. Differences end it with 1."""
    settings = load_settings(config, data_dir)
    asked = rules.ReconcileQuery(provider=provider, form=form, tolerance_usd=_dollars(tolerance, "--tolerance"))
    providers, known_form = rules.accounts(asked, settings.providers)
    theirs = read_account(_content(file), known_form)
    found = ask(settings, lambda connection: compared(connection, providers, theirs, asked.tolerance_usd))
    print_json(found) if as_json else _print_reconciled(found)
    if found.differing:
        raise typer.Exit(FAILED)


async def _close_all(connection: Connection, month: date) -> list[ShownStatement]:
    done: list[ShownStatement] = []
    after = ""
    while page := await books.open_tenants(connection, month, limit=PAGE, after=after):
        for whose in page:
            if await books.draft(connection, whose, month):
                done.append(rules.shown_closed(*await books.close_statement(connection, whose, month, actor())))
                await asyncio.sleep(0)
        after = page[-1]
    return done


async def _tenant(connection: Connection, settings: Settings, id_or_name: str) -> str:
    """The id of a tenant that is known: of the file, of the database, or of rows that are older than both."""
    if id_or_name in settings.tenants:
        return id_or_name
    found = await find_tenant(connection, id_or_name)
    if found is not None:
        return found.id
    if not await books.has_usage(connection, id_or_name):
        raise CommandFailed(f"There is no tenant {id_or_name}.")
    return id_or_name


def _dollars(text: str, flag: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise typer.BadParameter("should be an amount, as in 12.50", param_hint=flag) from error


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_ACCOUNT_BYTES + 1)
    except OSError as error:
        raise CommandFailed(f"{file}: {error.strerror}") from error
    if len(content) > LARGEST_ACCOUNT_BYTES:
        raise CommandFailed(f"{file} is larger than {LARGEST_ACCOUNT_BYTES >> 20} MiB; give it in parts.")
    return content


def _rates(price: Any) -> Sequence[object]:
    if price is None:
        return (None, None, "no price")
    return (Decimal(price.input).scaleb(-6), Decimal(price.output).scaleb(-6), price.version)


def _print_statement(shown: ShownStatement, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    rows = [
        (
            item.model or item.reason,
            f"{item.provider}/{item.provider_model}" if item.provider else None,
            (item.what or item.kind).replace("_", " "),
            f"{item.of_month:%Y-%m}" if item.kind == "late" else None,
            item.quantity,
            item.amount_usd,
        )
        for item in shown.items
    ]
    headings = ("item", "target", "what", "late, of", "quantity", "amount (USD)")
    print_table(headings, rows, "It has no items.")
    fields = {"tenant": shown.tenant_id, "month": shown.month, "status": shown.status, "total (USD)": shown.total_usd}
    if shown.unpriced_calls:
        fields |= {"calls without a price": shown.unpriced_calls}
    if shown.hash is not None:
        fields |= {"closed": shown.closed_at, "by": shown.closed_by, "hash": shown.hash, "intact": shown.is_intact}
    print_fields(fields)


def _print_reconciled(found: Reconciled) -> None:
    note(
        f"{found.first_day} to {found.last_day}: {found.agreeing:,} days and models agree, {found.differing:,} do not."
    )
    if found.theirs_usd is not None:
        note(f"Theirs {found.theirs_usd:f} USD, ours {found.ours_usd:f} USD.")
    if not found.differences:
        return
    print_table(("day", "model", "more there", "why"), [_difference(each) for each in found.differences], "")


def _difference(each: Difference) -> tuple[object, ...]:
    more = (
        f"{name.removesuffix('_usd').replace('_', ' ')} {value:+f}" for name, value in each.more_there.items() if value
    )
    reasons = " ".join(explanation.text for explanation in each.explanations)
    return each.day, each.model or "all", ", ".join(more), reasons
