"""``tollway migrate``: bring the database's schema to this version, or tell what is missing."""

import asyncio
from typing import Annotated

import typer

from tollway.cli.database import on_connection, reached, unreachable
from tollway.cli.exits import FAILED, CommandFailed
from tollway.cli.options import AsJson, ConfigFile, DataDir, load_settings
from tollway.cli.printing import print_json, print_table
from tollway.storage import migrate as migrations
from tollway.storage import pool
from tollway.storage.migrate import Migration, MigrationRefused


def migrate(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    dsn: Annotated[
        str | None, typer.Option(metavar="URL", help="This database instead of the configuration's.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if something is missing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Apply the migrations that the database lacks. A gateway does the same at its start."""
    if dsn is None:
        with reached(load_settings(config, data_dir), migrated=False) as found:
            changed = asyncio.run(_migrations(found, check=check))
    else:
        changed = asyncio.run(_migrations(dsn, check=check))
    if as_json:
        print_json([{"version": migration.version, "name": migration.name} for migration in changed])
    else:
        rows = [(f"{migration.version:04}", migration.name, "missing" if check else "applied") for migration in changed]
        print_table(("version", "name", ""), rows, "The schema is this version's.")
    if check and changed:
        raise typer.Exit(FAILED)


async def _migrations(dsn: str, *, check: bool) -> list[Migration]:
    try:
        return await (on_connection(dsn, migrations.pending) if check else migrations.migrate(dsn))
    except MigrationRefused as error:
        raise CommandFailed(str(error)) from error
    except pool.FAILED as error:
        raise unreachable(error) from error
