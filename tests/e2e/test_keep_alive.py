"""Failure 11: silence, buffering, stalls. A client that waits is told so between events, and stalled streams end."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway, models
from tests.fakes.scripts import Chunking, Script, completion, deltas, hang_after, sse, status, whole
from tests.fakes.upstream import FakeUpstream

WORDS = [f"word{number} " for number in range(8)]
PATIENCE_S = 3.0
"""How long the proxy in front waits for the gateway's next byte."""

GAP_S = 0.3
STREAMS = 200
COMMENT = ": keep-alive"
HELLO: list[Any] = [{"role": "user", "content": "Tell me a story"}]


@asynccontextmanager
async def impatient_proxy(port: int) -> AsyncIterator[int]:
    """Passes bytes on, and cuts a connection on which the gateway has sent nothing for a while; yields its port."""

    async def up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65536):
            writer.write(piece)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection("127.0.0.1", port)
        asking = asyncio.create_task(up(reader, ahead))
        try:
            while True:
                async with asyncio.timeout(PATIENCE_S):
                    piece = await behind.read(65536)
                if not piece:
                    break
                writer.write(piece)
        except TimeoutError:
            writer.transport.abort()
        finally:
            asking.cancel()
            ahead.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def reading() -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the key, who has time."""
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, timeout=60, limits=limits) as client:
        yield client


async def read(client: httpx2.AsyncClient, port: int, model: str) -> tuple[int, list[tuple[float, str]]]:
    """The status of a stream, and its blocks as they came: when, and what stands between two blank lines."""
    body = {"model": model, "messages": HELLO, "stream": True}
    blocks, rest = [], ""
    async with client.stream("POST", f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as answer:
        async for piece in answer.aiter_text():
            *whole_ones, rest = (rest + piece.replace("\r\n", "\n")).split("\n\n")
            blocks += [(time.monotonic(), block) for block in whole_ones]
    assert rest == "", "an event that was cut"
    return answer.status_code, blocks


def data_of(blocks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """The events among blocks; all others are comments, and whole ones."""
    events = [(when, block) for when, block in blocks if block != COMMENT]
    assert all(block.startswith("data: ") for _, block in events), events
    return events


async def test_a_silent_provider_is_waited_for_behind_a_proxy_that_cuts_silence(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default = sse(deltas(*WORDS, usage=None), gap_s=GAP_S, delay_s=7.0)
    patient = models("patient", timeouts={"keep_alive": "1s"})
    gateway = await asyncio.to_thread(start, models=patient | models("mute", timeouts={"keep_alive": "off"}))
    async with impatient_proxy(gateway.port) as port, reading() as client:
        mute = asyncio.create_task(read(client, port, "mute"))
        seen, blocks = await read(client, port, "patient")
        with pytest.raises(httpx2.HTTPError):
            await mute  # so that it is the comments that keep the other one
    assert seen == 200
    first = next(at for at, (_, block) in enumerate(blocks) if block != COMMENT)
    assert first >= 4, "one for each second of silence, or nearly"
    events = data_of(blocks)
    assert len(events) == len(blocks) - first, "and none between events that come in time"
    said = [json.loads(block.removeprefix("data: ")) for _, block in events[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in said) == "".join(WORDS)
    assert events[-1][1] == "data: [DONE]"
    times = [when for when, _ in events]
    assert times[-1] - times[0] > 0.8 * GAP_S * (len(events) - 2), "each left when it came, not all at the end"


@pytest.mark.parametrize("chunking", ["events", "crlf", "comments", "named", "one_byte"])
async def test_sdks_read_a_stream_with_silences_before_and_within_it(
    start: Start, upstream: FakeUpstream, chunking: Chunking
) -> None:
    told = sse(deltas(*WORDS), chunking, delay_s=1.5)
    middle = len(told.steps) // 2
    upstream.default = Script(
        told.status, told.headers, (*told.steps[:middle], ("sleep", 1.5), *told.steps[middle:]), told.framing, 1.5
    )
    gateway = await asyncio.to_thread(start, models=models("m", timeouts={"keep_alive": "500ms"}))
    assert await as_openai_reads_it(gateway) == "".join(WORDS)
    async with AsyncAnthropic(base_url=gateway.url, api_key=KEY, max_retries=0) as anthropic:
        async with anthropic.messages.stream(model="m", messages=HELLO, max_tokens=100) as stream:
            assert await stream.get_final_text() == "".join(WORDS)
    rows = await asyncio.to_thread(gateway.wait_for_rows, 2)
    assert [row["status"] for row in rows] == ["ok", "ok"]


async def as_openai_reads_it(gateway: Gateway) -> str:
    """The text of a stream, by the SDK."""
    text = ""
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=KEY, max_retries=0) as client:
        async for chunk in await client.chat.completions.create(model="m", messages=HELLO, stream=True):
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
    return text


async def test_what_goes_wrong_after_a_comment_is_an_event(start: Start, upstream: FakeUpstream) -> None:
    refused = status(400)
    upstream.default = Script(refused.status, refused.headers, refused.steps, refused.framing, 1.5)
    gateway = await asyncio.to_thread(start, models=models("m", timeouts={"keep_alive": "500ms"}))
    async with reading() as client:
        seen, blocks = await read(client, gateway.port, "m")
    assert seen == 200
    assert blocks[0][1] == COMMENT
    (event,) = data_of(blocks)
    assert "error" in json.loads(event[1].removeprefix("data: "))


async def test_a_provider_that_answers_whole_after_a_comment_is_read_as_a_stream(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default = whole(completion("Hello there."), delay_s=1.5)
    gateway = await asyncio.to_thread(start, models=models("m", timeouts={"keep_alive": "500ms"}))
    assert await as_openai_reads_it(gateway) == "Hello there."


async def test_streams_that_stall_end_at_their_limit_and_disturb_no_other_model(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.scripts["stalls"] = hang_after(1)
    upstream.scripts["well"] = whole(completion())
    stalling = models("stalls", timeouts={"idle": "2s", "keep_alive": "500ms"})
    tenants = {"acme": {"keys": {"ci": {"key": KEY}}, "limits": {"concurrency": STREAMS + 1}}}
    gateway = await asyncio.to_thread(start, models=stalling | models("well"), tenants=tenants)
    async with reading() as client:
        streams = [asyncio.create_task(read(client, gateway.port, "stalls")) for _ in range(STREAMS)]
        await upstream.until(lambda: upstream.hits_of("stalls") == STREAMS, 30.0)
        other = await client.post(f"{gateway.base_url}/chat/completions", json={"model": "well", "messages": HELLO})
        assert other.status_code == 200
        ended = await asyncio.gather(*streams)
    for seen, blocks in ended:
        assert seen == 200
        *said, last = data_of(blocks)
        assert "content" in json.loads(said[-1][1].removeprefix("data: "))["choices"][0]["delta"]
        assert json.loads(last[1].removeprefix("data: "))["error"]["code"] == "upstream_timeout"
    await upstream.until(lambda: len(upstream.aborts) == STREAMS)
    rows = await asyncio.to_thread(gateway.wait_for_rows, STREAMS + 1)
    assert sorted({row["status"] for row in rows}) == ["ok", "timeout"]
