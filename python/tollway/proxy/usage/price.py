"""What a call costs: whole pico-dollars, so that no sum is ever off by a rounding."""

from tollway.contract.snapshot import Price

MOST_PICOUSD = 2**63 - 1
"""The most that one call can cost: nine million dollars. So every cost fits the journal's integers (64 bits).

A count told above 2**31 - 1 is read as not told, so only a price of thousands of dollars per million tokens, times
the most tokens that are believed, is cut.
"""


def cost_picousd(
    price: Price,
    prompt_tokens: int,
    completion_tokens: int,
    cached_tokens: int,
    cache_write_tokens: int,
    reasoning_tokens: int,
    cache_write_1h_tokens: int = 0,
) -> int:
    """The cost of one call.

    ``prompt_tokens`` holds the cached and cache-write tokens, these hold the ones kept for an hour, and
    ``completion_tokens`` the reasoning tokens, as in OpenAI's usage; numbers that contradict this are cut to fit
    rather than billed below zero. It is cut at :data:`MOST_PICOUSD`, which no believable count reaches at a real price.
    """
    cached = min(cached_tokens, prompt_tokens)
    written = min(cache_write_tokens, prompt_tokens - cached)
    written_1h = min(cache_write_1h_tokens, written)
    write_price = price.input if price.cache_write is None else price.cache_write
    reasoning = min(reasoning_tokens, completion_tokens)
    cost = (
        (prompt_tokens - cached - written) * price.input
        + cached * (price.input if price.cached_input is None else price.cached_input)
        + (written - written_1h) * write_price
        + written_1h * (write_price if price.cache_write_1h is None else price.cache_write_1h)
        + (completion_tokens - reasoning) * price.output
        + reasoning * (price.output if price.reasoning is None else price.reasoning)
    )
    return min(cost, MOST_PICOUSD)
