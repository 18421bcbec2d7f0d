"""Real gateways in front of scripted upstreams."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.gateway import Gateway, config
from tests.fakes.redis_server import RedisServer
from tests.fakes.upstream import FakeUpstream

Start = Callable[..., Gateway]
StartFor = Callable[[dict[str, Any]], Gateway]
StartAll = Callable[[dict[str, Any]], list[Gateway]]


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


@pytest.fixture(scope="module")
def start_for(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartFor]:
    """Starts a gateway with a whole config, in a directory of its own; it runs until the module's tests have ended."""
    with ExitStack() as running:

        def begin(settings: dict[str, Any]) -> Gateway:
            return running.enter_context(Gateway(settings, tmp_path_factory.mktemp("gateway")))

        yield begin


@pytest.fixture(scope="module")
def lasting_upstream() -> Iterator[FakeUpstream]:
    """A scripted provider for all tests of a module: each says anew what it answers."""
    with FakeUpstream() as running:
        yield running


@pytest.fixture(scope="module", params=["A and B with Redis", "one without"])
def instances(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartAll]:
    """Starts what the name says with a whole config, each in a directory of its own, on one PostgreSQL."""
    with ExitStack() as running:
        has_redis = request.param.endswith("Redis")
        url = running.enter_context(RedisServer()).url if has_redis else None

        def begin(settings: dict[str, Any]) -> list[Gateway]:
            storage = {**settings["storage"], "redis": url}
            return [
                running.enter_context(Gateway({**settings, "storage": storage}, tmp_path_factory.mktemp(name)))
                for name in ("A", "B")[: 2 if has_redis else 1]
            ]

        yield begin
