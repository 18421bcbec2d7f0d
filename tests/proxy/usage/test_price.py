"""Costs are exact, whatever the kinds of tokens."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.snapshot import Price
from tollway.proxy.relay.respond import dollars
from tollway.proxy.usage.price import cost_picousd

GPT_4O_MINI = Price(version="test", input=150_000, output=600_000, cached_input=75_000)


def test_a_call_costs_what_the_sheet_says() -> None:
    # 1,000 prompt tokens of which 400 cached, 200 completion tokens:
    # 600 x 0.15 + 400 x 0.075 + 200 x 0.60 dollars per million tokens
    cost = cost_picousd(GPT_4O_MINI, 1000, 200, 400, 0, 0)
    assert Decimal(cost).scaleb(-12) == Decimal("0.000240")


def test_reasoning_tokens_are_part_of_the_completion_unless_they_have_a_price() -> None:
    assert cost_picousd(GPT_4O_MINI, 0, 300, 0, 0, 200) == cost_picousd(GPT_4O_MINI, 0, 300, 0, 0, 0)
    priced = Price(version="test", input=1, output=10, reasoning=3)
    assert cost_picousd(priced, 0, 300, 0, 0, 200) == 100 * 10 + 200 * 3


def test_cache_writes_have_their_own_price() -> None:
    price = Price(version="test", input=100, output=0, cached_input=10, cache_write=125)
    assert cost_picousd(price, 1000, 0, 300, 200, 0) == 500 * 100 + 300 * 10 + 200 * 125


def test_what_is_kept_for_an_hour_has_its_own_price_or_that_of_cache_writes() -> None:
    price = Price(version="test", input=100, output=0, cache_write=125, cache_write_1h=200)
    assert cost_picousd(price, 1000, 0, 0, 500, 0, 300) == 500 * 100 + 200 * 125 + 300 * 200
    without = Price(version="test", input=100, output=0, cache_write=125)
    assert cost_picousd(without, 1000, 0, 0, 500, 0, 300) == cost_picousd(without, 1000, 0, 0, 500, 0)
    assert cost_picousd(price, 1000, 0, 0, 500, 0, 9000) == 500 * 100 + 500 * 200, "never more than was written"


counts = st.integers(0, 10**9)


@given(counts, counts, counts, counts, counts)
def test_numbers_that_contradict_each_other_never_cost_less_than_nothing_or_more_than_the_dearest(
    prompt: int, completion: int, cached: int, written: int, reasoning: int
) -> None:
    price = Price(version="test", input=100, output=400, cached_input=10, cache_write=125, reasoning=300)
    cost = cost_picousd(price, prompt, completion, cached, written, reasoning)
    assert 0 <= cost <= prompt * 125 + completion * 400


@given(st.integers(0, 10**20))
def test_dollars_are_shown_exactly(picousd: int) -> None:
    assert Decimal(dollars(picousd)) == Decimal(picousd).scaleb(-12)


def test_dollars_have_no_trailing_zeros() -> None:
    assert [dollars(n) for n in (0, 10**12, 1_500_000_000_000, 42)] == ["0", "1", "1.5", "0.000000000042"]
