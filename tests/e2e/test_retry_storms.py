"""Failure 16: who asks to be left alone is, retries are few and end in time, and a fallback costs nobody money that he
has not got. Over two instances with Redis, and over one without.
"""

import asyncio
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from tests.e2e.conftest import StartAll
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.routed import NEVER_OPENS, alias, ask, ask_all, attempts, routed, upstreams
from tests.fakes.scripts import Script, status
from tests.fakes.upstream import FakeUpstream, Seen

from tollway.proxy.routing.walk import RESERVE

POOR = "test-key-of-tenant-poor-0001"
CALLS = 200
SHARED_S = 1.0
"""Within this time another instance has heard."""

RETRY_AFTER_S = 30
CHAIN = {"attempts": 3, "budget": "100%", "backoff": "20ms", "max_backoff": "100ms"}
BUDGETED = {"attempts": 3, "budget": "20%", "backoff": "1ms", "max_backoff": "5ms"}
ONCE = {"attempts": 1, "budget": "100%"}
PATIENT = {"attempts": 10, "budget": "100%", "backoff": "300ms", "max_backoff": "2s"}
DEADLINE_S = 1.0
FREE = {"input_per_1m": 0, "output_per_1m": 0}


def limited_until_a_date(_: Seen) -> Script:
    """429, with the HTTP-date form of Retry-After (RFC 9110, section 10.2.3)."""
    return status(429, headers=[("retry-after", formatdate(time.time() + RETRY_AFTER_S, usegmt=True))])


TWO_WORKERS = {"host": "127.0.0.1", "workers": 2, "drain": "20s"}


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, FakeUpstream]]:
    with upstreams("one", "two") as both:
        both["one"].default = status(500)
        both["one"].scripts = {
            "seconds": status(429, headers=[("retry-after", str(RETRY_AFTER_S))]),
            "date": limited_until_a_date,
            "unsaid": status(429),
            "away": status(503, headers=[("retry-after", str(RETRY_AFTER_S))]),
        }
        yield both


@pytest.fixture(scope="module")
def gateways(instances: StartAll, lasting_dsn: str, running: dict[str, FakeUpstream]) -> list[Gateway]:
    models = {
        "seconds": alias("one/seconds"),
        "date": alias("one/date"),
        "away": alias("one/away"),
        "unsaid": alias("one/unsaid"),
        "m1": alias("one/m1", "one/m1b", retries=CHAIN, fallbacks=["m2"]),
        "m2": alias("one/m2", retries=CHAIN, fallbacks=["m1"]),
        "budgeted": alias("one/budgeted", "one/budgeted-too", retries=BUDGETED),
        "patient": alias("one/patient", retries=PATIENT, timeouts={"total": f"{DEADLINE_S:g}s"}),
        "hurried": alias("one/hurried", retries=PATIENT),
        "free": alias("one/free", fallbacks=["paid"], price=FREE, retries=ONCE),
        "paid": alias("two/paid"),
    }
    tenants = {
        "acme": {"keys": {"ci": {"key": KEY}}},
        "poor": {"keys": {"ci": {"key": POOR}}, "monthly_budget_usd": 0},
    }
    return instances(routed(lasting_dsn, running, models, tenants=tenants, server=TWO_WORKERS, breaker=NEVER_OPENS))


@pytest.mark.parametrize(("model", "told"), [("seconds", 429), ("date", 429), ("away", 503)])
async def test_who_says_retry_after_is_not_asked_by_any_of_200_calls(
    gateways: list[Gateway], running: dict[str, FakeUpstream], model: str, told: int
) -> None:
    one, before = running["one"], running["one"].hits_of(model)
    first = await asyncio.to_thread(ask, gateways[0], model)
    assert (first.status_code, attempts(first)) == (told, 1)
    await asyncio.sleep(SHARED_S)
    answers = await ask_all(gateways, model, CALLS, at_once=40)
    assert {answer.status_code for answer in answers} == {told}
    assert {attempts(answer) for answer in answers} == {0}
    waits = [int(answer.headers["retry-after"]) for answer in answers]
    assert 0 < min(waits) <= max(waits) <= RETRY_AFTER_S
    assert one.hits_of(model) == before + 1, "neither by the one who heard it nor by another instance"


async def test_a_429_that_says_nothing_of_when_to_come_back_is_not_tried_again(
    gateways: list[Gateway], running: dict[str, FakeUpstream]
) -> None:
    """With nobody else to ask, each caller hears the provider's own word, once."""
    before = running["one"].hits_of("unsaid")
    answers = await ask_all(gateways, "unsaid", CALLS, at_once=CALLS)
    assert {answer.status_code for answer in answers} == {429}
    assert sum(attempts(answer) for answer in answers) == running["one"].hits_of("unsaid") - before == CALLS
    assert max(attempts(answer) for answer in answers) == 1


async def test_fallbacks_in_a_circle_end_after_each_had_its_turn(
    gateways: list[Gateway], running: dict[str, FakeUpstream]
) -> None:
    names = ("m1", "m1b", "m2")
    before = {name: running["one"].hits_of(name) for name in names}
    answers = await ask_all(gateways, "m1", 1)
    hits = {name: running["one"].hits_of(name) - before[name] for name in names}
    assert (answers[0].status_code, attempts(answers[0])) == (500, 6)
    assert hits["m1"] + hits["m1b"] == hits["m2"] == CHAIN["attempts"]
    rows = await asyncio.to_thread(rows_of, gateways[0], "m2", 1)
    assert {(row["attempts"], row["status"]) for row in rows} == {(6, "error")}, "all of it is one row"


async def test_retries_are_a_share_of_the_calls(gateways: list[Gateway], running: dict[str, FakeUpstream]) -> None:
    names = ("budgeted", "budgeted-too")
    before = sum(running["one"].hits_of(name) for name in names)
    started = time.monotonic()
    answers = await ask_all(gateways, "budgeted", CALLS, at_once=20)
    tens_of_seconds = 1 + (time.monotonic() - started) / 10
    hits = sum(running["one"].hits_of(name) for name in names) - before
    assert {answer.status_code for answer in answers} == {500}
    assert hits == sum(attempts(answer) for answer in answers)
    reserve = RESERVE * len(gateways) * tens_of_seconds
    assert CALLS < hits <= CALLS * 1.2 + reserve


@pytest.mark.parametrize(("model", "headers"), [("patient", {}), ("hurried", {"x-tollway-timeout": "1s"})])
async def test_no_retry_leaves_after_the_deadline_and_pauses_differ(
    gateways: list[Gateway], running: dict[str, FakeUpstream], model: str, headers: dict[str, str]
) -> None:
    before = len(running["one"].requests)
    answers = await asyncio.gather(
        *(ask_all(gateways[:1], model, 1, headers=headers, user=f"caller-{number}") for number in range(10))
    )
    assert {answer.status_code for (answer,) in answers} == {500}
    arrived: dict[str, list[float]] = {}
    for seen in list(running["one"].requests)[before:]:
        arrived.setdefault(seen.json["user"], []).append(seen.arrived_at)
    assert len(arrived) == 10
    assert sum(map(len, arrived.values())) == sum(attempts(answer) for (answer,) in answers)
    assert all(times[-1] - times[0] < DEADLINE_S for times in arrived.values())
    first_pauses = [times[1] - times[0] for times in arrived.values() if len(times) > 1]
    assert len(first_pauses) >= 8, "the first pause is at most 300 ms, so there was time"
    assert max(first_pauses) - min(first_pauses) > 0.01, "callers come apart"


async def test_a_paid_fallback_is_not_for_who_has_no_budget(
    gateways: list[Gateway], running: dict[str, FakeUpstream]
) -> None:
    paid = running["two"].hits_of("paid")
    refused = await ask_all(gateways, "free", 4, key=POOR)
    assert {answer.status_code for answer in refused} == {500}
    direct = await ask_all(gateways, "paid", 4, key=POOR)
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in direct} == {(429, "insufficient_quota")}
    assert {answer.headers["x-should-retry"] for answer in direct} == {"false"}
    assert running["two"].hits_of("paid") == paid
    served = await ask_all(gateways, "free", 4)
    assert {answer.status_code for answer in served} == {200}
    assert running["two"].hits_of("paid") == paid + 4


def rows_of(gateway: Gateway, model: str, count: int) -> list[dict[str, object]]:
    """The usage rows of a model, once they are there."""
    query = f"select * from usage_logs where model = '{model}'"  # noqa: S608 -- a test's own word
    gateway.wait_until(lambda: len(gateway.fetch(query)) >= count, f"{count} rows of {model}")
    return gateway.fetch(query)
