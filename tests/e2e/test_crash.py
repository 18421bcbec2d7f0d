"""A gateway that is killed loses no row of an answer that a client received, and doubles none.

``python -m tests.e2e.test_crash 200 60`` runs the same drill with 200 calls a second for 60 s, and prints its figures.
"""

import asyncio
import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway, config
from tests.fakes.scripts import Script, completion, deltas, sse, whole
from tests.fakes.upstream import FakeUpstream, Seen

RATE = 100
SECONDS = 8


def answer(seen: Seen) -> Script:
    """Whole or streamed, as asked."""
    return sse(deltas("a", "b", "c")) if seen.json.get("stream") else whole(completion())


async def load(gateway: Gateway, answered: set[str], rate: int, is_over: Callable[[int], bool]) -> None:
    """An open loop of calls, half of them streamed, until so many are enough; remembers the ids of those that were
    answered whole."""
    tasks: set[asyncio.Task[None]] = set()
    limits = httpx2.Limits(max_connections=200, max_keepalive_connections=200)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=20, limits=limits) as client:

        async def one(number: int) -> None:
            body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": number % 2 == 0}
            try:
                got = await client.post("/chat/completions", json=body)
            except httpx2.TransportError:
                return
            if got.status_code == 200 and (number % 2 or got.text.endswith("data: [DONE]\n\n")):
                answered.add(got.headers["x-request-id"])

        began = time.monotonic()
        for number in itertools.count():
            if is_over(number):
                break
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            tasks.add(asyncio.create_task(one(number)))
        await asyncio.gather(*tasks)


async def drill(gateway: Gateway, rate: int, seconds: float) -> tuple[set[str], list[str], int]:
    """Load, ``kill -9`` of every process half-way, a new start; returns the ids answered, the rows' ids, and how many
    answers there had been before the kill."""
    answered: set[str] = set()
    over = asyncio.Event()
    loading = asyncio.create_task(load(gateway, answered, rate, lambda _: over.is_set()))
    await asyncio.sleep(seconds / 2)
    before = len(answered)
    await asyncio.to_thread(gateway.kill)
    await asyncio.to_thread(gateway.start)
    await asyncio.sleep(seconds / 2)  # however long it took to start
    over.set()
    await loading
    rows = await asyncio.to_thread(gateway.wait_for_rows, len(answered))
    return answered, [row["request_id"] for row in rows], before


async def test_rows_equal_the_answers_that_clients_received_over_a_kill_of_everything(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default = answer
    gateway = await asyncio.to_thread(start, server={"host": "127.0.0.1", "workers": 2, "drain": "20s"})
    answered, found, before = await drill(gateway, RATE, SECONDS)
    assert before > RATE
    assert len(answered) > before, "the gateway serves again"
    assert len(found) == len(set(found)), "no id twice"
    assert answered <= set(found), "every answer has its row"
    # A call whose row was written in the instant before the kill may not have reached its client any more.
    assert len(found) - len(answered) <= RATE // 10
    assert upstream.hits >= len(found)


async def test_an_embedded_database_that_dies_is_started_again_and_no_row_is_lost(
    upstream: FakeUpstream, tmp_path: Path
) -> None:
    upstream.default = answer
    with Gateway(config("embedded", upstream.base_url), tmp_path) as gateway:
        pid = int((tmp_path / "data" / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        answered: set[str] = set()
        loading = asyncio.create_task(load(gateway, answered, 50, lambda number: number == 200))
        await asyncio.sleep(1.0)
        os.kill(pid, signal.SIGKILL)
        await loading
        assert len(answered) == 200, "a known key is served while the database is away"
        await asyncio.to_thread(gateway.wait_until, lambda: gateway.ready()[1]["checks"]["database"] == "ok", "back")
        rows = await asyncio.to_thread(gateway.wait_for_rows, 200)
        assert {row["request_id"] for row in rows} == answered
        assert len(rows) == 200


def main(rate: int, seconds: int) -> None:
    """The drill by itself, on the embedded database."""
    with FakeUpstream(default=answer) as upstream, tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        settings = config("embedded", upstream.base_url, server={"host": "127.0.0.1", "workers": 2, "drain": "20s"})
        with Gateway(settings, Path(directory)) as gateway:
            answered, found, _ = asyncio.run(drill(gateway, rate, seconds))
    figures = {
        "upstream calls": upstream.hits,
        "answers received": len(answered),
        "rows": len(found),
        "rows twice": len(found) - len(set(found)),
        "answers without a row": len(answered - set(found)),
        "rows whose answer was cut by the kill": len(set(found) - answered),
    }
    sys.stdout.write("".join(f"{name}: {figure}\n" for name, figure in figures.items()))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
