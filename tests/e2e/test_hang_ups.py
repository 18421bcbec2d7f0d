"""Failure 3: the client hangs up. The provider sees it within a second, and what was delivered is billed."""

import asyncio
import json
import time

import httpx2
import pytest
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway, models
from tests.fakes.scripts import Script, completion, deltas, hang, sse, whole
from tests.fakes.upstream import FakeUpstream

CALLS = 100
WORDS = [f"word{number} " for number in range(50)]


async def leave(gateway: Gateway, *, model: str, stream: bool, after_s: float) -> float:
    """One call whose client leaves; returns when it left."""
    body = json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "Tell me a story"}], "stream": stream}
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    try:
        async with asyncio.timeout(after_s):
            await reader.read(-1)
    except TimeoutError:
        pass
    writer.close()
    return time.monotonic()


@pytest.mark.parametrize(
    ("stream", "script", "delivered"),
    [
        (True, hang(), False),
        (True, sse(deltas(*WORDS), gap_s=0.25), True),
        (False, whole(completion(), delay_s=30), False),
    ],
    ids=["silent stream", "slow stream", "whole"],
)
async def test_the_provider_sees_the_hang_up_and_what_was_delivered_is_billed(
    start: Start, upstream: FakeUpstream, stream: bool, script: Script, delivered: bool
) -> None:
    upstream.default = script
    tenants = {"acme": {"keys": {"ci": {"key": KEY}}, "limits": {"concurrency": CALLS}}}
    gateway = await asyncio.to_thread(start, models=models("slow", "quick"), tenants=tenants)
    pids = gateway.workers()

    left = await asyncio.gather(*(leave(gateway, model="slow", stream=stream, after_s=2.0) for _ in range(CALLS)))
    await upstream.until(lambda: len(upstream.aborts) == CALLS)
    assert max(seen.aborted_at or 0.0 for seen in upstream.aborts) - max(left) < 1.0

    rows = await asyncio.to_thread(gateway.wait_for_rows, CALLS)
    assert len(rows) == CALLS
    for row in rows:
        assert row["status"] == "client_gone"
        assert row["usage_source"] == "estimated"
        assert row["prompt_tokens"] > 0
        if delivered:  # some of the story, not all of it
            assert 0 < row["completion_tokens"] < 3 * len(WORDS)
        else:
            assert row["completion_tokens"] == 0

    upstream.default = whole(completion())
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers={"authorization": f"Bearer {KEY}"}) as client:
        body = {"model": "quick", "messages": [{"role": "user", "content": "Hi"}]}
        answers = await asyncio.gather(*(client.post("/chat/completions", json=body, timeout=30) for _ in range(CALLS)))
    assert {answer.status_code for answer in answers} == {200}, "the concurrency slots are free again"
    assert gateway.workers() == pids
