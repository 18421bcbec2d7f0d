"""``tollway cache``: what the cache has saved, what is in it, what is to be forgotten, and what hits were worth.

Removals, verdicts and policies go into the database, where every worker of every host hears of them at once. What a
worker holds only a running gateway can tell, to an admin key: the one in TOLLWAY_ADMIN_KEY, else the quickstart's.
"""

import http.client
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlencode

import msgspec
import typer
import yaml

from tollway.cli.address import base_url, get
from tollway.cli.database import actor, ask
from tollway.cli.exits import CommandFailed
from tollway.cli.options import AsJson, ConfigFile, DataDir, load_settings
from tollway.cli.printing import note, print_fields, print_json, print_table
from tollway.cli.quickstart import FILE, read_kept
from tollway.contract.cache import Selection
from tollway.control.cache import queries, rules
from tollway.control.cache.policies import declared_cache
from tollway.control.cache.queries import FoundPolicy, Owner, SavedDay
from tollway.control.cache.rules import FeedbackBody, RemovalQuery
from tollway.control.cache.view import NoDesk
from tollway.control.session import Caller
from tollway.control.tenants.queries import find_tenant
from tollway.settings import Settings, environment
from tollway.storage.feedback import insert_feedback
from tollway.storage.pool import Connection

ADMIN_KEY: Final = "TOLLWAY_ADMIN_KEY"
PAGE: Final = 200
LONGEST_POLICY_BYTES: Final = 64 << 10

Tenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant's: a name or an id.")]
Key = Annotated[str | None, typer.Option("--key", help="Only those that this key's calls have filled: its id.")]
Model = Annotated[str | None, typer.Option("--model", help="Only this model's.")]
Url = Annotated[str | None, typer.Option("--url", help="The gateway to ask; else the configuration's server.")]

T = TypeVar("T")

cache = typer.Typer(help="See, judge and forget answers that are given again.", no_args_is_help=True)


@cache.command()
def stats(
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="The last so many, today (UTC) included.")] = 30,
    tenant: Tenant = None,
    model: Model = None,
    url: Url = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how many answers came from the cache and what they saved, by day, and what a worker of the gateway holds."""
    settings = load_settings(config, data_dir)
    since = rules.first_day(days, datetime.now(UTC))

    async def work(connection: Connection) -> list[SavedDay]:
        tenant_id = await _tenant_id(connection, tenant, settings)
        return await queries.saved_by_day(connection, since, tenant_id, model)

    found = rules.shown_stats(NoDesk().stats(), ask(settings, work))
    worker = _worker(settings, url)
    if as_json:
        print_json({**msgspec.structs.asdict(found), "worker": worker})
        return
    headings = ("day", "answers", "exact", "semantic", "saved (USD)")
    rows = ((day.day, day.calls, day.exact, day.semantic, day.saved_usd) for day in found.days)
    print_table(headings, rows, "Nothing was answered in this time.")
    rate = "-" if found.hit_rate is None else f"{found.hit_rate:.1%}"
    print_fields({"hit rate": rate, "saved (USD)": found.saved_usd, **{f"worker: {k}": v for k, v in worker.items()}})


@cache.command("list")
def list_all(
    tenant: Tenant = None,
    key: Key = None,
    model: Model = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 50,
    url: Url = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List what a worker of the running gateway holds, in the order of keys; never what was asked or answered."""
    settings = load_settings(config, data_dir)
    asked = {"tenant_id": tenant, "key_id": key, "model": model}
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        query = {**asked, "limit": str(min(PAGE, limit - len(found))), "cursor": cursor}
        page = _get(settings, url, "/api/v1/cache/entries", query, _Page)
        found += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    if as_json:
        print_json(found)
        return
    headings = ("key", "tenant", "model", "kind", "provider", "filled", "expires", "bytes", "cost (USD)")
    fields = ("key", "tenant_id", "model", "kind", "provider", "filled_at", "expires_at", "bytes", "cost_usd")
    print_table(headings, ([entry[name] for name in fields] for entry in found), "There is no such entry.")


@cache.command()
def delete(
    entry: Annotated[str | None, typer.Argument(metavar="[ENTRY]", help="Its key, of 64 hexadecimal digits.")] = None,
    tenant: Tenant = None,
    key: Key = None,
    model: Model = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="Only those filled longer ago: 2h, 7d.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget one entry, or those for which all that is given holds. Running gateways follow at once."""
    settings = load_settings(config, data_dir)
    others = (tenant, key, model, older_than)
    if entry is not None and any(other is not None for other in others):
        raise typer.BadParameter("stands alone: one entry, or which ones", param_hint="ENTRY")
    if entry is None and all(other is None for other in others):
        raise typer.BadParameter("which entries? All of them: tollway cache flush --yes", param_hint="ENTRY")

    async def work(connection: Connection) -> Selection:
        meant = Selection(key=rules.entry_key(entry)) if entry is not None else await _meant(connection)
        await queries.insert_removal(connection, meant, actor(), "cache.deleted")
        return meant

    async def _meant(connection: Connection) -> Selection:
        query = RemovalQuery(tenant_id=tenant, key_id=key, model=model, older_than=older_than)
        return rules.selected(query, await _tenant_id(connection, tenant, settings), datetime.now(UTC))

    _removed(ask(settings, work), as_json)


@cache.command()
def flush(
    yes: Annotated[bool, typer.Option("--yes", help="Really all of them, of every tenant.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget every entry of every tenant. Running gateways follow at once."""
    settings = load_settings(config, data_dir)
    if not yes:
        raise typer.BadParameter("every answer of every tenant will be paid again; say so", param_hint="--yes")

    async def work(connection: Connection) -> Selection:
        await queries.insert_removal(connection, Selection(), actor(), "cache.flushed")
        return Selection()

    _removed(ask(settings, work), as_json)


@cache.command()
def feedback(
    region: Annotated[str, typer.Argument(metavar="REGION", help="As x-tollway-cache-region told it.")],
    verdict: Annotated[Literal["good", "wrong"], typer.Argument(help="Whether the answer served the question.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose answer it was: a name or an id.")],
    similarity: Annotated[
        float, typer.Option("--similarity", min=0.0, max=1.0, help="As x-tollway-cache-similarity told it.")
    ],
    request_id: Annotated[
        str | None, typer.Option("--request-id", help="As x-request-id told it: each call is judged once.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a semantic hit served its question, for adaptive thresholds to learn from."""
    settings = load_settings(config, data_dir)

    async def work(connection: Connection) -> bool:
        tenant_id = await _tenant_id(connection, tenant, settings)
        body = {"region": region, "similarity": similarity, "verdict": verdict, "request_id": request_id}
        checked = rules.checked_feedback(
            _converted({**body, "tenant_id": tenant_id}), Caller(actor(), actor(), frozenset()), settings
        )
        return await insert_feedback(connection, checked)

    is_counted = ask(settings, work)
    if as_json:
        print_json({"is_counted": is_counted})
    else:
        note("Thank you." if is_counted else "This call has been judged already.")


@cache.command()
def policy(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose: a name or an id.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Whose: a key's id.")] = None,
    put: Annotated[
        str | None,
        typer.Option("--set", metavar="FILE", help="What it says from now on, YAML or JSON; - is standard input."),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="No cache from now on.")] = False,
    inherit: Annotated[bool, typer.Option("--inherit", help="The tenant's from now on, or the file's.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show or change what a tenant or a key of the database says of the cache."""
    settings = load_settings(config, data_dir)
    if (tenant is None) == (key is None):
        raise typer.BadParameter("one of the two: whose policy?", param_hint="--tenant, --key")
    if (put is not None) + off + inherit > 1:
        raise typer.BadParameter("only one of them at a time", param_hint="--set, --off, --inherit")
    owner: Owner = "tenant" if tenant is not None else "key"
    owner_id = tenant or key or ""
    change = b'"off"' if off else b"null" if inherit else _policy_text(put) if put is not None else None

    async def work(connection: Connection) -> FoundPolicy | None:
        if change is None:
            declared = settings.tenants.get(owner_id) if owner == "tenant" else None
            if declared is not None:
                return FoundPolicy(owner_id, declared_cache(declared.cache))
            return await queries.find_policy(connection, owner, owner_id)
        rules.refuse_declared(owner, owner_id, settings)
        checked = None if inherit else rules.checked_policy(change, settings)
        return await queries.set_policy(connection, owner, owner_id, checked, actor(), msgspec.Raw(change))

    found = ask(settings, work)
    if found is None:
        raise CommandFailed(f"There is no {owner} {owner_id} in the database.")
    shown = rules.shown_policy(owner, found)
    if as_json:
        print_json(shown)
    elif shown["cache"] is None:
        note("It has none of its own: its tenant's holds, or the configuration's.")
    else:
        typer.echo(yaml.safe_dump(shown["cache"], sort_keys=False).removesuffix("...\n"), nl=False)


def _policy_text(file: str) -> bytes:
    """A policy as JSON."""
    try:
        data = sys.stdin.buffer.read(LONGEST_POLICY_BYTES + 1) if file == "-" else _bytes(Path(file))
        if len(data) > LONGEST_POLICY_BYTES:
            raise CommandFailed(f"{file}: longer than {LONGEST_POLICY_BYTES >> 10} KiB")
        read = yaml.safe_load(data)
        # What YAML makes of the word.
        return msgspec.json.encode("off" if read is False else read)
    except OSError as error:
        raise CommandFailed(f"{file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError) as error:
        raise CommandFailed(f"{file}: not YAML") from error


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST_POLICY_BYTES + 1)


def _converted(body: dict[str, object]) -> FeedbackBody:
    try:
        return msgspec.convert(body, type=FeedbackBody)
    except msgspec.ValidationError as error:
        raise CommandFailed(f"{error}.") from error


def _removed(meant: Selection, as_json: bool) -> None:
    told = {name: value for name, value in msgspec.structs.asdict(meant).items() if value is not None}
    if meant.key is not None:
        told["key"] = meant.key.hex()
    print_json({"removed": told}) if as_json else note("Every running gateway forgets it now.")


async def _tenant_id(connection: Connection, id_or_name: str | None, settings: Settings) -> str | None:
    """Entries of a tenant that is no more are named by its id."""
    if id_or_name is None or id_or_name in settings.tenants:
        return id_or_name
    tenant = await find_tenant(connection, id_or_name)
    return id_or_name if tenant is None else tenant.id


def _worker(settings: Settings, url: str | None) -> Mapping[str, Any]:
    """What a worker holds; nothing, and a sentence, where nobody can tell."""
    try:
        return _get(settings, url, "/api/v1/cache/stats", {"days": "1"}, _Stats).worker
    except CommandFailed as error:
        note(f"What a worker holds is not known: {error}")
        return {}


class _Error(msgspec.Struct):
    message: str


class _Refused(msgspec.Struct):
    error: _Error


class _Page(msgspec.Struct):
    data: list[dict[str, Any]]
    next_cursor: str | None


class _Stats(msgspec.Struct):
    worker: dict[str, Any]


def _get(settings: Settings, url: str | None, path: str, query: Mapping[str, str | None], kind: type[T]) -> T:
    """What the gateway's API answers.

    Raises:
        CommandFailed: there is no gateway, or no key for it, or it refuses.
    """
    where = url or base_url(settings.server.host, settings.server.port)
    given = {name: value for name, value in query.items() if value is not None}
    try:
        reply = get(where, f"{path}?{urlencode(given)}", _admin_key(settings))
        if reply is None:
            raise CommandFailed(f"no gateway answers at {where}.")
        if reply.status != 200:
            refused = msgspec.json.decode(reply.body, type=_Refused).error.message
            raise CommandFailed(f"the gateway at {where} says: {refused}")
        return msgspec.json.decode(reply.body, type=kind)
    except (http.client.HTTPException, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandFailed(f"what answers at {where} is no Tollway.") from error


def _admin_key(settings: Settings) -> str:
    if key := environment().get(ADMIN_KEY):
        return key
    kept = read_kept(Path(settings.storage.data_dir) / FILE)
    if kept is None:
        raise CommandFailed(f"put an admin key into {ADMIN_KEY}: tollway keys create --name NAME --admin")
    return kept.admin_key.secret
