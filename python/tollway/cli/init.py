"""``tollway init``: a configuration to begin with, annotated, with its schema and the price list."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from tollway.cli.exits import CommandFailed
from tollway.cli.printing import note

TEMPLATES = ("tollway.yaml", "tollway.schema.json", "prices.yaml")


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; made if it is not there.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Write an annotated configuration, its JSON schema for editors, and the price list."""
    there = [str(directory / name) for name in TEMPLATES if (directory / name).exists()]
    if there and not force:
        raise CommandFailed(f"{', '.join(there)}: there already. Overwrite with --force.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in TEMPLATES:
            (directory / name).write_bytes(template(name))
            note(f"wrote {directory / name}")
    except OSError as error:
        raise CommandFailed(f"{error.filename}: {error.strerror}") from error
    note(f"Next: tollway serve --config {directory / TEMPLATES[0]} --quickstart")


def template(name: str) -> bytes:
    """A file as it is packaged."""
    return files("tollway.cli").joinpath("templates", name).read_bytes()
