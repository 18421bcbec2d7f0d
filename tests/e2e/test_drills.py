"""The drills themselves, as `make drills` plays them: here one of them, with few calls."""

from benches.drills import hang_ups
from benches.drills.stage import Scale, unknown_parts


def test_a_drill_over_two_instances_holds() -> None:
    report = hang_ups.drill(Scale(0.1), ["slow"], slack=3.0)
    assert report.verdict == "held", report.why
    figures = report.figures
    assert (figures.requests, figures.rows) == (20, 20)
    assert (figures.refused, figures.duplicates, figures.missing) == (0, 0, 0)
    assert figures.overspend_usd == 0


def test_the_configuration_checker_says_what_is_not_built() -> None:
    assert unknown_parts(limits={"default": {"rpm": 5}}) == []
    assert unknown_parts(limits={"default": {"rpm": -5}}) == [], "a fault inside a part that is known"
    assert unknown_parts(unheard_of={}, limits={}) == ["unheard_of"]
