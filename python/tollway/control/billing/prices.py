"""Prices of models: ``prices.yaml`` in, exact prices by provider and name out.

A model that is not listed has no price. It is never guessed: neither by a similar name nor by another provider's
price for it, with two exceptions that providers themselves make. A dated snapshot costs what its undated name costs,
unless it is listed, and Azure sells OpenAI's models at OpenAI's prices.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, field

from tollway.contract.snapshot import Price, ProviderKind
from tollway.settings import Fault, PriceSettings, load_struct
from tollway.settings.document import Document, dotted
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
    return Prices(load_struct(path, PriceFile, _hosts_are_unique))


def price_file(config: str | Path) -> Path:
    """Where the prices for a configuration file are: ``prices.yaml`` beside it, else the packaged list."""
    beside = Path(config).parent / "prices.yaml"
    return beside if beside.is_file() else PACKAGED


def configured_price(prices: PriceSettings, alias: str) -> Price:
    """A price that ``tollway.yaml`` gives a model."""
    return _price(prices, f"tollway.yaml/{alias}")


def _published(provider: str, model: str, entry: PriceEntry) -> Price:
    day = datetime.fromtimestamp(entry.date_ms // 1000, UTC).date()
    return _price(entry, f"{provider}/{model}@{day}")


def _price(prices: PriceSettings, version: str) -> Price:
    return Price(
        version=version,
        input=prices.input,
        output=prices.output,
        cached_input=prices.cached_input,
        cache_write=prices.cache_write,
        reasoning=prices.reasoning,
        cache_write_1h=prices.cache_write_1h,
    )


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
