"""Station 6: who is asked after whom, and when it stops."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.telemetry import Recording
from tests.proxy.edge import ACCESS, PRICE, Answer, Client
from tests.proxy.routing.stage import Stage, good, refusing, stream, way

from tollway.contract.limits import LimitValues
from tollway.contract.routing import Hedge, Retries
from tollway.contract.snapshot import ProviderKey, Route, Timeouts
from tollway.errors import (
    InvalidRequest,
    UpstreamBroken,
    UpstreamLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from tollway.proxy.causes import Cause, Fault
from tollway.proxy.exchange import Attempted, Called, Dispatch, Progress
from tollway.proxy.relay.relay import relay
from tollway.proxy.routing.walk import RESERVE
from tollway.telemetry.metrics import Metrics

Make = Callable[..., Stage]


@pytest.fixture
def stage(tmp_path: Path, recording: Recording, metrics: Metrics) -> Iterator[Make]:
    made: list[Stage] = []

    def make(*routes: Route) -> Stage:
        made.append(Stage(tmp_path, recording, metrics, *routes))
        return made[0]

    yield make
    for each in made:
        assert each.in_flight() == 0, "every slot was given back"
        each.close()


async def ended(attempted: Attempted) -> tuple[int, bytes]:
    done = await relay(attempted)
    return done.status, done.body


async def test_the_first_good_answer_is_the_answer(stage: Make) -> None:
    here = stage(way("m", "a", "b"))
    here.scripts = {"a": [good("one")], "b": [good("two")]}
    plan = here.plan("m")
    status, body = await ended(await here.run(plan))
    assert (status, here.asked) == (200, ["a"])
    assert b"one" in body
    assert dict(plan.arrival.connection.answer_headers)[b"x-tollway-attempts"] == b"1"


@pytest.mark.parametrize("failure", [refusing(500), refusing(429), refusing(404), UpstreamBroken("cut")])
async def test_another_target_is_asked_when_one_fails(stage: Make, failure: Answer | UpstreamBroken) -> None:
    here = stage(way("m", "a", "b"))
    here.scripts = {"a": [failure], "b": [good("two")]}
    plan = here.plan("m")
    progress = Progress()
    _, body = await ended(await here.run(plan, progress))
    assert b"two" in body
    assert here.asked == ["a", "b"]
    assert dict(plan.arrival.connection.answer_headers)[b"x-tollway-attempts"] == b"2"
    assert [each.then for each in progress.trail.tried] == ["fail_over", ""]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_the_callers_own_fault_is_its_answer_at_once(stage: Make, status: int) -> None:
    here = stage(way("m", "a", "b", fallbacks={"error": ("n",)}), way("n", "c"))
    here.scripts = {"a": [refusing(status)]}
    seen, _ = await ended(await here.run(here.plan("m")))
    assert (seen, here.asked) == (400 if status == 422 else status, ["a"])


async def test_a_target_is_asked_again_when_there_is_no_other(stage: Make) -> None:
    here = stage(way("m", "a"))
    here.scripts = {"a": [refusing(500), good()]}
    assert (await ended(await here.run(here.plan("m"))))[0] == 200
    assert here.asked == ["a", "a"]


async def test_what_asks_to_be_left_alone_is_not_asked_again(stage: Make) -> None:
    here = stage(way("m", "a"))
    limited = refusing(429)
    limited.why = Fault(Cause.RATE_LIMIT, "slow down", retry_after_s=30.0)
    here.scripts = {"a": [limited, good()]}
    assert (await ended(await here.run(here.plan("m"))))[0] == 429
    with pytest.raises(UpstreamLimited) as caught:
        await here.run(here.plan("m"))
    assert caught.value.retry_after_s == 30.0
    assert here.asked == ["a"]
    assert here.neighbours.told == [("cooled", "fake/a")]
    here.now_ms += 30_000
    assert (await ended(await here.run(here.plan("m"))))[0] == 200


async def test_attempts_are_bounded(stage: Make) -> None:
    here = stage(way("m", "a", "b", "c", "d", retries=Retries(attempts=3, backoff_s=0.001)))
    here.scripts = {model: [refusing(500)] for model in "abcd"}
    assert (await ended(await here.run(here.plan("m"))))[0] == 500
    assert here.asked == ["a", "b", "c"]


async def test_fallbacks_have_their_turn_once_each(stage: Make) -> None:
    once = Retries(attempts=1)
    here = stage(
        way("m1", "a", retries=once, fallbacks={"error": ("m2",)}),
        way("m2", "b", retries=once, fallbacks={"error": ("m1", "m3")}),
        way("m3", "c", retries=once),
    )
    here.scripts = {model: [refusing(502)] for model in "abc"}
    assert (await ended(await here.run(here.plan("m1"))))[0] == 502
    assert here.asked == ["a", "b", "c"]


async def test_a_fallback_that_the_caller_may_not_use_is_passed_over(stage: Make) -> None:
    here = stage(way("m", "a", fallbacks={"error": ("n", "o")}), way("n", "b"), way("o", "c"))
    here.scripts = {"a": [refusing(500)], "c": [good()]}
    here.forbidden = {"n"}
    progress = Progress()
    assert (await ended(await here.run(here.plan("m"), progress)))[0] == 200
    assert here.asked == ["a", "a", "a", "c"]
    assert progress.trail.refused == [("n", "model_not_allowed")]


async def test_retries_are_a_share_of_the_calls(stage: Make) -> None:
    never = way("m", "a", retries=Retries(attempts=3, budget=0.2, backoff_s=0.0001))
    here = stage(never)
    here.scripts = {"a": [refusing(409)]}  # no failure that a breaker counts
    for _ in range(100):
        await ended(await here.run(here.plan("m")))
    assert 100 < len(here.asked) <= 100 + 20 + RESERVE + 1


async def test_a_fallbacks_retries_are_a_share_of_its_own_calls(stage: Make) -> None:
    alone = Retries(attempts=2, budget=1.0, backoff_s=0.0001)
    here = stage(way("m", "a", retries=Retries(budget=0.01), fallbacks={"error": ("n",)}), way("n", "b", retries=alone))
    here.board.open("fake/a", here.now_ms + 60_000, here.now_ms)
    for _ in range(5 * RESERVE):
        here.scripts = {"b": [refusing(409), good()]}
        assert (await ended(await here.run(here.plan("m"))))[0] == 200
    assert here.asked == ["b", "b"] * (5 * RESERVE)


async def test_a_breaker_opens_for_everybody(stage: Make) -> None:
    here = stage(way("m", "a", retries=Retries(attempts=1)))
    here.scripts = {"a": [refusing(500)]}
    for _ in range(5):
        await ended(await here.run(here.plan("m")))
    with pytest.raises(UpstreamUnavailable):
        await here.run(here.plan("m"))
    assert here.asked == ["a"] * 5
    assert here.neighbours.told == [("opened", "fake/a")]
    here.now_ms += 5_000
    here.scripts = {"a": [good()]}
    assert (await ended(await here.run(here.plan("m"))))[0] == 200
    assert here.neighbours.told[-1] == ("closed", "fake/a")


@pytest.mark.parametrize("answer", [refusing(400), InvalidRequest("can't be said"), refusing(404), refusing(429)])
async def test_what_is_not_the_targets_failure_opens_nothing(stage: Make, answer: Answer | InvalidRequest) -> None:
    here = stage(way("m", "a", retries=Retries(attempts=1)))
    for _ in range(20):
        here.scripts = {"a": [refusing(answer.status) if not isinstance(answer, InvalidRequest) else answer]}
        try:
            await ended(await here.run(here.plan("m")))
        except (InvalidRequest, UpstreamLimited):
            pass
        here.now_ms += 40_000
    assert ("opened", "fake/a") not in here.neighbours.told


async def test_a_clients_own_hurry_is_no_failure(stage: Make) -> None:
    here = stage(way("m", "a"))

    async def slow(dispatch: Dispatch, progress: Progress) -> Called:
        await asyncio.sleep(max(0.0, dispatch.deadline - asyncio.get_running_loop().time()))
        raise UpstreamTimeout("late")

    here.act = slow
    for _ in range(10):
        with pytest.raises(UpstreamTimeout):
            await here.run(here.plan("m", headers={b"x-tollway-timeout": b"2ms"}))
    assert here.neighbours.told == []


async def test_a_timeout_that_is_none_is_refused(stage: Make) -> None:
    here = stage(way("m", "a"))
    with pytest.raises(InvalidRequest, match="duration"):
        await here.run(here.plan("m", headers={b"x-tollway-timeout": b"soon"}))


async def test_nobody_is_asked_after_the_deadline(stage: Make) -> None:
    here = stage(way("m", "a", "b", timeouts=Timeouts(total_s=0.05)))

    async def late(dispatch: Dispatch, progress: Progress) -> Called:
        here.asked.append(dispatch.target.model)
        await asyncio.sleep(0.06)
        raise UpstreamTimeout("late")

    here.act = late
    with pytest.raises(UpstreamTimeout):
        await here.run(here.plan("m"))
    assert here.asked == ["a"]


async def test_a_stream_that_fails_before_it_says_anything_is_asked_elsewhere(stage: Make) -> None:
    here = stage(way("m", "a", "b"))
    client = Client()
    first = stream("Hello")
    first._script[1:] = [UpstreamBroken("cut")]  # its role alone came
    here.scripts = {"a": [first], "b": [stream("Good", " day")]}
    done = await relay(await here.run(here.plan("m", client, stream=True)))
    assert here.asked == ["a", "b"]
    assert b"Hello" not in client.body
    assert b"Good" in client.body
    assert done.outcome == "ok"
    assert here.given[0].closed == 1


async def test_a_stream_that_has_said_something_is_not_asked_elsewhere(stage: Make) -> None:
    here = stage(way("m", "a", "b"))
    client = Client()
    first = stream("Hello", " there")
    first._script[2:] = [UpstreamBroken("cut")]
    here.scripts = {"a": [first], "b": [good()]}
    done = await relay(await here.run(here.plan("m", client, stream=True)))
    assert (here.asked, done.outcome) == (["a"], "cut")
    assert b"error" in done.body


async def test_the_context_windows_fallback_is_free(stage: Make) -> None:
    long = refusing(400)
    long.why = Fault(Cause.CONTEXT_WINDOW, "too long")
    here = stage(way("m", "a", fallbacks={"context_window": ("n",)}, retries=Retries(budget=0.0)), way("n", "b"))
    here.scripts = {"a": [long], "b": [good()]}
    for _ in range(20):
        assert (await ended(await here.run(here.plan("m"))))[0] == 200
    assert here.asked == ["a", "b"] * 20


async def test_a_key_that_is_refused_is_set_aside(stage: Make) -> None:
    keys = tuple(ProviderKey(msgspec.structs.replace(ACCESS, key_name=name)) for name in ("one", "two"))
    plain = way("m", "a", "b")
    route = msgspec.structs.replace(
        plain, targets=tuple(msgspec.structs.replace(target, keys=keys) for target in plain.targets)
    )
    here = stage(route)
    here.scripts = {"a": [refusing(401), good()], "b": [good()]}
    for _ in range(10):
        assert (await ended(await here.run(here.plan("m"))))[0] == 200
    refused = here.keys[0]
    assert refused not in here.keys[1:]
    assert len(here.keys) == 11


async def test_a_key_without_room_is_passed_over(stage: Make) -> None:
    small = LimitValues(rpm=1)
    keys = tuple(ProviderKey(msgspec.structs.replace(ACCESS, key_name=name), limits=small) for name in ("one", "two"))
    plain = way("m", "a")
    here = stage(msgspec.structs.replace(plain, targets=(msgspec.structs.replace(plain.targets[0], keys=keys),)))
    here.scripts = {"a": [good()]}
    for _ in range(2):
        await ended(await here.run(here.plan("m")))
    assert sorted(here.keys) == ["one", "two"]
    with pytest.raises(UpstreamUnavailable):
        await here.run(here.plan("m"))


def hedged(after_s: float | None = 0.01, **more: Any) -> Route:
    plain = way("m", "a", "b", hedge=Hedge(after_s=after_s, budget=1.0, **more))
    return msgspec.structs.replace(
        plain, targets=tuple(msgspec.structs.replace(target, price=PRICE) for target in plain.targets)
    )


async def test_a_second_target_wins_when_the_first_is_slow_and_the_first_is_billed(stage: Make) -> None:
    here = stage(hedged())
    here.scripts = {"a": [...], "b": [good("two")]}
    progress = Progress()
    attempted = await here.run(here.plan("m"), progress)
    assert b"two" in (await ended(attempted))[1]
    assert here.asked == ["a", "b"]
    assert attempted.progress is not progress
    assert attempted.progress.trail.beside == [progress]
    assert [each.result for each in progress.trail.tried] == ["abandoned", "ok"]


async def test_a_first_target_that_is_quick_is_alone(stage: Make) -> None:
    here = stage(hedged(after_s=5.0))
    here.scripts = {"a": [good("one")]}
    progress = Progress()
    attempted = await here.run(here.plan("m"), progress)
    await ended(attempted)
    assert (here.asked, attempted.progress) == (["a"], progress)


async def test_a_second_call_that_costs_too_much_is_not_made(stage: Make) -> None:
    here = stage(hedged(max_cost_picousd=10))

    async def slow(dispatch: Dispatch, progress: Progress) -> Called:
        here.asked.append(dispatch.target.model)
        await asyncio.sleep(0.03)
        raise UpstreamUnreachable("no")

    here.act = slow
    with pytest.raises(UpstreamUnreachable):
        await here.run(here.plan("m", max_tokens=100))
    assert here.asked == ["a", "b", "a"], "one after the other"


async def test_both_failing_is_one_failure(stage: Make) -> None:
    here = stage(hedged())

    async def slow(dispatch: Dispatch, progress: Progress) -> Called:
        here.asked.append(dispatch.target.model)
        await asyncio.sleep(0.03)
        raise UpstreamUnreachable("no")

    here.act = slow
    with pytest.raises(UpstreamUnreachable):
        await here.run(here.plan("m"))
    assert here.asked[:2] == ["a", "b"]


async def test_a_client_that_leaves_ends_both(stage: Make) -> None:
    here = stage(hedged())
    here.scripts = {"a": [...], "b": [...]}
    progress = Progress()

    async def run() -> None:
        await here.run(here.plan("m"), progress)

    task = asyncio.create_task(run())
    while len(here.asked) < 2:  # noqa: ASYNC110 -- the stage has no event for it
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(progress.trail.beside) == 1


async def test_a_second_call_is_known_though_the_first_never_left(stage: Make) -> None:
    here = stage(hedged())

    async def act(dispatch: Dispatch, progress: Progress) -> Called:
        here.asked.append(dispatch.target.model)
        progress.planned(dispatch.route, dispatch.target)
        if dispatch.target.model == "b":
            progress.sent()
            raise UpstreamBroken("cut")
        await asyncio.sleep(0.03)
        raise UpstreamUnreachable("no")

    here.act = act
    progress = Progress()
    with pytest.raises((UpstreamUnreachable, UpstreamBroken)):
        await here.run(here.plan("m"), progress)
    assert [leg.target is not None and leg.target.model for leg in progress.trail.legs if leg.dispatched_at_us] == ["b"]


async def test_a_refusal_comes_out_as_it_was(stage: Make) -> None:
    here = stage(way("m", "a", retries=Retries(attempts=1)))
    here.scripts = {"a": [refusing(503)]}
    assert await ended(await here.run(here.plan("m"))) == (503, b'{"error": {"message": "no"}}')
