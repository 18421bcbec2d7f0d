"""Limits of users and models, and answers that outgrow what is left, through a gateway."""

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import completion, deltas, sse, whole
from tests.fakes.upstream import FakeUpstream

HEADERS = {"authorization": f"Bearer {KEY}"}
TEXTS = ["word " * 20] * 60
"""Six thousand bytes, 1,500 tokens by estimate."""


async def ask(gateway: Gateway, **fields: Any) -> httpx2.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers=HEADERS, timeout=60) as client:
        return await client.post("/chat/completions", json=body)


async def test_each_user_of_a_model_has_a_limit_of_their_own_over_all_workers(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default = whole(completion())
    rules = [{"name": "each", "per": ["user", "model"], "limits": {"rpd": 2}}]
    server = {"host": "127.0.0.1", "workers": 2, "drain": "20s"}
    gateway = await asyncio.to_thread(start, server=server, limit_rules=rules)
    alice = await asyncio.gather(*(ask(gateway, user="alice") for _ in range(6)))
    assert sorted(answer.status_code for answer in alice) == [200] * 2 + [429] * 4
    (refused, *_) = [answer for answer in alice if answer.status_code == 429]
    assert "this user and model (rule each) may use 2 requests per day" in refused.json()["error"]["message"]
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert (await ask(gateway, user="bob")).status_code == 200


async def test_an_answer_that_outgrows_a_limit_that_cuts_is_an_error_and_the_next_call_waits(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default = sse(deltas(*TEXTS), gap_s=0.001)
    rules = [{"name": "tight", "limits": {"output_tpd": 500}, "on_exceed": "cut"}]
    gateway = await asyncio.to_thread(start, limit_rules=rules)
    body = (await ask(gateway, stream=True)).text
    payloads = [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line.startswith("data: {")]
    assert payloads[-1]["error"]["code"] == "rate_limit_exceeded"
    assert "[DONE]" not in body
    assert 0 < sum("word" in json.dumps(payload) for payload in payloads) < len(TEXTS)
    async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as client:
        with pytest.raises(openai.RateLimitError, match="rule tight"):
            await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hi"}], max_tokens=200
            )


async def test_an_answer_that_outgrows_a_limit_finishes_and_the_next_call_waits(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default = sse(deltas(*TEXTS, usage=(7, 1500)))
    gateway = await asyncio.to_thread(start, limit_rules=[{"name": "tight", "limits": {"output_tpd": 500}}])
    body = (await ask(gateway, stream=True)).text
    assert body.count("word") == 20 * len(TEXTS)
    assert body.endswith("data: [DONE]\n\n")
    answer = await ask(gateway, max_tokens=1)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 80_000


async def test_a_call_that_a_limit_holds_back_for_a_moment_waits_where_there_is_a_queue(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default = whole(completion(), delay_s=0.1)
    tenants = {"acme": {"keys": {"ci": {"key": KEY}}, "limits": {"concurrency": 1}}}
    gateway = await asyncio.to_thread(start, tenants=tenants, queue={"max_wait": "20s", "max_waiting": 3})
    answers = await asyncio.gather(*(ask(gateway) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 2
    assert upstream.hits == 4
