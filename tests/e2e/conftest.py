"""Real gateways in front of scripted upstreams."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.gateway import Gateway, config
from tests.fakes.upstream import FakeUpstream

Start = Callable[..., Gateway]


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    """A scripted provider."""
    with FakeUpstream() as running:
        yield running


@pytest.fixture
def start(postgres_dsn: str, upstream: FakeUpstream, tmp_path: Path) -> Iterator[Start]:
    """Starts a gateway in front of ``upstream``; keyword arguments change parts of its config."""
    with ExitStack() as running:

        def begin(**changes: Any) -> Gateway:
            return running.enter_context(Gateway(config(postgres_dsn, upstream.base_url, **changes), tmp_path))

        yield begin
