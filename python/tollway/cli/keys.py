"""``tollway keys``: made once, shown once, revoked for ever; beside those that the configuration declares."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import typer

from tollway._native import keys as native
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
    ahead,
    limits,
    load_settings,
    names,
)
from tollway.cli.printing import note, print_fields, print_json, print_table
from tollway.cli.tenants import file_limits, found_tenant, shown_limits, shown_models
from tollway.contract.keys import GATEWAY_USE
from tollway.contract.limits import LimitValues
from tollway.control.guardrails.queries import binding
from tollway.control.keys import queries, rules
from tollway.control.keys.queries import ApiKey, KeyPatch
from tollway.control.keys.rules import KeyDraft
from tollway.control.permissions import EVERY
from tollway.control.tenants.rules import refuse_declared
from tollway.errors import Conflict
from tollway.settings import Settings
from tollway.storage.pool import Connection

PAGE = 1000

keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


class ShownKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is printed. ``limits`` hold beside the tenant's; ``prefix`` is the secret's beginning."""

    id: str
    name: str
    tenant_id: str | None
    tenant: str | None
    managed_by: Literal["file", "database"]
    prefix: str
    environment: str
    scopes: tuple[str, ...]
    is_active: bool = True
    limits: LimitValues | None
    allowed_models: tuple[str, ...] | None = None
    guardrails: str | None = None
    expires_at: datetime | None
    created_at: datetime | None = None
    revoked_at: datetime | None = None


class MadeKey(ShownKey, frozen=True, kw_only=True):
    """A new key with its secret, ``key``: printed once, kept nowhere."""

    key: str


@keys.command()
def create(
    name: Annotated[str, typer.Option("--name", help="What it is for.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose it is: a name or an id.")] = None,
    admin: Annotated[
        bool, typer.Option("--admin", help="A key for /api/v1/, of no tenant; it calls no models.")
    ] = False,
    environment: Annotated[Literal["live", "test"], typer.Option("--environment", help="A label.")] = "live",
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="WHEN", help="30d, 12h, 2027-01-31; else never.")
    ] = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    concurrency: Concurrency = None,
    limit: OtherLimits = None,
    models: Models = None,
    guardrails: Guardrails = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print its secret, alone on stdout. It is shown this once."""
    settings = load_settings(config, data_dir)
    now = datetime.now(UTC)
    asked = KeyDraft(
        name=name,
        tenant=tenant,
        admin=admin,
        environment=environment,
        expires_at=None if expires is None else ahead(expires, now),
        limits=limits(rpm, tpm, concurrency, limit),
        allowed_models=names(models),
        guardrails=guardrails,
    )
    draft = rules.checked_draft(asked, EVERY, now)
    if draft.tenant is not None:
        refuse_declared(draft.tenant, declared(settings))

    async def work(connection: Connection) -> tuple[ApiKey, str]:
        async with binding(connection, draft.guardrails, declared(settings).policies):
            return await store(connection, draft)

    key, secret = ask(settings, work)
    if as_json:
        print_json(MadeKey(key=secret, managed_by="database", **msgspec.structs.asdict(key)))
        return
    owner = "an admin key" if key.tenant is None else f"a key of {key.tenant}"
    note(f"{key.name} ({key.id}) is {owner}. Its secret is shown only now:")
    typer.echo(secret)


@keys.command("list")
def list_all(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's: a name or an id.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List all keys, newest first; those of the configuration before them. Never shows a secret."""
    settings = load_settings(config, data_dir)
    found = [key for key in _of_file(settings) if tenant in (None, key.tenant)]
    if tenant is None or tenant not in settings.tenants:
        found += [_of_database(key) for key in ask(settings, lambda connection: _every_key(connection, tenant))]
    if as_json:
        print_json(found)
        return
    headings = (
        "name",
        "tenant",
        "id",
        "key",
        "state",
        "environment",
        "limits",
        "models",
        "guardrails",
        "expires",
        "managed by",
    )
    now = datetime.now(UTC)
    rows = (
        (
            key.name,
            key.tenant or "(admin)",
            key.id,
            f"{key.prefix}…",
            _state(key, now),
            key.environment,
            shown_limits(key.limits, "tenant's"),
            shown_models(key.allowed_models),
            key.guardrails or "tenant's",
            key.expires_at,
            key.managed_by,
        )
        for key in found
    )
    print_table(headings, rows, "There is no key yet: tollway keys create --tenant TENANT --name NAME")


@keys.command()
def bind(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `tollway keys list` shows it.")],
    guardrails: Annotated[str | None, typer.Argument(metavar="[POLICY]", help="A policy's name.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a guardrail policy hold for a key, before its tenant's; without one the tenant's holds again."""
    settings = load_settings(config, data_dir)
    if any(declared_key.id == key for declared_key in _of_file(settings)):
        raise Conflict("This key is managed by the configuration file; change it there.")

    async def work(connection: Connection) -> ApiKey | None:
        async with binding(connection, guardrails, declared(settings).policies):
            return await queries.update_key(connection, key, KeyPatch(guardrails), actor())

    found = ask(settings, work)
    if found is None:
        raise CommandFailed(f"There is no key {key}; `tollway keys list` shows those there are.")
    if as_json:
        print_json(_of_database(found))
    else:
        print_fields({"name": found.name, "id": found.id, "guardrails": found.guardrails or "tenant's"})


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `tollway keys list` shows it.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key for ever: every worker refuses it within 5 seconds."""
    settings = load_settings(config, data_dir)
    if any(declared_key.id == key for declared_key in _of_file(settings)):
        raise Conflict("This key is managed by the configuration file; change it there.")
    found = ask(settings, lambda connection: queries.revoke_key(connection, key, actor()))
    if found is None:
        raise CommandFailed(f"There is no key {key}; `tollway keys list` shows those there are.")
    if as_json:
        print_json(_of_database(found))
    else:
        print_fields({"name": found.name, "id": found.id, "revoked at": found.revoked_at})


async def store(connection: Connection, draft: KeyDraft) -> tuple[ApiKey, str]:
    """Makes the key of a checked draft; returns it with its secret.

    Raises:
        CommandFailed: there is no such tenant.
    """
    tenant_id = None if draft.tenant is None else (await found_tenant(connection, draft.tenant)).id
    made = rules.new_key(draft, tenant_id)
    return await queries.insert_key(connection, made.record, actor()), made.secret


async def _every_key(connection: Connection, tenant: str | None) -> list[ApiKey]:
    tenant_id = None if tenant is None else (await found_tenant(connection, tenant)).id
    found: list[ApiKey] = []
    while True:
        after = found[-1].position if found else None
        page = await queries.list_keys(connection, limit=PAGE, after=after, tenant_id=tenant_id)
        found += page
        if len(page) < PAGE:
            return found


def _of_database(key: ApiKey) -> ShownKey:
    return ShownKey(managed_by="database", **msgspec.structs.asdict(key))


def _of_file(settings: Settings) -> Iterator[ShownKey]:
    for tenant_name, tenant in settings.tenants.items():
        for name, key in tenant.keys.items():
            expires_at = None if key.expires_at_ms is None else datetime.fromtimestamp(key.expires_at_ms / 1000, UTC)
            yield ShownKey(
                id=f"{tenant_name}/{name}",
                name=name,
                tenant_id=tenant_name,
                tenant=tenant_name,
                managed_by="file",
                prefix=native.prefix(key.key.reveal()),
                environment=key.environment,
                scopes=(GATEWAY_USE,),
                limits=file_limits(key.limits, settings),
                guardrails=key.guardrails,
                expires_at=expires_at,
            )


def _state(key: ShownKey, now: datetime) -> str:
    if not key.is_active:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"
