"""Costs are exact and stand with what was paid for, whatever the kinds of tokens."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.prices import Owed, Price, Rates, Tariff, TenantPrices, Tier, owed
from tollway.contract.usage import Costs
from tollway.proxy.relay.respond import dollars
from tollway.proxy.usage.price import MOST_PICOUSD, cost_of, cost_owed, total_picousd, worst_picousd
from tollway.proxy.usage.used import NOTHING, Tokens

GPT_4O_MINI = Price(version="test", input=150_000, output=600_000, cached_input=75_000)
NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000

KINDS = Price(
    version="test",
    input=100,
    output=400,
    cached_input=10,
    cache_write=125,
    cache_write_1h=200,
    reasoning=300,
    audio_input=700,
    cached_audio_input=70,
    audio_output=900,
    image_input=150,
    image_output=1_000,
    per_request=13,
)


def cost(price: Price, tokens: Tokens, at_ms: int = NOW_MS) -> int:
    return total_picousd(cost_of(price, tokens, at_ms))


def test_a_call_costs_what_the_sheet_says() -> None:
    # 1,000 prompt tokens of which 400 cached, 200 completion tokens:
    # 600 x 0.15 + 400 x 0.075 + 200 x 0.60 dollars per million tokens
    costs = cost_of(GPT_4O_MINI, Tokens(1000, 200, cached=400), NOW_MS)
    assert costs == Costs(input=600 * 150_000, cached_input=400 * 75_000, output=200 * 600_000)
    assert Decimal(total_picousd(costs)).scaleb(-12) == Decimal("0.000240")


def test_reasoning_tokens_are_part_of_the_completion_unless_they_have_a_price() -> None:
    assert cost(GPT_4O_MINI, Tokens(0, 300, reasoning=200)) == cost(GPT_4O_MINI, Tokens(0, 300))
    priced = Price(version="test", input=1, output=10, reasoning=3)
    assert cost_of(priced, Tokens(0, 300, reasoning=200), NOW_MS) == Costs(output=100 * 10, reasoning=200 * 3)


def test_what_is_written_to_a_cache_has_its_own_price_and_another_for_an_hour() -> None:
    told = Tokens(1000, 0, cached=300, cache_write=200)
    assert cost_of(KINDS, told, NOW_MS) == Costs(input=50_000, cached_input=3_000, cache_write=25_000, other=13)
    longer = msgspec.structs.replace(told, cache_write_1h=50)
    assert cost_of(KINDS, longer, NOW_MS).cache_write == 150 * 125 + 50 * 200
    without = Price(version="test", input=100, output=0, cache_write=125)
    assert cost(without, longer) == cost(without, told)
    more = msgspec.structs.replace(told, cache_write_1h=9_000)
    assert cost_of(KINDS, more, NOW_MS).cache_write == 200 * 200, "never more than was written"


def test_sound_and_images_are_told_apart_from_text_and_cost_the_same_where_no_price_says_otherwise() -> None:
    told = Tokens(1000, 100, audio_input=200, image_input=300, audio_output=40, image_output=50, cached=100)
    assert cost_of(KINDS, told, NOW_MS) == Costs(
        input=400 * 100,
        cached_input=100 * 10,
        output=10 * 400,
        audio=200 * 700 + 40 * 900,
        image=300 * 150 + 50 * 1_000,
        other=13,
    )
    plain = Price(version="test", input=100, output=400)
    assert cost(plain, told) == 1000 * 100 + 100 * 400


def test_of_what_is_cached_sound_is_what_was_told_or_does_not_fit_into_the_text() -> None:
    told = Tokens(1000, 0, audio_input=600, cached=500, cached_audio_input=200)
    assert cost_of(KINDS, told, NOW_MS).audio == 400 * 700 + 200 * 70
    assert cost_of(KINDS, told, NOW_MS).cached_input == 300 * 10
    untold = Tokens(1000, 0, audio_input=600, cached=500)
    assert cost_of(KINDS, untold, NOW_MS).audio == 500 * 700 + 100 * 70, "400 are of text"
    halved = Price(version="test", input=100, output=0, cached_input=50)
    assert cost(halved, untold) == 500 * 100 + 500 * 50
    dear = Price(version="test", input=100, output=0, cached_input=50, audio_input=700)
    assert cost_of(dear, untold, NOW_MS).audio == 600 * 700, "no discount that nobody has named"


def test_images_characters_and_minutes_are_paid_for_each() -> None:
    price = Price(version="test", input=0, output=0, per_image=70_000, character=15, per_minute=6_000_000_000)
    assert cost_of(price, Tokens(images=3), NOW_MS) == Costs(image=210_000)
    assert cost_of(price, Tokens(characters=1_000), NOW_MS) == Costs(audio=15_000)
    assert cost_of(price, Tokens(audio_ms=1_500), NOW_MS) == Costs(audio=150_000_000)
    hourly = Price(version="test", input=0, output=0, per_minute=7)
    assert cost_of(hourly, Tokens(audio_ms=1), NOW_MS) == Costs(audio=1), "less than the least is not nothing"


def test_a_call_for_which_nothing_is_owed_costs_nothing_per_request_either() -> None:
    assert cost_of(KINDS, NOTHING, NOW_MS) == Costs()


@pytest.mark.parametrize(("prompt", "rate"), [(0, 100), (200_000, 100), (200_001, 200), (500_000, 200), (500_001, 900)])
def test_a_long_prompt_has_other_rates_for_the_whole_call(prompt: int, rate: int) -> None:
    tiers = (Tier(above_tokens=200_000, input=200, output=300), Tier(above_tokens=500_000, input=900, output=300))
    price = Price(version="test", input=100, output=150, cached_input=7, tiers=tiers)
    costs = cost_of(price, Tokens(prompt, 10), NOW_MS)
    assert (costs.input, costs.output) == (prompt * rate, 10 * (150 if rate == 100 else 300))


def test_a_service_tier_has_its_own_rates_and_one_that_is_not_listed_costs_as_much_as_the_standard() -> None:
    flex = Tariff(input=50, output=200, tiers=(Tier(above_tokens=10, input=60, output=200),))
    price = Price(version="test", input=100, output=400, service_tiers={"flex": flex})
    assert cost(price, Tokens(10, 1, service_tier="flex")) == 10 * 50 + 200
    assert cost(price, Tokens(11, 1, service_tier="flex")) == 11 * 60 + 200
    assert cost(price, Tokens(10, 1, service_tier="scale")) == cost(price, Tokens(10, 1)) == 10 * 100 + 400


def test_the_time_of_a_call_chooses_its_price() -> None:
    later = tuple(
        Price(version=f"v{number}", input=rate, output=0, from_ms=NOW_MS + number * DAY_MS)
        for number, rate in [(1, 20), (2, 30)]
    )
    price = Price(version="v0", input=10, output=0, later=later)
    told = [
        (price.at(NOW_MS + days * DAY_MS).version, cost(price, Tokens(1), NOW_MS + days * DAY_MS)) for days in range(4)
    ]
    assert told == [("v0", 10), ("v1", 20), ("v2", 30), ("v2", 30)]
    assert price.at(NOW_MS + DAY_MS - 1).version == "v0"


def test_a_tenant_pays_its_own_price_or_a_factor_of_the_listed_one() -> None:
    own = Price(version="acme/m", input=7, output=0)
    prices = TenantPrices({"m": own}, 1_150_000)
    assert prices.of("m", GPT_4O_MINI) == Owed(own)
    times = prices.of("other", GPT_4O_MINI)
    assert times.version(NOW_MS) == "test*1.15"
    assert cost_owed(times, Tokens(1000, 200), NOW_MS) == Costs(input=172_500_000, output=138_000_000)
    assert owed(None, "m", GPT_4O_MINI) == Owed(GPT_4O_MINI)
    assert cost_owed(prices.of("other", None), Tokens(1, 1), NOW_MS) is None, "a factor of nothing known is not known"


@given(st.integers(0, 10**6), st.integers(1, 10**9), st.integers(1, 10**6))
def test_a_factor_is_off_by_less_than_a_pico_dollar_for_each_kind(tokens: int, millionths: int, rate: int) -> None:
    price = Price(version="test", input=rate, output=3 * rate, reasoning=7)
    costs = cost_owed(Owed(price, millionths), Tokens(tokens, tokens, reasoning=tokens // 3), NOW_MS)
    assert costs is not None
    exact = Fraction(cost(price, Tokens(tokens, tokens, reasoning=tokens // 3)) * millionths, 10**6)
    assert abs(total_picousd(costs) - exact) <= Fraction(3, 2)


counts = st.integers(0, 10**9)
TOKENS = st.builds(
    Tokens,
    counts,
    counts,
    cached=counts,
    cache_write=counts,
    cache_write_1h=counts,
    reasoning=counts,
    audio_input=counts,
    cached_audio_input=counts,
    audio_output=counts,
    image_input=counts,
    image_output=counts,
)


@given(TOKENS)
def test_numbers_that_contradict_each_other_never_cost_less_than_nothing_or_more_than_the_dearest(told: Tokens) -> None:
    costs = msgspec.structs.astuple(cost_of(KINDS, told, NOW_MS))
    assert all(kind >= 0 for kind in costs)
    assert sum(costs) <= told.prompt * KINDS.dearest_input + told.completion * KINDS.dearest_output + 13


@given(TOKENS, st.integers(1, 10**9), st.sampled_from([None, "flex", "scale"]), st.integers(0, 5))
def test_no_call_costs_more_than_its_worst_case(told: Tokens, millionths: int, tier: str | None, images: int) -> None:
    tariff = Tariff(input=90, output=7, cache_write=900, tiers=(Tier(above_tokens=10**6, input=2_000, output=9_000),))
    price = msgspec.structs.replace(KINDS, tiers=tariff.tiers, service_tiers={"flex": tariff}, per_image=77)
    served = msgspec.structs.replace(told, service_tier=tier, images=images)
    costs = cost_owed(Owed(price, millionths), served, NOW_MS)
    worst = worst_picousd(Owed(price, millionths), told.prompt, told.completion, NOW_MS, images=images)
    assert costs is not None
    assert worst is not None
    assert total_picousd(costs) <= worst
    assert worst_picousd(Owed(None), 1, 1, NOW_MS) is None


@given(TOKENS)
def test_where_every_kind_costs_the_same_each_token_is_paid_for_once(told: Tokens) -> None:
    assert cost(Price(version="test", input=3, output=5), told) == told.prompt * 3 + told.completion * 5


def test_a_cost_that_no_integer_holds_is_cut_and_its_kinds_with_it() -> None:
    dear = Price(version="test", input=2**62, output=2**62)
    costs = cost_of(dear, Tokens(2, 2), NOW_MS)
    assert total_picousd(costs) == MOST_PICOUSD
    assert costs == Costs(input=MOST_PICOUSD)


@pytest.mark.parametrize("kind", Rates.__struct_fields__)
def test_a_price_is_free_when_no_part_of_it_is_owed(kind: str) -> None:
    free = Price(version="test", input=0, output=0)
    assert free.is_never_owed
    assert not msgspec.structs.replace(free, **{kind: 1}).is_never_owed
    owing = msgspec.structs.replace(free, **{kind: 1}, from_ms=NOW_MS)
    assert not msgspec.structs.replace(free, later=(owing,)).is_never_owed
    tariff = msgspec.structs.replace(Tariff(input=0, output=0), **{kind: 1})
    assert not msgspec.structs.replace(free, service_tiers={"priority": tariff}).is_never_owed
    tier = msgspec.structs.replace(Tier(above_tokens=1, input=0, output=0), **{kind: 1})
    assert not msgspec.structs.replace(free, tiers=(tier,)).is_never_owed


def test_a_worst_case_looks_at_every_rate_that_a_call_can_have() -> None:
    tiers = (Tier(above_tokens=10, input=2, output=2), Tier(above_tokens=100, input=3, output=3))
    price = Price(version="t", input=1, output=1, tiers=tiers, service_tiers={"p": Tariff(input=9, output=9)})
    assert [rates.input for rates in price.possible(NOW_MS, 11)] == [1, 2, 9]
    assert [rates.input for rates in price.possible(NOW_MS, 10)] == [1, 9]


@given(st.integers(0, 10**20))
def test_dollars_are_shown_exactly(picousd: int) -> None:
    assert Decimal(dollars(picousd)) == Decimal(picousd).scaleb(-12)


def test_dollars_have_no_trailing_zeros() -> None:
    assert [dollars(n) for n in (0, 10**12, 1_500_000_000_000, 42)] == ["0", "1", "1.5", "0.000000000042"]
