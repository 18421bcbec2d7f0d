"""The real command line, as processes of their own, and configurations to run it with."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tollway._native.limits import Ledger
from tollway._native.routing import Board
from tollway.charge import Places
from tollway.settings import environment
from tollway.storage.embedded import EmbeddedPostgres
from tollway.supervisor import hold

FILE_KEY = "file-key-of-acme-0001"
"""The key that the configuration of :func:`configured` declares."""

Write = Callable[[dict[str, Any]], Path]


class Tollway:
    """``tollway("tenants", "list")`` runs the command in ``directory`` and returns how it went."""

    command = (sys.executable, "-m", "tollway.cli")

    def __init__(self, directory: Path, *always: str) -> None:
        self.directory = directory
        self._always = always

    def surroundings(self, **more: str) -> dict[str, str]:
        """This process's environment, without what would change a configuration's meaning."""
        kept = {name: value for name, value in environment().items() if not name.endswith("_API_KEY")}
        return {name: value for name, value in kept.items() if not name.startswith("TOLLWAY_")} | more

    def __call__(self, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self.command, *words, *self._always],
            cwd=self.directory,
            env=self.surroundings(**variables),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def json(self, *words: str) -> Any:
        """What the command prints for machines."""
        ran = self(*words, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def says(self, *words: str, code: int = 1) -> str:
        """The talk of a command that ends with this code, without a traceback."""
        ran = self(*words)
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.stderr


@pytest.fixture
def tollway(tmp_path: Path) -> Tollway:
    """The command, in an empty directory."""
    return Tollway(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes ``tollway.yaml`` where :func:`tollway` runs."""

    def to_file(parts: dict[str, Any]) -> Path:
        path = tmp_path / "tollway.yaml"
        path.write_text(yaml.safe_dump({"version": 1, **parts}))
        return path

    return to_file


@pytest.fixture
def configured(tollway: Tollway, write: Write, postgres_dsn: str) -> Tollway:
    """The command, beside a configuration with a tenant of its own and a database without rows."""
    write(
        {
            "storage": {"postgres": postgres_dsn},
            "providers": {"fake": {"kind": "simulator"}},
            "models": {"m": {"targets": [{"provider": "fake", "model": "m"}]}},
            "guardrails": {"strict": {"input": [{"check": "pii", "action": "block"}]}},
            "tenants": {"acme": {"limits": {"rpm": 7}, "monthly_budget_usd": 500, "keys": {"ci": {"key": FILE_KEY}}}},
            "budgets": [{"name": "all", "amount_usd": 5, "period": "day", "per": ["user"]}],
        }
    )
    return tollway


@contextmanager
def running_board(directory: Path) -> Iterator[Board]:
    """A board as a running gateway has it, and the lock that it holds."""
    places = Places(directory / "data")
    places.make()
    with hold(places.lock):
        ledger = Ledger(places.ledger)
        ledger.join()
        yield Board(ledger)
        ledger.close()


@pytest.fixture
def postgres_home() -> Iterator[Path]:
    """A data directory that PostgreSQL's account can reach, as pytest's own are closed to it."""
    directory = Path(tempfile.mkdtemp(prefix="tollway-test-"))
    try:
        yield directory
    finally:
        left = EmbeddedPostgres(directory)
        if left.running_dsn() is not None:
            left.start()  # adopts it, so that it can be stopped
        left.stop()
        shutil.rmtree(directory)
