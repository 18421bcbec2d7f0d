"""How a command ends: the exit codes, and the errors that are expected, as sentences for a person."""

from pathlib import Path
from typing import Final

import msgspec

from tollway.errors import GatewayError
from tollway.settings import BadConfiguration

FAILED: Final = 1
BAD_CONFIGURATION: Final = 64
"""Beside 0 for good and 2 for wrong usage, which are typer's, and 130 for Ctrl-C."""


class CommandFailed(Exception):
    """The command can't do what it was asked; the message says why and, where something helps, what."""


class Ending(msgspec.Struct, frozen=True):
    """An exit code and the lines for stderr."""

    code: int
    lines: list[str]


EXPECTED: Final = (BadConfiguration, CommandFailed, GatewayError, ImportError)
"""What :func:`explained` may know."""


def explained(error: Exception) -> Ending | None:
    """The ending for an error, ``None`` for one that is a defect of ours."""
    match error:
        case BadConfiguration():
            return Ending(BAD_CONFIGURATION, [*error.lines(), *_hint(error)])
        case GatewayError():
            return Ending(FAILED, [error.outside])
        case CommandFailed():
            return Ending(FAILED, [str(error)])
        case ImportError() if (error.name or "").startswith("tollway._native"):
            return Ending(FAILED, [f"Tollway's native extension does not load: {error.msg}. Build it: make build"])
    return None


def _hint(error: BadConfiguration) -> list[str]:
    return [] if Path(error.file).exists() else ["`tollway init` writes a configuration file to begin with."]
