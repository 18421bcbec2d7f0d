"""Failures 4 and 11 wherever a gateway runs: over two instances with Redis, and over one without."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.e2e.conftest import StartAll
from tests.fakes.gateway import Gateway
from tests.fakes.records import payloads
from tests.fakes.routed import NEVER_OPENS, alias, ask_all, routed, upstreams
from tests.fakes.scripts import cut_after, error_after, hang_after, rst_after
from tests.fakes.upstream import FakeUpstream

DEATHS = {"fin": cut_after(3), "rst": rst_after(3), "hang": hang_after(3), "error-event": error_after(3)}
SAID = ["word0 ", "word1 ", "word2 "]
CALLS, STALLS = 8, 60


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, FakeUpstream]]:
    with upstreams("one", "two") as both:
        both["one"].scripts = {**DEATHS, "stalls": hang_after(1)}
        yield both


@pytest.fixture(scope="module")
def gateways(instances: StartAll, lasting_dsn: str, running: dict[str, FakeUpstream]) -> list[Gateway]:
    timeouts = {"idle": "1500ms", "keep_alive": "500ms"}
    models = {
        name: alias(f"one/{name}", "two/well", timeouts=timeouts, fallbacks=["spare"]) for name in (*DEATHS, "stalls")
    }
    models |= {"spare": alias("two/well"), "well": alias("two/well")}
    return instances(routed(lasting_dsn, running, models, breaker=NEVER_OPENS))


def said(text: str) -> list[str]:
    deltas = [event["choices"][0]["delta"].get("content") for event in payloads(text) if event.get("choices")]
    return [delta for delta in deltas if delta]


@pytest.mark.parametrize("death", DEATHS)
async def test_what_was_said_stays_and_one_error_ends_it(
    gateways: list[Gateway], running: dict[str, FakeUpstream], death: str
) -> None:
    before, others = running["one"].hits_of(death), running["two"].hits
    answers = await ask_all(gateways, death, CALLS, stream=True)
    for answer in answers:
        events = payloads(answer.text)
        assert said(answer.text) == SAID
        assert [("error" in event) for event in events].count(True) == 1
        assert "error" in events[-1]
        assert '"stop"' not in answer.text
    assert running["one"].hits_of(death) == before + CALLS
    assert running["two"].hits == others, "nobody says it a second time"


async def test_streams_that_stall_end_at_the_limit_while_another_model_answers(
    gateways: list[Gateway], running: dict[str, FakeUpstream]
) -> None:
    before = running["one"].hits_of("stalls")
    stalled = asyncio.create_task(ask_all(gateways, "stalls", STALLS, at_once=STALLS, stream=True))
    await running["one"].until(lambda: running["one"].hits_of("stalls") == before + STALLS, 30)
    answers = await ask_all(gateways, "well", CALLS)
    assert {answer.status_code for answer in answers} == {200}
    for answer in await stalled:
        assert said(answer.text) == ["word0 "]
        assert ": keep-alive" in answer.text
        assert "error" in payloads(answer.text)[-1]
    assert running["one"].hits_of("stalls") == before + STALLS, "what has begun is not asked for again"
