"""How limits stand, as clients read it."""

import pytest

from tollway.proxy.limits.standing import Level, tightest, told


def test_of_each_kind_the_least_left_is_told_and_of_equal_ones_what_lasts() -> None:
    levels: list[Level] = [
        ("requests", 60, 5, 900),
        ("requests", 9, 2, 500),
        ("requests", 90, 2, 70_000),
        ("tokens", 100, 50, 1_000),
        ("concurrency", 3, 0, 0),
    ]
    assert told(tightest(levels)) == [
        (b"x-ratelimit-limit-requests", b"90"),
        (b"x-ratelimit-remaining-requests", b"2"),
        (b"x-ratelimit-reset-requests", b"70.0s"),
        (b"x-ratelimit-limit-tokens", b"100"),
        (b"x-ratelimit-remaining-tokens", b"50"),
        (b"x-ratelimit-reset-tokens", b"1.0s"),
    ]


@pytest.mark.parametrize(
    ("reset_ms", "said"),
    [(0, b"0ms"), (999, b"999ms"), (1_001, b"1.1s"), (61_875, b"61.9s"), (89_100_000, b"89100.0s")],
)
def test_a_reset_is_never_said_to_be_sooner_than_it_is(reset_ms: int, said: bytes) -> None:
    assert dict(told([("requests", 1, 0, reset_ms)]))[b"x-ratelimit-reset-requests"] == said
