"""``tollway budgets``: those in the database, made and changed here, beside those that the configuration declares, with
what is spent of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, get_args

import msgspec
import typer
from msgspec import UNSET

from tollway.cli.database import actor, ask, declared
from tollway.cli.exits import CommandFailed
from tollway.cli.options import AsJson, ConfigFile, DataDir, dollars, load_settings, names
from tollway.cli.printing import note, print_fields, print_json, print_table
from tollway.cli.tenants import found_tenant
from tollway.contract.budgets import Budget, Period, Subject
from tollway.control.budgets import queries, rules
from tollway.control.budgets.queries import BudgetDraft, BudgetPatch, StoredBudget
from tollway.control.budgets.rules import ShownBudget
from tollway.control.tenants.rules import refuse_declared
from tollway.settings import Settings
from tollway.storage.pool import Connection

PAGE = 1000

BudgetId = Annotated[str, typer.Argument(metavar="BUDGET", help="Its id, as `list` shows it.")]
Amount = Annotated[
    str, typer.Option("--amount", metavar="USD", help="What calls may cost in the period, and not more.")
]
WarnAt = Annotated[str | None, typer.Option("--warn-at", metavar="N,N", help="Per cents at which somebody is told.")]

budgets = typer.Typer(help="Make, list and change budgets, and see what is spent of them.", no_args_is_help=True)


@budgets.command()
def create(
    name: Annotated[str, typer.Argument(help="A name that no other budget of the tenant has.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose it is: a name or an id.")],
    amount: Amount,
    period: Annotated[Period, typer.Option("--period", help="Of the calendar (UTC); total never ends.")] = "month",
    rolling: Annotated[
        bool, typer.Option("--rolling", help="The last 24 hours, 7 or 30 days instead of the calendar's.")
    ] = False,
    warn_at: WarnAt = None,
    key: Annotated[str | None, typer.Option("--key", help="Only for calls with this key: its id.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only for this user's calls.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only for calls of this model.")] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="NAME=VALUE", help="Only for calls with this tag.")
    ] = None,
    per: Annotated[
        str | None, typer.Option("--per", metavar="A,B", help=f"A ceiling for each: of {', '.join(get_args(Subject))}.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a budget for a tenant. Its calls are refused once they would pass it."""
    settings = load_settings(config, data_dir)
    draft = BudgetDraft(
        tenant=tenant,
        name=name,
        amount_usd=dollars(amount, "--amount"),
        period=period,
        rolling=rolling,
        warn_at=_per_cents(warn_at) or (),
        key=key,
        user=user,
        model=model,
        tag=tag,
        per=_subjects(per),
    )
    checked, amount_picousd = rules.checked_draft(draft)
    refuse_declared(tenant, declared(settings))

    async def work(connection: Connection) -> ShownBudget:
        owner = await found_tenant(connection, tenant)
        own = msgspec.structs.replace(checked, tenant=owner.id)
        return await _stands(connection, await queries.insert_budget(connection, own, amount_picousd, actor()))

    _print(ask(settings, work), as_json)


@budgets.command("list")
def list_all(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's: a name or an id.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List all budgets with what is spent of them: those of the configuration, then the newest first."""
    settings = load_settings(config, data_dir)
    found = ask(settings, lambda connection: _every(connection, settings, tenant))
    if as_json:
        print_json(found)
        return
    headings = ("name", "id", "tenant", "for", "period", "amount (USD)", "spent", "leased", "left", "managed by")
    rows = (
        (
            budget.name,
            budget.id,
            budget.tenant_id,
            _for(budget),
            _period(budget),
            budget.amount_usd,
            budget.spent_usd,
            budget.leased_usd,
            budget.left_usd,
            budget.managed_by,
        )
        for budget in found
    )
    print_table(headings, rows, "There is no budget yet: tollway budgets create NAME --tenant TENANT --amount USD")


@budgets.command()
def show(budget: BudgetId, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one budget, and of one that holds for each user, key or model those that spend most."""
    settings = load_settings(config, data_dir)
    _print(ask(settings, lambda connection: _one(connection, settings, budget)), as_json)


@budgets.command()
def update(
    budget: BudgetId,
    name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    amount: Annotated[str | None, typer.Option("--amount", metavar="USD", help="What calls may cost.")] = None,
    warn_at: WarnAt = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change a budget; what is not mentioned stays, and gateways follow within seconds."""
    settings = load_settings(config, data_dir)
    per_cents = _per_cents(warn_at)
    patch = BudgetPatch(
        name=UNSET if name is None else name,
        amount_usd=UNSET if amount is None else dollars(amount, "--amount"),
        warn_at=UNSET if per_cents is None else per_cents,
    )
    checked, amount_picousd = rules.checked_patch(patch)

    async def work(connection: Connection) -> ShownBudget:
        changed = await queries.update_budget(connection, budget, checked, amount_picousd, actor())
        return await _stands(connection, _still(changed, budget))

    rules.refuse_elsewhere(budget)
    _print(ask(settings, work), as_json)


@budgets.command()
def delete(budget: BudgetId, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Take a budget away. Rows of usage stay as they are."""
    settings = load_settings(config, data_dir)

    async def work(connection: Connection) -> ShownBudget:
        gone = _still(await queries.delete_budget(connection, budget, actor()), budget)
        return rules.shown(gone.budget, queries.Standing(), datetime.now(UTC))

    rules.refuse_elsewhere(budget)
    gone = ask(settings, work)
    print_json(gone) if as_json else note(f"The budget {gone.name} is gone.")


async def _every(connection: Connection, settings: Settings, tenant: str | None) -> list[ShownBudget]:
    own = rules.declared_budgets(settings)
    if tenant is not None:
        tenant_id = tenant if tenant in settings.tenants else (await found_tenant(connection, tenant)).id
        own = tuple(budget for budget in own if budget.tenant_id == tenant_id)
        monthly = await queries.monthly_budget(connection, tenant_id)
        stored = [monthly] if monthly else []
    else:
        tenant_id, stored = None, []
    page: list[StoredBudget] | None = None
    while page is None or len(page) == PAGE:
        after = page[-1].position if page else None
        page = await queries.list_budgets(connection, limit=PAGE, after=after, tenant_id=tenant_id)
        stored += page
    now = datetime.now(UTC)
    standings = await queries.standings(connection, [*own, *(each.budget for each in stored)], now)
    return [
        *(rules.shown(budget, standings[budget.id], now) for budget in own),
        *(rules.shown(each.budget, standings[each.budget.id], now, since=each.since) for each in stored),
    ]


async def _one(connection: Connection, settings: Settings, budget_id: str) -> ShownBudget:
    own = next((budget for budget in rules.declared_budgets(settings) if budget.id == budget_id), None)
    if own is not None:
        return await _stands(connection, own)
    return await _stands(connection, _still(await queries.find_budget(connection, budget_id), budget_id))


async def _stands(connection: Connection, found: Budget | StoredBudget) -> ShownBudget:
    budget, since = (found.budget, found.since) if isinstance(found, StoredBudget) else (found, None)
    now = datetime.now(UTC)
    standing = (await queries.standings(connection, [budget], now))[budget.id]
    subjects = await queries.subjects(connection, budget, now) if budget.per else None
    return rules.shown(budget, standing, now, since=since, subjects=subjects)


def _print(budget: ShownBudget, as_json: bool) -> None:
    if as_json:
        print_json(budget)
        return
    fields = msgspec.structs.asdict(budget)
    fields["period"] = _period(budget)
    fields["warn_at"] = ", ".join(f"{per_cent} %" for per_cent in budget.warn_at) or None
    fields["per"] = ", ".join(budget.per) or None
    for hidden in ("rolling", "subjects", *(name for name in ("key", "user", "model", "tag") if fields[name] is None)):
        del fields[hidden]
    print_fields(fields)
    if budget.subjects:
        headings = ("subject", "spent (USD)", "leased", "left")
        rows = ((each.subject, each.spent_usd, each.leased_usd, each.left_usd) for each in budget.subjects)
        print_table(headings, rows, "")


def _period(budget: ShownBudget) -> str:
    return f"{budget.period}, rolling" if budget.rolling else budget.period


def _for(budget: ShownBudget) -> str:
    """``key k-1, each user``."""
    filters = {"key": budget.key, "user": budget.user, "model": budget.model, "tag": budget.tag}
    chosen = [f"{kind} {value}" for kind, value in filters.items() if value is not None]
    return ", ".join([*chosen, *(f"each {kind}" for kind in budget.per)]) or "every call"


def _per_cents(text: str | None) -> tuple[int, ...] | None:
    given = names(text)
    if given is None:
        return None
    if not all(word.isascii() and word.isdecimal() for word in given):
        raise typer.BadParameter("should be per cents such as 50,80", param_hint="--warn-at")
    return tuple(int(word) for word in given)


def _subjects(text: str | None) -> tuple[Subject, ...]:
    known: Sequence[Subject] = get_args(Subject)
    asked = names(text) or ()
    for name in asked:
        if name not in known:
            raise typer.BadParameter(f"should be of {', '.join(known)}", param_hint="--per")
    return tuple(kind for kind in known if kind in asked)


def _still(found: StoredBudget | None, asked: str) -> StoredBudget:
    if found is None:
        raise CommandFailed(f"There is no budget {asked}; `tollway budgets list` shows those there are.")
    return found
