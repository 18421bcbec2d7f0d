"""Failure 22: a deploy does not kill streams."""

import asyncio
import signal
import time

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import deltas, hang_after, sse
from tests.fakes.upstream import FakeUpstream

STREAMS = 20
HEADERS = {"authorization": f"Bearer {KEY}"}


async def stream(gateway: Gateway) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers=HEADERS, timeout=60) as client:
        return (await client.post("/chat/completions", json=body)).text


async def test_sigterm_lets_every_stream_end_while_saying_not_ready(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = sse(deltas(*["x"] * 30), gap_s=0.15)
    server = {"host": "127.0.0.1", "workers": 2, "drain": "60s"}
    gateway = await asyncio.to_thread(start, server=server)
    streams = [asyncio.create_task(stream(gateway)) for _ in range(STREAMS)]
    await upstream.until(lambda: upstream.hits == STREAMS)
    gateway.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(gateway.wait_until, lambda: gateway.ready()[0] == 503, "draining", 5.0)
    assert gateway.ready()[1]["status"] == "draining"
    late = await stream(gateway)  # whoever has not noticed yet is served, too
    texts = [*(await asyncio.gather(*streams)), late]
    assert [text.count("data: [DONE]") for text in texts] == [1] * (STREAMS + 1)
    assert await asyncio.to_thread(gateway.process.wait, 30) == 0
    rows = await asyncio.to_thread(gateway.rows)
    assert [row["status"] for row in rows] == ["ok"] * (STREAMS + 1)


async def test_a_second_sigterm_ends_at_once_and_keeps_the_rows(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = hang_after(3)
    gateway = await asyncio.to_thread(start)
    streams = [asyncio.create_task(stream(gateway)) for _ in range(STREAMS)]
    await upstream.until(lambda: upstream.hits == STREAMS)
    await asyncio.sleep(0.5)
    gateway.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(gateway.wait_until, lambda: gateway.ready()[0] == 503, "draining", 5.0)
    began = time.monotonic()
    gateway.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(gateway.process.wait, 30) == 0
    assert time.monotonic() - began < 15, "far less than the drain of 20 s and the idle limit of 60 s"
    await asyncio.gather(*streams, return_exceptions=True)
    rows = await asyncio.to_thread(gateway.rows)
    assert len(rows) == STREAMS
    assert {row["status"] for row in rows} == {"cut"}
