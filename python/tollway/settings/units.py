"""Quantities as people write them: ``20MiB``, ``500ms``, ``5%``, ``2027-01-31``, ``0.15`` dollars per million tokens.

Each function takes the written text, returns the quantity in the unit of its name, and raises ``ValueError`` whose
message says what would have been right. None of them goes through a binary float where exactness is owed.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

SIZE_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,6})?(B|KB|MB|GB|KiB|MiB|GiB)?$"
DURATION_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d)$"
PRICE_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,12})?$"
MONEY_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,12})?$"
FACTOR_PATTERN = r"^[0-9]{1,4}(\.[0-9]{1,6})?$"
CONFIDENCE_PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,6})?$"
TEMPERATURE_PATTERN = CONFIDENCE_PATTERN
SHARE_PATTERN = r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"

_BYTES = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_QUANTITY = re.compile(r"([0-9.]+)([A-Za-z]*)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PICOUSD = 10**12
_PICOUSD_PER_TOKEN = 1_000_000
"""Pico-dollars per token for one dollar per million tokens."""


def size_bytes(text: str) -> int:
    """``20MiB`` (powers of 1024), ``1GB`` (powers of 1000) or a number of bytes."""
    number, unit = _split(text, SIZE_PATTERN, "a size such as 20MiB, 1GB or a number of bytes")
    size = number * _BYTES[unit]
    if size != int(size):
        raise ValueError("is not a whole number of bytes")
    return int(size)


def duration_s(text: str) -> float:
    """``500ms``, ``2s``, ``10m``, ``1h`` or ``30d``, in seconds. A bare number has no unit and is refused."""
    number, unit = _split(text, DURATION_PATTERN, "a duration with its unit, such as 500ms, 2s, 10m, 1h or 30d")
    return float(number * _SECONDS[unit])


def share(text: str) -> float:
    """``5%`` or ``0.5%`` as a part of one. A bare number is refused: 0.5 could be either."""
    if not re.fullmatch(SHARE_PATTERN, text):
        raise ValueError("should be a share with its percent sign, such as 5% or 0.5%")
    return float(Decimal(text[:-1]) / 100)


def duration(seconds: float) -> str:
    """A duration as :func:`duration_s` reads it: ``500ms``, ``2s``."""
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def confidence(text: str) -> float:
    """How sure something is: ``0`` to ``1``."""
    if not re.fullmatch(CONFIDENCE_PATTERN, text):
        raise ValueError("should be a number from 0 to 1, such as 0.5")
    return float(Decimal(text))


def temperature(text: str) -> float:
    """What a request may ask for as its ``temperature``: ``0`` to ``2``."""
    if not re.fullmatch(TEMPERATURE_PATTERN, text):
        raise ValueError("should be a temperature from 0 to 2, such as 0.7")
    return float(Decimal(text))


def millionths(text: str) -> int:
    """A factor such as ``1.15`` as whole millionths; the pattern lets through nothing finer."""
    if not re.fullmatch(FACTOR_PATTERN, text):
        raise ValueError("should be a factor with at most six decimals, such as 1.15")
    return int(Decimal(text) * 1_000_000)


def factor(parts: float) -> str:
    """Millionths as :func:`millionths` reads them."""
    return f"{Decimal(parts) / 1_000_000:.6f}".rstrip("0").rstrip(".")


def picousd(text: str) -> int:
    """US dollars as whole pico-dollars (10⁻¹² USD); the pattern lets through nothing finer."""
    if not re.fullmatch(MONEY_PATTERN, text):
        raise ValueError("should be an amount in US dollars, such as 0.01")
    return int(Decimal(text) * _PICOUSD)


def picousd_per_token(text: str) -> int:
    """US dollars per million tokens as whole pico-dollars per token; a finer price is refused, not rounded."""
    if not re.fullmatch(PRICE_PATTERN, text):
        raise ValueError("should be a price in US dollars per million tokens, such as 0.15")
    price = Decimal(text) * _PICOUSD_PER_TOKEN
    if price != int(price):
        raise ValueError("is finer than a millionth of a dollar per million tokens, which can't be kept exactly")
    return int(price)


def instant_ms(text: str) -> int:
    """An ISO 8601 date (its first moment) or date and time, as Unix time in milliseconds; UTC unless it says other."""
    try:
        instant = datetime.fromisoformat(text)
        instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return (instant - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise ValueError("should be a date such as 2027-01-31 or a time such as 2027-01-31T12:00:00Z") from None


def percent(part: float) -> str:
    """A part of one as ``share`` reads it."""
    return f"{part * 100:.10g}%"


def usd(picousd: float) -> str:
    """Pico-dollars as a fault shows them."""
    return f"{Decimal(picousd) / _PICOUSD:,.12f}".rstrip("0").rstrip(".") + " US dollars"


def _split(text: str, pattern: str, wanted: str) -> tuple[Decimal, str]:
    match = _QUANTITY.fullmatch(text) if re.fullmatch(pattern, text) else None
    if match is None:
        raise ValueError(f"should be {wanted}")
    return Decimal(match[1]), match[2]
