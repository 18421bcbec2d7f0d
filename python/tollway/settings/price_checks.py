"""What no single field of a price can tell: that what follows something comes behind it."""

from collections.abc import Iterator, Sequence

from tollway.settings.conversion import nearest
from tollway.settings.document import Path
from tollway.settings.model_checks import Finding
from tollway.settings.prices import DatedSettings, PriceSettings, TierSettings
from tollway.settings.structs import Settings, TenantPriceSettings


def check_prices(settings: Settings) -> Iterator[Finding]:
    """Every price of the configuration, and whose model it is."""
    for alias, model in settings.models.items():
        if model.price is not None:
            yield from check_price(("models", alias, "price"), model.price)
    for name, tenant in settings.tenants.items():
        yield from check_tenant_prices(("tenants", name), tenant, settings)


def check_tenant_prices(path: Path, tenant: TenantPriceSettings, settings: Settings) -> Iterator[Finding]:
    """A tenant's own prices, and whose models they are."""
    for alias, price in tenant.prices.items():
        own: Path = (*path, "prices", alias)
        if alias not in settings.models:
            yield own, f"there is no such model under models{nearest(alias, settings.models)}"
        yield from check_price(own, price)


def check_price(path: Path, price: PriceSettings) -> Iterator[Finding]:
    """Tiers grow, and dates do."""
    yield from _tariffs(path, price)
    latest_ms = None
    for at, later in enumerate(price.versions):
        own: Path = (*path, "versions", at)
        yield from _tariffs(own, later)
        if latest_ms is not None and later.from_ms <= latest_ms:
            yield (*own, "from"), "should be after the version before it"
        latest_ms = later.from_ms


def _tariffs(path: Path, price: DatedSettings) -> Iterator[Finding]:
    yield from _tiers((*path, "tiers"), price.tiers)
    for name, tariff in price.service_tiers.items():
        yield from _tiers((*path, "service_tiers", name, "tiers"), tariff.tiers)


def _tiers(path: Path, tiers: Sequence[TierSettings]) -> Iterator[Finding]:
    for at in range(1, len(tiers)):
        if tiers[at].above_tokens <= tiers[at - 1].above_tokens:
            yield (*path, at, "above_tokens"), "should be more than in the tier before it"
