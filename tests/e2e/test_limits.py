"""Limits are exact over all workers, refused calls consume nothing, and slots come back however a call ends."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import struct

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway, models
from tests.fakes.scripts import completion, cut_after, hang, rst_after, status, whole
from tests.fakes.upstream import FakeUpstream

HEADERS = {"authorization": f"Bearer {KEY}"}


def ask(model: str = "m", **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}


async def at_once(gateway: Gateway, count: int, **more: object) -> list[httpx2.Response]:
    """``count`` calls, each on a connection of its own, so that every worker gets some."""

    async def one() -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=gateway.base_url, headers=HEADERS, timeout=60) as client:
            return await client.post("/chat/completions", json=ask(**more))  # type: ignore[arg-type]

    return list(await asyncio.gather(*(one() for _ in range(count))))


def limited(**values: int) -> dict[str, object]:
    return {"acme": {"keys": {"ci": {"key": KEY}}, "limits": values}}


def four_workers() -> dict[str, object]:
    return {"host": "127.0.0.1", "workers": 4, "drain": "20s"}


async def test_exactly_five_of_forty_simultaneous_calls_pass_with_rpm_5(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion(), delay_s=0.05)
    gateway = await asyncio.to_thread(start, server=four_workers(), tenants=limited(rpm=5))
    answers = await at_once(gateway, 40)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 35
    assert upstream.hits == 5
    refused = [answer for answer in answers if answer.status_code == 429]
    for answer in refused:
        assert 1 <= int(answer.headers["retry-after"]) <= 62
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    again = await at_once(gateway, 5)
    assert [answer.status_code for answer in again] == [429] * 5


async def test_limit_headers_tell_what_is_left(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    gateway = await asyncio.to_thread(start, tenants=limited(rpm=5, tpm=10_000))
    (answer,) = await at_once(gateway, 1)
    assert answer.headers["x-ratelimit-limit-requests"] == "5"
    assert answer.headers["x-ratelimit-remaining-requests"] == "4"
    assert answer.headers["x-ratelimit-limit-tokens"] == "10000"
    assert 0 < int(answer.headers["x-ratelimit-remaining-tokens"]) < 10_000
    assert answer.headers["x-ratelimit-reset-requests"].endswith("s")


async def test_a_request_larger_than_the_limit_is_told_that_waiting_does_not_help(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default = whole(completion())
    gateway = await asyncio.to_thread(start, tenants=limited(tpm=100))
    (answer,) = await at_once(gateway, 1, max_tokens=5000)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "request_exceeds_limit"
    assert answer.headers["x-should-retry"] == "false"
    assert (await at_once(gateway, 1))[0].status_code == 200


async def test_tokens_are_trued_up_when_the_answer_has_told_them(start: Start, upstream: FakeUpstream) -> None:
    """Ten calls of ten tokens fit a limit of 100 only when the reservation's excess has gone back."""
    upstream.default = whole(completion(prompt=7, answer=3))
    gateway = await asyncio.to_thread(start, tenants=limited(tpm=130))
    codes = [(await at_once(gateway, 1, max_tokens=30))[0].status_code for _ in range(9)]
    assert codes == [200] * 9


async def test_calls_that_never_reach_a_provider_consume_nothing(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    gateway = await asyncio.to_thread(start, tenants=limited(rpm=3))
    for _ in range(10):
        (answer,) = await at_once(gateway, 1, model="unknown")
        assert answer.status_code == 404
    assert sorted(a.status_code for a in await at_once(gateway, 6)) == [200] * 3 + [429] * 3


async def leave_early(gateway: Gateway, model: str) -> None:
    """Sends a call and resets the connection while it waits."""
    body = b'{"model": "%s", "messages": [{"role": "user", "content": "Hi"}]}' % model.encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    await asyncio.sleep(0.3)
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    del reader


async def end_badly(gateway: Gateway, ending: str) -> None:
    """Two calls, or three of which one finds no slot, that end in this way."""
    if ending == "leave":
        await leave_early(gateway, "hang")
    elif ending == "kill":
        calls = asyncio.gather(at_once(gateway, 2, model="hang"), return_exceptions=True)
        await asyncio.sleep(0.3)
        for pid in gateway.workers()[:2]:
            os.kill(pid, signal.SIGKILL)
        await calls
    else:
        await at_once(gateway, 3, model=ending)


async def test_both_slots_are_free_after_calls_that_ended_in_every_bad_way(
    start: Start, upstream: FakeUpstream
) -> None:
    """concurrency 2, four workers; 50 calls end in a hang, a 502, a cut, a hang-up, or the death of their worker."""
    upstream.scripts = {
        "hang": hang(),
        "bad": status(502),
        "cut": cut_after(1),
        "rst": rst_after(1),
        "ok": whole(completion(), delay_s=0.3),
    }
    gateway = await asyncio.to_thread(
        start,
        server=four_workers(),
        tenants=limited(concurrency=2),
        models=models("hang", "bad", "cut", "rst", "ok", timeouts={"first_token": "1s", "idle": "1s", "total": "2s"}),
    )
    for ending in random.Random(4).choices(["hang", "bad", "cut", "rst", "leave", "kill"], k=50):
        with contextlib.suppress(OSError, httpx2.TransportError):  # workers that were killed are still being replaced
            await end_badly(gateway, ending)
    assert "worker_died" in gateway.log()

    async def both_free() -> bool:
        try:
            answers = await at_once(gateway, 2, model="ok")
        except httpx2.TransportError:  # a worker is still being replaced
            return False
        return [answer.status_code for answer in answers] == [200, 200]

    for _ in range(60):
        if await both_free():
            break
        await asyncio.sleep(0.25)
    else:
        raise AssertionError(f"the slots did not come back:\n{gateway.log()[-4000:]}")
    three = await at_once(gateway, 3, model="ok")
    assert sorted(answer.status_code for answer in three) == [200, 200, 429]
