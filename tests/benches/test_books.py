"""The drills' own arithmetic: a drill that compares wrongly proves nothing."""

from decimal import Decimal
from typing import Any

import pytest
from benches.drills.books import Books, is_refused, most_in_a_window, percentile, some
from benches.drills.load import Heard
from hypothesis import given
from hypothesis import strategies as st


def heard(call: str, status: int | None = 200, *, whole: bool = True, request_id: str | None = None) -> Heard:
    """What a client heard; ``request_id`` is what it was told, its own unless given."""
    return Heard(call, "A", "m", 0.0, status=status, is_whole=whole, request_id=request_id or call)


def row(call: str, cost: str | None = "0.03", *, role: str = "answer", tenant: str = "t") -> dict[str, Any]:
    return {
        "request_id": call,
        "cost": None if cost is None else Decimal(cost),
        "role": role,
        "tenant_id": tenant,
    }


def books(calls: list[Heard], rows: list[dict[str, Any]], spent: str = "0", ceiling: str | None = None) -> Books:
    return Books(calls, rows, {"t": Decimal(spent)}, None if ceiling is None else Decimal(ceiling))


def failed(compared: Books) -> list[str]:
    return [check.what for check in compared.checks() if not check.held]


def test_books_that_agree_fail_nothing() -> None:
    compared = books([heard("a"), heard("b"), heard("c", 429)], [row("a"), row("b")], "0.06")
    assert failed(compared) == []
    figures = compared.figures()
    assert (figures.requests, figures.admitted, figures.refused, figures.rows) == (3, 2, 1, 2)
    assert (figures.duplicates, figures.missing) == (0, 0)
    assert (figures.cost_usd, figures.overspend_usd) == (Decimal("0.06"), Decimal(0))


def test_an_answer_without_a_row_is_missing_and_half_an_answer_is_not() -> None:
    compared = books([heard("a"), heard("b", whole=False), heard("c", None, whole=False), heard("d", 502)], [])
    assert compared.missing == {"a"}
    assert failed(compared) == ["every answer has its row"]


def test_two_rows_of_one_call_are_a_duplicate_but_not_those_of_its_hedge_or_its_shadow() -> None:
    rows = [row("a"), row("a", role="hedge"), row("a", role="shadow"), row("b"), row("b")]
    assert books([heard("a"), heard("b")], rows).doubled == {"b"}


def test_a_row_of_nobody_or_of_a_refused_call_is_a_stranger_and_one_of_a_cut_call_is_not() -> None:
    calls = [heard("refused", 429), heard("cut", whole=False), heard("unheard", None, whole=False)]
    rows = [row("refused"), row("cut"), row("unheard"), row("nobody")]
    assert books(calls, rows).strangers == {"refused", "nobody"}


def test_a_row_under_another_id_than_the_client_was_told_is_found() -> None:
    compared = books([heard("a", request_id="b")], [row("a")], "0.03")
    assert failed(compared) == ["clients are told the request id that the row has"]


@pytest.mark.parametrize(("spent", "gap"), [("0.06", 0), ("0.09", Decimal("0.03")), ("0.05", Decimal("-0.01"))])
def test_spend_is_held_against_the_sum_of_rows_without_shadows_and_unpriced_ones(spent: str, gap: Decimal) -> None:
    rows = [row("a"), row("b"), row("b", "5", role="shadow"), row("c", None), row("d", "7", tenant="of the file")]
    compared = books([heard(call) for call in "abcd"], rows, spent)
    assert compared.gaps == ({"t": gap} if gap else {})
    assert compared.overspend == max(Decimal(0), gap)
    assert failed(compared) == (["current_spend is the sum of the rows"] if gap else [])


@pytest.mark.parametrize(("ceiling", "over"), [("0.10", "0"), ("0.06", "0"), ("0.05", "0.01")])
def test_overspend_is_what_rows_cost_above_the_ceiling(ceiling: str, over: str) -> None:
    assert books([heard("a"), heard("b")], [row("a"), row("b")], "0.06", ceiling).overspend == Decimal(over)


def test_tables_of_sums_are_held_against_all_rows() -> None:
    rolled = {"by hour": (2, Decimal("0.06")), "by day": (1, Decimal("0.03"))}
    compared = Books([heard("a"), heard("b")], [row("a"), row("b")], {}, rolled=rolled)
    assert failed(compared) == ["by day has the sums of the rows"]


def test_sums_are_of_answers_and_an_unpriced_one_is_a_call_that_adds_nothing() -> None:
    rows = [row("a"), row("b", None), row("b", "5", role="shadow"), row("c", "7", tenant="u")]
    assert books([], rows).sums("tenant_id") == {"t": (2, Decimal("0.03")), "u": (1, Decimal(7))}


@pytest.mark.parametrize(("status", "refused"), [(200, False), (400, True), (429, True), (500, False), (503, True)])
def test_refused_is_what_never_reached_a_provider(status: int, refused: bool) -> None:
    assert is_refused(heard("a", status)) is refused
    assert not is_refused(heard("a", None))


def test_a_window_is_half_open() -> None:
    assert most_in_a_window([], 60) == 0
    assert most_in_a_window([0, 60, 120], 60) == 1
    assert most_in_a_window([59, 0, 60, 61], 60) == 3


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(1, 100))
def test_the_fullest_window_is_the_one_that_counting_finds(times: list[int], window: int) -> None:
    counted = max((sum(start <= time < start + window for time in times) for start in times), default=0)
    assert most_in_a_window(times, window) == counted


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values: list[int], per_cent: int) -> None:
    found = percentile(values, per_cent / 100)
    assert found in values
    assert 100 * sum(value <= found for value in values) >= per_cent * len(values)
    assert 100 * sum(value < found for value in values) < per_cent * len(values)


def test_some_names_a_few_and_counts_all() -> None:
    assert some([]) == ""
    assert some(["b", "a"]) == "2: a, b"
    assert some("abcd") == "4: a, b, c …"
