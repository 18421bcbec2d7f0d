"""Texts made from regular expressions match them, and no expression costs more than it may."""

import contextlib
import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.simulation.patterns import UnsupportedPattern, matching


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{3}-\d{2}-\d{4}$",
        r"^[A-Z]{2}\d{6}[A-Z]?$",
        r"^(red|green|blue)( (dark|light))*$",
        r"^\+?[1-9]\d{1,14}$",
        r"^[\w.+-]+@[\w-]+\.[a-z]{2,}$",
        r"^#(?:[0-9a-fA-F]{3}){1,2}$",
        r"^(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])$",
        r"^[^\s@\"]+$",
        r"^[]a-z-]+$",
        r"^a{0}b??c*?.+\.$",
        r"^\x41B\t\\\/$",
        r"\bword\b",
        r"",
        r"^[\u03b1-\u03c9]{3,}$",
    ],
)
def test_the_text_matches(pattern: str, seed: int) -> None:
    assert re.search(pattern, matching(pattern, Random(seed)))


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)",
        "(?i)a",
        "(?<=a)b",
        r"(a)\1",
        "a{2,1}",
        "a{99999}",
        "(a{1000}){1000}",
        "(" * 200,
        "(((((){9}){9}){9}){9}){9}",
        "[z-a]",
        "[",
        "a)",
        "*a",
        "\\",
        r"\ud800",
        r"\xg1",
        r"[\s\S]{5000}",
        "(?P",
        "a{",
    ],
)
def test_what_is_not_honoured_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedPattern):
        matching(pattern, Random(0))


@given(pattern=st.text(st.sampled_from(list(r"ab[]()|*+?{}1,-^$\dw:<P>.")), max_size=25), seed=st.integers(0, 9))
def test_no_expression_breaks_the_reader(pattern: str, seed: int) -> None:
    with contextlib.suppress(UnsupportedPattern):
        assert len(matching(pattern, Random(seed))) <= 2_000
