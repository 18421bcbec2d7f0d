"""Station 7: what a model says is screened, whole and streamed, natively and by others; and how a block is told."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import EllipsisType
from typing import Any

import msgspec
import pytest
from tests.fakes.scripts import completion, deltas
from tests.proxy import edge
from tests.proxy.edge import Answer, Client, Kept, arrive, called, dispatched, route

from tollway._native import chat
from tollway._native.guardrails import Policy
from tollway.contract.guardrails import Direction
from tollway.contract.snapshot import Operation
from tollway.proxy.dialects.table import dialects
from tollway.proxy.exchange import Called, Progress
from tollway.proxy.guard import Guard
from tollway.proxy.outside import Edit, External, Judgement, Remark
from tollway.proxy.relay import screening
from tollway.proxy.relay.relay import begin

CARD, EMAIL = "4111111111111111", "jane.doe@example.com"
REDACT = {"check": "pii", "actions": {"email": "redact", "credit_card": "redact"}}
BLOCK = {"check": "pii", "actions": {"email": "block"}}


def guard(*output: dict[str, Any], on_block: Any = "error", outside: Sequence[External] = ()) -> Guard:
    spec = {"name": "p", "version": "1", "input": [], "output": output}
    session = Policy(json.dumps(spec).encode(), b"secret").session("acme")
    return Guard(session, "acme", on_block, inspects_output=bool(output), outside=tuple(outside))


class Scripted:
    """An external check that finds words, and knows what it was asked."""

    name = "names"
    restore = False

    def __init__(self, action: Any, *words: str, placed: bool = True) -> None:
        self.asked: list[str] = []
        self._action = action
        self._words = words
        self._placed = placed

    async def judge(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        assert (direction, tenant) == ("output", "acme")
        self.asked += texts
        await asyncio.sleep(0)
        found = [
            Edit(number, at, at + len(word), "person", self._action)
            for number, text in enumerate(texts)
            for word in self._words
            if (at := text.find(word)) >= 0
        ]
        if self._placed:
            return Judgement(edits=tuple(found))
        return Judgement(remarks=tuple(Remark(edit.kind, edit.action) for edit in found))


def whole_call(body: Any, held: Guard, **fields: Any) -> Called:
    call = called(Answer(json.dumps(body).encode(), content_type="application/json"), **fields)
    return msgspec.structs.replace(call, guard=held)


def events(*payloads: Any) -> list[bytes]:
    return [b"data: " + json.dumps(payload).encode() + b"\n\n" for payload in payloads]


def stream_call(*script: bytes | Exception, held: Guard, client: Client | None = None) -> Called:
    answer = Answer(*script, content_type="text/event-stream")
    return msgspec.structs.replace(called(answer, stream=True, client=client), guard=held)


def said(stream: bytes) -> str:
    payloads = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: {")]
    return "".join(
        choice["delta"].get("content") or "" for payload in payloads for choice in payload.get("choices", ())
    )


def closed(call: Called) -> int:
    assert isinstance(call.answer, Answer)
    return call.answer.closed


async def test_a_whole_answer_is_rewritten_and_its_tokens_are_dropped() -> None:
    body = completion(f"Card {CARD}, {EMAIL}")
    body["choices"][0]["logprobs"] = {"content": [{"token": "4111", "bytes": [52]}]}
    held = guard(REDACT)
    given = await edge.relayed(whole_call(body, held))
    answer = json.loads(given.body)
    assert answer["choices"][0]["message"]["content"] == "Card [CREDIT_CARD], [EMAIL]"
    assert answer["choices"][0]["logprobs"] is None
    assert dict(given.headers or ())[b"x-tollway-warnings"] == b"dropped:logprobs"
    assert [(found.kind, found.count) for found in held.found()] == [("credit_card", 1), ("email", 1)]


async def test_a_clean_answer_is_the_providers_bytes() -> None:
    body = completion("Nothing here.")
    given = await edge.relayed(whole_call(body, guard(REDACT)))
    assert given.body == json.dumps(body).encode()


async def test_a_large_answer_is_screened_off_the_loop() -> None:
    filler = "All the aqueducts of Rome carried water. " * (screening.INLINE_BYTES // 40)
    given = await edge.relayed(whole_call(completion(filler + EMAIL), guard(REDACT)))
    assert json.loads(given.body)["choices"][0]["message"]["content"] == filler + "[EMAIL]"


async def test_a_blocked_answer_is_a_refusal_with_its_reason_and_no_failure_of_the_target() -> None:
    kept, progress = Kept(), dispatched()
    given = await edge.relayed(whole_call(completion(f"Write to {EMAIL}"), guard(BLOCK)), progress, kept)
    assert (given.status, given.outcome, kept.ends) == (400, "blocked", ["blocked"])
    error = json.loads(given.body)["error"]
    assert error["code"] == "content_filter"
    assert "email" in error["message"]
    assert EMAIL not in error["message"]
    assert progress.answer is not None
    assert progress.answer.usage.completion_tokens == 3, "the provider has done its work"


async def test_a_block_may_be_the_dialects_own_refusal() -> None:
    given = await edge.relayed(whole_call(completion(EMAIL), guard(BLOCK, on_block="refusal")))
    (choice,) = json.loads(given.body)["choices"]
    assert (given.status, given.outcome, choice["finish_reason"]) == (200, "blocked", "content_filter")
    assert "email" in choice["message"]["refusal"]


async def test_a_card_that_comes_digit_by_digit_does_not_leave() -> None:
    client = Client()
    held = guard(REDACT)
    call = stream_call(
        *events(*deltas("Your card: ", *CARD, " and ", "jane.doe@", "example.com")), held=held, client=client
    )
    given = await edge.relayed(call)
    assert given.outcome == "ok"
    assert said(client.body) == "Your card: [CREDIT_CARD] and [EMAIL]"
    assert [(found.kind, found.count) for found in held.found()] == [("credit_card", 1), ("email", 1)]


class Elsewhere(ThreadPoolExecutor):
    """The loop's threads; knows what they were given, and when the first."""

    def __init__(self) -> None:
        super().__init__(1)
        self.given = 0
        self.has_work = asyncio.Event()

    def submit(self, work: Any, /, *args: Any, **named: Any) -> Future[Any]:
        """Counts."""
        self.given += 1
        self.has_work.set()
        return super().submit(work, *args, **named)


@pytest.fixture
async def elsewhere() -> Elsewhere:
    """The threads of this test's loop, which ends them."""
    threads = Elsewhere()
    asyncio.get_running_loop().set_default_executor(threads)
    return threads


def in_pieces(stream: bytes, size_bytes: int = 64 * 1024) -> list[bytes]:
    return [stream[at : at + size_bytes] for at in range(0, len(stream), size_bytes)]


FILLER = "All the aqueducts of Rome carried water. " * 25_000


async def test_a_large_event_is_screened_off_the_loop_in_its_turn_and_like_a_whole_answer(elsewhere: Elsewhere) -> None:
    client, held, other = Client(), guard(REDACT), guard(REDACT)
    text = f"{CARD}. {FILLER}{EMAIL}, "
    role, first, large, *rest = events(*deltas("Well, ", text, "or ", "write to ", EMAIL, "."))
    given = await edge.relayed(stream_call(role, first, *in_pieces(large), *rest, held=held, client=client))
    assert elsewhere.given == 1, "once, when the event was whole"
    whole = await edge.relayed(whole_call(completion(f"Well, {text}or write to {EMAIL}."), other))
    assert given.outcome == "ok"
    assert said(client.body) == json.loads(whole.body)["choices"][0]["message"]["content"]
    assert held.found() == other.found()


async def test_a_large_last_event_of_a_response_is_screened_off_the_loop(elsewhere: Elsewhere) -> None:
    text = f"{FILLER}{EMAIL}"
    output = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
    told = {"type": "response.completed", "response": {"status": "completed", "output": output}}
    line = b"data: " + json.dumps(told).encode()
    answer = Answer(b"event: response.completed\n", *in_pieces(line), b"\n\n", content_type="text/event-stream")
    request = chat.read_request(b'{"model": "m", "input": "Hi", "stream": true}', "responses")
    way, arrival = route(), arrive(operation="responses")
    deadline = asyncio.get_running_loop().time() + way.timeouts.total_s
    call = Called(arrival, request, way, way.targets[0], answer, deadline, arrival.connection.task, "responses")
    call = msgspec.structs.replace(call, guard=guard(REDACT))
    given = await edge.relayed(call)
    _, line = given.body.strip().split(b"\n")
    assert json.loads(line[6:])["response"]["output"][0]["content"][0]["text"] == f"{FILLER}[EMAIL]"
    assert elsewhere.given == 1


async def test_a_large_event_is_translated_where_it_is_screened(elsewhere: Elsewhere) -> None:
    client = Client()
    role, first, *rest = events(*deltas("Well. ", FILLER + EMAIL))
    call = stream_call(role, first, *in_pieces(b"".join(rest)), held=guard(REDACT), client=client)
    given = await edge.relayed(msgspec.structs.replace(call, writer=dialects()["messages"].writer(b"{}", "m")))
    assert given.outcome == "ok"
    assert elsewhere.given == 1
    told = [json.loads(line[6:]) for line in client.body.splitlines() if line.startswith(b"data: ")]
    texts = [event["delta"].get("text", "") for event in told if event["type"] == "content_block_delta"]
    assert "".join(texts) == f"Well. {FILLER}[EMAIL]"


async def test_a_block_in_a_large_event_ends_the_stream(elsewhere: Elsewhere) -> None:
    client = Client()
    role, first, *rest = events(*deltas("Well. ", FILLER + EMAIL, "more"))
    given = await edge.relayed(stream_call(role, first, *in_pieces(b"".join(rest)), held=guard(BLOCK), client=client))
    assert (given.outcome, elsewhere.given) == ("blocked", 1)
    assert EMAIL.encode() not in client.body + given.body
    assert b"more" not in client.body + given.body


async def test_an_event_beyond_the_bound_that_a_thread_reads_is_told_as_any(elsewhere: Elsewhere) -> None:
    client = Client()
    role, first, large, *_ = events(*deltas("Well. ", "a" * 5 * 1024 * 1024))
    given = await edge.relayed(stream_call(role, first, large, held=guard(REDACT), client=client))
    assert (given.outcome, elsewhere.given) == ("cut", 1)
    assert b"too large" in given.body


async def test_small_events_are_screened_on_the_loop(elsewhere: Elsewhere) -> None:
    client = Client()
    await edge.relayed(stream_call(*events(*deltas(*["a word "] * 500)), held=guard(REDACT), client=client))
    assert said(client.body) == "a word " * 500
    assert elsewhere.given == 0


async def test_what_was_told_is_known_of_a_call_that_is_cut_while_an_event_is_screened(elsewhere: Elsewhere) -> None:
    progress = dispatched()
    role, first, *rest = events(*deltas("Well. ", FILLER * 3))

    async def call() -> None:
        await edge.relayed(stream_call(role, first, *in_pieces(b"".join(rest)), held=guard(REDACT)), progress)

    calling = asyncio.create_task(call())
    await elsewhere.has_work.wait()
    calling.cancel()
    await asyncio.wait({calling})
    assert calling.cancelled()
    assert progress.reader is not None
    assert progress.reader.usage.completion_tokens == 3


async def test_every_event_leaves_when_it_comes() -> None:
    client, first = Client(), events(*deltas("4", "1"))[:2]
    call = stream_call(*first, held=guard(REDACT), client=client)
    await edge.relayed(call)
    assert client.body.count(b"data: ") == 2 + 1, "the role, the digit's empty event, and what waited"


async def test_a_block_in_midstream_is_the_last_that_is_heard() -> None:
    client, kept = Client(), Kept()
    script = events(*deltas("one ", "two ", "three ", "four ", "five ", "jane.doe@", "example.com ", "secret"))
    call = stream_call(*script, held=guard(BLOCK), client=client)
    given = await edge.relayed(call, kept=kept)
    assert (given.outcome, kept.ends, closed(call)) == ("blocked", ["blocked"], 1)
    assert said(client.body) == "one two three four five "
    assert json.loads(given.body.removeprefix(b"data: "))["error"]["code"] == "content_filter"
    assert b'finish_reason":"stop' not in client.body
    assert not call.answer.ended, "the provider was not heard any further"


async def test_a_block_before_anything_was_said_has_a_status() -> None:
    client = Client()
    call = stream_call(*events(*deltas(f"{EMAIL} ", "more")), held=guard(BLOCK), client=client)
    given = await edge.relayed(call)
    assert (given.status, given.outcome, client.sent) == (400, "blocked", [])


async def test_only_the_answer_that_counts_is_counted() -> None:
    held = guard(REDACT)
    loser = await begin(stream_call(*events(*deltas(f"{EMAIL} hi ", "more")), held=held), dispatched())
    assert held.found() == ()
    await loser.close()
    assert held.found() == ()


async def test_what_others_find_is_hidden_in_a_stream_and_nothing_leaves_before_they_have_said_so() -> None:
    client, names = Client(), Scripted("redact", "Alice")
    call = stream_call(
        *events(*deltas("I am Al", "ice. ", "So is Alice", ", too")), held=guard(outside=[names]), client=client
    )
    given = await edge.relayed(call)
    assert given.outcome == "ok"
    assert said(client.body + given.body) == "I am [PERSON]. So is [PERSON], too"
    assert given.body.endswith(b"data: [DONE]\n\n")
    assert names.asked == ["I am Alice. ", "So is Alice, too"]


@pytest.mark.parametrize("placed", [True, False])
async def test_what_others_block_ends_the_stream(placed: bool) -> None:
    client = Client()
    names = Scripted("block", "Bob", placed=placed)
    call = stream_call(*events(*deltas("Fine. ", "I am Bob. ", "Secret.")), held=guard(outside=[names]), client=client)
    given = await edge.relayed(call)
    assert (said(client.body), given.outcome) == ("Fine. ", "blocked")
    assert b"content_filter" in given.body


async def test_others_see_whole_answers_as_the_native_checks_have_left_them() -> None:
    names = Scripted("mask", "Alice")
    held = guard(REDACT, outside=[names])
    given = await edge.relayed(whole_call(completion(f"Alice is {EMAIL}"), held))
    assert json.loads(given.body)["choices"][0]["message"]["content"] == "***** is [EMAIL]"
    assert names.asked == ["Alice is [EMAIL]"]
    assert {found.check for found in held.found()} == {"names", "pii"}


async def test_a_check_that_raises_lets_nothing_pass() -> None:
    class Broken(Scripted):
        async def judge(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
            raise RuntimeError("a defect")

    client = Client()
    call = stream_call(*events(*deltas("Fine. ", "Secret.")), held=guard(outside=[Broken("flag")]), client=client)
    given = await edge.relayed(call)
    assert (said(client.body), given.outcome) == ("", "blocked")
    assert b"content_filter" in given.body


def transcribed(
    *script: bytes | EllipsisType, kind: str, held: Guard, client: Client | None = None, **fields: Any
) -> Called:
    operation: Operation = "transcriptions"
    way, arrival = route(), arrive(client, operation=operation)
    request = chat.read_request(json.dumps({"model": "m", **fields}).encode(), operation)
    deadline = asyncio.get_running_loop().time() + way.timeouts.total_s
    answer = Answer(*script, content_type=kind)
    call = Called(arrival, request, way, way.targets[0], answer, deadline, arrival.connection.task, operation)
    return msgspec.structs.replace(call, guard=held)


async def test_subtitles_are_screened_and_their_times_stay() -> None:
    srt = f"1\n00:00:01,000 --> 00:00:04,000\nWrite to {EMAIL}\n"
    given = await edge.relayed(transcribed(srt[:30].encode(), srt[30:].encode(), kind="text/plain", held=guard(REDACT)))
    assert given.body.decode() == srt.replace(EMAIL, "[EMAIL]")


async def test_a_streamed_transcript_is_screened() -> None:
    client = Client()
    told = [
        {"type": "transcript.text.delta", "delta": piece} for piece in ("Write to jane.doe@", "example.com", " now")
    ]
    told.append({"type": "transcript.text.done", "text": f"Write to {EMAIL} now"})
    script = [f"data: {json.dumps(event)}\n\n".encode() for event in told]
    progress = Progress()
    call = transcribed(*script, kind="text/event-stream", held=guard(REDACT), client=client, stream=True)
    progress.planned(call.route, call.target)
    given = await edge.relayed(call, progress)
    heard = [json.loads(line[6:]) for line in (client.body + given.body).splitlines() if line.startswith(b"data: ")]
    assert "".join(event.get("delta", "") for event in heard) == "Write to [EMAIL] now"
    assert heard[-1] == {"type": "transcript.text.done", "text": "Write to [EMAIL] now"}
    assert given.outcome == "ok"


async def test_a_streamed_transcript_that_is_blocked_ends_in_an_error() -> None:
    client = Client()
    told = [
        {"type": "transcript.text.delta", "delta": piece}
        for piece in ("Write ", "to jane.doe@", "example.com now", "x")
    ]
    script = [f"data: {json.dumps(event)}\n\n".encode() for event in told]
    call = transcribed(*script, kind="text/event-stream", held=guard(BLOCK), client=client, stream=True)
    given = await edge.relayed(call)
    assert given.outcome == "blocked"
    assert b"content_filter" in given.body
    assert b"jane" not in client.body


async def test_what_was_found_in_a_transcript_is_counted_though_the_client_left() -> None:
    client, held = Client(), guard(REDACT)
    told = {"type": "transcript.text.delta", "delta": f"Write to {EMAIL} now, and"}
    event = f"data: {json.dumps(told)}\n\n".encode()

    async def call() -> None:
        await edge.relayed(
            transcribed(event, event, ..., kind="text/event-stream", held=held, client=client, stream=True)
        )

    calling = asyncio.create_task(call())
    await client.has_body.wait()
    calling.cancel()
    await asyncio.wait({calling})
    assert [(found.kind, found.action) for found in held.found()] == [("email", "redact")]


async def test_subtitles_that_nobody_looks_at_leave_as_they_come() -> None:
    client = Client()
    given = await edge.relayed(transcribed(b"1\n", b"Hi\n", kind="text/plain", held=guard(), client=client))
    assert (client.body, given.body) == (b"1\nHi\n", b"")


async def test_others_judge_a_streamed_transcript() -> None:
    client, told = (
        Client(),
        [{"type": "transcript.text.delta", "delta": piece} for piece in ("I am Al", "ice. ", "Bye")],
    )
    told.append({"type": "transcript.text.done", "text": "I am Alice. Bye"})
    script = [f"data: {json.dumps(event)}\n\n".encode() for event in told]
    held = guard(outside=[Scripted("redact", "Alice")])
    given = await edge.relayed(transcribed(*script, kind="text/event-stream", held=held, client=client, stream=True))
    heard = [json.loads(line[6:]) for line in (client.body + given.body).splitlines() if line.startswith(b"data: ")]
    assert "".join(event.get("delta", "") for event in heard) == "I am [PERSON]. Bye"
    assert heard[-1]["text"] == "I am [PERSON]. Bye"
    assert b"Alice" not in client.body + given.body
