"""The lookout: states, explanations and gauges of a host, through a real ledger."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tollway._native.limits import Ledger
from tollway._native.routing import Board
from tollway.contract.described import Described
from tollway.contract.limits import LimitValues
from tollway.contract.routing import Override
from tollway.contract.snapshot import ProviderAccess, ProviderKey, Route, Shadow, Snapshot, Target, Timeouts
from tollway.errors import ModelNotFound
from tollway.lookout import Lookout, looking, open_router

HOUR_MS = 3_600_000


def _target(model: str, weight: int = 1, *keys: str) -> Target:
    access = ProviderAccess(name="fake/eu", kind="openai_compatible", base_url="http://x", api_key="sk-secret")
    named = tuple(
        ProviderKey(ProviderAccess("fake/eu", "openai_compatible", "http://x", "sk-secret", key_name=key))
        for key in keys
    )
    return Target(provider=access, model=model, weight=weight, price=None, keys=named)


SNAPSHOT = Snapshot(
    version=1,
    routes={
        "chat": Route(
            "chat",
            (_target("first", 3, "a", "b"), _target("org/second#v1", 1, "a", "b")),
            Timeouts(),
            shadow=Shadow(target=_target("new", 1, "a", "b")),
        ),
        "spare": Route("spare", (_target("org/second#v1", 1, "a", "b"),), Timeouts()),
    },
    policies={},
    default_limits=LimitValues(),
    file_keys=(),
)
FIRST, SECOND, NEW = "fake/eu/first", "fake/eu/org/second#v1", "fake/eu/new"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger")
    yield opened
    opened.close()


@pytest.fixture
def lookout(ledger: Ledger) -> Lookout:
    return Lookout(SNAPSHOT, open_router(SNAPSHOT, ledger))


def _gauges(lookout: Lookout) -> dict[tuple[str, ...], float]:
    readings = [
        ((reading.family.name.removeprefix("tollway_"), *reading.labels), float(reading.number))
        for reading in lookout.readings()
    ]
    assert len(dict(readings)) == len(readings), "no gauge twice"
    return dict(readings)


def test_gauges_are_the_hosts_own(ledger: Ledger, lookout: Lookout) -> None:
    board, now_ms = Board(ledger), time.time_ns() // 1_000_000
    board.open(SECOND, now_ms + HOUR_MS, now_ms)
    board.cool(f"{FIRST}#b", now_ms + HOUR_MS, now_ms, limited=True)
    planned = open_router(SNAPSHOT, ledger).find("chat")
    assert planned is not None
    lease = board.begin(planned.pool, 0, now_ms)
    assert lease is not None
    lease.heard(250_000, True, now_ms)
    found = _gauges(lookout)
    assert [found["target_state", SECOND, state] for state in ("closed", "open", "half_open", "cooling")] == [
        0,
        1,
        0,
        0,
    ]
    assert [found["target_state", name, "closed"] for name in (FIRST, NEW)] == [1, 1]
    assert (found["target_in_flight", FIRST], found["target_in_flight", SECOND]) == (1, 0)
    assert found["target_latency_seconds", FIRST, "stream"] == 0.25
    assert ("target_latency_seconds", FIRST, "whole") not in found, "what was never measured is not zero"
    assert found["target_ramp", FIRST] == 1
    assert found["target_key_state", FIRST, "b", "cooling"] == 1
    assert found["target_key_state", SECOND, "b", "closed"] == 1
    lease.end("ok", now_ms)
    assert _gauges(lookout)["target_in_flight", FIRST] == 0


def test_what_people_decide_shows(lookout: Lookout) -> None:
    before = _gauges(lookout)
    assert (before["target_weight", "chat", FIRST], before["target_drained", FIRST]) == (3, 0)
    lookout.apply(
        [
            Override(target=FIRST, drained=True),
            Override(target=FIRST, alias="chat", weight=0),
            Override(target=SECOND, opened_until_ms=time.time_ns() // 1_000_000 + HOUR_MS),
            Override(target="gone/model", drained=True),
        ]
    )
    found = _gauges(lookout)
    assert (found["target_weight", "chat", FIRST], found["target_drained", FIRST]) == (0, 1)
    assert found["target_weight", "spare", SECOND] == 1
    assert found["target_state", SECOND, "open"] == 1
    assert ("target_drained", "gone/model") not in found
    assert {status.name: status.state for status in lookout.statuses()}[SECOND] == "open"
    lookout.apply([])
    assert _gauges(lookout) == before


def test_an_explanation_heeds_decisions_and_is_for_models_there_are(lookout: Lookout) -> None:
    lookout.apply([Override(target=FIRST, drained=True)])
    (plan,) = lookout.explain(Described(model="chat"))["plans"]
    assert plan["order"] == [SECOND]
    with pytest.raises(ModelNotFound):
        lookout.explain(Described(model="other"))


def test_from_outside_the_host_is_seen_as_its_gateway_sees_it(ledger: Ledger, tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    Board(ledger).open(SECOND, now_ms + HOUR_MS, now_ms)
    with looking(SNAPSHOT, tmp_path / "ledger") as outside:
        assert {status.name: status.state for status in outside.statuses()}[SECOND] == "open"
    with looking(SNAPSHOT, None) as nowhere:
        assert {status.state for status in nowhere.statuses()} == {"closed"}


def test_a_look_from_outside_takes_nothing_from_the_gateway(ledger: Ledger, tmp_path: Path) -> None:
    board, now_ms = Board(ledger), time.time_ns() // 1_000_000
    compiled = open_router(SNAPSHOT, ledger).find("chat")
    assert compiled is not None
    lease = board.begin(compiled.pool, 0, now_ms)
    assert lease is not None
    with looking(SNAPSHOT, tmp_path / "ledger") as outside:
        outside.explain(Described(model="chat"))
        assert {status.name: status.in_flight for status in outside.statuses()}[FIRST] == 1
    with looking(SNAPSHOT, tmp_path / "ledger") as again:
        assert {status.name: status.in_flight for status in again.statuses()}[FIRST] == 1, "the first look's end too"
