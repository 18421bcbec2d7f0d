"""A real gateway for tests: ``tollway serve`` as its own processes, on a free port, from a config made for the test."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import asyncpg
import yaml

from tollway.storage.embedded import EmbeddedPostgres

KEY = "test-key-of-tenant-acme-0001"
"""The API key that :func:`plain` declares for the tenant ``acme``."""


ONCE = {"attempts": 1}
"""Every call is made once, so that what a provider does is what is seen."""

NEVER = {"consecutive": 10_000, "failure_rate": "100%", "minimum_calls": 1_000_000}
"""No breaker opens: the failures of some calls say nothing of others."""


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def config(dsn: str, upstream_url: str | None = None, **changes: Any) -> dict[str, Any]:
    """As :func:`plain`, with what it leaves out of routing as quiet as it can be, so that one call does not change the
    next: every call is made once where there is but one target, and no breaker opens."""
    return _steady(plain(dsn, upstream_url, **changes))


def plain(dsn: str, upstream_url: str | None = None, **changes: Any) -> dict[str, Any]:
    """A config with one tenant, ``acme``, and models that all go to ``upstream_url`` (else to the simulator).

    ``changes`` replace top-level parts.
    """
    provider: dict[str, Any] = {"kind": "simulator"}
    if upstream_url is not None:
        provider = {"kind": "openai", "base_url": upstream_url, "api_key": "sk-upstream-canary-0123456789"}
    price = {"input_per_1m": 1000, "output_per_1m": 2000}
    settings = {
        "version": 1,
        "server": {"host": "127.0.0.1", "workers": 1, "drain": "20s"},
        "storage": {"postgres": dsn},
        "providers": {"fake": provider},
        "models": {"m": {"targets": [{"provider": "fake", "model": "m"}], "price": price}},
        "tenants": {"acme": {"keys": {"ci": {"key": KEY}}}},
        **changes,
    }
    return settings


def _steady(settings: dict[str, Any]) -> dict[str, Any]:
    kinds = ("simulator",)
    providers = {
        name: provider if provider["kind"] in kinds else {"breaker": NEVER, **provider}
        for name, provider in settings["providers"].items()
    }
    models = {
        name: model if len(model["targets"]) > 1 else {"retries": ONCE, **model}
        for name, model in settings["models"].items()
    }
    return {**settings, "providers": providers, "models": models}


def models(*names: str, **more: Any) -> dict[str, Any]:
    """Models of these names, each asked of the provider ``fake`` under its own name."""
    price = {"input_per_1m": 1000, "output_per_1m": 2000}
    return {name: {"targets": [{"provider": "fake", "model": name}], "price": price, **more} for name in names}


class Gateway:
    """``with Gateway(config, tmp_path) as gateway:`` runs one until the block ends, then drains it."""

    def __init__(
        self, settings: Mapping[str, Any], directory: Path, *, port: int | None = None, arguments: tuple[str, ...] = ()
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.base_url = f"{self.url}/v1"
        self.log_path = directory / "gateway.log"
        self.config_path = directory / "tollway.yaml"
        written = json.loads(json.dumps(settings))
        written["server"]["port"] = self.port
        written["storage"].setdefault("data_dir", str(directory / "data"))
        self.dsn: str = written["storage"]["postgres"]
        self.config_path.write_text(yaml.safe_dump(written))
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The supervisor."""
        assert self._process is not None, "the gateway is not running"
        return self._process

    def begin(self) -> None:
        """Starts it, and does not wait for anything."""
        command = [sys.executable, "-m", "tollway.cli", "serve", "--config", str(self.config_path), *self._arguments]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def start(self) -> Self:
        """Starts it and returns when it is ready."""
        self.begin()
        return self.wait_until_ready()

    def wait_until_ready(self) -> Self:
        """Returns when what was begun is ready."""
        self.wait_until(lambda: self.process.poll() is not None or self.ready()[0] == 200, "ready")
        assert self.process.poll() is None, f"the gateway ended:\n{self.log()}"
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Status and body of ``/health/ready``; status 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def metrics(self) -> str:
        """The text of ``/metrics``."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def log(self) -> str:
        """All that the gateway has printed."""
        return self.log_path.read_text(errors="replace")

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if "tollway.worker" in Path(f"/proc/{pid}/cmdline").read_text()]

    def kill(self) -> None:
        """``kill -9`` of everything at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)

    def wait_until(self, true: Callable[[], Any], what: str, timeout_s: float = 60.0) -> None:
        """Waits for a fact; fails with the gateway's log when it never comes true."""
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, f"not {what} after {timeout_s} s:\n{self.log()[-6000:]}"
            time.sleep(0.05)

    def rows(self) -> list[dict[str, Any]]:
        """The usage rows in PostgreSQL, oldest first."""
        return self.fetch("select * from usage_logs order by created_at, id")

    def wait_for_rows(self, count: int) -> list[dict[str, Any]]:
        """The usage rows, once there are at least ``count``. The database may be starting yet."""

        def there() -> bool:
            try:
                return len(self.rows()) >= count
            except (OSError, asyncpg.PostgresError):
                return False

        self.wait_until(there, f"{count} usage rows")
        return self.rows()

    def fetch(self, query: str) -> list[dict[str, Any]]:
        """What PostgreSQL answers to a query."""

        async def ask() -> list[dict[str, Any]]:
            dsn = self.dsn
            if dsn == "embedded":
                running = EmbeddedPostgres(self.directory / "data").running_dsn()
                if running is None:
                    raise ConnectionRefusedError("PostgreSQL is not running")
                dsn = running
            connection = await asyncpg.connect(dsn)
            try:
                return [dict(row) for row in await connection.fetch(query)]
            finally:
                await connection.close()

        return asyncio.run(ask())
