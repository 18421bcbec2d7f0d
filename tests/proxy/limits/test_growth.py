"""Answers that outgrow their reservation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tollway._native.limits import Admission, Ledger, LimitSet
from tollway.errors import RateLimited
from tollway.proxy.limits.book import Held
from tollway.proxy.limits.growth import STEP_TOKENS, Growth

DAY_MS = 86_400_000
NOON_MS = 1_800_000_000_000


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr("time.time_ns", lambda: NOON_MS * 1_000_000)
    made = Ledger(tmp_path / "ledger", 1024)
    yield made
    made.close()


class Call:
    """A call whose prompt has 10 tokens, and what its limits have left."""

    def __init__(self, ledger: Ledger, *limits: tuple[str, int], cutting: frozenset[int] = frozenset()) -> None:
        self.ledger = ledger
        self.limits = LimitSet([(f"s{at}", kind, limit, DAY_MS) for at, (kind, limit) in enumerate(limits)])
        admission = ledger.admit(self.limits, 10, 100, NOON_MS)
        assert isinstance(admission, Admission)
        self.admission = admission
        self.growth = Growth(ledger, Held(self.limits, cutting), admission, 10, 100)

    def left(self) -> list[int]:
        return [left for _, _, left, _ in self.ledger.status(self.limits, NOON_MS)]

    def say(self, tokens: int) -> None:
        """Says so many in all, in pieces of eight bytes, as the relay does."""
        for said in range(8, tokens * 4 + 1, 8):
            if said >= self.growth.next_bytes:
                self.growth.reach(said)


def test_a_stream_asks_for_more_in_steps_and_only_when_what_it_has_is_used(ledger: Ledger) -> None:
    call = Call(ledger, ("tokens", 10_000), ("output_tokens", 5_000))
    call.say(99)
    assert call.left() == [9_890, 4_900]
    call.say(102)
    assert call.left() == [9_890 - STEP_TOKENS, 4_900 - STEP_TOKENS]
    call.say(1_000)
    assert call.left() == [9_890 - 4 * STEP_TOKENS, 4_900 - 4 * STEP_TOKENS]


def test_the_last_of_a_limit_is_given_out_as_it_is_used(ledger: Ledger) -> None:
    call = Call(ledger, ("output_tokens", 300), cutting=frozenset({0}))
    call.say(250)
    assert call.left() == [50]
    call.say(300)
    assert (call.left(), call.growth.is_over) == ([0], False)


def test_an_answer_that_may_finish_goes_above_its_limit_and_the_next_call_waits(ledger: Ledger) -> None:
    call = Call(ledger, ("output_tokens", 300))
    call.say(2_000)
    assert not call.growth.is_over
    call.admission.settle(10, 2_000, NOON_MS)
    assert not isinstance(ledger.admit(call.limits, 0, 1, NOON_MS), Admission)


def test_an_answer_ends_where_a_rule_that_cuts_has_nothing_left(ledger: Ledger) -> None:
    call = Call(ledger, ("output_tokens", 9_000), ("output_tokens", 300), cutting=frozenset({1}))
    with pytest.raises(RateLimited, match="outgrown") as caught:
        call.say(2_000)
    assert call.growth.is_over
    assert caught.value.retry_after_s is not None
    assert 86_400 <= caught.value.retry_after_s <= 86_400 * 33 / 32
    assert call.left() == [8_700, 0]


def test_only_the_limit_that_is_used_up_says_what_becomes_of_the_answer(ledger: Ledger) -> None:
    call = Call(ledger, ("output_tokens", 300), ("output_tokens", 9_000), cutting=frozenset({1}))
    call.say(2_000)
    assert not call.growth.is_over


def test_a_rule_of_prompts_or_requests_cuts_no_answer(ledger: Ledger) -> None:
    call = Call(ledger, ("output_tokens", 300), ("requests", 1), ("input_tokens", 10), cutting=frozenset({1, 2}))
    call.say(2_000)
    assert not call.growth.is_over


def test_a_ledger_that_is_out_of_reach_ends_no_answer(ledger: Ledger) -> None:
    call = Call(ledger, ("output_tokens", 300), cutting=frozenset({0}))
    ledger.close()
    call.say(2_000)
    assert not call.growth.is_over
