"""Variables in values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.settings import variables

ENVIRON = {"HOST": "example.org", "EMPTY": "", "MONEY": "$$${HOST}"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("${HOST}", "example.org"),
        ("https://${HOST}/v1", "https://example.org/v1"),
        ("${HOST}${HOST}", "example.orgexample.org"),
        ("${ABSENT:-there}", "there"),
        ("${ABSENT:-}", ""),
        ("${EMPTY:-there}", "there"),
        ("${EMPTY}", ""),
        ("${ABSENT:-a:-b}", "a:-b"),
        ("$$", "$"),
        ("$${HOST}", "${HOST}"),
        ("$HOST costs $5", "$HOST costs $5"),
        ("${MONEY}", "$$${HOST}"),
    ],
)
def test_a_text_is_filled_in(text: str, filled: str) -> None:
    assert variables.fill(text, ENVIRON) == (filled, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${ABSENT}", "the environment variable ABSENT is not set"),
        ("${HOST", "never closed"),
        ("${}", "is not a variable"),
        ("${1ST}", "is not a variable"),
        ("${HOST-x}", "is not a variable"),
        ("${A:-${HOST}}", "can't hold another variable"),
    ],
)
def test_what_is_wrong_with_a_variable_is_said(text: str, message: str) -> None:
    _, faults = variables.fill(text, ENVIRON)
    assert [message in fault for fault in faults] == [True]


def test_every_missing_variable_of_a_text_is_named() -> None:
    _, faults = variables.fill("${ONE}-${TWO}", {})
    assert ["ONE" in faults[0], "TWO" in faults[1]] == [True, True]


@given(st.text(alphabet="${}:-A1 x", max_size=40))
def test_a_text_that_mentions_no_variable_is_left_alone(text: str) -> None:
    if not variables.mentions(text):
        assert variables.fill(text, {}) == (text, [])
