"""Vectors as the cache keeps them."""

from math import inf, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.proxy.cache.embedders.vectors import MOST_DIMENSIONS, cosine, quantised

NUMBERS = st.lists(st.floats(-1e30, 1e30).filter(lambda number: abs(number) > 1e-30), min_size=1, max_size=64)


def test_the_largest_number_becomes_127_whatever_its_size() -> None:
    for scale in (1e-300, 5e-324, 1.0, 1e308):
        assert quantised([-scale, 0.0]) == bytes([129, 0])
    assert quantised([0.5, -0.25, 1]) == bytes([64, 256 - 32, 127])


@pytest.mark.parametrize("numbers", [[], [nan], [1.0, inf], [-inf], [0.0, 0.0], [1.0] * (MOST_DIMENSIONS + 1)])
def test_what_has_no_direction_is_no_vector(numbers: list[float]) -> None:
    with pytest.raises(ValueError, match="vector"):
        quantised(numbers)


@given(NUMBERS, st.data())
def test_the_cosine_of_bytes_is_that_of_the_numbers(one: list[float], data: st.DataObject) -> None:
    bounded = st.floats(-1e30, 1e30).filter(lambda number: abs(number) > 1e-30)
    other = data.draw(st.lists(bounded, min_size=len(one), max_size=len(one)))
    one, other = [number / max(map(abs, one)) for number in one], [number / max(map(abs, other)) for number in other]
    exact = sum(a * b for a, b in zip(one, other, strict=True)) / sqrt(
        sum(a * a for a in one) * sum(b * b for b in other)
    )
    assert cosine(quantised(one), quantised(other)) == pytest.approx(exact, abs=0.04)


def test_vectors_of_another_space_or_without_a_direction_have_no_cosine() -> None:
    assert cosine(b"\1\2", b"\1\2\3") is None
    assert cosine(b"\0\0", b"\1\2") is None
    assert cosine(b"", b"") is None


def test_bytes_are_signed() -> None:
    assert cosine(b"\x7f", b"\x81") == -1.0
    assert cosine(b"\x80\x80", b"\x80\x80") == pytest.approx(1.0)
