"""What a call can cost at most."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.budgets import MOST_PICOUSD
from tollway.contract.prices import Owed, Price, Rates, Tariff, Tier
from tollway.contract.snapshot import Operation
from tollway.proxy.budgets.worst import (
    LONGEST_CALL_MS,
    MOST_TOKENS,
    UNKNOWN_OUTPUT_TOKENS,
    Extent,
    extent_of,
    output_tokens,
    worst_picousd,
)
from tollway.proxy.usage.price import cost_owed, total_picousd
from tollway.proxy.usage.used import Tokens

NOW_MS = 1_800_000_000_000
RATES = st.integers(0, 10**6)
COUNTS = st.integers(0, 10**6)


def _rates(of: type[Rates], **more: Any) -> Any:
    kinds = {
        name: RATES
        if name in ("input", "output", "character", "per_request", "per_image", "per_minute")
        else st.none() | RATES
        for name in Rates.__struct_fields__
    }
    return st.builds(of, **kinds, **more)


TIERS = st.lists(_rates(Tier, above_tokens=COUNTS), max_size=2).map(
    lambda tiers: tuple(sorted(tiers, key=lambda tier: tier.above_tokens))
)
TARIFFS = st.dictionaries(st.sampled_from(["flex", "priority"]), _rates(Tariff, tiers=TIERS))
LATER = _rates(Price, version=st.just("later"), from_ms=st.integers(NOW_MS - 10**7, NOW_MS + 10**7))
PRICES = _rates(
    Price,
    version=st.just("test"),
    tiers=TIERS,
    service_tiers=TARIFFS,
    later=st.lists(LATER, max_size=1).map(tuple),
)
USED = st.builds(
    Tokens,
    prompt=COUNTS,
    completion=COUNTS,
    cached=COUNTS,
    cache_write=COUNTS,
    cache_write_1h=COUNTS,
    reasoning=COUNTS,
    audio_input=COUNTS,
    cached_audio_input=COUNTS,
    audio_output=COUNTS,
    image_input=COUNTS,
    image_output=COUNTS,
    images=st.integers(0, 10),
    characters=COUNTS,
    audio_ms=COUNTS,
    service_tier=st.sampled_from([None, "flex", "priority", "unknown"]),
)


@pytest.mark.parametrize(
    ("operation", "max_tokens", "choices", "cap", "tokens"),
    [
        ("chat", 100, 1, None, 100),
        ("chat", 100, 3, None, 300),
        ("chat", 10_000, 2, 4_096, 8_192),
        ("chat", None, 1, 4_096, 4_096),
        ("chat", None, 1, None, UNKNOWN_OUTPUT_TOKENS),
        ("messages", 10**12, 1, None, MOST_TOKENS),
        ("embeddings", None, 1, None, 0),
        ("rerank", 100, 1, 100, 0),
    ],
)
def test_an_answer_has_what_the_request_allows_and_the_model_can_say(
    operation: Operation, max_tokens: int | None, choices: int, cap: int | None, tokens: int
) -> None:
    assert output_tokens(operation, max_tokens, choices, cap) == tokens


@pytest.mark.parametrize(
    ("operation", "sound_bytes", "extent"),
    [
        ("chat", 10**9, Extent(7)),
        ("images", None, Extent(7, images=3)),
        ("speech", None, Extent(7, characters=40)),
        ("transcriptions", 120_001, Extent(7, minutes=2)),
        ("translations", None, Extent(7, minutes=219)),
    ],
)
def test_what_is_no_token_is_paid_for_as_well(operation: Operation, sound_bytes: int | None, extent: Extent) -> None:
    assert extent_of(operation, 7, 40, 3, sound_bytes) == extent


@given(PRICES, st.integers(0, 3_000_000), USED, st.integers(0, LONGEST_CALL_MS))
def test_no_call_of_such_an_extent_costs_more_whatever_its_kinds_tier_and_time(
    price: Price, factor_millionths: int, used: Tokens, later_ms: int
) -> None:
    owed = Owed(price, factor_millionths)
    costs = cost_owed(owed, used, NOW_MS + later_ms)
    assert costs is not None
    extent = Extent(used.prompt, 0, used.images, used.characters, -(-used.audio_ms // 60_000))
    assert total_picousd(costs) <= worst_picousd(owed, extent, used.completion, NOW_MS)


def test_what_is_free_or_has_no_price_costs_nothing() -> None:
    free = Price(version="test", input=0, output=0)
    assert worst_picousd(Owed(free, 2_000_000), Extent(1_000), 1_000, NOW_MS) == 0
    assert worst_picousd(Owed(None), Extent(1_000), 1_000, NOW_MS) == 0


def test_the_most_is_what_a_budget_can_be() -> None:
    dear = Price(version="test", input=10**12, output=10**12)
    assert worst_picousd(Owed(dear), Extent(MOST_TOKENS), MOST_TOKENS, NOW_MS) == MOST_PICOUSD
