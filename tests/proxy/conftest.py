"""What stations are built with: real metrics, a log that can be read back, and both event loops to run on."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import uvloop
from tests.fakes.telemetry import Recording

from tollway.telemetry.metrics import Metrics, prepare

_LONG = frozenset({"test_sharing.py"})
"""Tests that wait for a real server's timers: once is enough."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Workers run on uvloop; asyncio's own loop is the reference for what it promises."""
    if item.path.name in _LONG:
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    """A log of the test's own."""
    with closing(Recording(tmp_path / "log")) as made:
        yield made


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    """Metrics of one worker."""
    prepare(tmp_path / "metrics")
    with closing(Metrics(tmp_path / "metrics", "worker-0")) as made:
        yield made
