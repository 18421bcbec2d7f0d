"""Budgets through a whole gateway: a ceiling is reached and never passed, and nothing that dies keeps what it held."""

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Any

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import completion, hang, status, whole
from tests.fakes.upstream import FakeUpstream

TWO = {"host": "127.0.0.1", "workers": 2, "drain": "20s"}
MODELS = {
    "m": {
        "targets": [{"provider": "fake", "model": "m"}],
        "price": {"input_per_1m": 0, "output_per_1m": 1000},
        "retries": {"attempts": 1},
    }
}
"""A tenth of a cent for each token of an answer."""


def budgets(amount_usd: str) -> list[dict[str, Any]]:
    return [{"name": "small", "amount_usd": amount_usd, "period": "total"}]


async def calls(gateway: Gateway, count: int, tokens: int = 30, *, timeout_s: float = 30) -> list[httpx2.Response]:
    """So many calls at once, each of so many tokens at most; those that were answered."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": tokens}
    limits = httpx2.Limits(max_connections=count, max_keepalive_connections=0)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(headers=headers, timeout=timeout_s, limits=limits) as client:
        outcomes = await asyncio.gather(
            *(client.post(f"{gateway.base_url}/chat/completions", json=body) for _ in range(count)),
            return_exceptions=True,
        )
    return [outcome for outcome in outcomes if isinstance(outcome, httpx2.Response)]


def sorted_by_status(answers: list[httpx2.Response]) -> Mapping[int, list[httpx2.Response]]:
    found: dict[int, list[httpx2.Response]] = {}
    for answer in answers:
        found.setdefault(answer.status_code, []).append(answer)
    return found


async def test_a_burst_reaches_the_ceiling_and_does_not_pass_it(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion(answer=30), delay_s=0.5)
    gateway = await asyncio.to_thread(start, server=TWO, models=MODELS, budgets=budgets("0.10"))
    found = sorted_by_status(await calls(gateway, 40))
    assert {code: len(answers) for code, answers in found.items()} == {200: 3, 429: 37}
    assert upstream.hits == 3
    refused = found[429][0]
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert "'small' has too little left" in error["message"]
    rows = await asyncio.to_thread(gateway.wait_for_rows, 3)
    assert sum(row["cost"] for row in rows) * 1000 == 90


async def test_calls_that_fail_give_back_what_they_held(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = status(500)
    gateway = await asyncio.to_thread(start, models=MODELS, budgets=budgets("0.03"))
    for _ in range(3):
        (failed,) = await calls(gateway, 1)
        assert failed.status_code >= 500
    upstream.default = hang()
    assert await calls(gateway, 1, timeout_s=0.5) == []
    upstream.wait_for(lambda: upstream.hits == 4)
    upstream.default = whole(completion(answer=1))

    async def passes() -> bool:
        return [answer.status_code for answer in await calls(gateway, 1, 20)] == [200]

    for _ in range(50):
        if await passes():
            break
        await asyncio.sleep(0.2)
    else:
        raise AssertionError("what a call held that its client gave up did not come back")


async def test_what_a_killed_worker_held_comes_back(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = hang()
    gateway = await asyncio.to_thread(start, server=TWO, models=MODELS, budgets=budgets("0.03"))
    hanging = asyncio.create_task(calls(gateway, 1))
    await asyncio.to_thread(upstream.wait_for, lambda: upstream.hits == 1)
    assert [answer.status_code for answer in await calls(gateway, 2)] == [429, 429]
    for pid in gateway.workers():
        os.kill(pid, signal.SIGKILL)
    assert await hanging == []
    upstream.default = whole(completion(answer=30))
    await asyncio.to_thread(gateway.wait_until, lambda: gateway.ready()[0] == 200, "ready again")
    answers: list[int] = []
    for _ in range(100):
        answers += [answer.status_code for answer in await calls(gateway, 1)]
        if 200 in answers:
            break
        await asyncio.sleep(0.2)
    assert answers[-1] == 200
    assert [answer.status_code for answer in await calls(gateway, 2)] == [429, 429]
