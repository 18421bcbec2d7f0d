"""Where a drill is played: one real PostgreSQL, one real Redis, the scripted provider, two instances A and B.

Everything is a process of its own, in a directory that is gone afterwards. Tenants and keys are made as an operator
makes them, by the command line, so that their spend is kept in PostgreSQL.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Self

import yaml
from benches.drills.books import Books, Row
from benches.drills.load import Door, Heard
from benches.drills.report import Check
from benches.drills.upstream import Upstream
from tests.fakes.gateway import Gateway, config
from tests.fakes.redis_server import RedisServer

from tollway.storage.embedded import EmbeddedPostgres

WORKERS = 2

PRICE = {"input_per_1m": 1000, "output_per_1m": 2000}
"""US dollars: $0.001 a token in, $0.002 a token out."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of a failure's own numbers is played. ``share`` is of its calls, rates and waits."""

    share: float = 1.0

    def calls(self, full: int, least: int = 1) -> int:
        """So many calls, or calls a second, instead of ``full``."""
        return max(least, round(full * self.share))

    def seconds(self, full: float, least: float = 0.0) -> float:
        """So long instead of ``full``; ``least`` is what the gateway's own times need to be seen at all."""
        return max(least, full * self.share)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant in the database, and its first key."""

    id: str
    name: str
    key: str


def models(**scripts: str) -> dict[str, Any]:
    """Aliases and what the provider answers for each, as ``upstream`` spells it; every call is made once."""
    return {
        alias: {"targets": [{"provider": "fake", "model": script}], "price": PRICE} for alias, script in scripts.items()
    }


class Stage:
    """``with Stage(models=…, **changes) as stage``: all of it runs until the block ends.

    ``changes`` replace parts of the configuration of both instances; ``providers`` are made of the address of the
    scripted one.
    """

    def __init__(self, *, providers: Callable[[str], dict[str, Any]] | None = None, **changes: Any) -> None:
        self._providers = providers
        self._changes = changes
        self._running = ExitStack()
        self.tenants: list[Tenant] = []

    def __enter__(self) -> Self:
        with ExitStack() as running:
            self._home = Path(tempfile.mkdtemp(prefix="tollway-drill-"))
            running.callback(shutil.rmtree, self._home, ignore_errors=True)
            self._home.chmod(0o755)
            self.postgres = EmbeddedPostgres(self._home / "database")
            (self._home / "database").mkdir(mode=0o755)
            running.callback(self.postgres.stop)
            self.dsn = self.postgres.start()
            self.redis = running.enter_context(RedisServer())
            self.upstream = running.enter_context(Upstream())
            self.a, self.b = (self._gateway(name) for name in ("A", "B"))
            for gateway in self.instances:
                gateway.begin()
                running.callback(_end, gateway)
            for gateway in self.instances:
                gateway.wait_until_ready()
            for gateway in self.instances:  # a Redis that is new grants nothing at first
                gateway.wait_until(partial(_leases, gateway), "leasing its limits")
            self._running = running.pop_all()
        return self

    def __exit__(self, *told: Any) -> None:
        self._running.__exit__(*told)

    @property
    def instances(self) -> tuple[Gateway, Gateway]:
        """A and B."""
        return self.a, self.b

    @property
    def doors(self) -> list[Door]:
        """A and B as clients know them."""
        return [Door("A", self.a.port), Door("B", self.b.port)]

    def tenant(self, name: str, **limits: int) -> Tenant:
        """Makes a tenant with these limits, and a key of it."""
        flags = [flag for limit, value in limits.items() for flag in (f"--{limit}", str(value))]
        made = self._tollway("tenants", "create", name, *flags)
        tenant = Tenant(made["id"], name, self.key(name))
        self.tenants.append(tenant)
        return tenant

    def key(self, tenant: str) -> str:
        """Makes another key of a tenant; no instance has seen it yet."""
        return str(self._tollway("keys", "create", "--name", "drill", "--tenant", tenant)["key"])

    def rows(self) -> list[Row]:
        """All usage rows."""
        return list(self.a.fetch("select * from usage_logs order by created_at, id"))

    def spent(self) -> dict[str, Decimal]:
        """``current_spend`` of the tenants that were made here."""
        known = {tenant.id for tenant in self.tenants}
        found = self.a.fetch("select id, current_spend from tenants")
        return {row["id"]: row["current_spend"] for row in found if row["id"] in known}

    def rolled(self) -> dict[str, tuple[int, Decimal]]:
        """Calls and cost of all rows, as the tables of sums have them."""
        found = self.a.fetch(
            "select 'usage_hourly' as name, coalesce(sum(calls), 0) as calls, coalesce(sum(cost), 0) as cost "
            "from usage_hourly union all "
            "select 'usage_daily', coalesce(sum(calls), 0), coalesce(sum(cost), 0) from usage_daily"
        )
        return {row["name"]: (int(row["calls"]), row["cost"]) for row in found}

    def sums_told(self, by: str) -> dict[str, tuple[int, Decimal]]:
        """Calls and cost as ``tollway usage`` tells them, by tenant or key."""
        told = self._tollway("usage", "--by", by, "--since", "1d")
        return {entry["value"]: (entry["calls"], Decimal(str(entry["cost_usd"]))) for entry in told}

    def books(self, heard: Sequence[Heard], ceiling: Decimal | None = None, *, timeout_s: float = 60.0) -> Books:
        """The books once they have settled: every answer has a row, and no row has come for two seconds."""
        deadline = time.monotonic() + timeout_s
        count, since = -1, time.monotonic()
        while True:
            books = Books(heard, self.rows(), self.spent(), ceiling, self.rolled())
            if len(books.rows) != count:
                count, since = len(books.rows), time.monotonic()
            quiet = time.monotonic() - since > 2.0
            if (quiet and not books.missing) or time.monotonic() > deadline:
                return books
            time.sleep(0.3)

    def faults(self) -> list[str]:
        """Defects that the instances have logged."""
        return [
            f"{name}: {line[:200]}"
            for name, gateway in zip("AB", self.instances, strict=True)
            for line in gateway.log().splitlines()
            if '"defect"' in line or "Traceback" in line
        ]

    def quiet(self, most: int) -> Check:
        """Neither instance has flooded its log: warnings and errors, but for the line that a failed call has."""
        loud = ('"level":"warning"', '"level":"error"')
        counts = [
            sum(
                any(level in line for level in loud) and '"request_id"' not in line
                for line in gateway.log().splitlines()
            )
            for gateway in self.instances
        ]
        return Check(f"fewer than {most} warnings an instance", max(counts) < most, f"{counts}")

    def no_defects(self) -> Check:
        """Neither instance has met an error that it did not expect."""
        faults = self.faults()
        return Check("no defect is logged", not faults, "; ".join(faults[:2]))

    def _gateway(self, name: str) -> Gateway:
        directory = self._home / name
        directory.mkdir()
        url = self.upstream.base_url
        changes = self._changes | ({"providers": self._providers(url)} if self._providers else {})
        return Gateway(settings(self.dsn, self.redis.url, url, **changes), directory)

    def _tollway(self, *arguments: str) -> Any:
        command = [sys.executable, "-m", "tollway.cli", *arguments, "--config", str(self.a.config_path), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"tollway {' '.join(arguments)}: {done.stderr}"
        return json.loads(done.stdout)


def settings(dsn: str, redis: str, upstream: str, **changes: Any) -> dict[str, Any]:
    """The configuration of an instance."""
    server = {"host": "127.0.0.1", "workers": WORKERS, "drain": "60s"}
    storage = {"postgres": dsn, "redis": redis}
    return config(dsn, upstream, **{"server": server, "storage": storage, "tenants": {}, **changes})


def unknown_parts(**changes: Any) -> list[str]:
    """The top-level parts of ``changes`` that this version's configuration checker does not know or does not do yet.

    Asked of ``tollway config check``, so that a part is tried as soon as it is accepted. A fault inside a part that is
    known is not reported here: the instances will not start, and the drill fails by it.
    """
    written = settings("embedded", "", "http://127.0.0.1:1/v1", **changes)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(written, file)
        file.flush()
        command = [sys.executable, "-m", "tollway.cli", "config", "check", "--config", file.name, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    faults = json.loads(done.stdout)
    return sorted(part for part in changes if any(fault["path"] == part for fault in faults))


def budget(name: str, amount_usd: Decimal | int, **filters: str) -> dict[str, Any]:
    """A ceiling of the configuration file, for all that the filters leave."""
    return {"name": name, "amount_usd": float(amount_usd), "period": "total", **filters}


def booked(stage: Stage, name: str) -> set[Decimal]:
    """What PostgreSQL holds to be spent of a budget of the file, by the hour and in all, in US dollars; one amount if
    they agree."""
    purses = [
        row
        for row in stage.a.fetch("select purse, budget_id, spent from budget_purses")
        if row["budget_id"] == f"file:{name}"
    ]
    spends = stage.a.fetch("select purse, cost from budget_spend")
    ours = {row["purse"] for row in purses}
    hourly = sum((row["cost"] for row in spends if row["purse"] in ours), Decimal(0))
    in_all = sum((row["spent"] for row in purses), Decimal(0))
    return {amount.scaleb(-12).normalize() for amount in (hourly, in_all)}


def _leases(gateway: Gateway) -> bool:
    checks = gateway.ready()[1].get("checks")
    return isinstance(checks, dict) and checks.get("limits") == "ok"


def _end(gateway: Gateway) -> None:
    """Ends an instance that may have been killed."""
    if gateway.process.poll() is None:
        gateway.__exit__()
