"""Passage beside chat: bytes and events as they come, the last event after settlement, and no cut that looks whole."""

import asyncio
import json
from types import EllipsisType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.proxy import edge
from tests.proxy.edge import ACCESS, Answer, Client, arrive, dispatched, route

from tollway._native import chat
from tollway.contract.snapshot import Operation, Route, Timeouts
from tollway.errors import UpstreamBroken, UpstreamTimeout
from tollway.proxy.exchange import Called, Progress, Relayed
from tollway.proxy.relay import passage

CUT = UpstreamBroken("The provider's answer was cut before its end.")
QUICK = route("m", timeouts=Timeouts(idle_s=0.05))
SPEECH = {"model": "m", "input": "Hello there.", "voice": "alloy"}
PROMPT = {"model": "m", "prompt": "An otter"}
USAGE = {"input_tokens": 11, "output_tokens": 272, "total_tokens": 283}


def event(payload: dict[str, Any], end: str = "\n") -> bytes:
    return f"event: {payload['type']}{end}data: {json.dumps(payload)}{end}{end}".encode()


PARTIAL = event({"type": "image_generation.partial_image", "b64_json": "AAAA"})
COMPLETED = event({"type": "image_generation.completed", "b64_json": "BBBB", "usage": USAGE})
ERROR = event({"type": "error", "error": {"message": "No", "type": "server_error"}})


def answered(
    operation: Operation, body: dict[str, Any], answer: Answer, client: Client | None = None, way: Route | None = None
) -> Called:
    way = way or route()
    arrival = arrive(client, operation=operation)
    request = chat.read_request(json.dumps(body).encode(), operation)
    deadline = asyncio.get_running_loop().time() + way.timeouts.total_s
    return Called(arrival, request, way, way.targets[0], answer, deadline, arrival.connection.task, operation)


def sound(*script: bytes | Exception | EllipsisType) -> Answer:
    return Answer(*script, content_type="audio/mpeg")


def streamed(*script: bytes | Exception | EllipsisType) -> Answer:
    return Answer(*script, content_type="text/event-stream; charset=utf-8")


async def relayed(call: Called, progress: Progress | None = None) -> Relayed:
    answer = call.answer
    assert isinstance(answer, Answer)
    try:
        return await edge.relayed(call, progress)
    finally:
        assert answer.closed == 1, "given back or cut, however it ended"


async def images(answer: Answer, client: Client, progress: Progress | None = None, **fields: Any) -> Relayed:
    way = fields.pop("way", None)
    return await relayed(answered("images", {**PROMPT, "stream": True, **fields}, answer, client, way), progress)


async def test_sound_leaves_piece_by_piece_all_but_its_end() -> None:
    client, progress = Client(), dispatched()
    done = await relayed(answered("speech", SPEECH, sound(b"one", b"two"), client), progress)
    assert (done.status, done.headers, done.body, done.outcome) == (200, None, b"", "ok")
    assert [message["body"] for message in client.sent[1:]] == [b"one", b"two"]
    assert client.headers[b"content-type"] == b"audio/mpeg"
    assert client.ends == 0
    assert progress.first_piece_ns is not None


async def test_an_empty_sound_is_an_answer() -> None:
    client = Client()
    done = await relayed(answered("speech", SPEECH, sound(), client))
    assert (client.status, client.body, done.outcome) == (200, b"", "ok")


@pytest.mark.parametrize(("last", "outcome"), [(CUT, "cut"), (..., "timeout")])
async def test_sound_that_is_cut_is_marked_so(last: Exception | EllipsisType, outcome: str) -> None:
    client = Client()
    call = answered("speech", SPEECH, sound(b"one", last), client, QUICK)
    done = await relayed(call)
    assert (done.headers, done.body, done.outcome) == (None, b"", outcome)
    assert call.arrival.connection.is_opaque


@pytest.mark.parametrize(("last", "error"), [(CUT, UpstreamBroken), (..., UpstreamTimeout)])
async def test_a_sound_that_never_began_is_a_refusal(last: Exception | EllipsisType, error: type[Exception]) -> None:
    client = Client()
    with pytest.raises(error):
        await relayed(answered("speech", SPEECH, sound(last), client, QUICK))
    assert client.sent == []


@pytest.mark.parametrize(
    ("operation", "kind", "body"),
    [("transcriptions", "text/plain; charset=utf-8", b"Hello\n"), ("translations", "text/vtt", b"WEBVTT\n")],
)
async def test_subtitles_pass_with_their_type(operation: Operation, kind: str, body: bytes) -> None:
    client = Client()
    done = await relayed(answered(operation, {"model": "m"}, Answer(body, content_type=kind), client))
    assert (client.body, client.headers[b"content-type"].decode(), done.outcome) == (body, kind, "ok")


async def test_bytes_never_follow_a_comment() -> None:
    client = Client()
    call = answered("transcriptions", {"model": "m", "stream": True}, Answer(b"Hi.", content_type="text/plain"), client)
    call.arrival.connection.keep_alive(0.01, lambda: [(b"content-type", b"text/event-stream")])
    await client.has_body.wait()
    with pytest.raises(UpstreamBroken, match="in events"):
        await relayed(call)
    assert client.body.strip(b"\n") == b": keep-alive"


async def test_a_comment_never_follows_bytes() -> None:
    client = Client()
    slow = Answer(b"one", b"two", content_type="audio/mpeg")
    call = answered("speech", SPEECH, slow, client)
    call.arrival.connection.keep_alive(0.01, list)
    done = await relayed(call)
    await asyncio.sleep(0.05)
    assert (done.outcome, client.body) == ("ok", b"onetwo")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/problem+json"])
async def test_what_is_json_is_held_back_whole(kind: str) -> None:
    client, progress = Client(), dispatched()
    body = json.dumps({"created": 1, "data": [{}], "usage": USAGE}).encode()
    done = await relayed(answered("images", PROMPT, Answer(body, content_type=kind), client), progress)
    assert (done.body, client.sent) == (body, [])
    assert progress.answer is not None
    assert progress.answer.usage.completion_tokens == 272


async def test_the_last_event_waits_for_settlement() -> None:
    client, progress = Client(), dispatched()
    done = await images(streamed(PARTIAL, COMPLETED), client, progress)
    assert (client.body, done.body, done.outcome) == (PARTIAL, COMPLETED, "ok")
    assert progress.answer is not None
    assert progress.answer.usage.prompt_tokens == 11


async def test_two_images_have_two_last_events() -> None:
    client = Client()
    done = await images(streamed(COMPLETED, PARTIAL, COMPLETED, ...), client, n=2, way=QUICK)
    assert (client.body, done.body, done.outcome) == (COMPLETED + PARTIAL, COMPLETED, "ok")


async def test_after_the_last_event_a_provider_that_does_not_end_is_not_awaited() -> None:
    client = Client()
    async with asyncio.timeout(30):  # half of what a silent provider is given before its last event
        done = await images(streamed(COMPLETED, ...), client)
    assert (client.body, done.body, done.outcome) == (b"", COMPLETED, "ok")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=40))
async def test_events_pass_as_they_came_however_they_are_cut(end: str, sizes: list[int]) -> None:
    body = b": hello" + end.encode() * 2
    body += event({"type": "image_generation.partial_image", "b64_json": "A" * 50}, end)
    body += event({"type": "image_generation.completed", "usage": USAGE}, end)
    pieces, rest = [], body
    while rest:
        for size in sizes:
            pieces.append(rest[:size])
            rest = rest[size:]
    client = Client()
    done = await images(streamed(*filter(None, pieces)), client)
    assert client.body + (done.body or b"") == body
    assert b"completed" in done.body
    assert done.outcome == "ok"


async def test_a_stream_without_its_last_blank_line_gets_one() -> None:
    client = Client()
    done = await images(streamed(PARTIAL, COMPLETED.rstrip()), client)
    assert (done.body, done.outcome) == (COMPLETED, "ok")


@pytest.mark.parametrize(("last", "outcome"), [(CUT, "cut"), (None, "cut"), (..., "timeout")])
async def test_a_stream_that_lacks_its_last_event_ends_in_an_error(
    last: Exception | EllipsisType | None, outcome: str
) -> None:
    client = Client()
    script = [PARTIAL, COMPLETED[:40], *([last] if last is not None else [])]
    done = await images(streamed(*script), client, way=QUICK)
    assert client.body == PARTIAL, "no half of an event"
    assert done.body.startswith(b'data: {"error":')
    assert done.outcome == outcome


async def test_an_error_that_comes_first_is_a_refusal() -> None:
    client = Client()
    done = await images(streamed(ERROR), client)
    assert (client.sent, done.status, done.outcome) == ([], 502, "error")
    assert done.headers is not None


async def test_an_error_that_comes_later_passes_and_ends_the_stream() -> None:
    client = Client()
    done = await images(streamed(PARTIAL, ERROR, PARTIAL, ...), client, way=QUICK)
    assert (client.body, done.body, done.outcome) == (PARTIAL + ERROR, b"", "error")


async def test_a_key_that_a_later_error_repeats_does_not_leave() -> None:
    key = ACCESS.api_key or ""
    told = event({"type": "error", "error": {"message": f"bad key {key}", "type": "server_error"}})
    client = Client()
    await images(streamed(PARTIAL, told, ...), client, way=QUICK)
    assert client.body == PARTIAL + told.replace(key.encode(), b"[secret]")


async def test_a_transcript_that_tells_no_usage_is_counted() -> None:
    client, progress = Client(), dispatched()
    deltas = [event({"type": "transcript.text.delta", "delta": word}) for word in ("Hello", " there", ".")]
    call = answered("transcriptions", {"model": "m", "stream": True}, streamed(*deltas, CUT), client)
    done = await relayed(call, progress)
    assert (done.outcome, progress.answer) == ("cut", None)
    assert progress.reader is not None
    assert progress.reader.count_completion("o200k_base") == 3


async def test_a_stream_that_ends_as_vllm_does_is_complete() -> None:
    client = Client()
    chunk = b'data: {"object": "transcription.chunk", "choices": [{"delta": {"content": "Hello"}}]}\n\n'
    call = answered("transcriptions", {"model": "m", "stream": True}, streamed(chunk, b"data: [DONE]\n\n"), client)
    done = await relayed(call)
    assert (client.body, done.body, done.outcome) == (chunk, b"data: [DONE]\n\n", "ok")


async def test_a_large_event_is_read_in_a_thread() -> None:
    client, progress = Client(), dispatched()
    picture = {"type": "image_generation.completed", "b64_json": "A" * passage.INLINE_BYTES, "usage": USAGE}
    done = await images(streamed(event(picture)), client, progress)
    assert (done.body, done.outcome) == (event(picture), "ok")
    assert progress.answer is not None


async def test_an_event_without_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage, "MOST_EVENT_BYTES", 1000)
    client = Client()
    done = await images(streamed(PARTIAL, b"data: " + b"A" * 2000), client)
    assert (client.body, done.outcome) == (PARTIAL, "cut")
    assert b"too large" in done.body


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=10))
async def test_whatever_a_provider_streams_the_relay_survives(pieces: list[bytes]) -> None:
    client = Client()
    done = await images(streamed(*pieces), client)
    assert done.outcome in ("ok", "error", "cut")
