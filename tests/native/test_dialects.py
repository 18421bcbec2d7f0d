"""Answers and streams of the dialects beside chat: the same bytes out of any chunking, and the provider's figures."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from tests.native.twins import chat as chat_twin
from tests.native.twins import sse as twin

from tollway._native import chat, sse

RECORDS = Path(__file__).parents[2] / "../shared/data/provider-traffic"
USAGE = tuple(chat_twin.usage({}))

Dialect = Literal["messages", "responses"]


def records(*, stream: bool) -> Iterator[dict[str, Any]]:
    for file in sorted(RECORDS.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            record = json.loads(line)
            if record["operation"] in ("messages", "responses") and record["stream"] == stream:
                yield record


def recorded(*, stream: bool) -> list[Any]:
    found = [pytest.param(record, id=record["id"]) for record in records(stream=stream)]
    return found or [pytest.param(None, marks=pytest.mark.skip(reason="the recorded provider traffic is not there"))]


def counts(usage: chat.Usage) -> dict[str, int | None]:
    return {name: getattr(usage, name) for name in USAGE}


def run(relay: sse.Relay, chunks: Iterable[bytes]) -> bytes:
    return b"".join([*map(relay.feed, chunks), relay.finish()])


def pieces(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


@pytest.mark.parametrize("record", recorded(stream=False))
def test_recorded_answers_are_read_with_their_figures(record: dict[str, Any]) -> None:
    body = record["response"]["body"]
    answer = chat.read_answer(body.encode(), record["operation"])
    told = json.loads(body)
    failed = record["response"]["status"] != 200
    assert answer.error == failed
    if failed:
        assert (answer.choices, answer.finish_reasons) == (0, [])
        return
    usage_of = chat_twin.message_usage if record["operation"] == "messages" else chat_twin.response_usage
    assert counts(answer.usage) == usage_of(told["usage"])
    assert (answer.model, answer.choices) == (told["model"], 1)
    reason = told.get("stop_reason") or (told.get("incomplete_details") or {}).get("reason") or told["status"]
    assert answer.finish_reasons == [reason]
    assert answer.count_completion("o200k_base") > 0 or told.get("output") == []


def spellings(stream: bytes) -> Iterator[bytes]:
    """The same events in other framings: CRLF, comments between them, no names, no last blank line."""
    yield stream.replace(b"\n", b"\r\n")
    yield stream.replace(b"\n\n", b"\n\n: ping\n\n")
    yield b"\n".join(line for line in stream.split(b"\n") if not line.startswith(b"event:"))
    yield stream.rstrip()


@pytest.mark.parametrize("record", recorded(stream=True))
def test_recorded_streams_pass_byte_for_byte_with_their_figures(record: dict[str, Any]) -> None:
    stream, dialect = record["response"]["body"].encode(), record["operation"]
    passed, last = twin.named_payloads(stream)
    usage_of = twin.message_usage if dialect == "messages" else twin.response_usage
    sizes = [*range(1, 65, 9), 64, len(stream)]
    for spelt in [stream, *spellings(stream)]:
        for size in sizes:
            relay = sse.Relay(True, dialect=dialect)
            out = run(relay, pieces(spelt, size)).replace(b": ping\n\n", b"")
            out = out.replace(b": OPENROUTER PROCESSING\n\n", b"")
            assert out == twin.framed(passed)
            assert relay.last == twin.framed(last)
            assert counts(relay.usage) == usage_of(stream)
            assert relay.complete == relay.done == (not relay.failed)
        reader = sse.Relay(True, dialect=dialect)
        found = [payload for piece in pieces(spelt, 61) for payload in reader.feed_payloads(piece)]
        assert found + reader.finish_payloads() == passed
        assert reader.last == twin.framed(last)
    assert relay.failed == any(json.loads(payload)["type"] == "error" for payload in passed)
    assert relay.failed or (relay.has_content and relay.count_completion("o200k_base") > 0)


def test_one_recorded_stream_of_each_dialect_passes_in_every_chunking() -> None:
    seen: set[str] = set()
    for record in records(stream=True):
        stream, dialect = record["response"]["body"].encode(), record["operation"]
        if dialect in seen or len(stream) > 6_000:
            continue
        seen.add(dialect)
        passed, last = twin.named_payloads(stream)
        for size in range(1, 65):
            relay = sse.Relay(True, dialect=dialect)
            assert run(relay, pieces(stream, size)) == twin.framed(passed)
            assert relay.last == twin.framed(last)
    if not seen:
        pytest.skip("the recorded provider traffic is not there")
    assert seen == {"messages", "responses"}


ERRORS: list[tuple[Dialect, dict[str, Any]]] = [
    ("messages", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ("responses", {"type": "error", "code": "server_error", "message": "x"}),
]


@pytest.mark.parametrize(("dialect", "error"), ERRORS)
@pytest.mark.parametrize("hold_error", [False, True])
def test_an_error_is_told_and_passes_unless_it_is_held(dialect: Dialect, error: Any, hold_error: bool) -> None:
    payload = json.dumps(error).encode()
    relay = sse.Relay(True, dialect=dialect, hold_error=hold_error)
    assert relay.feed(twin.framed([payload, b'{"type":"ping"}'])) == (b"" if hold_error else twin.framed([payload]))
    assert (relay.failed, relay.error, relay.last, relay.has_content) == (True, payload, b"", False)


def test_a_held_error_of_a_chat_is_told_and_not_sent() -> None:
    payload = b'{"error":{"message":"overloaded"}}'
    relay = sse.Relay(True, hold_error=True)
    assert relay.feed_payloads(b"data: %s\n\ndata: [DONE]\n\n" % payload) == []
    assert (relay.failed, relay.error) == (True, payload)


def test_the_end_of_a_chat_is_always_the_same() -> None:
    relay = sse.Relay(True)
    assert relay.last == b"data: [DONE]\n\n"
    assert relay.feed_payloads(b'data: {"choices":[]}\n\ndata: [DONE]\n\n') == [b'{"choices":[]}']
    assert relay.last == b"data: [DONE]\n\n"


def test_a_failed_response_ends_with_its_own_event() -> None:
    payload = json.dumps(
        {"type": "response.failed", "response": {"status": "failed", "error": {"message": "x"}}}
    ).encode()
    relay = sse.Relay(True, dialect="responses")
    assert relay.feed(twin.framed([payload])) == b""
    assert (relay.failed, relay.done, relay.complete) == (True, True, False)
    assert (relay.error, relay.last, relay.finish_reasons) == (payload, twin.framed([payload]), ["failed"])


def test_a_dialect_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="use chat, messages, responses"):
        sse.Relay(True, dialect="gemini")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="use chat, completions"):
        chat.read_answer(b"{}", "gemini")


@pytest.mark.parametrize(
    ("operation", "body", "prompt", "completion", "choices"),
    [
        ("rerank", {"results": [{}, {}], "meta": {"billed_units": {"search_units": 1}}}, None, None, 2),
        ("rerank", {"results": [{}], "meta": {"billed_units": {"input_tokens": 7.0, "output_tokens": 0}}}, 7, 0, 1),
        ("rerank", {"results": [{}], "usage": {"prompt_tokens": 9, "total_tokens": 9}}, 9, 0, 1),
        ("rerank", {"results": [{}], "usage": {"total_tokens": 9}}, 9, 0, 1),
        ("moderations", {"results": [{"flagged": False}]}, None, None, 1),
        ("images", {"data": [{}, {}], "usage": {"input_tokens": 5, "output_tokens": 8, "total_tokens": 13}}, 5, 8, 2),
        ("image_edits", {"data": [{}]}, None, None, 1),
        ("transcriptions", {"text": "hello", "usage": {"type": "duration", "seconds": 9}}, None, None, 1),
        ("transcriptions", {"text": "x", "usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 8}}, 5, 8, 1),
        ("embeddings", {"data": [{}], "usage": {"prompt_tokens": 3, "total_tokens": 3}}, 3, 0, 0),
    ],
)  # fmt: skip
def test_the_figures_of_the_other_operations_are_read(
    operation: str, body: dict[str, Any], prompt: int | None, completion: int | None, choices: int
) -> None:
    answer = chat.read_answer(json.dumps(body).encode(), operation)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (prompt, completion)
    assert (answer.choices, answer.error) == (choices, False)


def test_an_hours_cache_is_told_apart_in_both_dialects() -> None:
    told = {"input_tokens": 1, "output_tokens": 2, "cache_creation": {"ephemeral_1h_input_tokens": 30}}
    usage = chat.read_answer(json.dumps({"type": "message", "usage": told}).encode(), "messages").usage
    assert (usage.prompt_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens) == (31, 30, 30)
    details = {"cache_write_tokens": 40, "cache_write_1h_tokens": 30}
    usage = chat.read_answer(json.dumps({"usage": {"prompt_tokens_details": details}}).encode()).usage
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (40, 30)


def test_what_a_transcription_says_is_counted() -> None:
    answer = chat.read_answer(b'{"text": "hello world"}', "transcriptions")
    assert answer.count_completion("o200k_base") == 2
