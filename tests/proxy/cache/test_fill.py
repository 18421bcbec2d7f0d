"""What of providers' answers is kept, and what keeping never does."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.fakes.answers import BOTH, EXACT, screened
from tests.fakes.scripts import completion
from tests.fakes.telemetry import Recording, counted
from tests.proxy.cache.hall import PARIS, WAY, Hall, streamed, whole
from tests.proxy.edge import Answer, target
from tests.proxy.relay.test_screening import BLOCK, EMAIL, REDACT, guard

from tollway._native import guardrails as native
from tollway.contract.cache import CacheSpace
from tollway.errors import UpstreamBroken
from tollway.proxy.cache import fill
from tollway.proxy.cache.fill import Filler
from tollway.proxy.cache.port import EmbedderDown
from tollway.proxy.exchange import Screened
from tollway.proxy.guard import Guard
from tollway.telemetry.metrics import Metrics


@pytest.fixture
def hall(recording: Recording, metrics: Metrics) -> Hall:
    return Hall(recording, metrics)


def fills(metrics: Metrics) -> dict[str, float]:
    return {result: count for (result,), count in counted(metrics, "tollway_cache_fills_total").items()}


async def test_an_entry_says_whose_it_is_where_it_came_from_and_what_it_is_worth(hall: Hall) -> None:
    await hall.fill(screened())
    entry, body = hall.kept.only
    assert (entry.tenant_id, entry.key_id, entry.model, entry.operation) == ("tenant-1", "key-1", "m", "chat")
    assert (entry.provider, entry.provider_model, entry.cost_picousd) == ("fake", "m-1", 13_000)
    assert (entry.prompt_tokens, entry.completion_tokens, entry.body_bytes) == (7, 3, len(body))
    assert entry.question == "What is the capital of France?"
    assert (len(entry.key), len(entry.namespace)) == (32, 32)
    assert entry.expires_at_ms - entry.filled_at_ms == 3_600_000


async def test_it_counts_as_filled_when_its_call_came(hall: Hall) -> None:
    """What is to be forgotten while a provider answers is forgotten with the answer."""
    began_ms = hall.clock.now_ms

    class Slow(Answer):
        async def piece(self) -> bytes | None:
            hall.clock.now_ms += 5_000
            return await super().piece()

    await hall.serve(screened(), Slow(msgspec.json.encode(PARIS), content_type="application/json"))
    assert hall.kept.only[0].filled_at_ms == began_ms


async def test_of_a_stream_the_whole_answer_is_kept_with_its_usage(hall: Hall) -> None:
    await hall.fill(screened(stream=True))
    answer = msgspec.json.decode(hall.kept.only[1])
    assert answer["choices"][0]["message"]["content"] == "Paris."
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (7, 3), "nobody was told"


UNFIT: dict[str, tuple[bool, Answer]] = {
    "an error status": (False, whole({"error": {"message": "no"}}, status=500)),
    "a refusal with a status": (False, whole({"error": {"message": "no"}}, status=400)),
    "an error inside 200": (False, whole({"error": {"message": "no"}})),
    "an empty answer": (False, whole(completion(""))),
    "another status": (False, whole(PARIS, status=201)),
    "a stream that is cut": (True, streamed("Paris.", done=False)),
    "a stream of nothing": (True, streamed("")),
    "a stream with an error": (
        True,
        Answer(
            b'data: {"choices":[{"index":0,"delta":{"content":"Pa"}}]}\n\n',
            b'data: {"error":{"message":"no"}}\n\n',
            content_type="text/event-stream",
        ),
    ),
    "a stream that breaks": (
        True,
        Answer(
            b'data: {"choices":[{"index":0,"delta":{"content":"Pa"}}]}\n\n',
            UpstreamBroken("cut"),
            content_type="text/event-stream",
        ),
    ),
}
for finish in ("length", "content_filter", "refusal", "max_tokens", "whatever", None):
    for stream in (False, True):
        name = "delta" if stream else "message"
        choice = {"index": 0, name: {"role": "assistant", "content": "Par"}, "finish_reason": finish}
        body = {**completion(), "choices": [choice]}
        events = (b"data: " + msgspec.json.encode(body) + b"\n\n", b"data: [DONE]\n\n")
        kind = "text/event-stream" if stream else "application/json"
        answer = Answer(*events, content_type=kind) if stream else whole(body)
        UNFIT[f"{finish} {'streamed' if stream else 'whole'}"] = (stream, answer)


@pytest.mark.parametrize("name", UNFIT)
async def test_an_answer_that_is_not_whole_and_good_is_not_kept(hall: Hall, metrics: Metrics, name: str) -> None:
    stream, answer = UNFIT[name]
    copied = Answer(*answer._script, status=answer.status, **answer._headers)
    await hall.serve(screened(stream=stream), copied)
    assert hall.kept.entries == {}
    assert fills(metrics) == {"unfit": 1}


async def test_an_answer_of_another_alias_is_not_kept(hall: Hall) -> None:
    """Which has stepped in while this one could not answer: the next who asks is to have the one that was meant."""
    fallback = msgspec.structs.replace(WAY, alias="other", targets=(target("m-2"),))
    await hall.serve(screened(), whole(PARIS), fallback)
    assert hall.kept.entries == {}


async def test_what_a_provider_does_not_take_is_told_to_the_next_as_well(hall: Hall) -> None:
    answer = whole(PARIS)
    answer.warnings = ("seed",)
    await hall.serve(screened(), answer)
    assert hall.kept.only[0].warnings == ("seed",)


async def test_an_answer_beyond_the_bound_is_not_kept(recording: Recording, metrics: Metrics) -> None:
    hall = Hall(recording, metrics, CacheSpace(max_answer_bytes=1_000))
    long = "x" * 2_000
    await hall.serve(screened(), whole(completion(long)))
    await hall.serve(screened(stream=True), streamed(long))
    await hall.serve(screened(stream=True), streamed(*["x" * 2_000] * 20))
    assert hall.kept.entries == {}
    assert fills(metrics) == {"large": 3}
    assert hall.filler._held_bytes == 0


async def test_a_large_answer_is_kept_as_a_small_one(hall: Hall) -> None:
    text = "x" * 200_000
    await hall.serve(screened(stream=True), streamed(text))
    assert (await hall.serve(screened())).answer["choices"][0]["message"]["content"] == text
    served = await hall.serve(screened(stream=True))
    assert served.result == "exact"


async def test_what_is_too_much_at_once_is_dropped(recording: Recording, metrics: Metrics) -> None:
    hall = Hall(recording, metrics)
    hall.filler = Filler(hall.kept, recording.log, metrics, most_answer_bytes=2**20, most_bytes=100)
    hall.look_up._filler = hall.filler
    await hall.fill(screened())
    await hall.fill(screened(stream=True))
    assert hall.kept.entries == {}
    assert fills(metrics) == {"dropped": 1, "large": 1}
    assert hall.filler._held_bytes == 0


async def test_a_defect_in_keeping_is_a_line_of_the_log_and_nothing_else(
    hall: Hall, recording: Recording, metrics: Metrics
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    hall.kept.keep = broken  # type: ignore[method-assign,assignment]
    assert (await hall.fill(screened())).answer == PARIS
    assert fills(metrics) == {"failed": 1}
    assert len(hall.flights) == 0, "who waits is told"
    assert recording.events() == ["defect"]


class Embedder:
    name = "second"

    def __init__(self, vector: bytes | None) -> None:
        self.vector = vector

    async def embed(self, text: str) -> bytes:
        if self.vector is None:
            raise EmbedderDown
        if not self.vector:
            await asyncio.Event().wait()
        return self.vector


@pytest.mark.parametrize(
    ("vector", "kept"), [(b"\x01\x02", {"second": b"\x01\x02"}), (None, {}), (b"", {})], ids=["there", "down", "hangs"]
)
async def test_a_second_embedder_adds_its_vector_if_it_can(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, vector: bytes | None, kept: dict[str, bytes]
) -> None:
    monkeypatch.setattr(fill, "EMBED_S", 0.01)
    hall.embedder = Embedder(vector)
    await hall.fill(screened(policy=BOTH))
    assert hall.kept.only[0].vectors == kept
    hall.kept.entries.clear()
    await hall.fill(screened(policy=EXACT))
    assert hall.kept.only[0].vectors == {}


async def test_a_client_that_leaves_takes_nothing_half_into_the_cache(hall: Hall) -> None:
    call = screened(stream=True)
    hanging = Answer(
        b'data: {"choices":[{"index":0,"delta":{"content":"Pa"}}]}\n\n', ..., content_type="text/event-stream"
    )
    task = asyncio.create_task(hall.serve(call, hanging))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert hall.kept.entries == {}
    assert hall.filler._held_bytes == 0
    assert len(hall.flights) == 0


FLAG = {"check": "pii", "actions": {"email": "flag"}}


def guarded(held: Guard, **fields: Any) -> Screened:
    return msgspec.structs.replace(screened(**fields), guard=held)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("check", "text", "is_kept"),
    [(REDACT, "Paris.", True), (REDACT, EMAIL, False), (BLOCK, EMAIL, False), (FLAG, EMAIL, True)],
    ids=["nothing found", "redacted", "blocked", "flagged"],
)
async def test_what_a_guardrail_has_altered_for_one_client_is_not_kept(
    hall: Hall, check: dict[str, Any], text: str, is_kept: bool, stream: bool
) -> None:
    answer = streamed(f"{text} ") if stream else whole(completion(text))
    await hall.serve(guarded(guard(check), stream=stream), answer)
    assert bool(hall.kept.entries) is is_kept


async def test_log_probabilities_that_a_guardrail_dropped_are_not_missing_for_others(hall: Hall) -> None:
    await hall.serve(guarded(guard(REDACT), logprobs=True), whole(PARIS))
    assert hall.kept.entries == {}


async def test_where_originals_belong_into_the_answer_nothing_is_kept_or_looked_up(hall: Hall) -> None:
    spec = {"check": "pii", "actions": {"email": "redact"}, "restore": True}
    policy = {"name": "p", "version": "1", "input": [spec], "output": []}
    session = native.Policy(msgspec.json.encode(policy), b"secret").session("tenant-1")
    call = screened(f"Write to {EMAIL}.")
    hidden = session.request(call.request)
    assert session.has_originals
    held = Guard(session, "tenant-1", inspects_output=True)
    served = await hall.serve(msgspec.structs.replace(call, request=hidden, guard=held), whole(PARIS))
    assert (served.result, hall.kept.entries) == ("off", {})


async def test_a_hit_is_screened_as_its_own_caller_asks(hall: Hall) -> None:
    await hall.serve(screened(), whole(completion(f"Write to {EMAIL}.")))
    plain = await hall.serve(screened())
    redacted = await hall.serve(guarded(guard(REDACT)))
    blocked = await hall.serve(guarded(guard(BLOCK)))
    assert [each.result for each in (plain, redacted, blocked)] == ["exact"] * 3
    assert EMAIL in plain.answer["choices"][0]["message"]["content"]
    assert EMAIL not in redacted.answer["choices"][0]["message"]["content"]
    assert (blocked.relayed.outcome, blocked.relayed.status) == ("blocked", 400)
    assert EMAIL in str(hall.kept.only[1])
