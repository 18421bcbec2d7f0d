"""Failure 4: the provider dies in the middle of a stream. The client is told, honestly and once; before it, another is
asked."""

import asyncio
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, models
from tests.fakes.records import payloads
from tests.fakes.routed import alias, answering, provider, question
from tests.fakes.scripts import (
    Script,
    cut_after,
    error_after,
    hang,
    hang_after,
    not_http,
    rst_after,
    sse,
    status,
    stream,
)
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
    providers, routes = with_a_healthy_fallback(upstream, idle="1s")
    gateway = await asyncio.to_thread(start, providers=providers, models=routes)
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
    assert (upstream.hits_of("m"), upstream.hits_of("healthy")) == (1, 0), "no second copy of the text"
    assert answer.headers["x-tollway-attempts"] == "1"

    async with AsyncOpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as sdk:
        with pytest.raises(openai.APIError):
            async for _ in await sdk.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
            ):
                pass

    rows = await asyncio.to_thread(gateway.wait_for_rows, 2)
    assert [row["status"] for row in rows] == [outcome, outcome]
    assert all(row["completion_tokens"] > 0 for row in rows)
    assert upstream.hits_of("healthy") == 0


def with_a_healthy_fallback(upstream: FakeUpstream, **timeouts: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Providers and models: ``m`` is answered by the model ``m``, else by another provider's ``healthy``, and there is
    a fallback, too."""
    upstream.scripts["healthy"] = answering("From the other one.")
    routes = {
        "m": alias("fake/m", "other/healthy", timeouts=timeouts, fallbacks=["spare"]),
        "spare": alias("other/healthy"),
    }
    return {"fake": provider(upstream), "other": provider(upstream)}, routes


EARLY_DEATHS = {
    "fin": cut_after(0),
    "rst": rst_after(0),
    "silent": hang_after(0),
    "error-event": error_after(0),
    "no-event": sse([], done=False, ending=(("fin",),)),
    "comment": stream(": not yet\n\n", ending=(("sleep", 0.05), ("rst",))),
    "no-head": hang(),
    "no-http": not_http(),
}


async def test_a_death_before_the_first_delta_is_somebody_elses_clean_stream(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.scripts = {**EARLY_DEATHS, "healthy": answering("From the other one.")}
    timeouts, fake = {"idle": "500ms", "first_token": "500ms"}, provider(upstream)
    routes = {death: alias(f"fake/{death}", "other/healthy", timeouts=timeouts) for death in EARLY_DEATHS}
    gateway = await asyncio.to_thread(start, providers={"fake": fake, "other": fake}, models=routes)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=30) as client:
        answers = {
            death: await client.post("/chat/completions", json=question(death, stream=True)) for death in EARLY_DEATHS
        }
    for death, answer in answers.items():
        assert answer.status_code == 200, death
        assert answer.headers["x-tollway-attempts"] == "2"
        assert answer.headers["x-tollway-provider"] == "other"
        events = payloads(answer.text)
        told = [event["choices"][0]["delta"] for event in events if event.get("choices")]
        assert "".join(delta.get("content") or "" for delta in told) == "From the other one.", death
        assert [delta.get("role") for delta in told].count("assistant") == 1, death
        assert not any("error" in event for event in events)
        assert answer.text.count("[DONE]") == 1
        assert upstream.hits_of(death) == 1
    assert upstream.hits_of("healthy") == len(EARLY_DEATHS)
    rows = await asyncio.to_thread(gateway.wait_for_rows, len(EARLY_DEATHS))
    assert [(row["status"], row["attempts"], row["provider"]) for row in rows] == [("ok", 2, "other")] * len(rows)


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
