"""A gateway that is killed loses no row of an answer that a client received, and doubles none."""

import asyncio
import time

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import completion, deltas, sse, whole
from tests.fakes.upstream import FakeUpstream, Seen

RATE = 100
SECONDS = 8


async def load(gateway: Gateway, answered: set[str], stop_at: float) -> None:
    """An open loop of calls, half of them streamed; remembers the ids of those that were answered whole."""
    tasks: set[asyncio.Task[None]] = set()
    async with httpx2.AsyncClient(
        base_url=gateway.base_url, headers={"authorization": f"Bearer {KEY}"}, timeout=20,
        limits=httpx2.Limits(max_connections=200, max_keepalive_connections=200),
    ) as client:  # fmt: skip

        async def one(number: int) -> None:
            body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": number % 2 == 0}
            try:
                answer = await client.post("/chat/completions", json=body)
            except httpx2.TransportError:
                return
            if answer.status_code == 200 and (number % 2 or answer.text.endswith("data: [DONE]\n\n")):
                answered.add(answer.headers["x-request-id"])

        number = 0
        while time.monotonic() < stop_at:
            tasks.add(asyncio.create_task(one(number)))
            number += 1
            await asyncio.sleep(1 / RATE)
        await asyncio.gather(*tasks)


async def test_rows_equal_the_answers_that_clients_received_over_a_kill_of_everything(
    start: Start, upstream: FakeUpstream
) -> None:
    def answer(seen: Seen) -> object:
        return sse(deltas("a", "b", "c")) if seen.json.get("stream") else whole(completion())

    upstream.default = answer  # type: ignore[assignment]
    gateway = await asyncio.to_thread(start, server={"host": "127.0.0.1", "workers": 2, "drain": "20s"})
    answered: set[str] = set()
    loading = asyncio.create_task(load(gateway, answered, time.monotonic() + SECONDS))
    await asyncio.sleep(SECONDS / 2)
    before = len(answered)
    await asyncio.to_thread(gateway.kill)
    await asyncio.to_thread(gateway.start)
    await loading
    assert before > RATE
    assert len(answered) > before, "the gateway serves again"

    rows = await asyncio.to_thread(gateway.wait_for_rows, len(answered))
    found = [row["request_id"] for row in rows]
    assert len(found) == len(set(found)), "no id twice"
    assert answered <= set(found), "every answer has its row"
    # A call whose row was written in the instant before the kill may not have reached its client any more.
    assert len(found) - len(answered) <= RATE // 10
    assert upstream.hits >= len(found)
