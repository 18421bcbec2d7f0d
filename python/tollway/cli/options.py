"""What the verbs share of the command line: options, how their texts are read, and the settings they lead to."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
import typer

from tollway.contract.limits import LIMIT_FIELDS, LimitValues
from tollway.settings import Settings, environment, load
from tollway.settings.units import DURATION_PATTERN, duration_s, instant_ms

Part = TypeVar("Part", bound=msgspec.Struct)

CONFIG_PLACES: Final = (Path("tollway.yaml"), Path("config/tollway.yaml"))
"""Where the configuration is looked for unless it is named."""

MOST_DIGITS: Final = 13
"""Of a limit: how high it may be is checked where all ways of setting it meet."""

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="The configuration; else ./tollway.yaml or ./config/tollway.yaml."
    ),
]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="Instead of the configuration's storage.data_dir.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Rpm = Annotated[int | None, typer.Option("--rpm", min=1, help="Requests in any 60 seconds.")]
Tpm = Annotated[int | None, typer.Option("--tpm", min=1, help="Tokens in any 60 seconds.")]
Concurrency = Annotated[int | None, typer.Option("--concurrency", min=1, help="Calls under way at once.")]
OtherLimits = Annotated[
    list[str] | None,
    typer.Option("--limit", metavar="NAME=N", help="Any other, such as rps=20 or output_tpd=100000; may be repeated."),
]
Guardrails = Annotated[
    str | None, typer.Option("--guardrails", help="A policy's name; else a key has its tenant's, a tenant the default.")
]
Models = Annotated[str | None, typer.Option("--models", metavar="A,B", help="Models that may be called; else all.")]


def config_path(given: Path | None) -> Path:
    """The configuration file that is meant; it need not exist."""
    return given or next((path for path in CONFIG_PLACES if path.is_file()), CONFIG_PLACES[0])


def load_settings(config: Path | None, data_dir: str | None = None) -> Settings:
    """The settings of the configuration file, with what the command line says instead.

    Raises:
        BadConfiguration: the file can't be read or has faults.
        typer.BadParameter: ``data_dir`` is none.
    """
    return overridden(load(config_path(config), environment()), data_dir=data_dir)


def overridden(
    settings: Settings,
    *,
    host: str | None = None,
    port: int | None = None,
    workers: str | None = None,
    data_dir: str | None = None,
) -> Settings:
    """The settings with flags in their place, held to the same rules as the file.

    Raises:
        typer.BadParameter: a flag breaks one.
    """
    count = int(workers) if workers is not None and workers.isdecimal() else workers
    return msgspec.structs.replace(
        settings,
        server=_replaced(settings.server, host=host, port=port, workers=count),
        storage=_replaced(settings.storage, data_dir=data_dir),
    )


def _replaced(part: Part, **flags: object) -> Part:
    for field, value in flags.items():
        if value is None:
            continue
        try:
            part = msgspec.convert({**msgspec.to_builtins(part), field: value}, type(part))
        except msgspec.ValidationError as error:
            reason, _, _ = str(error).partition(" - at ")
            raise typer.BadParameter(reason, param_hint=f"--{field.replace('_', '-')}") from error
    return part


def limits(
    rpm: int | None, tpm: int | None, concurrency: int | None, others: Sequence[str] | None = None
) -> LimitValues | None:
    """The limits that are given, ``None`` when none is.

    Raises:
        typer.BadParameter: one of ``others`` is no ``NAME=N``, or no limit has that name.
    """
    given = LimitValues(rpm=rpm, tpm=tpm, concurrency=concurrency)
    for other in others or ():
        name, _, number = other.partition("=")
        if name not in LimitValues.__struct_fields__:
            known = ", ".join(field for field, _, _ in LIMIT_FIELDS)
            raise typer.BadParameter(f"{name} is none of {known}", param_hint="--limit")
        if not number.isdecimal() or len(number) > MOST_DIGITS:
            raise typer.BadParameter(f"should be {name}=N, where N is a number", param_hint="--limit")
        given = msgspec.structs.replace(given, **{name: int(number)})
    return None if given == LimitValues() else given


def names(text: str | None) -> tuple[str, ...] | None:
    """``a,b`` as names; ``None`` stays ``None``."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def dollars(text: str, flag: str) -> Decimal:
    """An amount of US dollars.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise typer.BadParameter("should be US dollars such as 99.95", param_hint=flag) from error


def ago(text: str, now: datetime, flag: str = "--since") -> datetime:
    """A moment in the past: ``7d`` before now, or a date or time of its own.

    Raises:
        typer.BadParameter: it is neither.
    """
    return _moment(text, now, -1, flag)


def ahead(text: str, now: datetime, flag: str = "--expires") -> datetime:
    """A moment to come: ``30d`` from now, or a date or time of its own.

    Raises:
        typer.BadParameter: it is neither.
    """
    return _moment(text, now, 1, flag)


def _moment(text: str, now: datetime, sign: int, flag: str) -> datetime:
    try:
        if re.fullmatch(DURATION_PATTERN, text):
            return now + sign * timedelta(seconds=duration_s(text))
        return datetime.fromtimestamp(instant_ms(text) / 1000, UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            "should be a duration such as 7d or 12h, or a date such as 2027-01-31", param_hint=flag
        ) from error
