import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tollway.cli.printing import print_fields, print_json, print_table, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (Decimal("0.000000000001"), "0.000000000001"),
        (datetime(2027, 1, 31, 1, 0, 0, tzinfo=timezone(timedelta(hours=1))), "2027-01-31 00:00:00Z"),
        ("[bold]text[/bold]", "[bold]text[/bold]"),
    ],
)
def test_values_are_shown_as_a_person_reads_them(value: object, text: str) -> None:
    assert shown(value) == text


def test_money_stays_exact_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"cost": Decimal("0.000000000001"), "at": datetime(2027, 1, 31, tzinfo=UTC)})
    assert json.loads(capsys.readouterr().out) == {"cost": "0.000000000001", "at": "2027-01-31T00:00:00Z"}


def test_nothing_is_cut_in_what_another_program_reads(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "count"), [("x" * 300, 1), ("[red]y", 1000)], "nothing")
    print_fields({"name": "z" * 300})
    head, first, second, field = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert head.split() == ["name", "count"]
    assert first.split() == ["x" * 300, "1"]
    assert second.split() == ["[red]y", "1,000"]
    assert field.split() == ["name", "z" * 300]


def test_an_empty_table_is_talk_and_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [], "There is none.")
    assert capsys.readouterr() == ("", "There is none.\n")
