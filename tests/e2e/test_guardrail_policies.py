"""Failure 19: what somebody has set over the API holds on every host, after a restart, and through an outage."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.fakes.gateway import KEY, Gateway, config
from tests.fakes.scripts import completion, whole
from tests.fakes.upstream import FakeUpstream

from tollway.storage.embedded import EmbeddedPostgres

EMAIL = "jane.doe@example.com"
CHANGED_S = 11.0
"""A change holds within 1 s on every worker of every host; the look itself takes its time on a busy machine."""

BLOCK = {"input": [{"check": "pii", "entities": ["email"], "action": "block"}]}
REDACT = {"input": [{"check": "pii", "entities": ["email"], "action": "redact"}]}


class House:
    """Two hosts on one database, and what their tenants may do."""

    def __init__(self, a: Gateway, b: Gateway, server: EmbeddedPostgres) -> None:
        self.a, self.b, self.server = a, b, server
        admin = self.command("keys", "create", "--admin", "--name", "ops")["key"]
        self.admin = {"authorization": f"Bearer {admin}"}

    def command(self, *words: str) -> Any:
        """What a command on A prints."""
        ran = subprocess.run(
            [sys.executable, "-m", "tollway.cli", *words, "--config", str(self.a.config_path), "--json"],
            capture_output=True,
            check=True,
            timeout=60,
        )
        return json.loads(ran.stdout)

    def put(self, name: str, policy: Any, at: Gateway | None = None) -> None:
        """Sets a policy over the API of a host, A unless another is given."""
        answer = httpx2.put(
            f"{(at or self.a).url}/api/v1/guardrails/{name}", headers=self.admin, json=policy, timeout=30
        )
        assert answer.status_code == 200, answer.text


def call(gateway: Gateway, key: str = KEY) -> httpx2.Response:
    """A call that holds an address."""
    body = {"model": "m", "messages": [{"role": "user", "content": f"Write to {EMAIL}"}]}
    headers = {"authorization": f"Bearer {key}", "connection": "close"}  # so that every worker has its turn
    return httpx2.post(f"{gateway.base_url}/chat/completions", headers=headers, json=body, timeout=30)


def statuses(gateway: Gateway, key: str = KEY) -> set[int]:
    """What enough calls hear that every worker of the host has answered one."""
    return {call(gateway, key).status_code for _ in range(12)}


def soon(gateway: Gateway, status: int, key: str = KEY) -> None:
    """Every worker of the host answers so before long."""
    gateway.wait_until(lambda: statuses(gateway, key) == {status}, f"answering {status}", CHANGED_S)


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeUpstream]:
    with FakeUpstream(default=whole(completion())) as serving:
        yield serving


@pytest.fixture(scope="module")
def built(provider: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    server = EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="tollway-test-")))
    with ExitStack() as running:
        running.callback(server.stop)
        settings = config(server.start(), provider.base_url, server={"host": "127.0.0.1", "workers": 2, "drain": "5s"})
        a, b = (running.enter_context(Gateway(settings, tmp_path_factory.mktemp(name))) for name in "AB")
        yield House(a, b, server)


@pytest.fixture
def house(built: House) -> Iterator[House]:
    """The house, in which no policy named default holds at first."""
    yield built
    httpx2.delete(f"{built.a.url}/api/v1/guardrails/default", headers=built.admin, timeout=30)
    for gateway in (built.a, built.b):
        soon(gateway, 200)


def test_a_policy_of_the_api_holds_everywhere_and_stays(house: House, provider: FakeUpstream) -> None:
    assert statuses(house.a) == statuses(house.b) == {200}
    house.put("default", BLOCK)
    for gateway in (house.a, house.b):
        soon(gateway, 400)
    hits = provider.hits
    assert statuses(house.b) == {400}
    assert provider.hits == hits

    house.put("default", REDACT, at=house.b)
    for gateway in (house.a, house.b):
        soon(gateway, 200)
        call(gateway)
        assert EMAIL not in provider.requests[-1].body.decode()

    house.put("default", BLOCK)
    soon(house.b, 400)
    house.b.kill()
    house.b.start()
    assert statuses(house.b) == {400}, "from the first call after a restart on"


def test_a_policy_outlives_an_outage_and_a_restart_in_it(house: House, provider: FakeUpstream) -> None:
    house.put("default", BLOCK)
    for gateway in (house.a, house.b):
        soon(gateway, 400)
    house.server.stop()
    assert statuses(house.a) == {400}
    house.b.kill()
    hits = provider.hits
    house.b.begin()
    house.b.wait_until(lambda: house.b.ready()[0] == 503, "answering, though it is not ready")
    assert statuses(house.b) == {400}, "what is kept on disk holds where nobody can be asked"
    assert provider.hits == hits
    house.server.start()
    house.b.wait_until(lambda: house.b.ready()[0] == 200, "ready")
    house.put("default", REDACT)
    soon(house.b, 200)


def test_a_policy_is_bound_to_tenants_and_keys_of_the_api(house: House) -> None:
    house.put("strict", BLOCK)
    house.put("open", {})
    house.command("tenants", "create", "globex")
    key = house.command("keys", "create", "--tenant", "globex", "--name", "ci")
    assert statuses(house.b, key["key"]) == {200}
    house.command("tenants", "update", "globex", "--guardrails", "strict")
    soon(house.b, 400, key["key"])
    house.command("keys", "bind", key["id"], "open")
    soon(house.b, 200, key["key"])
    house.command("keys", "bind", key["id"])
    soon(house.b, 400, key["key"])


def test_rows_of_usage_show_kinds_and_counts_and_never_a_value(house: House, provider: FakeUpstream) -> None:
    house.put("default", REDACT)
    house.a.wait_until(lambda: EMAIL not in (call(house.a), provider.requests[-1].body.decode())[1], "redacting")
    house.a.wait_until(lambda: any(row["findings"] for row in house.a.rows()), "rows with findings")
    rows = httpx2.get(f"{house.a.url}/api/v1/billing/usage/rows?limit=200", headers=house.admin, timeout=30).json()
    found = {"direction": "input", "check": "pii", "kind": "email", "action": "redact", "count": 1}
    assert [found] in [row["findings"] for row in rows["data"]]
    for told in (json.dumps(rows), house.a.log(), house.b.log(), house.a.metrics(), str(house.a.rows())):
        assert EMAIL not in told
    assert 'tollway_guardrail_findings_total{action="redact",check="pii",direction="input",kind="email"}' in (
        house.a.metrics()
    )
