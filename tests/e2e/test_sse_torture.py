"""Failure 10: the same stream in every framing that providers use gives the same JSON, one [DONE], and its usage."""

import asyncio
import json

import httpx2
import pytest
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, models
from tests.fakes.records import payloads
from tests.fakes.scripts import CHUNKINGS, stream
from tests.fakes.upstream import FakeUpstream

TEXT = ["Grüße, ", "世界！", "👩‍🚀🚀", " — 数字 42 ", "𝔘𝔫𝔦"]  # noqa: RUF001 -- odd letters are the point


def events() -> list[dict[str, object]]:
    """CJK, emoji, two tool calls in parallel, an empty ``choices``, finish, and usage."""

    def chunk(delta: dict[str, object], finish: str | None = None) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    def call(index: int, **function: str) -> dict[str, object]:
        opened = {"id": f"call_{index}", "type": "function"} if "name" in function else {}
        return chunk({"tool_calls": [{"index": index, **opened, "function": function}]})

    first = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
    calls = [
        call(0, name="find", arguments=""),
        call(0, arguments='{"city": "'),
        call(1, name="weather", arguments=""),
        call(1, arguments='{"ort": "北京 😀"}'),
        call(0, arguments='東京"}'),
    ]
    usage = {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}
    last = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}
    texts = [chunk({"content": text}) for text in TEXT]
    return [first, chunk({"role": "assistant", "content": ""}), *texts, *calls, chunk({}, "tool_calls"), last]


@pytest.mark.parametrize("asked", [False, True], ids=["usage hidden", "usage asked for"])
async def test_every_framing_gives_the_same_answer(start: Start, upstream: FakeUpstream, asked: bool) -> None:
    sent = events()
    text = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in sent) + "data: [DONE]\n\n"
    upstream.scripts = {str(chunking): stream(text, chunking) for chunking in CHUNKINGS}
    gateway = await asyncio.to_thread(start, models=models(*map(str, CHUNKINGS)))
    expected = sent if asked else sent[:-1]
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers={"authorization": f"Bearer {KEY}"}) as client:
        for chunking in CHUNKINGS:
            body: dict[str, object] = {"model": str(chunking), "messages": [{"role": "user", "content": "Hi"}]}
            options = {"stream_options": {"include_usage": True}} if asked else {}
            answer = await client.post("/chat/completions", json={**body, "stream": True, **options}, timeout=30)
            assert payloads(answer.text) == expected, chunking
            assert answer.text.count("data: [DONE]") == 1
            assert answer.text.endswith("data: [DONE]\n\n")
            assert "\ufffd" not in answer.text
    rows = await asyncio.to_thread(gateway.wait_for_rows, len(CHUNKINGS))
    assert [(row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) for row in rows] == [
        (11, 22, "told")
    ] * len(CHUNKINGS)
