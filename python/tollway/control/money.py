"""Amounts of US dollars as people write and read them. Pure: a value goes in and comes out, or an error names its
field.
"""

from decimal import Decimal

from tollway.contract.budgets import MOST_PICOUSD
from tollway.control.fields import refused


def picousd(amount_usd: Decimal, field: str) -> int:
    """US dollars as whole pico-dollars.

    Raises:
        InvalidRequest: it is less than nothing, too high, or finer than a pico-dollar.
    """
    highest = Decimal(MOST_PICOUSD).scaleb(-12)
    if not amount_usd.is_finite() or not 0 <= amount_usd <= highest:
        raise refused(field, f"must be from 0 to {highest:,f}.")
    exact = amount_usd.scaleb(12)
    if exact != int(exact):
        raise refused(field, "must have 12 decimals at most.")
    return int(exact)


def plain(amount: Decimal) -> Decimal:
    """Without zeros at its end, nor an exponent."""
    short = amount.normalize()
    return short.quantize(Decimal(1)) if short == short.to_integral() else short
