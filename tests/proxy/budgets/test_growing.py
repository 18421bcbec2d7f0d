"""Streams that outgrow the money held for them."""

import pytest

from tollway._native.limits import LedgerError
from tollway.errors import RateLimited
from tollway.proxy.budgets.growing import STEP_TOKENS, Spending


class Money:
    """Holds more until it is used up, or can't be asked."""

    charged: tuple[str, ...] = ()

    def __init__(self, most: int = 10**9, *, is_out_of_reach: bool = False) -> None:
        self.asked: list[int] = []
        self._most = most
        self._is_out_of_reach = is_out_of_reach

    def pay(self, picousd: int) -> None:
        """Not asked here."""

    def cancel(self) -> None:
        """Not asked here."""

    def grow(self, output_tokens: int) -> bool:
        """Keeps what was asked."""
        self.asked.append(output_tokens)
        if self._is_out_of_reach:
            raise LedgerError("stalled")
        return output_tokens <= self._most


class Scale:
    """Limits that hear at 100 bytes, and end what is longer than ``most``."""

    def __init__(self, most: int) -> None:
        self.next_bytes = 100
        self.is_over = False
        self._most = most

    def reach(self, said_bytes: int) -> None:
        """So many."""
        self.next_bytes = said_bytes + 100
        if said_bytes > self._most:
            self.is_over = True
            raise RateLimited("Outgrown.")


def say(spending: Spending, most_bytes: int) -> int:
    """Says so many bytes in pieces of ten, as the relay does; how often it told."""
    told = 0
    for said in range(10, most_bytes + 1, 10):
        if said >= spending.next_bytes:
            spending.reach(said)
            told += 1
    return told


def test_more_is_held_in_steps_ahead_of_what_is_said() -> None:
    money = Money()
    assert say(Spending(money, None), 4 * 10_000) == 9
    assert all(later - sooner >= STEP_TOKENS for sooner, later in zip(money.asked, money.asked[1:], strict=False))
    assert money.asked[-1] >= 10_000


@pytest.mark.parametrize("money", [Money(most=2_000), Money(is_out_of_reach=True)])
def test_an_answer_that_has_begun_may_finish_whatever_is_left(money: Money) -> None:
    spending = Spending(money, None)
    say(spending, 4 * 10_000)
    assert not spending.is_over


def test_limits_hear_as_often_as_they_want_and_may_end_the_answer() -> None:
    money, scale = Money(), Scale(most=9_000)
    spending = Spending(money, scale)
    with pytest.raises(RateLimited):
        say(spending, 4 * 10_000)
    assert spending.is_over
    assert len(money.asked) == 2
