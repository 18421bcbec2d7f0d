"""``tollway doctor``: everything that a gateway needs here, looked at; what is wrong, and what to do about it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tollway.cli import findings
from tollway.cli.exits import FAILED
from tollway.cli.findings import Finding
from tollway.cli.options import AsJson, ConfigFile, DataDir, config_path, load_settings
from tollway.cli.printing import print_json, print_rich
from tollway.control.billing.prices import load_prices, price_file
from tollway.settings import BadConfiguration, Settings

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Annotated[str | None, typer.Option("--url", help="Ask the gateway at this address how it is.")] = None,
    providers: Annotated[
        bool, typer.Option("--providers", help="Connect to the providers' hosts too (no call is made).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at everything a gateway needs here. Changes nothing; exit 1 if something is missing."""
    found = list(_examine(config, data_dir, url, providers=providers))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if any(finding.state == "fail" for finding in found):
        raise typer.Exit(FAILED)


def _examine(config: Path | None, data_dir: str | None, url: str | None, *, providers: bool) -> Iterator[Finding]:
    yield findings.python()
    yield findings.native()
    path = config_path(config)
    try:
        settings = load_settings(path, data_dir)
        load_prices(price_file(path))
    except BadConfiguration as error:
        advice = "" if Path(error.file).exists() else "Write one to begin with: tollway init"
        yield from (Finding("configuration", "fail", line, advice) for line in error.lines())
        if url is not None:
            yield _gateway(url)
        return
    except ImportError:
        yield Finding("configuration", "warn", "has guardrails that only the native extension can read")
        if url is not None:
            yield _gateway(url)
        return
    yield Finding("configuration", "ok", str(path))
    yield from findings.providers(settings)
    if providers:
        yield from _hosts(settings)
    yield findings.port(settings.server) if url is None else _gateway(url)
    yield findings.data_dir(Path(settings.storage.data_dir))
    yield findings.journal(Path(settings.storage.data_dir))
    yield from asyncio.run(findings.database(settings))
    if (redis := findings.redis(settings.storage)) is not None:
        yield redis


def _gateway(url: str) -> Finding:
    answer = findings.gateway(url)
    return answer or Finding("address", "fail", f"nothing answers at {url}", "Is it running, and is this its address?")


def _hosts(settings: Settings) -> Iterator[Finding]:
    for name, provider in settings.providers.items():
        finding = findings.reachable(name, provider) if provider.is_configured else None
        if finding is not None:
            yield finding


def _print(found: list[Finding]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in found:
        state = Text(finding.state, style=STYLES[finding.state])
        said = Text(finding.found, overflow="fold")
        if finding.advice:
            said.append(f"\n{finding.advice}", style="italic")
        table.add_row(state, Text(finding.check), said)
    print_rich(table)
