"""What the gateway tells about itself: health, metrics over all workers, and logs without secrets or payloads."""

import asyncio
import json
import re

import httpx2
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, models
from tests.fakes.scripts import completion, cut_after, hang, status, whole
from tests.fakes.upstream import FakeUpstream

PROMPT = "The canary prompt: magenta-walrus-7731"
HEADERS = {"authorization": f"Bearer {KEY}"}


async def test_metrics_are_totals_over_all_workers(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion(prompt=7, answer=3))
    gateway = await asyncio.to_thread(start, server={"host": "127.0.0.1", "workers": 3, "drain": "20s"})

    async def one() -> None:
        async with httpx2.AsyncClient(base_url=gateway.base_url, headers=HEADERS, timeout=30) as client:
            body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
            assert (await client.post("/chat/completions", json=body)).status_code == 200

    await asyncio.gather(*(one() for _ in range(60)))
    metrics = await asyncio.to_thread(gateway.metrics)
    total = re.search(r'tollway_requests_total\{code="none",model="m",outcome="ok",provider="fake"\} (\S+)', metrics)
    assert total is not None, metrics
    assert float(total[1]) == 60
    tokens = re.search(r'tollway_tokens_total\{kind="prompt",model="m",provider="fake"\} (\S+)', metrics)
    assert tokens is not None
    assert float(tokens[1]) == 420


async def test_no_secret_and_no_payload_reaches_logs_errors_metrics_or_rows(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.scripts = {
        "ok": whole(completion("the canary answer: teal-otter-2201")),
        "bad": status(500, "provider key sk-upstream-canary-0123456789 failed"),
        "cut": cut_after(1),
        "hang": hang(),
    }
    gateway = await asyncio.to_thread(
        start, models=models("ok", "bad", "cut", "hang", timeouts={"first_token": "500ms"}),
        telemetry={"logs": {"level": "debug"}},
    )  # fmt: skip
    said: list[str] = []
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers=HEADERS, timeout=30) as client:
        for model in ("ok", "bad", "cut", "hang", "missing"):
            for stream in (False, True):
                body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "stream": stream}
                try:
                    answer = await client.post("/chat/completions", json=body)
                except httpx2.TransportError:
                    continue
                said.append(answer.text)
        said.append((await client.post("/chat/completions", content=f'{{"model": "{PROMPT}", ')).text)
        wrong = await client.post(
            "/chat/completions", json={}, headers={"authorization": "Bearer tw_live_wrong-canary-key"}
        )
        said.append(wrong.text)
    await asyncio.to_thread(gateway.wait_for_rows, 6)
    rows = json.dumps(await asyncio.to_thread(gateway.rows), default=str)
    places = {
        "log": gateway.log(),
        "metrics": await asyncio.to_thread(gateway.metrics),
        "rows": rows,
        "errors": "".join(said),
    }
    for place, text in places.items():
        for secret in (KEY, "sk-upstream-canary", "wrong-canary-key"):
            assert secret not in text, f"{secret} in {place}"
        if place != "errors":
            assert "magenta-walrus" not in text, f"the prompt in {place}"
            assert "teal-otter" not in text, f"the answer in {place}"
    lines = [line for line in gateway.log().splitlines() if line.startswith("{")]
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("request") >= 6


async def test_health_tells_live_and_ready(start: Start) -> None:
    gateway = await asyncio.to_thread(start)
    async with httpx2.AsyncClient(base_url=gateway.url) as client:
        assert (await client.get("/health/live")).json() == {"status": "alive"}
        ready = await client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "checks": {"database": "ok", "journal": "ok"}}
