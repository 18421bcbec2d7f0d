"""Connections that a provider closes when they idle, and bodies that have to be sent again."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway, models
from tests.fakes.routed import PRICE, answering, in_turn, question
from tests.fakes.scripts import Script, status
from tests.fakes.upstream import FakeUpstream, Seen

from tollway.proxy.providers.connection import WAS_IDLE_S

CALLS, LANES = 100, 5
SPACING_S, IDLE_S = 1.1, 1.0
BODY_BYTES = 8_000_000


async def spaced(gateway: Gateway, model: str, calls: int, spacing_s: float) -> list[tuple[int, str]]:
    """Calls of one model, one after the other; status and attempts of each."""
    found = []
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=30) as client:
        for _ in range(calls):
            answer = await client.post("/chat/completions", json=question(model))
            found.append((answer.status_code, answer.headers["x-tollway-attempts"]))
            await asyncio.sleep(spacing_s)
    return found


async def test_calls_spaced_wider_than_the_providers_idle_time_all_succeed_and_reach_it_once(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default, upstream.idle_s = answering(), IDLE_S
    names = [f"m{lane}" for lane in range(LANES)]
    gateway = await asyncio.to_thread(start, models=models(*names))
    per_lane = CALLS // LANES
    found = await asyncio.gather(*(spaced(gateway, name, per_lane, SPACING_S) for name in names))
    assert [each for lane in found for each in lane] == [(200, "1")] * CALLS
    assert [upstream.hits_of(name) for name in names] == [per_lane] * LANES
    assert upstream.connections > LANES, "connections did idle, and were closed"


@pytest.mark.parametrize("end", ["fin", "rst"])
async def test_a_provider_that_closes_just_as_the_next_call_comes_sees_each_call_once(
    start: Start, upstream: FakeUpstream, end: Any
) -> None:
    upstream.default, upstream.crossing = answering(), end
    gateway = await asyncio.to_thread(start, models=models("m"))
    calls = 12
    found = await spaced(gateway, "m", calls, 2 * WAS_IDLE_S)
    assert found == [(200, "1")] * calls
    assert upstream.hits == calls
    assert upstream.crossed == calls - 1, "every connection but the first was closed under a call"
    rows = await asyncio.to_thread(gateway.wait_for_rows, calls)
    assert {row["status"] for row in rows} == {"ok"}


def kept(arrived: list[str], then: Script | Callable[[Seen], Script]) -> Callable[[Seen], Script]:
    """Notes what has arrived, and goes on as ``then``."""

    def choose(seen: Seen) -> Script:
        content = seen.json["messages"][0]["content"]
        arrived.append(hashlib.sha256(content.encode()).hexdigest())
        return then if isinstance(then, Script) else then(seen)

    return choose


async def test_eight_megabytes_survive_a_refusal_and_a_reset_in_their_middle(
    start: Start, upstream: FakeUpstream
) -> None:
    arrived: list[str] = []
    refusal = replace(status(500), framing="close")  # on a kept one, a reset may look like the end of an idle time
    upstream.default = kept(arrived, in_turn(refusal, answering("All of it.")))
    upstream.body_cuts.extend([None, BODY_BYTES // 2])
    target = {"provider": "fake", "model": "m"}
    retries = {"attempts": 3, "budget": "100%", "backoff": "10ms"}
    gateway = await asyncio.to_thread(start, models={"m": {"targets": [target], "price": PRICE, "retries": retries}})
    text = "".join([f"{number:07d} " for number in range(BODY_BYTES // 8)])
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    async with httpx2.AsyncClient(base_url=gateway.base_url, timeout=60) as client:
        answer = await client.post("/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "All of it."
    assert answer.headers["x-tollway-attempts"] == "3"
    assert arrived == [hashlib.sha256(text.encode()).hexdigest()] * 2, "the whole, twice; once it was cut"
    assert not upstream.body_cuts
    sizes = [len(seen.body) for seen in upstream.requests]
    assert sizes[0] == sizes[1] > BODY_BYTES
    (row,) = await asyncio.to_thread(gateway.wait_for_rows, 1)
    assert (row["status"], row["attempts"]) == ("ok", 3)
