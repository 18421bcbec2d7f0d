"""A simulator in a process of its own, started by its command line."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def command() -> list[str]:
    """What starts a simulator; options may follow."""
    return [sys.executable, "-c", "import typer; from tollway.cli.simulate import simulate; typer.run(simulate)"]


@pytest.fixture(scope="session")
def simulator_url(command: list[str]) -> Iterator[str]:
    """The base URL of a running simulator."""
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = re.search(r"http://\S+", process.stdout.readline())
        assert announced is not None
        yield announced.group()
        process.terminate()
        assert process.wait(10) == 0
