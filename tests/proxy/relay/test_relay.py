"""The relay: every way in which an answer can come, stall or end, and how its end is told."""

import asyncio
import json
from collections.abc import Callable
from types import EllipsisType
from typing import Any

import msgspec
import pytest
from tests.fakes.scripts import completion, deltas
from tests.proxy import edge
from tests.proxy.edge import Answer, Client, called, dispatched, route

from tollway.contract.snapshot import Timeouts
from tollway.errors import UpstreamBroken, UpstreamTimeout
from tollway.proxy.dialects.port import Refused
from tollway.proxy.exchange import Called, Progress, Relayed
from tollway.proxy.pieces import MAX_ANSWER_BYTES
from tollway.proxy.relay.relay import INLINE_BYTES
from tollway.wire.openai_chat import DONE

CUT = UpstreamBroken("The provider's answer was cut before its end.")
QUICK = route("m", timeouts=Timeouts(idle_s=0.05))


def events(*payloads: Any) -> list[bytes]:
    return [b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads]


def streamed(*script: bytes | Exception | EllipsisType) -> Answer:
    return Answer(*script, content_type="text/event-stream; charset=utf-8")


async def relayed(call: Called, progress: Progress | None = None) -> Relayed:
    answer = call.answer
    assert isinstance(answer, Answer)
    try:
        return await edge.relayed(call, progress)
    finally:
        assert answer.closed == 1, "given back or cut, however it ended"


async def test_a_whole_answer_is_held_back_until_it_is_settled() -> None:
    client, body = Client(), json.dumps(completion("Hello there.")).encode()
    progress = dispatched()
    given = await relayed(
        called(Answer(body[:10], body[10:], content_type="application/json"), client=client), progress
    )
    assert (given.status, given.body, given.outcome) == (200, body, "ok")
    assert given.headers is not None
    assert client.sent == []
    assert progress.answer is not None
    assert progress.answer.usage.prompt_tokens == 7


async def test_a_large_whole_answer_is_read_in_a_thread() -> None:
    body = json.dumps(completion("x" * INLINE_BYTES)).encode()
    progress = dispatched()
    assert (await relayed(called(Answer(body)), progress)).body == body
    assert progress.answer is not None
    assert progress.answer.usage.completion_tokens == 3


@pytest.mark.parametrize(("status", "seen", "retry"), [(402, 429, b"false"), (422, 400, b"true"), (409, 409, b"true")])
async def test_two_statuses_of_providers_are_never_seen_by_clients(status: int, seen: int, retry: bytes) -> None:
    body = b'{"error": {"message": "Insufficient Balance", "type": "unknown_error", "param": null, "code": null}}'
    given = await relayed(called(Answer(body, status=status, x_should_retry="true")))
    assert (given.status, given.body, given.outcome) == (seen, body, "error")
    assert given.headers is not None
    assert [value for name, value in given.headers if name == b"x-should-retry"] == [retry]


async def test_a_whole_answer_without_bound_is_refused() -> None:
    piece = bytes(1024 * 1024)
    with pytest.raises(UpstreamBroken, match="too large"):
        await relayed(called(Answer(*[piece] * (MAX_ANSWER_BYTES // len(piece) + 1))))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"cut": '])
async def test_a_whole_answer_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamBroken, match="not JSON"):
        await relayed(called(Answer(body)))


async def test_a_whole_answer_that_is_cut_is_not_passed_on() -> None:
    client = Client()
    with pytest.raises(UpstreamBroken, match="cut"):
        await relayed(called(Answer(b'{"choices": [', CUT), client=client))
    assert client.sent == []


async def test_a_whole_answer_has_the_total_time_and_no_more() -> None:
    with pytest.raises(UpstreamTimeout, match="did not finish"):
        await relayed(called(Answer(b"{", ...), way=route("m", timeouts=Timeouts(total_s=0.05))))


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
async def test_a_redirect_is_no_answer(status: int) -> None:
    """A key must not go where it points, and a client would not get its target to follow either."""
    with pytest.raises(UpstreamBroken, match="redirect"):
        await relayed(called(Answer(b"{}", status=status, location="http://10.0.0.1/")))


async def test_an_error_status_is_an_error_whatever_its_body() -> None:
    progress = dispatched()
    given = await relayed(called(Answer(b"nginx", status=503, content_type="text/html"), stream=True), progress)
    assert (given.status, given.outcome) == (503, "error")
    assert json.loads(given.body)["error"]["message"] == "nginx"
    assert progress.answer is None


async def test_an_error_inside_a_200_is_an_error() -> None:
    given = await relayed(called(Answer(b'{"error": {"message": "no"}}')))
    assert (given.status, given.outcome) == (502, "error"), "and a client hears it by its status"
    assert "no" in json.loads(given.body)["error"]["message"]


async def test_a_provider_may_answer_a_stream_whole() -> None:
    client = Client()
    body = json.dumps(completion()).encode()
    given = await relayed(called(Answer(body, content_type="application/json"), stream=True, client=client))
    assert (given.body, given.outcome, client.sent) == (body, "ok", [])


@pytest.mark.parametrize("play", [Answer, streamed], ids=["untold", "told"])
async def test_a_stream_leaves_event_by_event_but_for_its_end(play: Callable[..., Answer]) -> None:
    client, sent = Client(), events(*deltas("Hello", " there."))
    progress = dispatched()
    given = await relayed(called(play(*sent, DONE), stream=True, client=client), progress)
    assert client.status == 200
    assert client.headers[b"content-type"].startswith(b"text/event-stream")
    first = sent[0] + sent[1]  # the role waits for the first word: until then another target may still be asked
    assert [message["body"] for message in client.sent[1:]] == [first, *sent[2:-1]], "usage was not asked for"
    assert client.ends == 0
    assert (given.headers, given.body, given.outcome) == (None, DONE, "ok")
    assert progress.reader is not None
    assert progress.reader.usage.prompt_tokens == 7


async def test_usage_that_was_asked_for_is_passed_on() -> None:
    client, sent = Client(), events(*deltas("Hello"))
    call = called(streamed(*sent, DONE), stream=True, client=client, stream_options={"include_usage": True})
    await relayed(call)
    assert client.body == b"".join(sent)


async def test_the_first_token_is_what_is_first_said_and_not_the_role() -> None:
    role, word, *_ = events(*deltas("Hello"))
    progress = dispatched()
    with pytest.raises(UpstreamBroken):
        await relayed(called(streamed(role, CUT), stream=True), progress)
    assert progress.first_piece_ns is None
    await relayed(called(streamed(role, word, CUT), stream=True), progress)
    assert progress.first_piece_ns is not None


async def test_an_event_leaves_when_it_is_complete() -> None:
    client = Client()
    role, word, *_ = events(*deltas("Hello"))
    await relayed(called(streamed(role[:7], role[7:] + word[:3], word[3:], CUT), stream=True, client=client))
    assert [message["body"] for message in client.sent[1:]] == [role + word]


async def test_a_stream_without_done_that_has_finished_is_complete() -> None:
    given = await relayed(called(streamed(*events(*deltas("Hello"))), stream=True))
    assert (given.outcome, given.body) == ("ok", DONE)


async def test_a_provider_that_dies_after_the_finish_has_answered() -> None:
    given = await relayed(called(streamed(*events(*deltas("Hello")), CUT), stream=True))
    assert (given.outcome, given.body) == ("ok", DONE)


@pytest.mark.parametrize("after", [(), (...,), (CUT,), (b": bye\n\n",)], ids=["end", "open", "cut", "comment"])
async def test_what_happens_after_done_changes_nothing(after: tuple[Any, ...]) -> None:
    client = Client()
    sent = events(*deltas("Hello", usage=None))
    given = await relayed(called(streamed(*sent, DONE, *after), stream=True, client=client))
    assert (given.outcome, given.body) == ("ok", DONE)
    assert client.body == b"".join(sent)


@pytest.mark.parametrize(
    ("ending", "outcome", "code"),
    [((), "cut", "upstream_broken"), ((CUT,), "cut", "upstream_broken"), ((...,), "timeout", "upstream_timeout")],
    ids=["end", "cut", "stall"],
)
async def test_a_stream_that_dies_is_told_with_one_error_and_no_done(
    ending: tuple[Any, ...], outcome: str, code: str
) -> None:
    client = Client()
    sent = events(*deltas("Hello"))[:2]
    given = await relayed(called(streamed(*sent, *ending), stream=True, client=client, way=QUICK))
    assert given.outcome == outcome
    assert json.loads(given.body.removeprefix(b"data: "))["error"]["code"] == code
    assert given.body.endswith(b"\n\n")
    assert client.body == b"".join(sent)


async def test_a_stream_that_dies_in_the_middle_of_an_event_does_not_pass_the_half() -> None:
    client = Client()
    sent = events(*deltas("Hello"))
    given = await relayed(called(streamed(*sent[:2], sent[2][:20], CUT), stream=True, client=client))
    assert given.outcome == "cut"
    assert client.body == b"".join(sent[:2])


async def test_a_stream_that_goes_on_beyond_its_total_time_is_ended() -> None:
    way = route("m", timeouts=Timeouts(idle_s=10.0, total_s=0.05))
    given = await relayed(called(streamed(*events(*deltas("Hello"))[:2], ...), stream=True, way=way))
    assert given.outcome == "timeout"
    assert b"did not finish its answer in time" in given.body


async def test_an_error_event_of_the_provider_is_the_streams_end() -> None:
    client = Client()
    error = b'data: {"error": {"message": "overloaded"}}\n\n'
    sent = events(*deltas("Hello"))[:2]
    given = await relayed(called(streamed(*sent, error, DONE), stream=True, client=client))
    assert (given.outcome, given.body) == ("error", error)
    assert client.body == b"".join(sent)


async def test_an_event_without_end_is_cut_at_a_bound() -> None:
    piece = b"x" * (1024 * 1024)
    first = b"".join(events(*deltas("Hello"))[:2])
    given = await relayed(called(streamed(first, b'data: {"x": "', *[piece] * 64), stream=True))
    assert given.outcome == "cut"
    assert b"too large" in given.body


@pytest.mark.parametrize(
    "script", [(b"data: {",), (b'data: {"x": "', *[b"x" * (1024 * 1024)] * 64)], ids=["cut", "large"]
)
async def test_a_stream_that_dies_before_its_first_event_is_a_refusal_with_a_status(script: tuple[bytes, ...]) -> None:
    client = Client()
    with pytest.raises(UpstreamBroken):
        await relayed(called(streamed(*script), stream=True, client=client))
    assert not any(message["type"] == "http.response.start" for message in client.sent)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_is_cancelled_lets_go_of_its_provider(stream: bool) -> None:
    first = events(*deltas("Hello"))[0] if stream else b"{"
    answer = streamed(first, ...) if stream else Answer(first, ...)

    async def run() -> Relayed:
        return await edge.relayed(called(answer, stream=stream))

    running = asyncio.create_task(run())
    await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert answer.closed == 1


async def pause_within_the_body(client: Client) -> None:
    """Stops reading for longer than the idle limit, once it has some of the answer."""
    await client.has_body.wait()
    client.reads.clear()
    await asyncio.sleep(0.2)
    client.reads.set()


async def test_a_client_that_reads_slowly_is_not_taken_for_a_provider_that_stalls() -> None:
    client = Client()
    call = called(streamed(*events(*deltas("Hello", " you")), DONE), stream=True, client=client, way=QUICK)

    pausing = asyncio.create_task(pause_within_the_body(client))
    assert (await relayed(call)).outcome == "ok"
    await pausing
    assert b" you" in client.body


async def test_the_providers_silence_is_still_counted_after_a_client_that_read_slowly() -> None:
    client = Client()
    answer = streamed(*events(*deltas("Hello"))[:2], ...)
    call = called(answer, stream=True, client=client, way=QUICK)

    pausing = asyncio.create_task(pause_within_the_body(client))
    assert (await relayed(call)).outcome == "timeout"
    await pausing


async def test_a_stream_that_begins_with_an_error_is_a_refusal_with_a_status() -> None:
    client = Client()
    script = b'data: {"error": {"message": "overloaded", "code": 503}}\n\ndata: [DONE]\n\n'
    given = await relayed(called(streamed(script), stream=True, client=client))
    assert (given.status, given.outcome, client.sent) == (502, "error", [])
    assert "overloaded" in json.loads(given.body)["error"]["message"]


class Shout:
    """A dialect of capitals, in which the letter q can't be said."""

    def whole(self, body: bytes) -> bytes:
        return self.event(body)

    def event(self, payload: bytes) -> bytes:
        said = json.loads(payload)["choices"]
        if b"q" in payload:
            raise ValueError("a secret of the answer")
        return b"".join(str(choice.get("delta", {}).get("content") or "").upper().encode() for choice in said)

    def end(self) -> bytes:
        return b"END"

    def fault(self, refused: Refused) -> bytes:
        return f"FAULT {refused.status}".encode()


async def translated(*script: bytes | Exception, stream: bool = True) -> tuple[Relayed, Client]:
    client = Client()
    call = called(streamed(*script) if stream else Answer(*script), stream=stream, client=client)
    return await relayed(msgspec.structs.replace(call, writer=Shout())), client


async def test_a_stream_is_said_in_the_clients_dialect() -> None:
    given, client = await translated(*deltas_of("one", "two"))
    assert (client.body, given.body, given.outcome) == (b"ONETWO", b"END", "ok")


async def test_a_stream_that_is_cut_ends_with_the_dialects_own_fault() -> None:
    given, client = await translated(*deltas_of("one", "two")[:1], CUT)
    assert (client.body, given.body, given.outcome) == (b"ONE", b"FAULT 502", "cut")


async def test_a_fault_inside_a_stream_is_said_in_the_clients_dialect() -> None:
    given, client = await translated(*deltas_of("one")[:1], b'data: {"error": {"message": "no"}}\n\n')
    assert (client.body, given.body, given.outcome) == (b"ONE", b"FAULT 502", "error")


async def test_what_can_not_be_said_is_a_fault_however_well_the_stream_ended() -> None:
    given, client = await translated(b"".join(deltas_of("one", "q")))
    assert (client.body, given.body, given.outcome) == (b"ONE", b"FAULT 502", "cut"), "what came before it left"
    with pytest.raises(UpstreamBroken) as caught:
        await translated(json.dumps(completion("q")).encode(), stream=False)
    assert "secret" not in str(caught.value) + caught.value.inside


def deltas_of(*texts: str) -> list[bytes]:
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*events(*chunks, finish), b"data: [DONE]\n\n"]
