"""What a call costs, by what was paid for: whole pico-dollars, so that no sum is ever off by a rounding."""

import msgspec

from tollway.contract.prices import MILLION, Owed, Price, Rates
from tollway.contract.usage import Costs
from tollway.proxy.usage.used import Tokens

MOST_PICOUSD = 2**63 - 1
"""The most that one call can cost: nine million dollars. So every cost fits the journal's integers (64 bits).

A count told above 2**31 - 1 is read as not told, so only a price of thousands of dollars per million tokens, times
the most tokens that are believed, is cut.
"""

MINUTE_MS = 60_000


def cost_of(price: Price, tokens: Tokens, at_ms: int) -> Costs:
    """What a call costs that was made at a time (Unix milliseconds), by its rates for this prompt and service tier.

    Their sum is cut at :data:`MOST_PICOUSD`, which no believable count reaches at a real price.
    """
    return _cut(_by_rates(price.for_call(at_ms, tokens.prompt, tokens.service_tier), tokens))


def cost_owed(owed: Owed, tokens: Tokens, at_ms: int) -> Costs | None:
    """What a tenant owes for a call; ``None`` where no price is known.

    A factor is applied to each kind, which is rounded half up to a whole pico-dollar: a sum of eight kinds is at most
    4 pico-dollars from the exact one.
    """
    if owed.price is None:
        return None
    costs = cost_of(owed.price, tokens, at_ms)
    if owed.factor_millionths == MILLION:
        return costs
    scaled = [(cost * owed.factor_millionths + MILLION // 2) // MILLION for cost in msgspec.structs.astuple(costs)]
    return _cut(Costs(*scaled))


def worst_picousd(
    owed: Owed, prompt_tokens: int, completion_tokens: int, now_ms: int, *, images: int = 0
) -> int | None:
    """The most that a tenant can owe for a call now (Unix milliseconds) with at most so many tokens and images;
    ``None`` where no price is known.

    Every kind, tier and service tier is taken for possible. What is paid by the character or the minute is not in it.
    """
    if owed.price is None:
        return None
    worst = max(
        prompt_tokens * rates.dearest_input
        + completion_tokens * rates.dearest_output
        + images * rates.per_image
        + rates.per_request
        for rates in owed.price.possible(now_ms, prompt_tokens)
    )
    # A factor rounds each of eight kinds up by half a pico-dollar at most.
    return worst if owed.factor_millionths == MILLION else -(-worst * owed.factor_millionths // MILLION) + 4


def total_picousd(costs: Costs) -> int:
    """All of it: ``cost_picousd`` of a usage row."""
    return sum(msgspec.structs.astuple(costs))


def _by_rates(rates: Rates, used: Tokens) -> Costs:
    """Counts times rates.

    The prompt holds the tokens that were cached, written to a cache, or are sound or images, and the completion those
    of reasoning, sound and images, as in OpenAI's usage; numbers that contradict this are cut to fit rather than billed
    below zero. Of what was cached, sound is as much as was told, and else what does not fit into the text.
    """
    audio = min(used.audio_input, used.prompt)
    image = min(used.image_input, used.prompt - audio)
    text = used.prompt - audio - image
    cached = min(used.cached, used.prompt)
    cached_audio = min(used.cached_audio_input, cached, audio)
    cached_text = min(cached - cached_audio, text)
    cached_image = min(cached - cached_audio - cached_text, image)
    cached_audio = cached - cached_text - cached_image
    written = min(used.cache_write, used.prompt - cached)
    written_1h = min(used.cache_write_1h, written)
    # What is written to a cache costs the same whatever it is: it leaves the text first.
    fresh_text = max(0, text - cached_text - written)
    fresh_image = max(0, image - cached_image - max(0, written - (text - cached_text)))
    fresh_audio = used.prompt - cached - written - fresh_text - fresh_image
    reasoning = min(used.reasoning, used.completion)
    audio_out = min(used.audio_output, used.completion - reasoning)
    image_out = min(used.image_output, used.completion - reasoning - audio_out)
    spoken = used.completion - reasoning - audio_out - image_out
    cached_rate = _or(rates.cached_input, rates.input)
    write_rate = _or(rates.cache_write, rates.input)
    audio_rate = _or(rates.audio_input, rates.input)
    cached_audio_rate = _or(rates.cached_audio_input, _or(rates.audio_input, cached_rate))
    return Costs(
        input=fresh_text * rates.input,
        cached_input=cached_text * cached_rate,
        cache_write=(written - written_1h) * write_rate + written_1h * _or(rates.cache_write_1h, write_rate),
        output=spoken * rates.output,
        reasoning=reasoning * _or(rates.reasoning, rates.output),
        audio=fresh_audio * audio_rate
        + cached_audio * cached_audio_rate
        + audio_out * _or(rates.audio_output, rates.output)
        + used.characters * rates.character
        + -(-used.audio_ms * rates.per_minute // MINUTE_MS),
        image=fresh_image * _or(rates.image_input, rates.input)
        + cached_image * cached_rate
        + image_out * _or(rates.image_output, rates.output)
        + used.images * rates.per_image,
        other=used.requests * rates.per_request,
    )


def _or(rate: int | None, otherwise: int) -> int:
    return otherwise if rate is None else rate


def _cut(costs: Costs) -> Costs:
    kinds = msgspec.structs.astuple(costs)
    if sum(kinds) <= MOST_PICOUSD:
        return costs
    left, kept = MOST_PICOUSD, []
    for cost in kinds:
        kept.append(min(cost, left))
        left -= kept[-1]
    return Costs(*kept)
