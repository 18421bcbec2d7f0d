"""Money in JSON: exact, as a string of digits."""

from decimal import Decimal

import msgspec


def written(body: object) -> object:
    """A body with its decimals as strings without an exponent: ``"0.000000000005"``, where ``str`` says ``5E-12``."""
    return _written(msgspec.to_builtins(body, builtin_types=(Decimal,)))


def _written(value: object) -> object:
    match value:
        case Decimal():
            return f"{value:f}"
        case dict():
            return {name: _written(item) for name, item in value.items()}
        case list() | tuple():
            return [_written(item) for item in value]
    return value
