"""``tollway serve``: the gateway. Settings and prices in, a supervisor that runs until it is told to end."""

import asyncio
import shlex
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tollway.cli import quickstart as first_keys
from tollway.cli.address import base_url, readiness
from tollway.cli.database import declared, on_connection
from tollway.cli.exits import CommandFailed
from tollway.cli.options import ConfigFile, DataDir, config_path, load_settings, overridden
from tollway.cli.printing import note
from tollway.control.billing.prices import load_prices, price_file
from tollway.control.keys.queries import list_keys
from tollway.control.publish import publish
from tollway.errors import GatewayError
from tollway.settings import Settings
from tollway.storage.account import AccountUnusable
from tollway.storage.embedded import EmbeddedPostgresFailed
from tollway.storage.pool import Connection
from tollway.supervisor import CannotStart, Supervisor
from tollway.telemetry.logs import open_log

READY_WITHIN_S = 60.0
FAVOURITE_MODEL = "gpt-4o-mini"


def serve(
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="Instead of server.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Instead of server.port.")] = None,
    workers: Annotated[str | None, typer.Option(help="Instead of server.workers: a number, or auto.")] = None,
    data_dir: DataDir = None,
    quickstart: Annotated[
        bool, typer.Option("--quickstart", help="Make a first tenant and first keys, and print them at every start.")
    ] = False,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C. The log is JSON lines on stdout."""
    path = config_path(config)
    settings = overridden(load_settings(path, data_dir), host=host, port=port, workers=workers)
    snapshot = publish(settings, load_prices(price_file(path)), version=1)
    log = open_log(settings.telemetry.logs.level, secrets=settings.secrets)
    welcome = Welcome(settings, path, quickstart=quickstart)
    try:
        asyncio.run(Supervisor(settings, snapshot, log, on_ready=welcome).run())
    except (CannotStart, EmbeddedPostgresFailed, AccountUnusable) as error:
        raise CommandFailed(str(error)) from error
    finally:
        log.close()


class Welcome:
    """What a person is told, on stderr, as soon as the gateway answers. It never ends the gateway."""

    def __init__(self, settings: Settings, config: Path, *, quickstart: bool) -> None:
        self._settings = settings
        self._config = config
        self._quickstart = quickstart

    async def __call__(self, dsn: str) -> None:
        url = base_url(self._settings.server.host, self._settings.server.port)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await _until_ready(url)
        except TimeoutError:
            note(f"Not ready after {READY_WITHIN_S:.0f} s; the log says why.")
            return
        note(f"Tollway is ready at {url}")
        try:
            await on_connection(dsn, lambda connection: self._tell_keys(connection, url))
        except (CommandFailed, GatewayError, OSError) as error:
            note(f"No first keys: {error}")

    async def _tell_keys(self, connection: Connection, url: str) -> None:
        if self._quickstart:
            data_dir = Path(self._settings.storage.data_dir)
            self._print(await first_keys.ensure(connection, data_dir, declared(self._settings)), url)
        elif not any(tenant.keys for tenant in self._settings.tenants.values()):
            if not await list_keys(connection, limit=1, is_active=True):
                note("There is no API key yet. Make one:")
                note(f"  tollway tenants create acme --config {shlex.quote(str(self._config))}")
                note(f"  tollway keys create --tenant acme --name first --config {shlex.quote(str(self._config))}")

    def _print(self, keys: first_keys.QuickstartKeys, url: str) -> None:
        note(f"  API key    {keys.api_key.secret}")
        note(f"  admin key  {keys.admin_key.secret}")
        if self._settings.models:
            note("Try it:")
            note(f"  {chat_command(url, keys.api_key.secret, favourite_model(self._settings))}")
        note(f"The OpenAI SDK: OpenAI(base_url={url + '/v1'!r}, api_key={keys.api_key.secret!r})")


def favourite_model(settings: Settings) -> str:
    """The model to try first."""
    return FAVOURITE_MODEL if FAVOURITE_MODEL in settings.models else next(iter(settings.models))


def chat_command(url: str, secret: str, model: str) -> str:
    """A line for a shell that asks the gateway something."""
    body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "Hello!"}]}).decode()
    return (
        f"curl {url}/v1/chat/completions -H 'authorization: Bearer {secret}' "
        f"-H 'content-type: application/json' -d {shlex.quote(body)}"
    )


async def _until_ready(url: str) -> None:
    while True:
        found = await asyncio.to_thread(readiness, url)
        if found is not None and found.status == 200:
            return
        await asyncio.sleep(0.1)
