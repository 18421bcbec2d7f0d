"""The command line: ``tollway``. One verb per file; this one finds the file of a verb and ends the process well.

In: arguments. Out: data on stdout, talk on stderr, and an exit code of ``exits``. An expected error ends as a
sentence, never as a traceback.
"""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from tollway import __version__
from tollway.cli.exits import EXPECTED, explained

VERBS = (
    "serve",
    "init",
    "config",
    "migrate",
    "tenants",
    "keys",
    "budgets",
    "usage",
    "billing",
    "targets",
    "route",
    "guardrails",
    "cache",
    "doctor",
    "simulate",
)
"""Each is a module of this package with a function, or a group of functions, of the same name."""


class Verbs(TyperGroup):
    """Imports a verb when it is called for.

    So ``tollway config check`` does not load an HTTP server, and ``tollway doctor`` runs where the native extension
    does not load and can say so.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Every verb, in the order in which a newcomer needs them."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """The verb; for a word that is none all are loaded, so that typer can tell which one was meant."""
        for verb in (cmd_name,) if cmd_name in VERBS else VERBS:
            if verb not in self.commands:
                self.add_command(_load(verb), verb)
        found: TyperCommand | TyperGroup | None = super().get_command(ctx, cmd_name)  # type: ignore[assignment]
        return found


def _load(verb: str) -> TyperCommand | TyperGroup:
    found = getattr(import_module(f"{__name__}.{verb}"), verb)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False)
        found.command(verb)(function)
    command: TyperCommand | TyperGroup = typer.main.get_command(found)  # type: ignore[assignment]
    command.name = verb
    return command


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tollway {__version__}")
        raise typer.Exit


app = typer.Typer(cls=Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def tollway(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One OpenAI-compatible endpoint in front of many model providers."""


def main() -> None:
    """The entry point of ``tollway`` and of ``python -m tollway.cli``."""
    try:
        app(prog_name="tollway")
    except EXPECTED as error:
        ending = explained(error)
        if ending is None:
            raise
        for line in ending.lines:
            typer.echo(line, err=True)
        sys.exit(ending.code)
