from datetime import date
from decimal import Decimal

import msgspec
import pytest

from tollway.control.billing.invoices import Told
from tollway.control.billing.reconcile import Difference, Ours, reconciled
from tollway.errors import InvalidRequest

DAY, NEXT = date(2027, 1, 30), date(2027, 1, 31)
THEIRS = Told(
    day=DAY, model="m", requests=3, input_tokens=100, cached_tokens=0, output_tokens=50, cost_usd=Decimal("1.50")
)
OURS = Ours(
    day=DAY,
    model="m",
    requests=3,
    failed=0,
    unpriced=0,
    hedges=0,
    shadows=0,
    input_tokens=100,
    cached_tokens=0,
    cache_write_tokens=0,
    output_tokens=50,
    cost_usd=Decimal("1.50"),
)


def _reasons(difference: Difference) -> list[str]:
    return [each.reason for each in difference.explanations]


def _only(theirs: Told | None, ours: Ours | None) -> Difference:
    beside = msgspec.structs.replace(THEIRS, day=NEXT), msgspec.structs.replace(OURS, day=NEXT)
    found = reconciled([each for each in (theirs, beside[0]) if each], [each for each in (ours, beside[1]) if each])
    assert found.agreeing == 1
    (difference,) = found.differences
    return difference


def test_equal_figures_agree_within_what_providers_round() -> None:
    found = reconciled([THEIRS], [msgspec.structs.replace(OURS, cost_usd=Decimal("1.504"), requests=4, failed=1)])
    assert (found.agreeing, list(found.differences)) == (1, [])
    assert (found.theirs_usd, found.ours_usd) == (Decimal("1.50"), Decimal("1.504"))
    assert (found.first_day, found.last_day) == (DAY, DAY)


def test_a_dated_snapshot_is_its_model() -> None:
    theirs = [
        msgspec.structs.replace(THEIRS, model="m-2024-08-06"),
        msgspec.structs.replace(THEIRS, model="m-20250101"),
    ]
    ours = [msgspec.structs.replace(OURS, model="m"), msgspec.structs.replace(OURS, model="m-2024-08-06")]
    assert list(reconciled(theirs, ours).differences) == []


def test_what_is_on_one_side_only_is_told() -> None:
    difference = _only(THEIRS, None)
    assert _reasons(difference) == ["not_here"]
    assert difference.more_there["cost_usd"] == Decimal("1.50")
    (difference,) = reconciled([THEIRS], [OURS, msgspec.structs.replace(OURS, model="n")]).differences
    assert _reasons(difference) == ["not_there"]
    assert difference.more_there == {
        "requests": -3,
        "input_tokens": -100,
        "cached_tokens": 0,
        "output_tokens": -50,
        "cost_usd": Decimal("-1.50"),
    }


def test_calls_without_a_price_explain_a_cost() -> None:
    assert _reasons(_only(THEIRS, msgspec.structs.replace(OURS, cost_usd=Decimal(0), unpriced=3))) == ["unpriced"]


def test_the_same_tokens_at_another_cost_are_another_price() -> None:
    difference = _only(THEIRS, msgspec.structs.replace(OURS, cost_usd=Decimal("1.00")))
    assert _reasons(difference) == ["price"]
    assert "1.50 there and 1.00 here" in difference.explanations[0].text


def test_tokens_tell_what_is_missing_and_what_was_estimated() -> None:
    fewer = msgspec.structs.replace(OURS, input_tokens=60, cost_usd=Decimal("1.20"), estimated=1, failed=2, hedges=3)
    assert _reasons(_only(THEIRS, fewer)) == ["more_there", "estimated", "failed", "hedges"]
    more = msgspec.structs.replace(OURS, output_tokens=60, cost_usd=Decimal("1.70"), shadows=1)
    assert _reasons(_only(THEIRS, more)) == ["more_here", "shadows"]


def test_a_day_that_is_told_as_a_whole_is_compared_as_a_whole() -> None:
    theirs = [Told(day=DAY, cost_usd=Decimal("3.00")), Told(day=NEXT)]
    ours = [OURS, msgspec.structs.replace(OURS, model="n"), msgspec.structs.replace(OURS, day=NEXT)]
    found = reconciled(theirs, ours)
    assert (found.agreeing, list(found.differences)) == (1, [])
    (difference,) = reconciled(theirs, ours[:1]).differences
    assert (difference.model, difference.more_there) == ("", {"cost_usd": Decimal("1.50")})


def test_usage_alone_is_compared_by_tokens_alone() -> None:
    usage = msgspec.structs.replace(THEIRS, cost_usd=None)
    found = reconciled([usage], [msgspec.structs.replace(OURS, cost_usd=Decimal(9))])
    assert (list(found.differences), found.theirs_usd) == ([], None)


def test_requests_alone_are_compared_where_nothing_else_is_told() -> None:
    images = Told(day=DAY, model="m", requests=3)
    assert list(reconciled([images], [OURS]).differences) == []
    (difference,) = reconciled([images], [msgspec.structs.replace(OURS, requests=2)]).differences
    assert difference.more_there == {"requests": 1}


def test_an_account_of_no_day_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no day"):
        reconciled([], [OURS])
