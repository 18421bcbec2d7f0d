"""What the drills' table says of what was found."""

import json
from decimal import Decimal

import pytest
from benches.drills.report import Check, Figures, Report, Verdict, as_json, exit_code, table

HELD, NOT_HELD = Check("it holds", True), Check("it holds not", False, "3 of 4")


def report(*checks: Check, not_built: tuple[str, ...] = ()) -> Report:
    figures = Figures(requests=4, admitted=3, refused=1, rows=3, cost_usd=Decimal("0.090"))
    return Report(number=1, name="burst", scale="whole", figures=figures, checks=checks, not_built=not_built)


@pytest.mark.parametrize(
    ("given", "verdict", "code"),
    [
        (report(HELD), "held", 0),
        (report(HELD, NOT_HELD), "failed", 1),
        (report(HELD, not_built=("budgets",)), "in part", 0),
        (report(NOT_HELD, not_built=("budgets",)), "failed", 1),
        (report(not_built=("budgets",)), "not built", 1),
        (report(), "failed", 1),
    ],
    ids=["all held", "one did not", "a part is not built", "both", "nothing is built", "nothing was checked"],
)
def test_a_verdict_is_no_better_than_what_was_tried(given: Report, verdict: Verdict, code: int) -> None:
    assert given.verdict == verdict
    assert exit_code([given]) == code
    assert exit_code([report(HELD), given]) == code


def test_no_drill_is_no_success() -> None:
    assert exit_code([]) == 1


def test_the_table_has_a_line_a_drill_and_says_why_below_it() -> None:
    lines = table([report(HELD), report(HELD, NOT_HELD, not_built=("budgets",))]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:4]]
    assert cells[2] == ["1 burst", "whole", "4", "3", "1", "3", "$0.09", "0", "0", "$0", "held"]
    assert cells[3][-1] == "failed"
    assert len({len(line) for line in lines[:4]}) == 1, "columns stand below each other"
    assert lines[4:] == ["", "1 burst: NOT: it holds not (3 of 4); not built: budgets"]


def test_json_has_every_check_and_exact_money() -> None:
    (told,) = json.loads(as_json([report(HELD, NOT_HELD)]))
    assert told["verdict"] == "failed"
    assert told["figures"]["cost_usd"] == "0.090"
    assert [check["held"] for check in told["checks"]] == [True, False]
    assert told["why"] == "NOT: it holds not (3 of 4)"
