"""What a tenant's prices may look like, and how they are shown. Decisions only, no I/O."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tollway.contract.prices import Price, Rates, Tariff, TenantPrices
from tollway.control.billing.prices import tenant_prices
from tollway.control.fields import refused
from tollway.control.pricing.queries import Found
from tollway.errors import Conflict, InvalidRequest
from tollway.settings import BadConfiguration, RateSettings, Settings, read_tenant_prices

_WRITTEN: Mapping[str, str] = dict(
    zip(RateSettings.__struct_fields__, RateSettings.__struct_encode_fields__, strict=True)
)
_EACH = frozenset({"per_request", "per_image", "per_minute"})
_PICOUSD = Decimal(10) ** 12
_PER_1M = Decimal(10) ** 6


def checked_prices(tenant: str, body: bytes, settings: Settings) -> TenantPrices | None:
    """The prices that a body says in the words of the configuration file: ``price_factor`` and ``prices``.

    Raises:
        InvalidRequest: it has faults.
        Conflict: the configuration file declares this tenant.
    """
    refuse_declared(tenant, settings)
    try:
        written = read_tenant_prices(body, settings)
    except BadConfiguration as error:
        fault = error.faults[0]
        if fault.path:
            raise refused(fault.path, f"{fault.message}.") from None
        raise InvalidRequest(f"The body {fault.message}.") from None
    return tenant_prices(tenant, written)


def refuse_declared(tenant: str, settings: Settings) -> None:
    """What the file declares is changed there.

    Raises:
        Conflict: the file declares this tenant.
    """
    if tenant in settings.tenants:
        raise Conflict("This tenant is managed by the configuration file; change it there.")


def shown(found: Found) -> dict[str, Any]:
    """As the API answers: in US dollars, as decimal texts, in the words of the configuration file."""
    prices = found.prices or TenantPrices()
    return {
        "tenant_id": found.tenant_id,
        "price_factor": _usd(prices.factor_millionths, _PER_1M),
        "prices": {alias: _price(price) for alias, price in prices.by_alias.items()},
    }


def _price(price: Price) -> dict[str, Any]:
    told = _tariff(price)
    told["version"] = price.version
    told["service_tiers"] = {name: _tariff(tariff) for name, tariff in price.service_tiers.items()}
    told["versions"] = [{"from": _instant(later.from_ms), **_price(later)} for later in price.later]
    return {name: value for name, value in told.items() if value not in ({}, [])}


def _tariff(tariff: Tariff) -> dict[str, Any]:
    tiers = [{"above_tokens": tier.above_tokens, **_rates(tier)} for tier in tariff.tiers]
    return {**_rates(tariff), **({"tiers": tiers} if tiers else {})}


def _rates(rates: Rates) -> dict[str, str]:
    told = {}
    for kind, written in _WRITTEN.items():
        value = getattr(rates, kind)
        if value is not None and (value or kind in ("input", "output")):
            told[written] = _usd(value, _PICOUSD if kind in _EACH else _PER_1M)
    return told


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def _usd(value: int, unit: Decimal) -> str:
    return f"{(Decimal(value) / unit).normalize():f}"
