"""What goes on a statement, whatever the order in which rows arrive and months close."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollway.control.billing.statements import (
    Adjustment,
    BilledSum,
    Item,
    Known,
    MonthSum,
    drafted,
    late_months,
    lines_of,
    sealed,
    total,
)

MONTHS = [date(2027, month, 1) for month in range(1, 6)]
JANUARY, FEBRUARY, MARCH, APRIL, MAY = MONTHS
TOKENS = [name for name in MonthSum.__struct_fields__ if name.endswith("_tokens")]
COSTS = [name for name in MonthSum.__struct_fields__ if name.startswith("cost_")]


def row(month: date, model: str = "small", **fields: int | str) -> MonthSum:
    """The sums of one call of a month; amounts are in pico-dollars."""
    numbers = {name: Decimal(0) for name in MonthSum.__struct_fields__ if name not in ("month", "model", "provider")}
    numbers |= {name: Decimal(value) for name, value in fields.items()}
    numbers |= {name: numbers[name].scaleb(-12) for name in (*COSTS, "cost")}
    if "cost" not in fields:
        numbers["cost"] = sum((numbers[name] for name in COSTS), start=Decimal(0))
    return MonthSum(**(numbers | {"month": month, "model": model, "provider": "p", "provider_model": "m"}))  # type: ignore[arg-type]


class Books:
    """Rows and closed statements, as the database would hold them."""

    def __init__(self) -> None:
        self.rows: list[MonthSum] = []
        self.closed: dict[date, list[Item]] = {}
        self.adjustments: dict[date, list[Adjustment]] = defaultdict(list)

    def draft(self, month: date) -> list[Item]:
        sums = _summed([each for each in self.rows if each.month <= month])
        return drafted(
            month,
            Known(
                sums=sums,
                billed=[_billed(item) for items in self.closed.values() for item in items if item.what],
                closed=[each for each in self.closed if each <= month],
                adjustments=self.adjustments[month],
            ),
        )

    def close(self, month: date) -> list[Item]:
        self.closed[month] = self.draft(month)
        return self.closed[month]


def _summed(rows: Sequence[MonthSum]) -> list[MonthSum]:
    found: dict[tuple[object, ...], MonthSum] = {}
    for each in rows:
        key = (each.month, each.service)
        if (had := found.get(key)) is None:
            found[key] = each
            continue
        amounts = [name for name, value in msgspec.structs.asdict(each).items() if isinstance(value, Decimal)]
        found[key] = msgspec.structs.replace(
            had, **{name: getattr(had, name) + getattr(each, name) for name in amounts}
        )
    return list(found.values())


def _billed(item: Item) -> BilledSum:
    assert item.model
    assert item.provider
    assert item.provider_model
    assert item.what
    assert item.quantity is not None
    return BilledSum(
        of_month=item.of_month,
        model=item.model,
        provider=item.provider,
        provider_model=item.provider_model,
        what=item.what,
        quantity=item.quantity,
        amount=item.amount_usd,
    )


def _told(items: Sequence[Item]) -> dict[tuple[object, ...], tuple[Decimal, Decimal]]:
    """Quantity and amount by month of the calls, model and kind, without what is nothing."""
    found: dict[tuple[object, ...], tuple[Decimal, Decimal]] = {}
    for item in items:
        key = (item.of_month, item.model, item.what)
        quantity, amount = found.get(key, (Decimal(0), Decimal(0)))
        found[key] = (quantity + (item.quantity or 0), amount + item.amount_usd)
    return {key: told for key, told in found.items() if any(told)}


def test_a_line_for_each_kind_and_together_they_are_the_cost() -> None:
    lines = lines_of(
        row(
            JANUARY,
            requests=2,
            prompt_tokens=100,
            cached_tokens=30,
            cache_write_tokens=10,
            audio_input_tokens=7,
            image_input_tokens=3,
            completion_tokens=60,
            reasoning_tokens=20,
            audio_output_tokens=5,
            image_output_tokens=1,
            cost_input=50,
            cost_cached_input=3,
            cost_output=34,
            cost_other=9,
            cost=100,
        )
    )
    quantities = {what: int(line.quantity) for what, line in lines.items() if line}
    assert quantities == {
        "input": 50,
        "cached_input": 30,
        "cache_write": 10,
        "output": 34,
        "reasoning": 20,
        "audio": 12,
        "image": 4,
        "requests": 2,
        "unsplit": 0,
    }
    assert lines["unsplit"].amount == Decimal("0.000000000004")
    assert sum(line.amount for line in lines.values()) == Decimal("0.0000000001")


def test_calls_without_a_price_are_a_line_and_never_nothing() -> None:
    books = Books()
    books.rows.append(row(JANUARY, requests=1, unpriced=1, prompt_tokens=10))
    (unpriced,) = (item for item in books.draft(JANUARY) if item.what == "unpriced")
    assert (unpriced.quantity, unpriced.unit, unpriced.amount_usd) == (Decimal(1), "calls", Decimal(0))


def test_late_calls_go_on_the_next_open_statement_and_name_their_month() -> None:
    books = Books()
    books.rows.append(row(JANUARY, requests=1, cost_input=5))
    books.close(JANUARY)
    books.rows.append(row(JANUARY, requests=1, cost_input=7))
    books.rows.append(row(FEBRUARY, requests=1, cost_input=11))
    kinds = {(item.kind, item.of_month): item.amount_usd for item in books.draft(FEBRUARY) if item.what == "input"}
    assert kinds == {
        ("usage", FEBRUARY): Decimal("0.000000000011"),
        ("late", JANUARY): Decimal("0.000000000007"),
    }
    books.close(FEBRUARY)
    assert books.draft(MARCH) == []


def test_late_calls_wait_for_the_first_open_month_that_has_calls() -> None:
    closed = [JANUARY, APRIL]
    assert late_months(MAY, closed, [JANUARY, APRIL, MAY]) == [JANUARY, APRIL]
    assert late_months(MAY, closed, [JANUARY, MARCH, APRIL, MAY]) == [APRIL]
    assert late_months(MARCH, closed, [JANUARY, MARCH]) == [JANUARY]
    assert late_months(JANUARY, closed, [JANUARY]) == []


def test_roll_ups_that_ended_with_their_retention_are_no_credit() -> None:
    books = Books()
    books.rows.append(row(JANUARY, requests=3, cost_input=5))
    books.close(JANUARY)
    books.rows = [row(JANUARY, requests=1, cost_input=1)]
    assert books.draft(FEBRUARY) == []


def test_adjustments_are_items_with_their_reason() -> None:
    books = Books()
    books.adjustments[JANUARY].append(Adjustment(id="a", amount_usd=Decimal("-1.5"), reason="an outage"))
    (item,) = books.close(JANUARY)
    assert (item.kind, item.adjustment_id, item.reason, item.amount_usd) == (
        "adjustment",
        "a",
        "an outage",
        Decimal("-1.5"),
    )
    assert total([item]) == Decimal("-1.5")


def test_the_seal_is_of_every_field_and_not_of_how_numbers_are_written() -> None:
    item = Item(kind="usage", of_month=JANUARY, amount_usd=Decimal("1.50"), what="input", quantity=Decimal(10))
    seal = sealed("acme", JANUARY, [item])
    assert seal == sealed("acme", JANUARY, [msgspec.structs.replace(item, amount_usd=Decimal("1.5"))])
    others = [
        sealed("acme", FEBRUARY, [item]),
        sealed("globex", JANUARY, [item]),
        sealed("acme", JANUARY, []),
        *(
            sealed("acme", JANUARY, [msgspec.structs.replace(item, **{name: changed})])
            for name, changed in {"quantity": Decimal(1), "reason": "x", "kind": "late", "what": "output"}.items()
        ),
    ]
    assert len({seal, *others}) == len(others) + 1


_ROWS = st.builds(
    lambda month, model, numbers: row(month, model, **numbers),
    st.sampled_from(MONTHS),
    st.sampled_from(["small", "large"]),
    st.fixed_dictionaries(
        {name: st.integers(0, 10**6) for name in ("requests", "unpriced", *TOKENS, *COSTS)},
        optional={"cost": st.just(10**9)},
    ),
)


@given(st.lists(_ROWS | st.sampled_from(MONTHS), max_size=40))
def test_every_call_is_billed_once_whatever_the_order(steps: list[MonthSum | date]) -> None:
    """A row arrives, or a month closes, in any order; at the end the months that are open close."""
    books = Books()
    for step in steps:
        if isinstance(step, MonthSum):
            books.rows.append(step)
        elif step not in books.closed:
            books.close(step)
    for month in (*MONTHS, date(2027, 6, 1)):
        if month not in books.closed:
            books.close(month)
    billed = [item for items in books.closed.values() for item in items]
    expected = Books()
    expected.rows = books.rows
    assert _told(billed) == _told([item for month in MONTHS for item in expected.close(month)])
    assert total(billed) == sum((each.cost for each in books.rows), start=Decimal(0))
