"""What people decide about targets while gateways run: every worker of every instance heeds it, and it shows."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.gateway import KEY, Gateway, config
from tests.fakes.scripts import completion, whole
from tests.fakes.upstream import FakeUpstream

WITHIN_S = 1.0
"""What is promised: a second after a decision was answered, nobody acts against it any more."""

CALLS = 60
"""On connections of their own, so that every worker of an instance takes some."""

HEADERS = {"authorization": f"Bearer {KEY}"}
BODY = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}


class Operator:
    """Decides, through the API of one gateway or by the command line."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._headers = {"authorization": f"Bearer {self.command('keys', 'create', '--admin', '--name', 'ops')['key']}"}

    def command(self, *words: str) -> Any:
        """What a command prints."""
        command = [sys.executable, "-m", "tollway.cli", *words, "--config", str(self._gateway.config_path), "--json"]
        ran = subprocess.run(command, capture_output=True, check=True, timeout=60)
        return json.loads(ran.stdout)

    async def __call__(self, method: str, path: str, body: object = None) -> Any:
        """What the API answers below ``/api/v1/router``."""
        async with httpx2.AsyncClient(base_url=self._gateway.url, headers=self._headers, timeout=30) as client:
            answer = await client.request(method, f"/api/v1/router/{path}", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(default=whole(completion())) as running:
        yield running


@pytest.fixture
def gateways(postgres_dsn: str, upstream: FakeUpstream, tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """Two instances with two workers each on one database, in front of two targets."""
    settings = config(
        postgres_dsn,
        upstream.base_url,
        server={"host": "127.0.0.1", "workers": 2, "drain": "20s"},
        models={
            "chat": {
                "targets": [{"provider": "fake", "model": "org/first"}, {"provider": "fake", "model": "second"}],
                "price": {"input_per_1m": 1, "output_per_1m": 1},
            }
        },
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with Gateway(settings, tmp_path / "one") as one, Gateway(settings, tmp_path / "two") as two:
        yield one, two


async def _asked(upstream: FakeUpstream, *gateways: Gateway) -> Counter[str]:
    """How often each target was asked, in calls to every worker of every instance."""
    await asyncio.sleep(WITHIN_S)
    before = {model: upstream.hits_of(model) for model in ("org/first", "second")}

    async def one(gateway: Gateway) -> None:
        async with httpx2.AsyncClient(base_url=gateway.base_url, headers=HEADERS, timeout=60) as client:
            answer = await client.post("/chat/completions", json=BODY)
            assert answer.status_code == 200, answer.text

    await asyncio.gather(*(one(gateway) for gateway in gateways for _ in range(CALLS // len(gateways))))
    asked = Counter({model: upstream.hits_of(model) - count for model, count in before.items()})
    assert asked.total() == CALLS
    return asked


def _gauge(gateway: Gateway, name: str, **labels: str) -> float:
    """One number of ``/metrics``, whichever worker answers."""
    selected = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    found = re.findall(rf"^tollway_{name}{{{selected}}} (\S+)$", gateway.metrics(), re.MULTILINE)
    assert len(found) == 1, f"{name} {labels}: {found}"
    return float(found[0])


async def test_every_worker_of_every_instance_heeds_what_is_decided_and_all_places_show_it(
    gateways: tuple[Gateway, Gateway], upstream: FakeUpstream
) -> None:
    one, two = gateways
    operator = await asyncio.to_thread(Operator, one)
    asked = await _asked(upstream, one, two)
    assert min(asked["org/first"], asked["second"]) > 0, "both are asked at first"

    await operator("PATCH", "targets/fake/org/first", {"drained": True, "note": "maintenance"})
    assert await _asked(upstream, one, two) == {"second": CALLS, "org/first": 0}
    for gateway in gateways:
        assert await asyncio.to_thread(_gauge, gateway, "target_drained", target="fake/org/first") == 1
        assert await asyncio.to_thread(_gauge, gateway, "target_drained", target="fake/second") == 0
    shown = await operator("GET", "targets/fake/org/first")
    assert (shown["drained"], shown["state"], shown["decided"]["note"]) == (True, "closed", "maintenance")

    await operator("DELETE", "targets/fake/org/first")
    await operator("PATCH", "targets/fake/second", {"weight": 0, "model": "chat"})
    assert await _asked(upstream, one, two) == {"org/first": CALLS, "second": 0}
    for gateway in gateways:
        assert await asyncio.to_thread(_gauge, gateway, "target_weight", model="chat", target="fake/second") == 0

    await operator("POST", "targets/fake/org/first/open")
    assert await _asked(upstream, one, two) == {"second": CALLS, "org/first": 0}, "the last resort is asked"
    for gateway in gateways:
        is_open = await asyncio.to_thread(_gauge, gateway, "target_state", target="fake/org/first", state="open")
        assert is_open == 1
    assert (await operator("GET", "health"))["targets"]["open"] == 1

    closed = await asyncio.to_thread(operator.command, "targets", "close", "fake/org/first")
    assert closed["opened"] is False
    asked = await _asked(upstream, one, two)
    assert asked["org/first"] > 0, "by the command line as by the API"
    assert asked["second"] == 0 or asked["org/first"] > asked["second"], "it may start slowly"
    await asyncio.to_thread(operator.command, "targets", "reset", "fake/second")
    asked = await _asked(upstream, one, two)
    assert min(asked["org/first"], asked["second"]) > 0, "and all is as it was"


async def test_an_explanation_is_the_same_from_the_api_and_from_the_command_line(
    gateways: tuple[Gateway, Gateway], upstream: FakeUpstream
) -> None:
    one, _ = gateways
    operator = await asyncio.to_thread(Operator, one)
    await operator("PATCH", "targets/fake/second", {"drained": True})
    await asyncio.sleep(WITHIN_S)
    from_api = await operator("POST", "explain", {"model": "chat", "tenant": "acme"})
    from_cli = await asyncio.to_thread(operator.command, "route", "explain", "chat", "--tenant", "acme")
    assert from_api == from_cli
    (plan,) = from_api["plans"]
    assert plan["order"] == ["fake/org/first"]
    assert plan["candidates"][1]["skipped"] == "drained"
    assert upstream.hits == 0, "nobody was called"


async def test_what_was_decided_outlives_the_worker_that_knew_it(
    gateways: tuple[Gateway, Gateway], upstream: FakeUpstream
) -> None:
    one, _ = gateways
    operator = await asyncio.to_thread(Operator, one)
    await operator("PATCH", "targets/fake/second", {"drained": True})
    await _asked(upstream, one)
    pid = one.workers()[0]
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(
        one.wait_until, lambda: len(one.workers()) == 2 and pid not in one.workers(), "two workers again"
    )
    await asyncio.to_thread(one.wait_until, lambda: one.ready()[0] == 200, "ready")
    assert await _asked(upstream, one) == {"org/first": CALLS, "second": 0}
