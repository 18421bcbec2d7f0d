"""Failures 3, 4 and 22 at the doors of Messages and Responses, where bytes pass and where they are translated."""

import asyncio
import http.client
import json
import signal
import time
from functools import partial
from typing import Any

import pytest
from tests.e2e.conftest import Start
from tests.e2e.test_secrets import CHAT, DOORS, MESSAGE, RESPONSE, named, open_gateway, post
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import Script, Step, hang, sse
from tests.fakes.upstream import FakeUpstream

STREAMS = 20
PRICE = {"input_per_1m": 1, "output_per_1m": 2}
WAYS = [
    pytest.param("openai", "/messages", CHAT, id="chat as messages"),
    pytest.param("openai", "/responses", RESPONSE, id="responses"),
    pytest.param("anthropic", "/messages", MESSAGE, id="messages"),
    pytest.param("anthropic", "/responses", MESSAGE, id="messages as responses"),
    pytest.param("anthropic", "/chat/completions", MESSAGE, id="messages as chat"),
]
Events = list[dict[str, Any]]
ENDS: dict[str, Events] = {
    "openai/messages": [
        {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    ],
    "openai/responses": [
        {"type": "response.completed", "sequence_number": 2, "response": {"id": "r", "status": "completed"}}
    ],
    "anthropic": [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ],
}
TERMINATORS = {"/messages": "event: message_stop", "/responses": "response.completed", "/chat/completions": "[DONE]"}


def played(events: Events, *ending: Step, gap_s: float = 0.0) -> Script:
    """A stream of the events, each a write of its own, ended as told."""
    script = sse(events, done=False) if "choices" in events[0] else named(*events)
    text = b"".join(step[1] for step in script.steps if step[0] == "send")
    steps: list[Step] = []
    for event in text.split(b"\n\n")[:-1]:
        steps += [("send", event + b"\n\n"), ("sleep", gap_s)]
    return Script(200, script.headers, (*steps, *ending), "chunked")


def impatient(start: Start, upstream: FakeUpstream) -> Gateway:
    base = upstream.base_url.removesuffix("/v1")
    providers = {
        "openai": {"kind": "openai", "base_url": upstream.base_url, "api_key": "k" * 20},
        "anthropic": {"kind": "anthropic", "base_url": base, "api_key": "k" * 20},
    }
    timeouts = {"idle": "700ms", "first_token": "700ms"}
    models = {
        name: {"targets": [{"provider": name, "model": name}], "price": PRICE, "timeouts": timeouts}
        for name in providers
    }
    return start(providers=providers, models=models)


@pytest.mark.parametrize(("model", "path", "events"), WAYS)
def test_a_stream_that_dies_ends_in_one_error_and_no_stop(
    start: Start, upstream: FakeUpstream, model: str, path: str, events: Events
) -> None:
    gateway = impatient(start, upstream)
    body = {"model": model, "stream": True, **DOORS[path]}
    endings: list[tuple[Step, ...]] = [(("fin",),), (("sleep", 0.05), ("rst",)), (("hang",),)]
    for ending in endings:
        upstream.default = played(events, *ending)
        status, _, said = post(gateway, path, body)
        assert (status, "Once" in said) == (200, True)
        assert TERMINATORS[path] not in said
        errors = [event for event in said.split("\n\n") if '"error":{' in event and "response.failed" not in event]
        assert len(errors) == 1
    upstream.default = hang()
    status, _, said = post(gateway, path, body)
    assert (status, "did not begin to answer" in said) == (504, True)
    rows = gateway.wait_for_rows(4)
    assert sorted(row["status"] for row in rows) == ["cut", "cut", "timeout", "timeout"]
    assert {row["usage_source"] for row in rows} == {"estimated"}
    assert all(row["prompt_tokens"] > 0 for row in rows)
    assert sum(row["completion_tokens"] > 0 for row in rows) == len(endings)


@pytest.mark.parametrize(("model", "path", "events"), WAYS)
async def test_a_client_that_hangs_up_cuts_the_provider_and_pays_for_what_it_got(
    start: Start, upstream: FakeUpstream, model: str, path: str, events: Events
) -> None:
    gateway = await asyncio.to_thread(open_gateway, start, upstream)
    for done, stream in ((0, True), (STREAMS, False)):
        upstream.default = played(events, ("hang",), gap_s=0.05) if stream else hang()
        body = {"model": model, "stream": stream, **DOORS[path]}
        left = await asyncio.gather(*(leave(gateway, path, body) for _ in range(STREAMS)))
        await asyncio.to_thread(gateway.wait_until, partial(_aborted, upstream, done + STREAMS), "cut")
        assert max(seen.aborted_at or 0.0 for seen in upstream.aborts) - max(left) < 1.0
    rows = await asyncio.to_thread(gateway.wait_for_rows, 2 * STREAMS)
    assert len(rows) == 2 * STREAMS
    assert {(row["status"], row["usage_source"]) for row in rows} == {("client_gone", "estimated")}
    assert all(row["prompt_tokens"] > 0 for row in rows)
    assert all((row["completion_tokens"] > 0) == row["stream"] for row in rows)


@pytest.mark.parametrize(("model", "path", "events"), WAYS)
async def test_a_drain_lets_every_stream_end(
    start: Start, upstream: FakeUpstream, model: str, path: str, events: Events
) -> None:
    gateway = await asyncio.to_thread(open_gateway, start, upstream)
    rest = ENDS.get(model) or ENDS[model + path]
    upstream.default = played([*events, *rest], gap_s=0.5)
    body = {"model": model, "stream": True, **DOORS[path]}
    streams = [asyncio.create_task(asyncio.to_thread(post, gateway, path, body)) for _ in range(STREAMS)]
    await upstream.until(lambda: upstream.hits == STREAMS)
    gateway.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(gateway.wait_until, lambda: gateway.ready()[0] == 503, "draining", 5.0)
    answers = await asyncio.gather(*streams)
    assert [said.count(TERMINATORS[path]) > 0 for _, _, said in answers] == [True] * STREAMS
    assert await asyncio.to_thread(gateway.process.wait, 30) == 0
    rows = await asyncio.to_thread(gateway.rows)
    assert [row["status"] for row in rows] == ["ok"] * STREAMS


def test_a_slow_client_gets_all_of_a_stream_that_is_faster(start: Start, upstream: FakeUpstream) -> None:
    gateway = impatient(start, upstream)
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Once " * 10_000}}
    upstream.default = named(*MESSAGE, *[delta] * 100, *ENDS["anthropic"])
    for path in ("/messages", "/responses"):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        body = {"model": "anthropic", "stream": True, **DOORS[path]}
        connection.request("POST", f"/v1{path}", json.dumps(body), {"x-api-key": KEY})
        with connection.getresponse() as answer:
            time.sleep(1.5)  # twice the provider's idle limit, which is not the client's
            said = answer.read().decode()
        connection.close()
        assert TERMINATORS[path] in said
        assert said.count("Once ") >= 1_000_000
    assert [row["status"] for row in gateway.wait_for_rows(2)] == ["ok", "ok"]


def _aborted(upstream: FakeUpstream, calls: int) -> bool:
    return len(upstream.aborts) == calls


async def leave(gateway: Gateway, path: str, body: dict[str, Any]) -> float:
    """One call whose client leaves; returns when it left."""
    content = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = f"POST /v1{path} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    try:
        async with asyncio.timeout(1.0):
            await reader.read(-1)
    except TimeoutError:
        pass
    writer.close()
    return time.monotonic()
