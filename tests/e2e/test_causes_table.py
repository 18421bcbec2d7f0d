"""The table of ``docs/routing.md``, row by row: what a failure does, as it is seen from outside."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from docs.verdicts import QUOTA, RESET, ROWS, STALE, STATUSES, TIMEOUT, TRUNCATED, Row
from tests.e2e.conftest import StartFor
from tests.fakes.gateway import Gateway
from tests.fakes.routed import alias, answering, ask, attempts, in_turn, provider, routed, upstreams
from tests.fakes.scripts import Script, completion, hang, status, whole
from tests.fakes.upstream import Chooser, FakeUpstream

from tollway.proxy.providers.connection import WAS_IDLE_S

FAILED_ROWS = [row for row in ROWS if row.verdict is not None]
OPENS_AFTER = 4
ASKED_AT_MOST = 3
SPARING = {"attempts": ASKED_AT_MOST, "budget": "100%", "backoff": "5ms", "max_backoff": "10ms"}
AT_ONCE = (("retry-after", "0"),)
"""Asks to be left alone for no time at all: so a failure that cools can be met again and again."""


def slug(what: str) -> str:
    """A row's name as a model's."""
    return "".join([letter if letter.isalnum() else "-" for letter in what])


def failing(what: str, headers: tuple[tuple[str, str], ...] = ()) -> Script:
    """A provider that fails as the row says."""
    if what == RESET:
        return Script(raw_head=b"", steps=(("rst",),))
    if what == TIMEOUT:
        return hang()
    if what == TRUNCATED:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n"
        return Script(raw_head=head, steps=(("send", b'{"id": "chatcmpl-'), ("fin",)))
    if what == QUOTA:
        error = {
            "message": "You exceeded your current quota.",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        }
        return whole({"error": error}, status=429, headers=headers)
    return status(int(what), headers=headers)


def cut_stream(what: str) -> Script:
    """The same, where a stream was asked for: its head is all that comes of a truncated one."""
    if what != TRUNCATED:
        return failing(what)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return Script(raw_head=head, steps=(("send", b""), ("fin",)))


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, FakeUpstream]]:
    """``resets`` does nothing else: so it never has a kept connection, whose loss could be anybody's."""
    with upstreams("one", "two", "resets") as all_of_them:
        yield all_of_them


def first_of(running: dict[str, FakeUpstream], what: str) -> FakeUpstream:
    """Whoever fails as the row says."""
    return running["resets" if what == RESET else "one"]


@pytest.fixture(scope="module")
def gateway(start_for: StartFor, lasting_dsn: str, running: dict[str, FakeUpstream]) -> Gateway:
    """Each row has providers, models and aliases of its own, so that none of them learns from another."""
    providers: dict[str, Any] = {}
    models: dict[str, Any] = {}
    breaker = {"consecutive": OPENS_AFTER, "cooldown": "60s", "failure_rate": "100%", "minimum_calls": 1000}
    once = {"attempts": 1, "budget": "100%"}
    for row in ROWS:
        name = slug(row.what)
        timeouts = {"first_token": "250ms" if row.what == TIMEOUT else "10s"}  # only one of them is to be late
        for kind in ("pair", "streamed", "alone", "counted", "patient"):
            providers[f"{kind}-{name}"] = provider(first_of(running, row.what), breaker=breaker)
        providers[f"well-{name}"] = provider(running["two"], breaker=breaker)
        for kind, retries in (("pair", SPARING), ("streamed", SPARING), ("patient", SPARING)):
            targets = (f"{kind}-{name}/{kind}-{name}", f"well-{name}/{kind}-{name}")
            models[f"{kind}-{name}"] = alias(*targets, retries=retries, timeouts=timeouts)
        for kind, retries in (("alone", SPARING), ("counted", once)):
            models[f"{kind}-{name}"] = alias(f"{kind}-{name}/{kind}-{name}", retries=retries, timeouts=timeouts)
        first_of(running, row.what).scripts |= _scripts(row.what)
    return start_for(routed(lasting_dsn, {}, models, providers=providers))


def _scripts(what: str) -> dict[str, Script | Chooser]:
    if what == STALE:
        return {}
    name, failed = slug(what), failing(what)
    asked = failing(what, (("retry-after", "30"),)) if what[0].isdigit() else failed
    return {
        f"pair-{name}": failed,
        f"streamed-{name}": cut_stream(what),
        f"alone-{name}": failed,
        f"counted-{name}": failing(what, AT_ONCE) if what[0].isdigit() else failed,
        f"patient-{name}": asked,
    }


def by_name(rows: list[Row]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.what)


def test_the_table_has_every_row_that_it_should() -> None:
    assert [row.what for row in ROWS] == [*map(str, STATUSES), QUOTA, RESET, TIMEOUT, TRUNCATED, STALE]


@pytest.mark.parametrize("kind", ["pair", "streamed"])
@by_name(FAILED_ROWS)
def test_another_target_is_asked_where_the_table_says_so_and_a_cooled_one_is_left_alone(
    gateway: Gateway, running: dict[str, FakeUpstream], row: Row, kind: str
) -> None:
    assert row.verdict is not None
    model = f"{kind}-{slug(row.what)}"
    answers = [ask(gateway, model, stream=kind == "streamed") for _ in range(2)]
    if row.verdict.elsewhere:
        assert [answer.status_code for answer in answers] == [200, 200]
        assert all("I am two." in answer.text for answer in answers)
        cools_unasked = row.verdict.cool_s is not None
        assert [attempts(answer) for answer in answers] == ([2, 1] if cools_unasked else [2, 2])
        assert first_of(running, row.what).hits_of(model) == (1 if cools_unasked else 2)
        assert running["two"].hits_of(model) == 2
    else:
        assert [answer.status_code for answer in answers] == [row.status, row.status]
        assert [attempts(answer) for answer in answers] == [1, 1]
        assert (first_of(running, row.what).hits_of(model), running["two"].hits_of(model)) == (2, 0)


@by_name(FAILED_ROWS)
def test_one_target_alone_is_asked_again_where_the_table_says_so_and_its_failure_is_the_clients(
    gateway: Gateway, running: dict[str, FakeUpstream], row: Row
) -> None:
    assert row.verdict is not None
    model = f"alone-{slug(row.what)}"
    answer = ask(gateway, model)
    assert answer.status_code == row.status
    assert answer.json()["error"]["message"]
    assert attempts(answer) == (ASKED_AT_MOST if row.verdict.again else 1)
    assert first_of(running, row.what).hits_of(model) == attempts(answer)
    if row.verdict.cool_s is not None:
        again = ask(gateway, model)  # it did not say for how long, and there is nobody else to ask
        assert (again.status_code, attempts(again)) == (row.status, 1)
        assert first_of(running, row.what).hits_of(model) == 2


@by_name(FAILED_ROWS)
def test_the_breaker_counts_what_the_table_says_and_nothing_else(
    gateway: Gateway, running: dict[str, FakeUpstream], row: Row
) -> None:
    assert row.verdict is not None
    model = f"counted-{slug(row.what)}"
    answers = [ask(gateway, model) for _ in range(OPENS_AFTER + 2)]
    if row.verdict.counts:
        assert first_of(running, row.what).hits_of(model) == OPENS_AFTER
        assert [answer.status_code for answer in answers[:OPENS_AFTER]] == [row.status] * OPENS_AFTER
        assert [answer.status_code for answer in answers[OPENS_AFTER:]] == [503, 503]
        assert answers[-1].json()["error"]["code"] == "upstream_unavailable"
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 75
    else:
        assert first_of(running, row.what).hits_of(model) == OPENS_AFTER + 2
        assert {answer.status_code for answer in answers} == {row.status}


@by_name([row for row in FAILED_ROWS if row.verdict is not None and row.verdict.cools is not None])
def test_who_asks_to_be_left_alone_is(gateway: Gateway, running: dict[str, FakeUpstream], row: Row) -> None:
    model = f"patient-{slug(row.what)}"
    answers = [ask(gateway, model) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [attempts(answer) for answer in answers] == [2, 1, 1, 1]
    assert first_of(running, row.what).hits_of(model) == 1


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_a_connection_that_was_closed_while_idle_is_replaced_within_the_same_attempt(
    gateway: Gateway, running: dict[str, FakeUpstream], end: Any
) -> None:
    one, model = running["one"], f"alone-{slug(STALE)}"
    hits, crossed = one.hits_of(model), one.crossed
    assert attempts(ask(gateway, model)) == 1
    time.sleep(2 * WAS_IDLE_S)
    one.crossing = end
    answer = ask(gateway, model)
    one.crossing = None
    assert (answer.status_code, attempts(answer)) == (200, 1)
    assert one.hits_of(model) == hits + 2, "each call reached it once"
    assert one.crossed > crossed, "the second one met a closed connection first"


def test_a_target_that_fails_and_recovers_within_one_request_costs_nothing_else(
    gateway: Gateway, running: dict[str, FakeUpstream]
) -> None:
    model = f"alone-{slug(STALE)}"
    before = running["one"].hits_of(model)
    running["one"].scripts[model] = in_turn(status(500), whole(completion("Again.")), answering())
    answer = ask(gateway, model)
    assert answer.json()["choices"][0]["message"]["content"] == "Again."
    assert attempts(answer) == 2
    assert running["one"].hits_of(model) == before + 2
