"""``tollway route``: where a call would go, and why. Nobody is called."""

from typing import Annotated, get_args

import typer

from tollway.cli.database import ask
from tollway.cli.exits import CommandFailed
from tollway.cli.options import AsJson, ConfigFile, DataDir, names
from tollway.cli.printing import note, print_json, print_table
from tollway.cli.targets import live_ledger, load_snapshot, on_ledger, shown_latency
from tollway.contract.keys import KeyRecord
from tollway.contract.routing import Need, Override
from tollway.contract.snapshot import Snapshot
from tollway.control.pricing.queries import find_prices
from tollway.control.routing import rules
from tollway.control.tenants.queries import find_tenant
from tollway.proxy.routing.explain import Candidate, Plan
from tollway.storage.overrides import current_overrides
from tollway.storage.pool import Connection

route = typer.Typer(help="See where a call would go.", no_args_is_help=True)


@route.callback()
def _group() -> None:
    """A group of one verb, so that it keeps its name."""


@route.command()
def explain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model that the call names.")],
    header: Annotated[list[str] | None, typer.Option("--header", metavar="NAME=VALUE", help="A header of it.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="A note of the client's.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose call it is: a name or an id.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="The client's name for its user.")] = None,
    tokens: Annotated[int, typer.Option("--tokens", min=0, max=100_000_000, help="Tokens of the prompt.")] = 0,
    needs: Annotated[
        str | None, typer.Option("--needs", metavar="A,B", help=f"Of {', '.join(get_args(Need))}.")
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="The answer is to be a stream.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say which targets a call would be sent to, in which order, and why not to the others. Nobody is called."""
    settings, snapshot = load_snapshot(config, data_dir)
    rules.known_model(model, snapshot)
    body = rules.ExplainBody(
        model=model,
        headers=_pairs(header, "--header"),
        metadata=_pairs(metadata, "--metadata"),
        tenant=tenant,
        user=user,
        prompt_tokens=tokens,
        stream=stream,
        needs=_needs(needs),
    )
    overrides, record = ask(settings, lambda connection: _decided(connection, tenant, snapshot))
    ledger = live_ledger(settings)
    with on_ledger(snapshot, ledger) as lookout:
        lookout.apply(overrides)
        found = lookout.explain(rules.described(body, record))
    if as_json:
        print_json(found)
        return
    for plan in found["plans"]:
        _print(plan)
    if ledger is None:
        note("No gateway runs here: how targets stand is not known, and all are taken to stand well.")


async def _decided(
    connection: Connection, tenant: str | None, snapshot: Snapshot
) -> tuple[tuple[Override, ...], KeyRecord | None]:
    """What people decided, and a key of the tenant's."""
    overrides = await current_overrides(connection)
    if tenant is None:
        return overrides, None
    declared = rules.declared_record(tenant, snapshot)
    if declared is not None:
        return overrides, declared
    found, own = await find_tenant(connection, tenant), await find_prices(connection, tenant)
    if found is None:
        raise CommandFailed(f"There is no tenant {tenant}, or the configuration declares no key of it.")
    return overrides, rules.record_of(found, own.prices if own else None)


def _pairs(given: list[str] | None, flag: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given or ()]
    if not all(name and equals for name, equals, _ in pairs):
        raise typer.BadParameter("should be NAME=VALUE", param_hint=flag)
    return {name: value for name, _, value in pairs}


def _needs(text: str | None) -> frozenset[Need]:
    known: dict[str, Need] = {need: need for need in get_args(Need)}
    asked = names(text) or ()
    for name in asked:
        if name not in known:
            raise typer.BadParameter(f"should be of {', '.join(known)}", param_hint="--needs")
    return frozenset(known[name] for name in asked)


def _print(plan: Plan) -> None:
    rule = f", by the rule {plan['rule']}" if plan["rule"] else ""
    note(f"{plan['model']} by {plan['strategy']}{rule}")
    places = {name: place for place, name in enumerate(plan["order"], start=1)}
    candidates = sorted(plan["candidates"], key=lambda candidate: places.get(candidate["target"], len(places) + 1))
    headings = ("asked", "target", "weight", "state", "score", "in flight", "latency (ms)")
    rows = [
        (
            _place(candidate, places.get(candidate["target"])),
            candidate["target"],
            candidate["weight"],
            candidate["state"],
            None if candidate["score"] is None else f"{candidate['score']:.6g}",
            candidate["in_flight"],
            shown_latency(candidate["latency_ms"]),
        )
        for candidate in candidates
    ]
    print_table(headings, rows, "It has no targets.")


def _place(candidate: Candidate, place: int | None) -> str:
    if place is not None:
        return str(place)
    return f"no: {candidate['skipped'] or candidate['state']}"
