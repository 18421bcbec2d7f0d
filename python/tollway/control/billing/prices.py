"""Prices of models: ``prices.yaml`` in, exact prices by provider and name out.

A model that is not listed has no price. It is never guessed: neither by a similar name nor by another provider's
price for it, with two exceptions that providers themselves make. A dated snapshot costs what its undated name costs,
unless it is listed, and Azure sells OpenAI's models at OpenAI's prices.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, field

from tollway.contract.prices import Price, Tariff, TenantPrices, Tier
from tollway.contract.snapshot import ProviderKind
from tollway.settings import (
    DatedSettings,
    Fault,
    PriceSettings,
    RateSettings,
    TariffSettings,
    TenantPriceSettings,
    load_struct,
)
from tollway.settings.document import Document, dotted
from tollway.settings.price_checks import check_price
from tollway.settings.values import InstantMs, Name

PACKAGED: Final = Path(__file__).parents[2] / "prices.yaml"
"""The price list that comes with Tollway."""

_SNAPSHOT_DATE = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")


class PriceEntry(PriceSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A published price: where, and the day for which it is known."""

    source: Annotated[str, Meta(pattern=r"^https://[^\s]+$")]
    date_ms: InstantMs = field(name="date")
    note: str | None = None


class ProviderPrices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider's list. ``hosts`` are those of its API, by which a plain base address is recognised."""

    models: dict[Name, PriceEntry]
    hosts: tuple[Annotated[str, Meta(pattern=r"^[a-z0-9.-]+$")], ...] = ()


class PriceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``prices.yaml``."""

    version: Literal[1]
    providers: dict[Name, ProviderPrices]


class Prices:
    """Exact prices by provider and model."""

    def __init__(self, file: PriceFile) -> None:
        self._models: Mapping[str, Mapping[str, Price]] = {
            provider: {model: _published(provider, model, entry) for model, entry in prices.models.items()}
            for provider, prices in file.providers.items()
        }
        self._providers_by_host = {host: name for name, prices in file.providers.items() for host in prices.hosts}

    def find(self, kind: ProviderKind, base_url: str, model: str, alias: str) -> Price | None:
        """The price of ``model`` at a provider, ``None`` when it is not known.

        ``alias`` is the model's name in ``tollway.yaml``: on Azure, where ``model`` is a deployment of any name, it
        says which of OpenAI's models stands behind it.
        """
        match kind:
            case "azure":
                return self._listed("openai", alias)
            case "vertex":
                return self._listed("google", model)
            case "openai_compatible":
                return self._listed(self._providers_by_host.get(urlsplit(base_url).hostname or "", ""), model)
            case "vllm" | "ollama" | "simulator":
                return None
            case _:
                return self._listed(kind, model)

    def _listed(self, provider: str, model: str) -> Price | None:
        models = self._models.get(provider, {})
        return models.get(model) or models.get(_SNAPSHOT_DATE.sub("", model))


def load_prices(path: str | Path) -> Prices:
    """The price list at ``path``.

    Raises:
        tollway.settings.BadConfiguration: the file can't be read or has faults.
    """
    return Prices(load_struct(path, PriceFile, _faults))


def price_file(config: str | Path) -> Path:
    """Where the prices for a configuration file are: ``prices.yaml`` beside it, else the packaged list."""
    beside = Path(config).parent / "prices.yaml"
    return beside if beside.is_file() else PACKAGED


def configured_price(prices: PriceSettings, alias: str) -> Price:
    """A price that ``tollway.yaml`` gives a model."""
    return written_price(prices, f"tollway.yaml/{alias}")


def tenant_prices(tenant: str, settings: TenantPriceSettings) -> TenantPrices | None:
    """What a tenant pays otherwise than listed; ``None`` where that is nothing."""
    by_alias = {alias: written_price(price, f"{tenant}/{alias}") for alias, price in settings.prices.items()}
    found = TenantPrices(by_alias, settings.price_factor_millionths)
    return None if found == TenantPrices() else found


def written_price(prices: PriceSettings, name: str, version: str | None = None) -> Price:
    """A price as it is written: ``name`` is whose it is, ``version`` what its first version is called if not that. A
    later one is called by the day from which it holds."""
    later = tuple(_dated(each, f"{name}@{_day(each.from_ms)}", from_ms=each.from_ms) for each in prices.versions)
    return _dated(prices, version or name, later=later)


def _published(provider: str, model: str, entry: PriceEntry) -> Price:
    name = f"{provider}/{model}"
    return written_price(entry, name, f"{name}@{_day(entry.date_ms)}")


def _dated(dated: DatedSettings, version: str, *, from_ms: int = 0, later: tuple[Price, ...] = ()) -> Price:
    return Price(
        version=version,
        **_rates(dated),
        tiers=_tiers(dated),
        service_tiers={name: _tariff(tariff) for name, tariff in dated.service_tiers.items()},
        from_ms=from_ms,
        later=later,
    )


def _tariff(tariff: TariffSettings) -> Tariff:
    return Tariff(**_rates(tariff), tiers=_tiers(tariff))


def _tiers(tariff: TariffSettings) -> tuple[Tier, ...]:
    return tuple(Tier(**_rates(tier), above_tokens=tier.above_tokens) for tier in tariff.tiers)


def _rates(rates: RateSettings) -> dict[str, Any]:
    """By the names of the contract, which are those of the settings' fields."""
    return {kind: getattr(rates, kind) for kind in RateSettings.__struct_fields__}


def _day(instant_ms: int) -> date:
    return datetime.fromtimestamp(instant_ms // 1000, UTC).date()


def _faults(file: PriceFile, document: Document) -> list[Fault]:
    found = [
        Fault(dotted(path), (mark := document.mark(path)).line, mark.column, message)
        for provider, prices in file.providers.items()
        for model, entry in prices.models.items()
        for path, message in check_price(("providers", provider, "models", model), entry)
    ]
    return found + _hosts_are_unique(file, document)


def _hosts_are_unique(file: PriceFile, document: Document) -> list[Fault]:
    owners: dict[str, str] = {}
    faults = []
    for provider, prices in file.providers.items():
        for at, host in enumerate(prices.hosts):
            if (owner := owners.setdefault(host, provider)) != provider:
                path = ("providers", provider, "hosts", at)
                mark = document.mark(path)
                faults.append(Fault(dotted(path), mark.line, mark.column, f"this host is {owner}'s already"))
    return faults
