"""Station 4: what is served from the cache, to whom, and what never is."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.fakes.answers import BOTH, EXACT, screened
from tests.fakes.telemetry import Recording, counted
from tests.proxy.cache.hall import PARIS, Hall, raising, streamed, whole

from tollway.contract.cache import CachePolicy, CacheSpace, ExactCaching, SemanticCaching
from tollway.contract.snapshot import Operation
from tollway.errors import CacheMissed, InvalidRequest
from tollway.proxy.cache.fill import NOTHING
from tollway.proxy.exchange import Progress
from tollway.telemetry.metrics import Metrics


@pytest.fixture
def hall(recording: Recording, metrics: Metrics) -> Hall:
    return Hall(recording, metrics)


async def test_the_second_who_asks_the_same_is_answered_without_a_provider(hall: Hall) -> None:
    first = await hall.fill(screened())
    second = await hall.serve(screened())
    assert (first.result, second.result) == ("miss", "exact")
    assert second.answer == PARIS
    assert second.headers["age"] == "0"
    assert second.headers["x-tollway-attempts"] == "0"
    assert bytes.fromhex(second.headers["x-tollway-cache-key"]) == hall.kept.only[0].key
    assert hall.kept.serves == [hall.kept.only[0].key]


async def test_a_hit_tells_settlement_who_gave_it_and_what_it_saves(hall: Hall) -> None:
    await hall.fill(screened())
    progress = (await hall.serve(screened())).progress
    assert progress.recalled is not None
    assert (progress.recalled.cache, progress.recalled.saved_picousd) == ("exact", 13_000)
    assert progress.target is not None
    assert progress.target.name == "fake/m-1"
    assert progress.dispatched_at_us is not None, "so it has a row"
    assert (progress.trail.tried, progress.trail.growth, progress.trail.cache) == ([], None, "exact")


@pytest.mark.parametrize("filled", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("asked", [False, True], ids=["whole", "streamed"])
async def test_a_hit_comes_in_the_form_that_is_asked_for(hall: Hall, filled: bool, asked: bool) -> None:
    await hall.fill(screened(stream=filled))
    served = await hall.serve(screened(stream=asked))
    assert served.result == "exact"
    if not asked:
        assert served.answer["choices"] == PARIS["choices"]
        return
    assert served.relayed.headers is None
    assert served.relayed.body == b"data: [DONE]\n\n"


async def test_what_means_the_same_is_answered_with_how_sure_that_is(hall: Hall) -> None:
    await hall.fill(screened("What is the capital of France?"))
    served = await hall.serve(screened("What's the capital city of France?"))
    assert served.result == "semantic"
    assert served.progress.recalled is not None
    assert served.progress.recalled.cache == "semantic"
    assert 0.6 <= float(served.headers["x-tollway-cache-similarity"]) <= 1
    assert served.headers["x-tollway-cache-region"].startswith("tenant-1/m/")
    other = await hall.fill(screened("How do I boil an egg?"))
    assert other.result == "miss"


async def test_without_a_policy_nothing_is_looked_up_kept_or_told(hall: Hall, metrics: Metrics) -> None:
    for policy in (CachePolicy(), None):
        assert (await hall.fill(screened(policy=policy))).result is None
    assert hall.kept.entries == {}
    assert counted(metrics, "tollway_cache_lookups_total") == {}


async def test_the_keys_policy_goes_before_the_files(hall: Hall) -> None:
    assert (await hall.fill(screened(policy=CachePolicy(), file_policy=EXACT))).result is None
    assert (await hall.fill(screened(policy=None, file_policy=EXACT))).result == "miss"


async def test_exact_alone_answers_nothing_else(hall: Hall) -> None:
    await hall.fill(screened(policy=EXACT))
    assert hall.kept.only[0].namespace == b""
    assert (await hall.fill(screened("What's the capital city of France?", policy=EXACT))).result == "miss"


async def test_semantic_alone_answers_the_same_question_too(hall: Hall) -> None:
    policy = CachePolicy(semantic=SemanticCaching(threshold=0.6))
    await hall.fill(screened(policy=policy))
    assert (await hall.serve(screened(policy=policy))).result == "semantic"


NEAR: dict[str, dict[str, Any]] = {
    "another model": {"model": "other"},
    "a system prompt": {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "Capital?"}]},
    "a tool": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
    "a parameter": {"max_tokens": 9},
    "a seed": {"seed": 9},
    "an unknown field": {"x_brand_new": True},
}


@pytest.mark.parametrize("changes", NEAR.values(), ids=NEAR)
async def test_whatever_else_is_asked_differently_is_another_question(hall: Hall, changes: dict[str, Any]) -> None:
    await hall.fill(screened("Capital?"))
    assert (await hall.fill(screened("Capital?", **changes))).result == "miss"


async def test_nobody_is_answered_with_what_another_tenant_was_told(hall: Hall) -> None:
    await hall.fill(screened(tenant="t1"))
    assert (await hall.fill(screened(tenant="t2"))).result == "miss"
    assert len(hall.kept.entries) == 2


@pytest.mark.parametrize(
    "change",
    [{"tenant_id": "t2"}, {"model": "other"}, {"operation": "messages"}, {"filled_at_ms": -9_999_999}],
    ids=lambda change: next(iter(change)),
)
async def test_an_entry_that_is_not_the_callers_is_none_whoever_found_it(hall: Hall, change: dict[str, Any]) -> None:
    """However it came to be found: by a store that lies."""
    await hall.fill(screened())
    entry, _ = hall.kept.only
    hall.kept.entries[entry.key] = msgspec.structs.replace(entry, **change)
    hall.kept.lies = True
    assert (await hall.fill(screened())).result == "miss"


async def test_a_candidate_of_another_namespace_is_none_whoever_found_it(hall: Hall) -> None:
    await hall.fill(screened())
    entry, _ = hall.kept.only
    hall.kept.entries = {b"x" * 32: msgspec.structs.replace(entry, key=b"x" * 32, namespace=b"y" * 32)}
    hall.kept.questions = {b"x" * 32: hall.kept.questions[entry.key]}
    hall.kept.lies = True
    policy = CachePolicy(semantic=SemanticCaching(threshold=0.0))
    assert (await hall.fill(screened(policy=policy))).result == "miss"


@pytest.mark.parametrize(
    ("scope", "other", "shared"),
    [
        ("tenant", {"key_id": "key-2"}, True),
        ("key", {"key_id": "key-2"}, False),
        ("key", {"user_id": "alice"}, True),
        ("user", {"user_id": "alice"}, False),
        ("user", {"user_id": "bob", "key_id": "key-2"}, True),
    ],
)
async def test_an_entry_is_its_scopes(hall: Hall, scope: Any, other: dict[str, Any], shared: bool) -> None:
    policy = CachePolicy(exact=ExactCaching(), scope=scope)
    await hall.fill(screened(policy=policy, key={"user_id": "bob"}))
    served = await hall.fill(screened(policy=policy, key={"user_id": "bob"} | other))
    assert served.result == ("exact" if shared else "miss")


async def test_of_nobody_in_particular_there_is_no_cache_by_user(hall: Hall) -> None:
    assert (await hall.fill(screened(policy=CachePolicy(exact=ExactCaching(), scope="user")))).result == "off"


async def test_a_temperature_above_the_policys_wants_another_answer_each_time(hall: Hall) -> None:
    warm = CachePolicy(exact=ExactCaching(max_temperature=0.5))
    for temperature, policy, result in [
        (0.1, EXACT, "off"),
        (0, EXACT, "miss"),
        (0.5, warm, "miss"),
        (0.6, warm, "off"),
    ]:
        assert (await hall.fill(screened(policy=policy, temperature=temperature))).result == result


async def test_age_is_bounded_by_policy_and_by_the_client(hall: Hall) -> None:
    policy = CachePolicy(exact=ExactCaching(ttl_s=60), semantic=SemanticCaching(ttl_s=600, threshold=0.6))
    await hall.fill(screened(policy=policy))
    hall.clock.now_ms += 50_500
    assert (await hall.serve(screened(policy=policy))).headers["age"] == "50"
    assert (await hall.serve(screened(policy=policy, headers={b"cache-control": b"max-age=51"}))).result == "exact"
    hall.clock.now_ms += 20_000
    assert (await hall.serve(screened(policy=policy))).result == "semantic", "which lasts longer"
    short = {b"cache-control": b"max-age=50"}
    assert (await hall.fill(screened(policy=policy, headers=short))).result == "miss"
    assert (await hall.serve(screened(policy=policy))).headers["age"] == "0", "it took the place of the old one"


async def test_off_neither_looks_nor_keeps(hall: Hall) -> None:
    for header in ({b"x-tollway-cache": b"off"}, {b"cache-control": b"no-store"}):
        assert (await hall.fill(screened(headers=header))).result == "off"
    assert hall.kept.entries == {}


async def test_refresh_asks_and_keeps(hall: Hall) -> None:
    await hall.fill(screened())
    again = await hall.serve(screened(headers={b"x-tollway-cache": b"refresh"}), whole({**PARIS, "id": "newer"}))
    assert again.result == "refresh"
    assert (await hall.serve(screened())).answer["id"] == "newer"


async def test_only_is_answered_from_the_cache_or_not_at_all(hall: Hall, metrics: Metrics) -> None:
    only = {b"cache-control": b"only-if-cached"}
    for policy in (BOTH, CachePolicy()):
        call = screened(headers=only, policy=policy)
        with pytest.raises(CacheMissed):
            await hall.serve(call)
        assert (b"x-should-retry", b"false") in call.arrival.connection.answer_headers
    await hall.fill(screened())
    assert (await hall.serve(screened(headers=only))).result == "exact"
    assert counted(metrics, "tollway_cache_lookups_total") == {("m", "refused"): 1, ("m", "miss"): 1, ("m", "exact"): 1}


async def test_a_word_that_is_none_is_refused(hall: Hall) -> None:
    with pytest.raises(InvalidRequest):
        await hall.serve(screened(headers={b"x-tollway-cache": b"yes"}))


@pytest.mark.parametrize("operation", ["images", "speech", "count_tokens"])
async def test_other_operations_are_none_of_the_caches(hall: Hall, operation: Operation) -> None:
    assert (await hall.fill(screened(operation=operation))).result == "off"


async def test_a_dry_run_is_none_of_the_caches(hall: Hall) -> None:
    dry = {b"x-tollway-dry-run": b"route"}
    await hall.fill(screened())
    for call in (screened(headers=dry), screened(headers=dry | {b"x-tollway-cache": b"only"}, policy=CachePolicy())):
        looked_up = await hall.look_up.look_up(call, Progress())
        assert (looked_up.recalled, looked_up.filling) == (None, NOTHING)


@pytest.mark.parametrize("key", [{"allowed_models": frozenset({"other"})}, {}], ids=["not allowed", "unknown"])
async def test_who_may_not_use_the_model_is_told_by_the_plan(hall: Hall, key: dict[str, Any]) -> None:
    await hall.fill(screened())
    call = screened(key=key) if key else screened(model="unknown")
    looked_up = await hall.look_up.look_up(call, Progress())
    assert (looked_up.recalled, looked_up.filling) == (None, NOTHING)
    assert call.arrival.connection.answer_headers == []


async def test_a_defect_of_the_cache_is_a_line_of_the_log_and_a_call_like_any_other(
    hall: Hall, recording: Recording, metrics: Metrics
) -> None:
    with raising(hall.kept):
        served = await hall.fill(screened())
        assert served.answer == PARIS
        with pytest.raises(CacheMissed):
            await hall.serve(screened(headers={b"x-tollway-cache": b"only"}))
    assert counted(metrics, "tollway_cache_lookups_total") == {("m", "failed"): 1, ("m", "refused"): 1}
    assert recording.events().count("defect") == 2


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"error": {"message": "no"}}'])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_body_that_is_no_answer_any_more_is_a_miss(hall: Hall, body: bytes, stream: bool) -> None:
    await hall.fill(screened())
    hall.kept.bodies[hall.kept.only[0].key] = body
    assert (await hall.fill(screened(stream=stream))).result == "miss"
    assert (await hall.serve(screened(stream=stream))).result == "exact", "the new answer is kept in its place"


async def test_a_body_that_is_gone_is_a_miss(hall: Hall) -> None:
    await hall.fill(screened())
    hall.kept.bodies.clear()
    assert (await hall.fill(screened())).result == "miss"


async def test_who_is_strict_is_not_answered_with_what_was_dropped_for_another(hall: Hall) -> None:
    await hall.fill(screened())
    entry, body = hall.kept.only
    hall.kept.keep(msgspec.structs.replace(entry, warnings=("seed",)), None, body)
    strict = {b"x-tollway-strict": b"true"}
    assert (await hall.serve(screened(policy=EXACT))).relayed.headers is not None
    sent = dict((await hall.serve(screened(policy=EXACT))).relayed.headers or ())
    assert sent[b"x-tollway-warnings"] == b"dropped:seed"
    assert (await hall.fill(screened(policy=EXACT, headers=strict))).result == "miss"


async def test_a_share_of_semantic_hits_is_compared_with_fresh_answers(hall: Hall) -> None:
    policy = CachePolicy(semantic=SemanticCaching(threshold=0.6, shadow_share=0.5))
    await hall.fill(screened(policy=policy))
    assert (await hall.serve(screened("What's the capital city of France?", policy=policy))).result == "semantic"
    assert len(hall.again) == 1


async def test_identical_calls_at_the_same_time_ask_once(hall: Hall) -> None:
    provider = whole(PARIS)
    calls = [asyncio.create_task(hall.serve(screened(), provider if number == 0 else None)) for number in range(20)]
    served = await asyncio.gather(*calls)
    assert sorted(each.result or "" for each in served) == ["joined"] * 19 + ["miss"]
    assert all(each.answer == PARIS for each in served)
    joined = [each.progress.recalled for each in served if each.result == "joined"]
    assert all(each is not None and (each.cache, each.saved_picousd) == ("exact", 13_000) for each in joined)
    assert len(hall.flights) == 0


async def test_identical_streams_at_the_same_time_hear_one(hall: Hall) -> None:
    provider = streamed("Par", "is.")

    async def one(number: int) -> Any:
        return await hall.serve(screened(stream=True), provider if number == 0 else None)

    served = await asyncio.gather(*(asyncio.create_task(one(number)) for number in range(20)))
    assert sorted(each.result or "" for each in served) == ["joined"] * 19 + ["miss"]
    for each in served:
        assert (each.relayed.outcome, each.relayed.body) == ("ok", b"data: [DONE]\n\n")
    joined = [each.progress for each in served if each.result == "joined"]
    assert {each.recalled.saved_picousd for each in joined if each.recalled is not None} == {13_000}
    assert {each.target.name for each in joined if each.target is not None} == {"fake/m-1"}


async def test_a_call_that_began_before_its_answers_were_erased_is_not_joined(hall: Hall) -> None:
    first = asyncio.create_task(hall.serve(screened(), whole(PARIS)))
    while not len(hall.flights):  # noqa: ASYNC110 - nothing tells when a flight begins
        await asyncio.sleep(0)
    hall.kept.removed.add("tenant-1")
    second = asyncio.create_task(hall.serve(screened(), whole(PARIS)))
    assert [each.result for each in await asyncio.gather(first, second)] == ["miss", "miss"]


async def test_when_the_first_is_cut_another_asks(hall: Hall) -> None:
    first = asyncio.create_task(hall.serve(screened(), whole(PARIS, status=500)))
    second = asyncio.create_task(hall.serve(screened(), whole(PARIS)))
    third = asyncio.create_task(hall.serve(screened()))
    results = [each.result for each in await asyncio.gather(first, second, third)]
    assert results == ["miss", "miss", "joined"]


async def test_a_stream_that_nobody_else_may_hear_is_waited_for(hall: Hall) -> None:
    """Whoever is strict must know what was dropped, which only the kept answer tells."""
    strict = {b"x-tollway-strict": b"true"}
    first = asyncio.create_task(hall.serve(screened(stream=True), streamed("Paris.")))
    second = asyncio.create_task(hall.serve(screened(stream=True, headers=strict)))
    assert [each.result for each in await asyncio.gather(first, second)] == ["miss", "joined"]


async def test_who_does_not_wait_asks_itself(recording: Recording, metrics: Metrics) -> None:
    hall = Hall(recording, metrics, CacheSpace(join_s=0.0))
    hanging = asyncio.create_task(hall.serve(screened(), streamed()))
    await asyncio.sleep(0)
    assert (await hall.serve(screened(), whole(PARIS))).result == "miss"
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
