"""The simulator behind the port: it answers and fails as providers over HTTP do."""

import json

import pytest
from tests.proxy.edge import ask

from tollway.errors import UpstreamBroken
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.port import UpstreamCall
from tollway.proxy.providers.simulator import SimulatorProvider


async def answer_of(model: str, *, stream: bool = False) -> UpstreamAnswer:
    provider = SimulatorProvider()
    body = ask(model, stream=stream).render(model, provider.asks_usage)
    return await provider.send(UpstreamCall(model, body, [], 1.0, lambda: None))


async def body_of(answer: UpstreamAnswer) -> bytes:
    body = b""
    while (piece := await answer.piece()) is not None:
        body += piece
    return body


async def test_a_whole_answer_has_a_status_headers_and_usage() -> None:
    answer = await answer_of("simulator")
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert answer.header("x-missing") is None
    assert json.loads(await body_of(answer))["usage"]["total_tokens"] > 0
    assert await answer.piece() is None
    await answer.close()


async def test_a_stream_ends_with_its_usage_and_done() -> None:
    answer = await answer_of("simulator", stream=True)
    assert (answer.header("content-type") or "").startswith("text/event-stream")
    *_, usage, done, rest = (await body_of(answer)).split(b"\n\n")
    assert json.loads(usage.removeprefix(b"data: "))["usage"]["total_tokens"] > 0
    assert (done, rest) == (b"data: [DONE]", b"")
    await answer.close()


async def test_a_simulated_refusal_is_an_answer() -> None:
    answer = await answer_of("simulator-status-429")
    assert answer.status == 429
    assert "error" in json.loads(await body_of(answer))
    await answer.close()


async def test_a_simulated_cut_is_a_broken_answer() -> None:
    answer = await answer_of("simulator-cut-3", stream=True)
    with pytest.raises(UpstreamBroken, match="cut before its end"):
        await body_of(answer)
    await answer.close()


async def test_an_answer_may_be_closed_in_the_middle() -> None:
    answer = await answer_of("simulator", stream=True)
    assert await answer.piece()
    await answer.close()
    assert await answer.piece() is None
