"""When who fails is left out, and when it is tried again."""

import pytest

from tollway.proxy.breaker import FAILURES, LEFT_OUT_S, Breaker


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def opened(clock: Hand) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        assert breaker.may_ask()
        breaker.failed()
    return breaker


def test_failures_that_are_not_in_a_row_leave_nobody_out(clock: Hand) -> None:
    breaker = Breaker(clock)
    for _ in range(3 * FAILURES):
        for _ in range(FAILURES - 1):
            assert breaker.may_ask()
            breaker.failed()
        assert breaker.may_ask()
        breaker.answered()
    assert not breaker.is_open


def test_after_failures_in_a_row_nobody_is_asked_for_a_while(clock: Hand, opened: Breaker) -> None:
    assert opened.is_open
    clock.now += LEFT_OUT_S - 0.01
    assert not opened.may_ask()
    clock.now += 0.01
    assert opened.may_ask()


def test_then_one_question_tries_and_its_answer_closes_it(clock: Hand, opened: Breaker) -> None:
    clock.now += LEFT_OUT_S
    assert [opened.may_ask() for _ in range(3)] == [True, False, False]
    opened.answered()
    assert not opened.is_open
    assert [opened.may_ask() for _ in range(3)] == [True, True, True]


def test_its_failure_leaves_out_for_as_long_again(clock: Hand, opened: Breaker) -> None:
    clock.now += LEFT_OUT_S
    assert opened.may_ask()
    opened.failed()
    clock.now += LEFT_OUT_S - 0.01
    assert not opened.may_ask()
    clock.now += 0.01
    assert opened.may_ask()


def test_a_try_that_was_given_up_lets_the_next_one_try(clock: Hand, opened: Breaker) -> None:
    clock.now += LEFT_OUT_S
    assert opened.may_ask()
    opened.given_up()
    assert opened.may_ask()
