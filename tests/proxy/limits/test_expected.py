"""What answers are taken to have."""

from typing import Any

import pytest
from tests.proxy.edge import ask, route, snapshot, target

from tollway._native import chat
from tollway.contract.snapshot import Target
from tollway.proxy.limits.expected import FEWEST, FIRST_TOKENS, KEPT, MOST_TOKENS, Expectations, Expected


def known(caps: dict[str, int] | None = None) -> Expectations:
    def cap(target: Target) -> int | None:
        return None if caps is None else caps.get(target.model)

    return Expectations(snapshot(route("m", target("m-1"), target("m-2")), route("other")), cap)


def guess(expectations: Expectations, model: str = "m") -> int:
    return expectations.expect(ask(model)).tokens


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7, "n": 3}, 21),
        ({"max_tokens": 2**31 - 1}, MOST_TOKENS),
    ],
)
def test_the_clients_bound_counts_for_every_choice(fields: dict[str, Any], tokens: int) -> None:
    assert known({"m-1": 5, "m-2": 5}).expect(ask(**fields)) == Expected(tokens, is_guess=False)


def test_before_enough_is_known_the_longest_answer_counts() -> None:
    expectations = known()
    assert expectations.expect(ask(n=2)) == Expected(2 * FIRST_TOKENS, is_guess=True)
    expectations.learn(ask(), "m", 5)
    assert guess(expectations) == FIRST_TOKENS
    expectations.learn(ask(), "m", 900)
    assert (guess(expectations), guess(expectations, "other")) == (900, FIRST_TOKENS)


def test_then_what_ninety_five_of_a_hundred_are_not_longer_than() -> None:
    expectations = known()
    for length in range(1, FEWEST + 1):
        expectations.learn(ask(), "m", length)
    assert guess(expectations) == FEWEST * 95 // 100
    for length in range(KEPT):
        expectations.learn(ask(), "m", 1000 + length)
    assert guess(expectations) == 1000 + KEPT * 95 // 100 - 1
    for _ in range(KEPT):
        expectations.learn(ask(), "m", 3)
    assert guess(expectations) == 3, "only the newest count"


def test_choices_are_learnt_and_guessed_one_by_one() -> None:
    expectations = known()
    expectations.learn(ask(n=4), "m", 4001)
    assert guess(expectations) == 1001
    assert expectations.expect(ask(n=2)).tokens == 2002


def test_bounded_answers_and_unknown_aliases_teach_nothing() -> None:
    expectations = known()
    expectations.learn(ask(max_tokens=9000), "m", 9000)
    expectations.learn(ask(), "gone", 9000)
    assert guess(expectations) == FIRST_TOKENS
    assert expectations.expect(ask("gone")) == Expected(0, is_guess=False)


@pytest.mark.parametrize(
    ("caps", "tokens"), [({"m-1": 100, "m-2": 200}, 200), ({"m-1": 100}, 5000), ({"m-1": 9000, "m-2": 9}, 5000)]
)
def test_no_more_is_guessed_than_the_models_can_answer(caps: dict[str, int], tokens: int) -> None:
    expectations = known(caps)
    expectations.learn(ask(), "m", 5000)
    assert guess(expectations) == tokens


def test_what_is_answered_without_tokens_is_not_guessed_at() -> None:
    request = chat.read_request(b'{"model": "m", "input": "x"}', "embeddings")
    assert known().expect(request) == Expected(0, is_guess=False)
