"""What a call can cost at most: known before it leaves, held until it is known what it has cost."""

from typing import Final

import msgspec

from tollway.contract.budgets import MOST_PICOUSD
from tollway.contract.prices import MILLION, Owed, Rates
from tollway.contract.snapshot import Operation

MOST_TOKENS: Final = 1_000_000_000
"""A bound beyond this is taken for this: no model writes more."""

UNKNOWN_OUTPUT_TOKENS: Final = 16_384
"""What an answer is taken to have where neither the request nor what is known of the model sets a bound. A stream that
outgrows it holds more on the way."""

BYTES_PER_MINUTE: Final = 120_000
"""Of sound, at 16 kbit/s: speech is seldom packed closer."""

UNKNOWN_SOUND_BYTES: Final = 25 * 1024 * 1024
"""What a file of sound is taken to have where nobody says (the most that OpenAI takes: platform.openai.com, "Speech to
text")."""

LONGEST_CALL_MS: Final = 3_600_000
"""A call that is planned now leaves by then: a price that begins meanwhile may be its."""

_ROUNDING: Final = 8
"""A factor is applied to each of eight kinds, each rounded to a whole pico-dollar."""

_WORDLESS: Final = frozenset[Operation]({"embeddings", "moderations", "rerank", "count_tokens"})
"""What is answered without a token of output."""

_IMAGES: Final = frozenset[Operation]({"images", "image_edits"})
_HEARING: Final = frozenset[Operation]({"transcriptions", "translations"})


class Extent(msgspec.Struct, frozen=True):
    """How much a call is paid for, at most: of its answers together, where there are more than one."""

    prompt_tokens: int = 0
    output_tokens: int = 0
    images: int = 0
    characters: int = 0
    minutes: int = 0


def output_tokens(operation: Operation, max_tokens: int | None, choices: int, cap: int | None) -> int:
    """The tokens of all answers together, at most: each has those that the request allows, and not more than the model
    can say (``cap``)."""
    if operation in _WORDLESS:
        return 0
    bounds = [bound for bound in (max_tokens, cap) if bound is not None]
    return min([*bounds, MOST_TOKENS] if bounds else [UNKNOWN_OUTPUT_TOKENS]) * choices


def extent_of(
    operation: Operation, prompt_tokens: int, text_bytes: int, choices: int, sound_bytes: int | None
) -> Extent:
    """All but the output. ``sound_bytes`` is how long the body is, where it says so."""
    minutes = -(-(UNKNOWN_SOUND_BYTES if sound_bytes is None else sound_bytes) // BYTES_PER_MINUTE)
    return Extent(
        prompt_tokens,
        images=choices if operation in _IMAGES else 0,
        characters=text_bytes if operation == "speech" else 0,
        minutes=minutes if operation in _HEARING else 0,
    )


def worst_picousd(owed: Owed, extent: Extent, output_tokens: int, now_ms: int) -> int:
    """The most that a call of this extent can cost which is planned now (Unix milliseconds), whatever kinds its tokens
    turn out to be of, and whatever service tier it gets. Cut at what a budget can be; 0 where no price is known."""
    if owed.price is None:
        return 0
    possible = owed.price.possible(now_ms, extent.prompt_tokens)
    if owed.price.later:
        possible += owed.price.possible(now_ms + LONGEST_CALL_MS, extent.prompt_tokens)
    worst = max(_cost(rates, extent, output_tokens) for rates in possible)
    if owed.factor_millionths != MILLION and worst:
        worst = -(-worst * owed.factor_millionths // MILLION) + _ROUNDING
    return min(worst, MOST_PICOUSD)


def _cost(rates: Rates, extent: Extent, output_tokens: int) -> int:
    return (
        extent.prompt_tokens * rates.dearest_input
        + output_tokens * rates.dearest_output
        + extent.images * rates.per_image
        + extent.characters * rates.character
        + extent.minutes * rates.per_minute
        + rates.per_request
    )
