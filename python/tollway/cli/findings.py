"""What ``tollway doctor`` looks at: one function for each thing, each of which looks, changes nothing and never raises.

Nothing here imports the native extension: whether that loads is one of the questions.
"""

import os
import platform
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import asyncpg
import msgspec

from tollway.cli.address import base_url, readiness
from tollway.control.publish import base_url_of
from tollway.settings import ProviderSettings, ServerSettings, Settings, StorageSettings
from tollway.storage import pool
from tollway.storage.account import Account, AccountUnusable
from tollway.storage.embedded import EmbeddedPostgres, EmbeddedPostgresFailed
from tollway.storage.migrate import MigrationRefused, pending
from tollway.storage.segments import SEGMENT_BYTES, SegmentReader, segments

State = Literal["ok", "warn", "fail"]

JOURNAL: Final = "journal"
"""The journal's folder below ``storage.data_dir``, as ``tollway.charge.Places`` has it."""

LEAST_FREE_BYTES: Final = 256 << 20
COMFORTABLE_FREE_BYTES: Final = 2 << 30
MANY_SEGMENTS: Final = 8
OLDEST_POSTGRES: Final = 14
SKEW: Final = timedelta(seconds=5)


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """How something is, and what to do if that is not well."""

    check: str
    state: State
    found: str
    advice: str = ""


def python() -> Finding:
    """The interpreter; pip refuses one that is too old."""
    return Finding("python", "ok", f"{platform.python_implementation()} {platform.python_version()}")


def native() -> Finding:
    """Whether the extension loads."""
    try:
        extension = import_module("tollway._native")
    except ImportError as error:
        return Finding("native extension", "fail", error.msg, "Build it: make build")
    names = sorted(name for name in dir(extension) if not name.startswith("_"))
    return Finding("native extension", "ok", ", ".join(names))


def providers(settings: Settings) -> Iterator[Finding]:
    """Which providers have their keys, each of them, and whom the simulator stands in for."""
    for name, provider in settings.providers.items():
        if not provider.is_configured:
            advice = f"Set the variable of providers.{name}.{provider.key_name} to have it asked."
            yield Finding(f"provider {name}", "warn", "has no key and is passed over", advice)
            continue
        for at, key in enumerate(provider.keys):
            if not key.api_key:
                advice = f"Set the variable of providers.{name}.keys[{at}].api_key to have it used."
                yield Finding(f"key {name}#{key.name}", "warn", "is empty and is passed over", advice)
    simulated = [alias for alias, model in settings.models.items() if _is_simulated_alone(settings, alias)]
    if simulated:
        wanting = [alias for alias in simulated if len(settings.models[alias].targets) > 1]
        state: State = "warn" if wanting else "ok"
        yield Finding("models", state, f"answered by the simulator: {', '.join(simulated)}")


def reachable(name: str, provider: ProviderSettings, timeout_s: float = 2.0) -> Finding | None:
    """Whether a provider's host takes a connection; ``None`` for one that is in this process."""
    parts = urlsplit(base_url_of(provider))
    if not parts.hostname:
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    check = f"provider {name}"
    if why := _unreachable(parts.hostname, port, timeout_s):
        return Finding(check, "fail", why, "Look at its base_url, at the network and at the firewall.")
    return Finding(check, "ok", f"{parts.hostname}:{port} takes connections")


def redis(storage: StorageSettings, timeout_s: float = 2.0) -> Finding | None:
    """Whether Redis takes a connection; ``None`` where there is none. A gateway goes on without, host by host."""
    if not storage.redis:
        return None
    parts = urlsplit(storage.redis.reveal())
    host, port = parts.hostname or "", parts.port or 6379
    if why := _unreachable(host, port, timeout_s):
        until_then = "Until then each host finds out by itself how its providers are, and keeps to its share of limits."
        return Finding("redis", "warn", why, until_then)
    return Finding("redis", "ok", f"{host}:{port} takes connections")


def _unreachable(host: str, port: int, timeout_s: float) -> str:
    """Why there is no connection to be had; empty when there is."""
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError as error:
        return f"{host}:{port} can't be reached: {error.strerror or error}"
    return ""


def port(server: ServerSettings) -> Finding:
    """Whether the address is free, or a gateway is there already."""
    url = base_url(server.host, server.port)
    there = gateway(url)
    if there is not None:
        return there
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((server.host, server.port))
    except OSError as error:
        found = f"{server.host}:{server.port} can't be listened on: {error.strerror or error}"
        return Finding("address", "fail", found, "Choose another: server.host, server.port.")
    return Finding("address", "ok", f"{server.host}:{server.port} is free; no gateway is running there")


def gateway(url: str) -> Finding | None:
    """What answers at an address; ``None`` when nothing does."""
    answer = readiness(url)
    if answer is None:
        return None
    if answer.said is None:
        return Finding("address", "fail", f"something else listens at {url}", "Stop it, or change server.port.")
    if answer.said == "ready":
        return Finding("address", "ok", f"a gateway answers at {url}: ready")
    found = f"a gateway answers at {url}: {answer.said}"
    return Finding("address", "warn", found, f"See {url}/health/ready and its log.")


def data_dir(directory: Path) -> Finding:
    """Whether the gateway may write there, and how much."""
    check = "data directory"
    existing = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    if not existing.is_dir():
        return Finding(check, "fail", f"{existing} is not a directory", "Change storage.data_dir.")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(check, "fail", f"{existing} can't be written", "Hand it over, or change storage.data_dir.")
    free = shutil.disk_usage(existing).free
    found = f"{directory}: {free / 2**30:,.1f} GiB free"
    if existing != directory.absolute():
        found += "; made at the first start"
    if free < LEAST_FREE_BYTES:
        return Finding(check, "fail", found, "Usage rows wait here on their way to the database: make room.")
    if free < COMFORTABLE_FREE_BYTES:
        return Finding(check, "warn", found, "Usage rows wait here when the database is away: make room.")
    return Finding(check, "ok", found)


def journal(directory: Path) -> Finding:
    """How many segments of the journal hold rows that the database does not have yet."""
    waiting = 0
    for path in segments(directory / JOURNAL):
        try:
            reader = SegmentReader(path)
        except FileNotFoundError:
            continue  # it was shipped just now
        except (OSError, ValueError) as error:
            return Finding("usage journal", "fail", f"{path} can't be read: {error}", "Look who owns it.")
        try:
            waiting += reader.pending()
        finally:
            reader.close()
    found = f"{waiting} segments of {SEGMENT_BYTES >> 20} MiB wait for the database" if waiting else "nothing waits"
    if waiting > MANY_SEGMENTS:
        return Finding("usage journal", "warn", found, "Is a gateway running, and its database well?")
    return Finding("usage journal", "ok", found)


async def database(settings: Settings) -> list[Finding]:
    """Whether PostgreSQL can be asked, what it is, and whether its schema and clock go with this gateway."""
    if settings.storage.is_embedded:
        directory = Path(settings.storage.data_dir)
        try:
            dsn = EmbeddedPostgres(directory).running_dsn()
            if dsn is None:
                account = Account.choose(directory / "postgres" / "data")
                as_whom = f", as {account.name}" if account.is_other else ""
                return [Finding("postgresql", "ok", f"embedded; it is started with the gateway{as_whom}")]
        except (EmbeddedPostgresFailed, AccountUnusable) as error:
            return [Finding("postgresql", "fail", str(error))]
    else:
        dsn = settings.storage.postgres.reveal()
    try:
        connection = await asyncpg.connect(dsn, timeout=5.0, command_timeout=5.0)
        try:
            return [_server(connection), await _schema(connection), await _clock(connection)]
        finally:
            await connection.close(timeout=2.0)
    except pool.FAILED as error:
        found = f"does not answer: {str(error) or type(error).__name__}"
        return [Finding("postgresql", "fail", found, "Look at storage.postgres, and whether the server runs.")]


def _server(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    version = connection.get_server_version()
    found = f"PostgreSQL {version.major}.{version.minor}"
    if version.major < OLDEST_POSTGRES:
        return Finding("postgresql", "fail", found, f"Tollway needs {OLDEST_POSTGRES} or newer.")
    return Finding("postgresql", "ok", found)


async def _schema(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    try:
        missing = await pending(connection)
    except MigrationRefused as error:
        return Finding("schema", "fail", str(error))
    if missing:
        found = f"lacks {len(missing)} migrations, from {missing[0].version:04} on"
        return Finding("schema", "warn", found, "tollway migrate, or start a gateway, which does the same.")
    return Finding("schema", "ok", "this version's")


async def _clock(connection: "asyncpg.Connection[asyncpg.Record]") -> Finding:
    theirs: datetime = await connection.fetchval("select clock_timestamp()")
    skew = abs(datetime.now(UTC) - theirs)
    if skew > SKEW:
        found = f"differs from the database's by {skew.total_seconds():,.0f} s"
        return Finding("clock", "warn", found, "Keys expire by this clock: let NTP set both.")
    return Finding("clock", "ok", "agrees with the database's")


def _is_simulated_alone(settings: Settings, alias: str) -> bool:
    asked = settings.answering(settings.models[alias].targets)
    return all(settings.providers[target.provider].kind == "simulator" for target in asked)
