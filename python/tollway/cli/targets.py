"""``tollway targets``: who may answer, how each one stands, and what somebody decides about it while the gateway runs.

Decisions go into the database, where every worker of every instance hears of them at once. How targets stand is read
from this host's ledger, where a gateway runs here; elsewhere it is not known.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tollway._native.limits import LedgerError
from tollway.charge import Places
from tollway.cli.database import actor, ask, serving
from tollway.cli.exits import CommandFailed
from tollway.cli.options import AsJson, ConfigFile, DataDir, config_path, load_settings
from tollway.cli.printing import note as talk
from tollway.cli.printing import print_fields, print_json, print_table
from tollway.contract.routing import TargetStatus
from tollway.contract.snapshot import Snapshot
from tollway.control.billing.prices import load_prices, price_file
from tollway.control.publish import publish
from tollway.control.routing import queries, rules
from tollway.control.routing.queries import TargetClosing, TargetPatch
from tollway.control.routing.rules import OpeningBody
from tollway.control.routing.standing import Layout, ShownTarget, Standing
from tollway.lookout import Lookout, looking
from tollway.settings import Settings
from tollway.storage.pool import Connection

Name = Annotated[str, typer.Argument(metavar="TARGET", help="provider/model, as `tollway targets list` shows it.")]
Note = Annotated[str | None, typer.Option("--note", help="Why: shown with the target, and in the audit trail.")]
Model = Annotated[str, typer.Option("--model", help="The model whose calls it is a share of.")]

targets = typer.Typer(help="See, drain, weigh, open and close targets.", no_args_is_help=True)


@targets.command("list")
def list_all(
    model: Annotated[str | None, typer.Option("--model", help="Only those that answer for it.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Only this provider's.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List all targets: their state on this host, where a gateway runs here, and what was decided about them."""
    settings, snapshot = load_snapshot(config, data_dir)
    if model is not None:
        rules.known_model(model, snapshot)
    standing = _standing(settings, snapshot, _nothing)
    found = [
        target
        for target in standing.targets()
        if provider in (None, target.provider)
        and (model is None or any(share.model == model for share in target.shares))
    ]
    if as_json:
        print_json(found)
        return
    headings = ("target", "state", "weights", "in flight", "first byte (ms)", "whole (ms)", "decided")
    rows = [
        (
            target.name,
            shown_state(target),
            shown_weights(target),
            target.in_flight,
            shown_latency(target.stream_latency_ms),
            shown_latency(target.whole_latency_ms),
            shown_decisions(target),
        )
        for target in found
    ]
    print_table(headings, rows, "There is no such target.")
    if any(target.state is None for target in found):
        talk("No gateway runs here: how targets stand is not known.")


@targets.command()
def drain(
    target: Name, note: Note = None, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Send a target no more calls; those under way are finished. `undrain` undoes it."""
    _change(target, TargetPatch(drained=True, note=note), config, data_dir, as_json)


@targets.command()
def undrain(
    target: Name, note: Note = None, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Send a target calls again."""
    _change(target, TargetPatch(drained=False, note=note), config, data_dir, as_json)


@targets.command()
def weight(
    target: Name,
    weight: Annotated[
        str, typer.Argument(metavar="WEIGHT", help="A number from 0; or default, which is the configuration's.")
    ],
    model: Model,
    note: Note = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a target another share of a model's calls, against the other targets' weights."""
    if weight != "default" and not weight.isdecimal():
        raise typer.BadParameter("should be a number from 0, or default", param_hint="WEIGHT")
    value = None if weight == "default" else int(weight)
    _change(target, TargetPatch(weight=value, model=model, note=note), config, data_dir, as_json)


@targets.command("open")
def open_by_hand(
    target: Name,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="30s, 10m, 2h; else until `close`.")
    ] = None,
    note: Note = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Open a target's breaker by hand: it is left alone, as if it had failed."""
    opening = rules.checked_opening(OpeningBody(duration, note))

    async def work(connection: Connection, name: str) -> None:
        await queries.open_target(connection, name, opening, actor())

    _decide(target, work, config, data_dir, as_json)


@targets.command()
def close(
    target: Name, note: Note = None, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Close a target's breaker by hand: what it knew is forgotten. A drained target stays so."""
    closing = rules.checked_closing(TargetClosing(note))

    async def work(connection: Connection, name: str) -> None:
        await queries.close_target(connection, name, closing, actor())

    _decide(target, work, config, data_dir, as_json)


@targets.command()
def reset(target: Name, config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Take back all that was decided about a target: the configuration holds again."""
    settings, snapshot = load_snapshot(config, data_dir)

    async def work(connection: Connection) -> None:
        if not await queries.reset_target(connection, target, actor()):
            rules.known_target(target, snapshot)

    _print(_standing(settings, snapshot, work).target(target), as_json)


def load_snapshot(config: Path | None, data_dir: str | None) -> tuple[Settings, Snapshot]:
    """The settings, and what a gateway with them routes by.

    Raises:
        BadConfiguration: the file, or the price list, can't be read or has faults.
    """
    path = config_path(config)
    settings = load_settings(path, data_dir)
    return settings, publish(settings, load_prices(price_file(path)), version=1)


def live_ledger(settings: Settings) -> Path | None:
    """The ledger of the gateway that runs on this host with these settings; ``None`` when none does.

    Raises:
        CommandFailed: the data directory is another account's.
    """
    places = Places(Path(settings.storage.data_dir))
    return places.ledger if serving(places) else None


@contextmanager
def on_ledger(snapshot: Snapshot, ledger: Path | None) -> Iterator[Lookout]:
    """What a gateway with this snapshot sees through its ledger; through none, all stands well.

    Raises:
        CommandFailed: the ledger can't be read.
    """
    try:
        with looking(snapshot, ledger) as lookout:
            yield lookout
    except LedgerError as error:
        raise CommandFailed(f"The gateway's ledger can't be read: {error}") from error


def shown_state(target: ShownTarget) -> str:
    """``open until 2027-01-31 12:00:00Z``."""
    if target.state is None:
        return "-"
    return f"{target.state} until {target.until:%H:%M:%S}Z" if target.until else target.state


def shown_weights(target: ShownTarget) -> str:
    """``chat 3, spare 0 (declared 1)``."""
    shares = (
        f"{share.model} {share.weight:,}"
        + (f" (declared {share.declared_weight:,})" if share.weight != share.declared_weight else "")
        for share in target.shares
    )
    return ", ".join([*shares, *(f"shadow of {model}" for model in target.shadows)]) or "-"


def shown_latency(milliseconds: float | None) -> str:
    """``1,234``; a dash for what was never measured."""
    return "-" if milliseconds is None else f"{milliseconds:,.0f}"


def shown_decisions(target: ShownTarget) -> str:
    """``drained by cli:ops: maintenance``."""
    words = []
    if target.drained:
        words.append("drained")
    if target.opened:
        until = f"until {target.opened_until:%Y-%m-%d %H:%M:%S}Z" if target.opened_until else "until it is closed"
        words.append(f"opened {until}")
    if not target.is_declared:
        words.append("not in the configuration")
    if not words:
        return "-"
    if target.decided is None:
        return ", ".join(words)
    return f"{', '.join(words)} by {target.decided.by}" + (f": {target.decided.note}" if target.decided.note else "")


def _change(target: str, patch: TargetPatch, config: Path | None, data_dir: str | None, as_json: bool) -> None:
    settings, snapshot = load_snapshot(config, data_dir)
    rules.known_target(target, snapshot)
    checked = rules.checked_patch(patch, target, snapshot)

    async def work(connection: Connection) -> None:
        await queries.change_target(connection, target, checked, actor())

    _print(_standing(settings, snapshot, work).target(target), as_json)


def _decide(
    target: str,
    decision: Callable[[Connection, str], Awaitable[None]],
    config: Path | None,
    data_dir: str | None,
    as_json: bool,
) -> None:
    settings, snapshot = load_snapshot(config, data_dir)
    rules.known_target(target, snapshot)

    async def work(connection: Connection) -> None:
        await decision(connection, target)

    _print(_standing(settings, snapshot, work).target(target), as_json)


async def _nothing(_connection: Connection) -> None:
    """To look is enough."""


def _standing(settings: Settings, snapshot: Snapshot, work: Callable[[Connection], Awaitable[None]]) -> Standing:
    """How everything stands once ``work`` is done."""

    async def done(connection: Connection) -> list[queries.StoredOverride]:
        await work(connection)
        return await queries.list_overrides(connection)

    seen = _seen(settings, snapshot)
    return Standing(Layout(snapshot), ask(settings, done), seen, time.time_ns() // 1_000_000)


def _seen(settings: Settings, snapshot: Snapshot) -> Sequence[TargetStatus] | None:
    ledger = live_ledger(settings)
    if ledger is None:
        return None
    with on_ledger(snapshot, ledger) as lookout:
        return lookout.statuses()


def _print(target: ShownTarget, as_json: bool) -> None:
    if as_json:
        print_json(target)
        return
    print_fields(
        {
            "target": target.name,
            "state": shown_state(target),
            "weights": shown_weights(target),
            "decided": shown_decisions(target),
        }
    )
