"""``tollway tenants``: those in the database, made and changed here, beside those that the configuration declares."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

import msgspec
import typer
from msgspec import UNSET, UnsetType

from tollway.cli.database import actor, ask, declared
from tollway.cli.exits import CommandFailed
from tollway.cli.options import (
    AsJson,
    Concurrency,
    ConfigFile,
    DataDir,
    Guardrails,
    Models,
    OtherLimits,
    Rpm,
    Tpm,
    dollars,
    limits,
    load_settings,
    names,
)
from tollway.cli.printing import note, print_fields, print_json, print_table
from tollway.contract.limits import LimitValues
from tollway.control.guardrails.queries import binding
from tollway.control.money import plain
from tollway.control.tenants import queries, rules
from tollway.control.tenants.queries import Tenant, TenantDraft, TenantPatch
from tollway.settings import LimitSettings, Settings
from tollway.storage.pool import Connection

PAGE = 1000

Value = TypeVar("Value")

Name = Annotated[str, typer.Argument(metavar="TENANT", help="Its name or id.")]
MonthlyBudget = Annotated[
    str | None,
    typer.Option("--monthly-budget", metavar="USD", help="What its calls may cost in a month; 0: only free models."),
]

tenants = typer.Typer(help="Make, list and change tenants.", no_args_is_help=True)


class ShownTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant as it is printed. ``limits`` and ``guardrails`` of ``None`` are the default ones."""

    id: str
    name: str
    managed_by: Literal["file", "database"]
    is_active: bool = True
    limits: LimitValues | None
    allowed_models: tuple[str, ...] | None
    guardrails: str | None
    monthly_budget_usd: Decimal | None = None
    current_spend_usd: Decimal | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@tenants.command()
def create(
    name: Annotated[str, typer.Argument(help="A name of its own.")],
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    limit: OtherLimits = None,
    models: Models = None,
    guardrails: Guardrails = None,
    monthly_budget: MonthlyBudget = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a tenant. Limits that are given stand in for the default ones."""
    settings = load_settings(config, data_dir)
    draft = TenantDraft(
        name,
        limits=limits(rpm, tpm, concurrency, limit),
        allowed_models=names(models),
        guardrails=guardrails,
        monthly_budget_usd=None if monthly_budget is None else dollars(monthly_budget, "--monthly-budget"),
    )
    checked = rules.checked_draft(draft, declared(settings))

    async def work(connection: Connection) -> Tenant:
        async with binding(connection, checked.guardrails, declared(settings).policies):
            return await queries.insert_tenant(connection, checked, actor())

    _print(ask(settings, work), as_json)


@tenants.command("list")
def list_all(config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all tenants, newest first; those of the configuration before them."""
    settings = load_settings(config, data_dir)
    stored = ask(settings, every_tenant)
    found = [*_of_file(settings), *(_of_database(tenant) for tenant in stored)]
    if as_json:
        print_json(found)
        return
    headings = ("name", "id", "state", "limits", "models", "guardrails", "managed by")
    rows = (
        (
            tenant.name,
            tenant.id,
            "active" if tenant.is_active else "revoked",
            shown_limits(tenant.limits),
            shown_models(tenant.allowed_models),
            tenant.guardrails or "default",
            tenant.managed_by,
        )
        for tenant in found
    )
    print_table(headings, rows, "There is no tenant yet: tollway tenants create NAME")


@tenants.command()
def show(name: Name, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one tenant."""
    settings = load_settings(config, data_dir)
    for tenant in _of_file(settings):
        if tenant.name == name:
            _print(tenant, as_json)
            return
    _print(ask(settings, lambda connection: found_tenant(connection, name)), as_json)


@tenants.command()
def update(
    tenant: Name,
    name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    limit: OtherLimits = None,
    no_limits: Annotated[
        bool, typer.Option("--default-limits", help="Drop the tenant's own limits; any given here are set afterwards.")
    ] = False,
    models: Models = None,
    all_models: Annotated[bool, typer.Option("--all-models", help="Allow every model.")] = False,
    guardrails: Guardrails = None,
    default_guardrails: Annotated[bool, typer.Option("--default-guardrails", help="Back to the default.")] = False,
    monthly_budget: MonthlyBudget = None,
    no_budget: Annotated[bool, typer.Option("--no-monthly-budget", help="Its calls may cost anything.")] = False,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Let its keys work, or not.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Change a tenant; what is not mentioned stays. Its keys follow within seconds."""
    settings = load_settings(config, data_dir)
    given = limits(rpm, tpm, concurrency, limit)
    budget = None if monthly_budget is None else dollars(monthly_budget, "--monthly-budget")

    def patch(found: Tenant) -> TenantPatch:
        return TenantPatch(
            name=UNSET if name is None else name,
            is_active=UNSET if active is None else active,
            limits=_merged(None if no_limits else found.limits, given) if given or no_limits else UNSET,
            allowed_models=_changed(names(models), back=all_models),
            guardrails=_changed(guardrails, back=default_guardrails),
            monthly_budget_usd=_changed(budget, back=no_budget),
        )

    async def work(connection: Connection) -> Tenant:
        found = await found_tenant(connection, tenant)
        checked = rules.checked_patch(patch(found), declared(settings))
        async with binding(connection, checked.bound_to, declared(settings).policies):
            return _still(await queries.update_tenant(connection, found.id, checked, actor()), tenant)

    rules.refuse_declared(tenant, declared(settings))
    _print(ask(settings, work), as_json)


@tenants.command()
def revoke(tenant: Name, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Deactivate a tenant: every key of it is refused within 5 seconds. `update --active` undoes it."""
    settings = load_settings(config, data_dir)

    async def work(connection: Connection) -> Tenant:
        found = await found_tenant(connection, tenant)
        return _still(await queries.update_tenant(connection, found.id, TenantPatch(is_active=False), actor()), tenant)

    rules.refuse_declared(tenant, declared(settings))
    _print(ask(settings, work), as_json)


async def found_tenant(connection: Connection, id_or_name: str) -> Tenant:
    """The tenant of the database that is meant.

    Raises:
        CommandFailed: there is none.
    """
    return _still(await queries.find_tenant(connection, id_or_name), id_or_name)


async def every_tenant(connection: Connection) -> list[Tenant]:
    """All tenants of the database, newest first."""
    found: list[Tenant] = []
    while True:
        page = await queries.list_tenants(connection, limit=PAGE, after=found[-1].position if found else None)
        found += page
        if len(page) < PAGE:
            return found


def shown_limits(values: LimitValues | None, none: str = "default") -> str:
    """``rpm 60, tpm 1,000``."""
    if values is None:
        return none
    given = (f"{kind} {number:,}" for kind, number in msgspec.structs.asdict(values).items() if number is not None)
    return ", ".join(given) or "none"


def shown_models(models: tuple[str, ...] | None) -> str:
    """``gpt-4o, gpt-4o-mini``."""
    return "all" if models is None else ", ".join(models) or "none"


def file_limits(given: LimitSettings | str | None, settings: Settings) -> LimitValues | None:
    """Limits as the configuration gives them, inline or by name."""
    found = settings.limits.get(given) if isinstance(given, str) else given
    return LimitValues(**msgspec.structs.asdict(found)) if found else None


def _of_file(settings: Settings) -> Iterator[ShownTenant]:
    for name, tenant in settings.tenants.items():
        yield ShownTenant(
            id=name,
            name=name,
            managed_by="file",
            limits=file_limits(tenant.limits, settings),
            allowed_models=None if "*" in tenant.allowed_models else tenant.allowed_models,
            guardrails=tenant.guardrails,
            monthly_budget_usd=None
            if tenant.monthly_budget_picousd is None
            else plain(Decimal(tenant.monthly_budget_picousd).scaleb(-12)),
        )


def _of_database(tenant: Tenant) -> ShownTenant:
    return ShownTenant(managed_by="database", **msgspec.structs.asdict(tenant))


def _print(tenant: Tenant | ShownTenant, as_json: bool) -> None:
    shown = _of_database(tenant) if isinstance(tenant, Tenant) else tenant
    if as_json:
        print_json(shown)
        return
    fields = msgspec.structs.asdict(shown)
    fields["limits"] = shown_limits(shown.limits)
    fields["allowed_models"] = shown_models(shown.allowed_models)
    fields["guardrails"] = shown.guardrails or "default"
    print_fields(fields)
    if not shown.is_active:
        note("Its keys are refused.")


def _merged(own: LimitValues | None, given: LimitValues | None) -> LimitValues | None:
    if own is None or given is None:
        return given or own
    changes = {kind: number for kind, number in msgspec.structs.asdict(given).items() if number is not None}
    return msgspec.structs.replace(own, **changes)


def _changed(value: Value | None, *, back: bool) -> Value | UnsetType | None:
    return value if value is not None else None if back else UNSET


def _still(tenant: Tenant | None, asked: str) -> Tenant:
    if tenant is None:
        raise CommandFailed(f"There is no tenant {asked}; `tollway tenants list` shows those there are.")
    return tenant
