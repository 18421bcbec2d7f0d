"""Which purse a call is paid from."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.budgets import Budget, Period

BUDGET = Budget(id="file:b", name="b", amount_picousd=1, period="month")
CALL: dict[str, Any] = {"tenant_id": "t", "key_id": "k", "user": "u", "model": "m", "tags": ("team=red", "x=y")}
TIMES = st.integers(min_value=0, max_value=4_102_444_800)


def _start(period: Period, at: datetime, **fields: Any) -> datetime:
    budget = msgspec.structs.replace(BUDGET, period=period, **fields)
    return datetime.fromtimestamp(budget.period_start_s(int(at.timestamp())), UTC)


def test_periods_are_the_calendars_in_utc_and_weeks_begin_on_monday() -> None:
    at = datetime(2026, 3, 1, 0, 0, 5, tzinfo=UTC)
    assert at.strftime("%A") == "Sunday"
    assert _start("day", at) == _start("month", at) == datetime(2026, 3, 1, tzinfo=UTC)
    assert _start("week", at) == datetime(2026, 2, 23, tzinfo=UTC)
    assert _start("total", at).timestamp() == _start("day", at, rolling=True).timestamp() == 0


@given(TIMES, st.sampled_from(["day", "week", "month"]))
def test_a_moment_lies_in_its_period_and_the_one_before_in_it_or_in_another(now_s: int, period: Period) -> None:
    budget = msgspec.structs.replace(BUDGET, period=period)
    start = budget.period_start_s(now_s)
    assert start <= now_s or now_s < 4 * 86_400, "the first week of Unix time began before it"
    assert budget.period_start_s(start) == start
    assert budget.period_start_s(start - 1) < start
    length = datetime.fromtimestamp(now_s, UTC) - datetime.fromtimestamp(max(start, 0), UTC)
    assert length < timedelta(days={"day": 1, "week": 7, "month": 31}[period])
    if period == "week" and start > 0:
        assert datetime.fromtimestamp(start, UTC).isoweekday() == 1


def test_all_filters_must_hold_of_a_call() -> None:
    assert BUDGET.holds_for(**CALL)
    for field, right, wrong in (
        ("tenant_id", "t", "other"),
        ("key_id", "k", "other"),
        ("user", "u", "other"),
        ("model", "m", "other"),
        ("tag", "x=y", "x=z"),
    ):
        assert msgspec.structs.replace(BUDGET, **{field: right}).holds_for(**CALL)
        assert not msgspec.structs.replace(BUDGET, **{field: wrong}).holds_for(**CALL)

    assert not msgspec.structs.replace(BUDGET, user="u").holds_for(**(CALL | {"user": None}))


def test_there_is_one_purse_for_each_value() -> None:
    shared = BUDGET.purse(key_id="k", user="u", model="m", now_s=0)
    assert (shared.subject, shared.name) == ("", "file:b|0|")
    by_user = msgspec.structs.replace(BUDGET, per=("user",))
    assert by_user.purse(key_id="k", user="alice", model="m", now_s=0).name == "file:b|0|user=alice"
    assert by_user.purse(key_id="k", user=None, model="m", now_s=0).subject == "user="
    both = msgspec.structs.replace(BUDGET, per=("user", "model"))
    assert both.purse(key_id="k", user="alice", model="m", now_s=0).subject == "model=m&user=alice"


def test_users_with_odd_names_have_purses_of_their_own() -> None:
    budget = msgspec.structs.replace(BUDGET, per=("user",))
    names = ["u" * 201, "u" * 202, "a|b", "a&model=b", "u\x00"]
    purses = {name: budget.purse(key_id="k", user=name, model="m", now_s=0).name for name in names}
    assert len(set(purses.values())) == len(names)
    assert max(map(len, purses.values())) < 100
    assert "\x00" not in purses["u\x00"]


@pytest.mark.parametrize("period", get_args(Period))
def test_a_budget_survives_the_wire(period: Period) -> None:
    budget = msgspec.structs.replace(BUDGET, period=period, per=("user",), warn_at=(50, 80))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(budget), type=Budget) == budget
