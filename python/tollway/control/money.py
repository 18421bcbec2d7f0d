"""Amounts of US dollars as people write and read them, and as JSON holds them: exact, a string of digits. Pure: a value
goes in and comes out, or an error names its field.
"""

from decimal import Decimal

import msgspec

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
    """Without zeros at its end."""
    short = amount.normalize()
    return short.quantize(Decimal(1)) if short == short.to_integral() else short


def written(body: object) -> object:
    """A body with its decimals as strings without an exponent: ``"0.000000000005"``, where ``str`` says ``5E-12``."""
    return _written(msgspec.to_builtins(body, builtin_types=(Decimal,), enc_hook=_read))


def _read(value: object) -> object:
    """JSON that is kept as it was stored."""
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    raise TypeError(f"no JSON is made of {type(value).__name__}")


def _written(value: object) -> object:
    match value:
        case Decimal():
            return f"{value:f}"
        case dict():
            return {name: _written(item) for name, item in value.items()}
        case list() | tuple():
            return [_written(item) for item in value]
    return value
