"""Active probes, over a gateway of two workers: targets of a server that is ill are left alone before anybody calls."""

import itertools
import json
import time
from typing import Any

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import Script, completion, status, whole
from tests.fakes.upstream import FakeUpstream, Seen

CANARY = "sk-probe-canary-0123456789"
TWO_WORKERS = {"host": "127.0.0.1", "workers": 2, "drain": "20s"}


def provider(url: str, every: str = "200ms") -> dict[str, Any]:
    """One whose server is asked how it is."""
    return {
        "kind": "openai_compatible",
        "base_url": url,
        "api_key": CANARY,
        "breaker": {"consecutive": 2, "cooldown": "3s", "max_cooldown": "3s", "slow_start": "0s"},
        "probe": {"path": "/health", "every": every, "timeout": "200ms"},
    }


def began(gateway: Gateway) -> int:
    """The status of a call of ``m``."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"authorization": f"Bearer {KEY}"}
    answer = httpx2.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers, timeout=30)
    return answer.status_code


def model(*names: str) -> dict[str, Any]:
    return {"m": {"targets": [{"provider": name, "model": "m"} for name in names]}}


def test_a_server_that_is_ill_is_not_called_until_it_is_well(start: Start, upstream: FakeUpstream) -> None:
    state: dict[str, Script] = {"health": status(503)}

    def serve(seen: Seen) -> Script:
        return state["health"] if seen.method == "GET" else whole(completion("from the ill one"))

    upstream.default = serve
    with FakeUpstream(default=whole(completion("from the other"))) as other:
        providers = {"ill": provider(upstream.base_url), "other": provider(other.base_url)}
        gateway = start(server=TWO_WORKERS, providers=providers, models=model("ill", "other"))
        gateway.wait_until(lambda: "target_opened" in gateway.log(), "opened by a probe")
        assert [began(gateway) for _ in range(20)] == [200] * 20
        assert [seen.method for seen in upstream.requests if seen.method == "POST"] == []
        state["health"] = whole({"ok": True})
        gateway.wait_until(lambda: "target_closed" in gateway.log(), "closed by a probe")
        gateway.wait_until(lambda: began(gateway) == 200 and upstream.hits_of("m") > 0, "asked again")
    lines = [json.loads(line) for line in gateway.log().splitlines() if line.startswith("{")]
    assert {line["target"] for line in lines if line["event"] == "target_opened"} == {"ill/m"}
    assert CANARY not in gateway.log()
    assert {seen.header("authorization") for seen in upstream.requests} == {f"Bearer {CANARY}"}


def test_two_workers_ask_once_an_interval(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole({"ok": True})
    gateway = start(server=TWO_WORKERS, providers={"one": provider(upstream.base_url, "1s")}, models=model("one"))
    assert len(gateway.workers()) == 2
    upstream.wait_for(lambda: upstream.hits >= 5, 30.0)
    asked = [seen.arrived_at for seen in upstream.requests]
    assert min(later - earlier for earlier, later in itertools.pairwise(asked)) > 0.9, (
        "whoever asks, the host has asked"
    )


def test_a_probe_that_hangs_is_given_up(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = Script(raw_head=b"", steps=(("hang",),))
    gateway = start(providers={"hangs": provider(upstream.base_url)}, models=model("hangs"))
    gateway.wait_until(lambda: "target_opened" in gateway.log(), "opened by a probe")
    upstream.wait_for(lambda: len(upstream.aborts) >= 2)
    began_at = time.monotonic()
    assert began(gateway) == 503
    assert time.monotonic() - began_at < 10, "it is refused, and not waited for"
