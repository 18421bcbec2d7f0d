"""A check decides within its time, whatever the other side does: over real sockets to a server that misbehaves."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from tests.fakes.clock import in_no_time
from tests.fakes.gateway import free_port
from tests.fakes.scripts import Script, not_http, whole
from tests.fakes.telemetry import Recording, counted
from tests.fakes.upstream import FakeUpstream

from tollway.contract.guardrails import Direction, OnError
from tollway.errors import UpstreamUnreachable
from tollway.proxy.breaker import FAILURES, LEFT_OUT_S
from tollway.proxy.guardrails.external.asking import Unanswered
from tollway.proxy.guardrails.external.steady import DECISION_S_MAX, MOST_AT_ONCE, Steady
from tollway.proxy.guardrails.external.webhook import Webhook
from tollway.proxy.outside import Judgement, Remark
from tollway.proxy.providers.asking import Asking
from tollway.proxy.providers.http import HttpTransport
from tollway.telemetry.metrics import Metrics

CANARY = "the canary sings at dawn"
ALLOWED = whole({"action": "allow"})
CLOSED = Judgement(remarks=(Remark("unavailable", "block"),))
OPEN = Judgement(remarks=(Remark("unavailable", "flag"),))

CUT = Script(steps=(("send", b'{"action": "allow", "reason": "' + CANARY.encode()), ("fin",)), framing="chunked")
DEAD: dict[str, Script] = {
    "status 500": whole({"detail": CANARY}, status=500),
    "status 404": whole({"action": "allow"}, status=404),
    "bad JSON": whole(f'{{"action": "allow", "{CANARY}'.encode()),
    "another JSON": whole({"verdict": CANARY}),
    "deep JSON": whole(b"[" * 200_000),
    "cut": CUT,
    "reset": Script(raw_head=b"", steps=(("rst",),)),
    "redirect": whole({"action": "allow"}, status=307, headers=[("location", "http://127.0.0.1:1/allow")]),
    "hang": Script(raw_head=b"", steps=(("hang",),)),
    "hang half-way": Script(steps=(("send", b'{"action": '), ("hang",)), framing="chunked"),
    "slow": whole({"action": "allow"}, delay_s=30),
    "trickle": Script(steps=tuple([("send", b" "), ("sleep", 0.05)] * 600), framing="chunked"),
    "huge": whole(b'{"action": "allow", "reason": "' + b"x" * 1_100_000 + b'"}'),
    "no HTTP": not_http(),
}


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport()
    yield made
    made.close()
    await asyncio.sleep(0)


Make = Callable[..., Steady]


@pytest.fixture
def make(recording: Recording, metrics: Metrics) -> Make:
    def made(judge: object, *, on_error: OnError = "closed", timeout_s: float = 0.3) -> Steady:
        asked = Judging(judge) if callable(judge) else judge
        return Steady("hook", asked, timeout_s=timeout_s, on_error=on_error, log=recording.log, metrics=metrics)  # type: ignore[arg-type]

    return made


class Judging:
    """A judge that is a function."""

    def __init__(self, say: Callable[[], Awaitable[Judgement]]) -> None:
        self._say = say

    async def ask(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        return await self._say()


def hook(transport: HttpTransport, upstream: FakeUpstream) -> Webhook:
    return Webhook("hook", f"{upstream.base_url}/judge", None, Asking(transport))


@pytest.mark.parametrize("on_error", ["open", "closed"])
@pytest.mark.parametrize("how", DEAD)
async def test_a_dead_server_means_what_was_configured(
    how: str, on_error: OnError, transport: HttpTransport, make: Make, metrics: Metrics, recording: Recording
) -> None:
    with FakeUpstream(default=DEAD[how]) as upstream:
        steady = make(hook(transport, upstream), on_error=on_error)
        async with asyncio.timeout(20):
            said = await steady.judge([CANARY], "input", "acme")
        assert len(upstream.requests) == 1
    assert said == (CLOSED if on_error == "closed" else OPEN)
    [(labels, times)] = counted(metrics, "tollway_guardrail_asked_total").items()
    assert labels in (("hook", "failed"), ("hook", "late"))
    assert times == 1
    lines = recording.lines()
    assert [line["event"] for line in lines] == ["guardrail_check_failed"]
    assert CANARY not in json.dumps(lines)


async def test_nobody_there_means_what_was_configured(transport: HttpTransport, make: Make) -> None:
    webhook = Webhook("hook", f"http://127.0.0.1:{free_port()}/judge", None, Asking(transport))
    assert await make(webhook).judge([CANARY], "input", "acme") == CLOSED
    assert await make(webhook, on_error="open").judge([CANARY], "input", "acme") == OPEN


async def test_an_answer_is_its_judgement_and_the_connection_is_kept(
    transport: HttpTransport, make: Make, metrics: Metrics
) -> None:
    with FakeUpstream(default=ALLOWED) as upstream:
        steady = make(hook(transport, upstream), timeout_s=10.0)
        for _ in range(3):
            assert await steady.judge([CANARY], "input", "acme") == Judgement()
        assert upstream.connections == 1
    assert counted(metrics, "tollway_guardrail_asked_total") == {("hook", "answered"): 3}


async def test_without_texts_nobody_is_asked(make: Make) -> None:
    async def say() -> Judgement:
        raise AssertionError("asked")

    assert await make(say).judge(["", ""], "input", "acme") == Judgement()


async def test_after_failures_in_a_row_the_mode_decides_without_asking(
    transport: HttpTransport, make: Make, metrics: Metrics, recording: Recording
) -> None:
    with FakeUpstream(default=DEAD["status 500"]) as upstream:
        steady = make(hook(transport, upstream))
        for _ in range(FAILURES + 20):
            assert await steady.judge([CANARY], "input", "acme") == CLOSED
        assert len(upstream.requests) == FAILURES
    assert counted(metrics, "tollway_guardrail_asked_total") == {("hook", "failed"): FAILURES, ("hook", "left_out"): 20}
    assert recording.events() == ["guardrail_check_failed"] * (FAILURES - 1) + ["guardrail_check_left_out"]


async def test_it_is_asked_again_later_and_holds_again(recording: Recording, metrics: Metrics) -> None:
    now, is_well = [0.0], [False]

    async def say() -> Judgement:
        if is_well[0]:
            return Judgement()
        raise Unanswered("status 500")

    steady = Steady(
        "hook",
        Judging(say),
        timeout_s=1.0,
        on_error="open",
        log=recording.log,
        metrics=metrics,
        clock=lambda: now[0],
    )
    for _ in range(FAILURES):
        assert await steady.judge(["a"], "input", "acme") == OPEN
    is_well[0] = True
    assert await steady.judge(["a"], "input", "acme") == OPEN
    now[0] += LEFT_OUT_S
    assert await steady.judge(["a"], "input", "acme") == Judgement()
    assert await steady.judge(["a"], "input", "acme") == Judgement()
    assert recording.events()[-1] == "guardrail_check_answers"


def test_no_decision_takes_longer_than_two_seconds_whatever_is_configured(make: Make) -> None:
    @in_no_time
    async def decide() -> None:
        async def say() -> Judgement:
            await asyncio.sleep(3600)
            return Judgement()

        steady = make(say, timeout_s=600.0)
        begun = asyncio.get_running_loop().time()
        said = await asyncio.gather(*[steady.judge(["a"], "input", "acme") for _ in range(3 * MOST_AT_ONCE)])
        assert said == [CLOSED] * (3 * MOST_AT_ONCE)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(DECISION_S_MAX)
        assert DECISION_S_MAX < 2

    decide()


async def test_only_so_many_questions_are_under_way(make: Make) -> None:
    under_way, most = [0], [0]

    async def say() -> Judgement:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        await asyncio.sleep(0)
        under_way[0] -= 1
        return Judgement()

    steady = make(say, timeout_s=10.0)
    await asyncio.gather(*[steady.judge(["a"], "input", "acme") for _ in range(3 * MOST_AT_ONCE)])
    assert most[0] == MOST_AT_ONCE


async def test_a_client_that_leaves_says_nothing_of_the_check(make: Make, metrics: Metrics) -> None:
    async def say() -> Judgement:
        await asyncio.sleep(60)
        return Judgement()

    steady = make(say, timeout_s=1.0)
    for _ in range(2 * FAILURES):
        task = asyncio.ensure_future(steady.judge(["a"], "input", "acme"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert counted(metrics, "tollway_guardrail_asked_total") == {}


async def test_a_defect_of_ours_is_seen(make: Make) -> None:
    async def say() -> Judgement:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        await make(say).judge(["a"], "input", "acme")


async def test_an_error_of_the_connection_is_a_failure(make: Make, recording: Recording) -> None:
    async def say() -> Judgement:
        raise UpstreamUnreachable("no", inside="refused")

    assert await make(say).judge(["a"], "input", "acme") == CLOSED
    assert recording.lines()[0]["cause"] == UpstreamUnreachable.code
