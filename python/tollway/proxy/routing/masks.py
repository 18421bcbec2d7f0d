"""Sets of a route's targets as bits of a number: joined in no time, whatever their size."""

from collections.abc import Iterable, Iterator


def joined(masks: Iterable[int]) -> int:
    """All of them in one."""
    found = 0
    for mask in masks:
        found |= mask
    return found


def bits(mask: int) -> Iterator[int]:
    """The indices that a mask holds, lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
