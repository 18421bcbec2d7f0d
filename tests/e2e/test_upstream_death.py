"""Failure 4: the provider dies in the middle of a stream. The client is told, honestly and once."""

import asyncio

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, models
from tests.fakes.records import payloads
from tests.fakes.scripts import Script, cut_after, error_after, hang_after, not_http, rst_after, status
from tests.fakes.upstream import FakeUpstream


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        (cut_after(3), "cut"),
        (rst_after(3), "cut"),
        (hang_after(3), "timeout"),
        (error_after(3), "error"),
    ],
    ids=["FIN", "RST", "hang", "error event"],
)
async def test_three_deltas_then_one_error_and_never_a_stop(
    start: Start, upstream: FakeUpstream, script: Script, outcome: str
) -> None:
    upstream.default = script
    gateway = await asyncio.to_thread(start, models=models("m", timeouts={"idle": "1s"}))
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers={"authorization": f"Bearer {KEY}"}) as client:
        answer = await client.post("/chat/completions", json=body, timeout=30)
    assert answer.status_code == 200
    events = payloads(answer.text)
    texts = [
        event["choices"][0]["delta"]["content"]
        for event in events
        if event.get("choices") and event["choices"][0]["delta"].get("content")
    ]
    assert len(texts) == 3
    assert [("error" in event) for event in events].count(True) == 1
    assert "error" in events[-1]
    assert '"stop"' not in answer.text
    assert upstream.hits == 1

    async with AsyncOpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as sdk:
        with pytest.raises(openai.APIError):
            async for _ in await sdk.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
            ):
                pass

    rows = await asyncio.to_thread(gateway.wait_for_rows, 2)
    assert [row["status"] for row in rows] == [outcome, outcome]
    assert all(row["completion_tokens"] > 0 for row in rows)


async def test_a_provider_that_fails_before_its_answer_gives_a_status(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts = {"bad": status(503), "noise": not_http()}
    nothing = {"kind": "openai", "base_url": "http://127.0.0.1:9", "api_key": "k" * 20}
    fake = {"kind": "openai", "base_url": upstream.base_url, "api_key": "k" * 20}
    dead = {"dead": {"targets": [{"provider": "nothing", "model": "m"}]}}
    gateway = await asyncio.to_thread(
        start, providers={"fake": fake, "nothing": nothing}, models={**models("bad", "noise"), **dead}
    )
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers={"authorization": f"Bearer {KEY}"}) as client:
        for model, expected, code in (
            ("bad", 503, None),
            ("noise", 502, "upstream_broken"),
            ("dead", 502, "upstream_unreachable"),
        ):
            for stream in (False, True):
                body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
                answer = await client.post("/chat/completions", json=body, timeout=30)
                assert answer.status_code == expected
                assert answer.json()["error"]["message"]
                assert "127.0.0.1" not in answer.text, "a client learns no address"
                if code:
                    assert answer.json()["error"]["code"] == code
    rows = await asyncio.to_thread(gateway.wait_for_rows, 4)
    assert len(rows) == 4, "what was never sent has no row"
    assert {row["status"] for row in rows} == {"error"}
