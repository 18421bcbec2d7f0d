from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from tollway.control.money import written


class Bill(msgspec.Struct):
    amounts: tuple[Decimal, ...]
    by_kind: dict[str, Decimal]
    at: datetime


def test_money_is_written_out_wherever_it_stands() -> None:
    bill = Bill((Decimal("5E-12"), Decimal("1E+3")), {"input": Decimal("-0.50")}, datetime(2027, 1, 1, tzinfo=UTC))
    assert written([bill]) == [
        {"amounts": ["0.000000000005", "1000"], "by_kind": {"input": "-0.50"}, "at": "2027-01-01T00:00:00Z"}
    ]
