"""The simulator in-process: what the gateway's provider kind ``simulator`` gets."""

import asyncio
import json
from typing import Any

import pytest

from tollway._native import tokens
from tollway.simulation.behaviour import Behaviour
from tollway.simulation.respond import ConnectionCut, Simulated, respond

PLAIN = Behaviour()
HELLO = [{"role": "user", "content": "Tell me about bridges, please."}]


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "simulator", "messages": HELLO, **fields}).encode()


async def asked(behaviour: Behaviour = PLAIN, **fields: Any) -> Simulated:
    return await respond(body(**fields), behaviour)


async def whole(simulated: Simulated) -> Any:
    chunks = [chunk async for chunk in simulated.chunks]
    assert len(chunks) == 1
    return json.loads(chunks[0])


async def events(simulated: Simulated) -> list[Any]:
    """The payloads of a stream, in which each chunk is exactly one event."""
    told = [chunk async for chunk in simulated.chunks]
    assert all(event.startswith(b"data: ") and event.endswith(b"\n\n") and event.count(b"\n\n") == 1 for event in told)
    assert told[-1] == b"data: [DONE]\n\n"
    return [json.loads(event.removeprefix(b"data: ")) for event in told[:-1]]


def content(payloads: list[Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for told in payloads for choice in told.get("choices", []))


async def test_the_same_request_gets_the_same_answer() -> None:
    first, second = await whole(await asked()), await whole(await asked())
    assert first["choices"] == second["choices"]
    assert "Tell me about bridges" in first["choices"][0]["message"]["content"]


async def test_another_seed_gets_another_answer() -> None:
    answers = {(await whole(await asked(seed=seed)))["choices"][0]["message"]["content"] for seed in range(8)}
    assert len(answers) > 1


async def test_a_stream_says_what_the_whole_answer_says() -> None:
    told = await events(await asked(stream=True))
    assert content(told) == (await whole(await asked()))["choices"][0]["message"]["content"]
    assert [choice["finish_reason"] for chunk in told for choice in chunk["choices"] if choice["finish_reason"]] == [
        "stop"
    ]
    assert not any("usage" in chunk for chunk in told)


async def test_usage_is_streamed_when_it_is_asked_for() -> None:
    told = await events(await asked(stream=True, stream_options={"include_usage": True}))
    *earlier, last = told
    assert all(chunk["usage"] is None for chunk in earlier)
    assert last["choices"] == []
    assert last["usage"] == (await whole(await asked()))["usage"]


async def test_usage_counts_the_tokens_of_the_text() -> None:
    answer = await whole(await asked(model="gpt-4o"))
    used = answer["usage"]
    assert used["completion_tokens"] == tokens.count("o200k_base", answer["choices"][0]["message"]["content"])
    assert used["total_tokens"] == used["prompt_tokens"] + used["completion_tokens"]


@pytest.mark.parametrize("parts", [1, 2, 20, 70])
async def test_the_text_is_streamed_in_as_many_deltas_as_were_asked_for(parts: int) -> None:
    told = await events(await asked(Behaviour(chunks=parts), stream=True))
    deltas = [
        choice["delta"]["content"] for chunk in told for choice in chunk["choices"] if choice["delta"].get("content")
    ]
    assert len(deltas) == parts


@pytest.mark.parametrize("allowed", [1, 2, 7, 19])
async def test_an_answer_is_cut_to_the_tokens_allowed(allowed: int) -> None:
    answer = await whole(await asked(max_tokens=allowed))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] <= allowed


async def test_a_stop_text_ends_the_answer_before_it() -> None:
    text = (await whole(await asked()))["choices"][0]["message"]["content"]
    stop = text[20:26]
    answer = await whole(await asked(stop=["never in it", stop]))
    assert answer["choices"][0]["message"]["content"] == text[: text.index(stop)]
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_each_of_n_choices_is_streamed_under_its_index() -> None:
    told = await events(await asked(stream=True, n=3))
    said = {number: "" for number in range(3)}
    for chunk in told:
        for choice in chunk["choices"]:
            said[choice["index"]] += choice["delta"].get("content") or ""
    answers = await whole(await asked(n=3))
    assert list(said.values()) == [choice["message"]["content"] for choice in answers["choices"]]


async def test_a_cut_stream_raises_after_the_deltas() -> None:
    simulated = await asked(model="simulator-cut-3", stream=True)
    for _ in range(1 + 3):
        assert (await anext(simulated.chunks)).startswith(b"data: ")
    with pytest.raises(ConnectionCut):
        await anext(simulated.chunks)


async def test_a_cut_whole_answer_is_half_of_it() -> None:
    simulated = await asked(model="simulator-cut-3")
    told = await anext(simulated.chunks)
    with pytest.raises(ConnectionCut):
        await anext(simulated.chunks)
    with pytest.raises(json.JSONDecodeError):
        json.loads(told)


async def test_an_error_event_follows_the_deltas_and_no_finish_reason() -> None:
    told = await events(await asked(model="simulator-error-2", stream=True, stream_options={"include_usage": True}))
    *_, error, usage = told
    assert error["error"]["type"] == "server_error"
    assert usage["usage"]["total_tokens"] == 0
    assert not any(choice["finish_reason"] for chunk in told for choice in chunk.get("choices", []))


async def test_a_hang_never_answers_and_ends_when_cancelled() -> None:
    waiting = asyncio.create_task(asked(model="simulator-hang"))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_hang_after_deltas_is_silent_after_them() -> None:
    simulated = await asked(model="simulator-hang-2", stream=True)
    for _ in range(3):
        await anext(simulated.chunks)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(simulated.chunks), 0.05)


async def test_a_status_is_openais_envelope_with_its_headers() -> None:
    simulated = await asked(model="simulator-status-429")
    assert simulated.status == 429
    assert ("retry-after", "1") in simulated.headers
    assert (await whole(simulated))["error"]["code"] == "rate_limit_exceeded"


async def test_the_fail_rate_fails_all_none_or_some() -> None:
    async def statuses(rate: float) -> set[int]:
        return {(await asked(Behaviour(fail_rate=rate, fail_status=502))).status for _ in range(100)}

    assert await statuses(0.0) == {200}
    assert await statuses(1.0) == {502}
    assert await statuses(0.5) == {200, 502}


@pytest.mark.parametrize(
    ("sent", "param", "code"),
    [
        (b"", None, None),
        (b"not json", None, None),
        (b"[]", None, None),
        (b'{"model": "\xff"}', None, None),
        (b'{"x":' + b"[" * 100_000, None, None),
        (b'{"model": "simulator"}', "messages", "missing_required_parameter"),
        (b'{"messages": [{"role": "user"}]}', "model", "missing_required_parameter"),
        (body(messages=[]), "messages", "invalid_value"),
        (body(messages=[{"role": "pirate", "content": "ahoy"}]), "messages[0].role", "invalid_value"),
        (body(messages=[{"role": "user", "content": 5}]), "messages[0].content", "invalid_type"),
        (body(n=0), "n", "invalid_value"),
        (body(n=1000), "n", "invalid_value"),
        (body(temperature=3), "temperature", "invalid_value"),
        (body(max_tokens=0), "max_tokens", "invalid_value"),
        (body(top_logprobs=2), "top_logprobs", "invalid_value"),
        (body(stream_options={"include_usage": True}), "stream_options", "invalid_value"),
        (body(tool_choice="required"), "tool_choice", None),
        (body(response_format={"type": "json_schema"}), "response_format.json_schema", "missing_required_parameter"),
        (
            body(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}),
            "response_format",
            "invalid_json_schema",
        ),
    ],
)
async def test_a_faulty_request_is_refused_as_openai_does(sent: bytes, param: str | None, code: str | None) -> None:
    simulated = await respond(sent, Behaviour())
    error = (await whole(simulated))["error"]
    assert (simulated.status, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == (param, code)


async def test_a_large_request_is_answered_too() -> None:
    answer = await whole(await asked(messages=[{"role": "user", "content": "word " * 100_000}]))
    assert answer["usage"]["prompt_tokens"] > 100_000
