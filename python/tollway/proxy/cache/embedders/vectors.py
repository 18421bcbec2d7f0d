"""Vectors as the cache keeps them: one signed byte a dimension, of which only the direction says anything."""

from array import array
from collections.abc import Sequence
from math import isfinite, sqrt
from operator import mul

MOST_DIMENSIONS = 4096
"""Of any vector; the largest of published models have 4,096."""

_LARGEST = 127


def quantised(values: Sequence[float]) -> bytes:
    """Numbers as bytes, the largest of them as 127. The cosine of two such vectors is off by less than 0.01.

    Raises:
        ValueError: there are none or too many, one is not finite, or all are 0.
    """
    if not 0 < len(values) <= MOST_DIMENSIONS:
        raise ValueError(f"a vector has 1 to {MOST_DIMENSIONS} dimensions")
    if not all(map(isfinite, values)):
        raise ValueError("a vector of what is no number")
    largest = max(map(abs, values))
    if largest == 0:
        raise ValueError("a vector without a direction")
    return array("b", [round(value / largest * _LARGEST) for value in values]).tobytes()


def cosine(one: bytes, other: bytes) -> float | None:
    """The cosine of the angle between two vectors, -1 to 1; ``None`` where they are not of one space, or have no
    direction."""
    if len(one) != len(other):
        return None
    left, right = memoryview(one).cast("b"), memoryview(other).cast("b")
    lengths = sum(map(mul, left, left)) * sum(map(mul, right, right))
    return max(-1.0, min(1.0, sum(map(mul, left, right)) / sqrt(lengths))) if lengths else None
