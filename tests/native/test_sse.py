"""The relay of a chat stream: the same events out of any chunking, and the upstream's figures on the way."""

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.native.twins import chat as chat_twin
from tests.native.twins import sse as twin

from tollway._native import sse

RECORDS = Path(__file__).parents[2] / "../shared/data/provider-traffic"
USAGE = tuple(chat_twin.usage({}))


def chunk(content: str | None = None, finish: str | None = None, index: int = 0, **rest: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]} | rest


def wire(*payloads: Any, newline: str = "\n") -> bytes:
    spelt = [p if isinstance(p, str) else json.dumps(p, ensure_ascii=False) for p in payloads]
    return "".join(f"data: {payload}{newline}{newline}" for payload in spelt).encode()


def run(relay: sse.Relay, chunks: Iterable[bytes]) -> bytes:
    return b"".join([*map(relay.feed, chunks), relay.finish()])


def facts(relay: sse.Relay) -> dict[str, Any]:
    names = ("done", "failed", "complete", "has_content", "events", "finish_reasons", "error")
    return {name: getattr(relay, name) for name in names} | {name: getattr(relay.usage, name) for name in USAGE}


def cuttings(stream: bytes, seed: str) -> Iterator[list[bytes]]:
    """The same bytes in one piece, in single bytes, in lines, and cut at random."""
    yield [stream]
    yield [stream[at : at + 1] for at in range(len(stream))]
    yield stream.splitlines(keepends=True)
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(len(stream) // 60))
    yield [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


TORTURE = [
    {"choices": [], "id": "", "model": "", "created": 0, "prompt_filter_results": []},
    chunk("") | {"usage": None},
    chunk('你好,世界 👩‍👩‍👧‍👦 "usage": {"prompt_tokens": 1}'),
    {
        "choices": [
            {
                "index": 0,
                "delta": {
                    "tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": '{"é": "😀"}'}}]
                },
            }
        ]
    },
    chunk(None, "tool_calls"),
    {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}},
]
CONTENT = TORTURE[:-1]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("noise", ["", ": ping{n}{n}", "id: 7{n}event: message{n}retry: 10{n}"])
@pytest.mark.parametrize("tail", ["data: [DONE]{n}{n}", "data: [DONE]{n}", "data: [DONE]"])
def test_a_tortured_stream_comes_out_the_same(newline: str, noise: str, tail: str) -> None:
    noise = noise.format(n=newline)
    stream = b"".join(noise.encode() + wire(payload, newline=newline) for payload in TORTURE)
    stream += tail.format(n=newline).encode()
    for chunks in cuttings(stream, newline + noise):
        relay = sse.Relay(hide_usage=True)
        out = run(relay, chunks)
        assert out.replace(b": ping\n\n", b"") == wire(*CONTENT)
        assert "\ufffd" not in out.decode()
        assert relay.done
        assert relay.complete
        assert (relay.usage.prompt_tokens, relay.usage.completion_tokens) == (9, 4)
        assert relay.finish_reasons == ["tool_calls"]


def test_a_chunk_that_passes_whole_is_the_same_object() -> None:
    relay = sse.Relay(False)
    for piece in (wire(chunk("a")), wire(chunk("b"), chunk("c")), b": ping\n\n"):
        assert relay.feed(piece) is piece


def test_the_usage_chunk_reaches_only_who_asked_for_it() -> None:
    stream = wire(*TORTURE, "[DONE]")
    assert run(sse.Relay(True), [stream]) == wire(*CONTENT)
    assert run(sse.Relay(False), [stream]) == wire(*TORTURE)


def test_usage_beside_a_choice_is_never_hidden() -> None:
    last = chunk("x", "stop", usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})
    relay = sse.Relay(True)
    assert run(relay, [wire(last)]) == wire(last)
    assert (relay.usage.prompt_tokens, relay.usage.completion_tokens) == (1, 2)


def test_an_error_passes_once_and_zeros_behind_it_do_not_count() -> None:
    error = {"error": {"message": "overloaded", "type": "server_error"}}
    zeros = {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}
    for chunks in cuttings(wire(chunk("a"), error, error, zeros, chunk("b"), "[DONE]"), "error"):
        relay = sse.Relay(False)
        assert run(relay, chunks) == wire(chunk("a"), error)
        assert relay.failed
        assert relay.done
        assert not relay.complete
        assert json.loads(relay.error or b"null") == error
        assert relay.usage.prompt_tokens is None


@pytest.mark.parametrize("error", ["Incorrect API key", {"message": "x"}])
def test_an_error_may_be_the_first_event(error: Any) -> None:
    relay = sse.Relay(True)
    assert run(relay, [wire({"error": error})]) == wire({"error": error})
    assert (relay.failed, relay.has_content, relay.events) == (True, False, 1)


def test_a_named_error_keeps_its_name() -> None:
    event = b'event: error\ndata: {"message": "x"}\n\n'
    relay = sse.Relay(True)
    assert run(relay, [event, wire(chunk("a"))]) == event
    assert relay.failed


def test_a_cut_stream_is_not_complete() -> None:
    whole = wire(chunk("a"), chunk("b", index=1), chunk(None, "stop"))
    relay = sse.Relay(True)
    assert run(relay, [whole, b'data: {"choices":[{"ind']) == whole
    assert not relay.complete


def test_a_stream_without_done_is_complete_by_its_finish_reasons() -> None:
    relay = sse.Relay(True)
    run(relay, [wire(chunk("a"), chunk("b", index=1), chunk(None, "stop"), chunk(None, "length", index=1))])
    assert relay.complete
    assert not relay.done
    assert relay.finish_reasons == ["stop", "length"]


def test_what_was_said_is_counted_over_chunks() -> None:
    relay = sse.Relay(True)
    run(relay, [wire(chunk("hel"), chunk("lo wor"), chunk("ld"))])
    assert relay.count_completion("o200k_base") == 2
    with pytest.raises(ValueError, match="o200k_base"):
        relay.count_completion("p50k_base")


def test_text_beyond_what_is_kept_is_counted_by_its_bytes() -> None:
    relay = sse.Relay(True, keep_bytes=0)
    run(relay, [wire(chunk("x" * 400))])
    assert relay.count_completion("o200k_base") == 100


def test_an_endless_event_breaks_the_stream() -> None:
    relay = sse.Relay(True, max_event_bytes=1_000)
    assert relay.feed(b"data: " + b"x" * 900) == b""
    with pytest.raises(sse.EventTooLarge, match="1000 bytes"):
        relay.feed(b"x" * 900)
    assert relay.failed
    assert relay.feed(wire(chunk("a"))) == b""


PAYLOAD = (
    st.sampled_from(TORTURE)
    | st.text(max_size=8).map(chunk)
    | st.sampled_from(["stop", "length"]).map(lambda f: chunk(None, f))
)
EVENT = st.tuples(st.sampled_from(["", ": ping\n\n", "id: 1\n", "event: x\n"]), PAYLOAD)
ENDING = st.sampled_from(
    [b"", b"data: [DONE]\n\n", b"data: [DONE]", b'event: error\ndata: {"error":"x"}\n\ndata: {}\n\n']
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    stream = b"".join(noise.encode() + wire(payload) for noise, payload in draw(st.lists(EVENT, max_size=6)))
    stream += draw(ENDING)
    mark = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return mark + stream.replace(b"\n", draw(st.sampled_from([b"\n", b"\r\n", b"\r"])))


@given(streams(), st.booleans(), st.lists(st.integers(0, 2_000), max_size=12))
@settings(deadline=None, max_examples=300)
def test_any_chunking_gives_what_the_twin_gives(stream: bytes, hide_usage: bool, cuts: list[int]) -> None:
    cuts = sorted(cut % (len(stream) + 1) for cut in cuts)
    relay, single = sse.Relay(hide_usage), sse.Relay(hide_usage)
    out = run(relay, [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)])
    assert out == run(single, [stream[at : at + 1] for at in range(len(stream))])
    assert facts(relay) == facts(single)
    assert [data for _, data in twin.events(out)] == twin.payloads(stream, hide_usage)
    assert {name: getattr(relay.usage, name) for name in USAGE} == twin.usage(stream)


@given(streams(), st.lists(st.integers(0, 2_000), max_size=12))
@settings(deadline=None, max_examples=300)
def test_any_chunking_gives_the_payloads_of_the_events(stream: bytes, cuts: list[int]) -> None:
    cuts = sorted(cut % (len(stream) + 1) for cut in cuts)
    reader, single = sse.Payloads(), sse.Payloads()
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = [payload for piece in pieces for payload in reader.feed(piece)] + reader.finish()
    assert found == [data for _, data in twin.events(stream)]
    assert found == [one for at in range(len(stream)) for one in single.feed(stream[at : at + 1])] + single.finish()


def test_half_a_payload_at_the_end_is_none() -> None:
    reader = sse.Payloads()
    assert reader.feed(b'data: {"a": 1}\n\ndata: {"b":') == [b'{"a": 1}']
    assert reader.finish() == []


def test_an_endless_payload_is_refused() -> None:
    reader = sse.Payloads(max_event_bytes=1000)
    with pytest.raises(sse.EventTooLarge, match="1000 bytes"):
        reader.feed(b"data: " + b"x" * 1001)


def recorded_streams() -> list[Any]:
    found = []
    for file in sorted(RECORDS.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            record = json.loads(line)
            if record["operation"] == "chat" and record["stream"] and record["response"]["status"] == 200:
                found.append(pytest.param(record, id=record["id"]))
    return found or [pytest.param(None, marks=pytest.mark.skip(reason="the recorded provider traffic is not there"))]


@pytest.mark.parametrize("record", recorded_streams())
def test_recorded_streams_pass_with_their_figures(record: dict[str, Any]) -> None:
    stream = record["response"]["body"].encode()
    for hide_usage in (True, False):
        for spelling in (stream, stream.replace(b"\n", b"\r\n")):
            for chunks in cuttings(spelling, record["id"]):
                relay = sse.Relay(hide_usage)
                out = run(relay, chunks)
                assert [data for _, data in twin.events(out)] == twin.payloads(stream, hide_usage)
                assert {name: getattr(relay.usage, name) for name in USAGE} == twin.usage(stream)
    told = [json.loads(data) for _, data in twin.events(stream) if data != b"[DONE]"]
    assert relay.failed == any(chunk.get("error") for chunk in told)
    assert relay.complete != relay.failed
    assert relay.has_content
    assert relay.count_completion("o200k_base") > 0


PIECES = st.lists(
    st.builds(
        lambda fields, name: {**fields, "function": {**({"name": name} if name else {}), "arguments": "{}"}},
        st.fixed_dictionaries(
            {},
            optional={"index": st.none() | st.integers(0, 4), "id": st.none() | st.sampled_from(["", "a", "b", "c"])},
        ),
        st.sampled_from(["", "f"]),
    ),
    min_size=1,
    max_size=12,
)


@given(pieces=PIECES, together=st.booleans(), size=st.integers(1, 200))
def test_calls_are_counted_as_they_began(pieces: list[dict[str, Any]], together: bool, size: int) -> None:
    told = [pieces] if together else [[piece] for piece in pieces]
    stream = wire(*({"choices": [{"index": 0, "delta": {"tool_calls": each}}]} for each in told))
    relay = sse.Relay(False)
    out = run(relay, [stream[at : at + size] for at in range(0, len(stream), size)])
    passed = [json.loads(data) for _, data in twin.events(out)]
    calls = [call for chunk in passed for call in chunk["choices"][0]["delta"]["tool_calls"]]
    assert [call["index"] for call in calls] == twin.call_indexes(pieces)
    assert [without_index(call) for call in calls] == [without_index(piece) for piece in pieces]


def without_index(call: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name != "index"}
