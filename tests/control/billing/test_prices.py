"""Prices: the shipped list, how a model finds its own, and what a list may not say."""

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from tollway.contract.prices import Price, Tariff, TenantPrices, Tier
from tollway.contract.snapshot import ProviderKind
from tollway.control.billing.prices import PACKAGED, Prices, load_prices, price_file, tenant_prices
from tollway.settings import BadConfiguration, TenantPriceSettings

SHIPPED = Path(__file__).parents[3] / "config" / "prices.yaml"
LIST = """\
version: 1
providers:
  openai:
    hosts: [api.openai.com]
    models:
      gpt-4o:
        input_per_1m: "2.50"
        cached_input_per_1m: "1.25"
        output_per_1m: "10"
        <<: &known {source: https://example.org/prices, date: 2026-01-31}
      gpt-4o-2024-05-13: {input_per_1m: "5", output_per_1m: "15", <<: *known}
      claude-like: {input_per_1m: "1", output_per_1m: "2", <<: *known}
  mistral:
    hosts: [api.mistral.ai]
    models:
      small:
        input_per_1m: "0.15"
        output_per_1m: "0.6"
        cache_write_per_1m: "0.2"
        reasoning_per_1m: "0.7"
        <<: *known
"""


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    (tmp_path / "prices.yaml").write_text(LIST)
    return load_prices(tmp_path / "prices.yaml")


def found(prices: Prices, kind: ProviderKind, model: str, base_url: str = "", alias: str = "") -> Price | None:
    return prices.find(kind, base_url, model, alias)


def test_the_shipped_list_prices_at_least_sixty_models_each_with_source_and_date() -> None:
    load_prices(SHIPPED)
    providers = yaml.safe_load(SHIPPED.read_text())["providers"]
    entries = [entry for provider in providers.values() for entry in provider["models"].values()]
    assert len(entries) >= 60
    assert all(entry["source"].startswith("https://") and entry["date"].year >= 2025 for entry in entries)


def test_no_shipped_model_costs_nothing_and_cached_input_is_never_dearer() -> None:
    providers = yaml.safe_load(SHIPPED.read_text())["providers"]
    for provider in providers.values():
        for entry in provider["models"].values():
            assert 0 < Decimal(entry["input_per_1m"]) < 1000
            assert Decimal(entry.get("cached_input_per_1m", 0)) <= Decimal(entry["input_per_1m"])


@pytest.mark.parametrize(
    ("kind", "base_url", "model", "alias", "price_input", "cached", "price_output"),
    [
        ("openai", "https://api.openai.com/v1", "gpt-4o-mini", "any", 150_000, 75_000, 600_000),
        ("openai", "https://api.openai.com/v1", "gpt-4o-mini-2024-07-18", "any", 150_000, 75_000, 600_000),
        ("azure", "https://me.openai.azure.com", "my-deployment", "gpt-4.1-mini", 400_000, 100_000, 1_600_000),
        ("xai", "https://api.x.ai/v1", "grok-4", "any", 3_000_000, 750_000, 15_000_000),
        ("openai_compatible", "https://api.mistral.ai/v1", "mistral-large-2512", "any", 500_000, 50_000, 1_500_000),
        ("openai_compatible", "https://api.groq.com/openai/v1", "openai/gpt-oss-120b", "any", 150_000, 75_000, 600_000),
    ],
)
def test_a_shipped_price_is_exact(
    kind: ProviderKind, base_url: str, model: str, alias: str, price_input: int, cached: int, price_output: int
) -> None:
    price = load_prices(SHIPPED).find(kind, base_url, model, alias)
    assert price is not None
    assert (price.input, price.cached_input, price.output) == (price_input, cached, price_output)


def test_a_price_is_versioned_by_provider_model_and_day(prices: Prices) -> None:
    assert found(prices, "openai", "gpt-4o") == Price(
        version="openai/gpt-4o@2026-01-31", input=2_500_000, output=10_000_000, cached_input=1_250_000
    )


def test_prices_of_cache_writes_and_reasoning_are_kept(prices: Prices) -> None:
    price = found(prices, "openai_compatible", "small", "https://api.mistral.ai/v1")
    assert price is not None
    assert (price.cache_write, price.reasoning) == (200_000, 700_000)


def test_a_dated_snapshot_costs_what_its_name_costs_unless_it_is_listed(prices: Prices) -> None:
    dated, listed = found(prices, "openai", "gpt-4o-2024-08-06"), found(prices, "openai", "gpt-4o-2024-05-13")
    assert dated == found(prices, "openai", "gpt-4o")
    assert listed is not None
    assert listed.input == 5_000_000
    assert found(prices, "openai", "claude-like-20260131") == found(prices, "openai", "claude-like")


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o-", "gpt-4o-mini", "gpt-4o-latest", "GPT-4o", "gpt-4o-2024", ""])
def test_a_model_that_is_not_listed_has_no_price(prices: Prices, model: str) -> None:
    assert found(prices, "openai", model) is None


def test_azure_is_priced_by_the_alias_and_not_by_the_deployment(prices: Prices) -> None:
    assert found(prices, "azure", "whatever", alias="gpt-4o") == found(prices, "openai", "gpt-4o")
    assert found(prices, "azure", "gpt-4o", alias="whatever") is None


def test_a_compatible_provider_is_recognised_by_its_host_alone(prices: Prices) -> None:
    assert found(prices, "openai_compatible", "small", "https://API.mistral.ai:443/v1") is not None
    assert found(prices, "openai_compatible", "small", "https://mistral.example.org/v1") is None
    assert found(prices, "openai_compatible", "small", "https://api.mistral.ai.example.org/v1") is None


@pytest.mark.parametrize("kind", ["vllm", "simulator"])
def test_what_runs_at_home_has_no_price(prices: Prices, kind: ProviderKind) -> None:
    assert found(prices, kind, "gpt-4o", "https://api.openai.com/v1", "gpt-4o") is None


def test_the_packaged_list_is_the_one_in_config() -> None:
    assert PACKAGED.read_bytes() == SHIPPED.read_bytes()


def test_a_list_beside_the_configuration_goes_before_the_packaged_one(tmp_path: Path) -> None:
    assert price_file(tmp_path / "tollway.yaml") == PACKAGED
    (tmp_path / "prices.yaml").write_text(LIST)
    assert price_file(tmp_path / "tollway.yaml") == tmp_path / "prices.yaml"


def test_every_fault_of_a_list_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("""\
version: 1
providers:
  a:
    hosts: [h.org, 'H ORG']
    models:
      m: {input_per_1m: cheap, output_per_1m: "0.00000001", source: ftp://x, date: soon}
      n: {output_per_1m: -1, source: https://x.org, date: 2026-01-01, sauce: ketchup}
  b: {hosts: [h.org], models: {}}
""")
    with pytest.raises(BadConfiguration) as raised:
        load_prices(path)
    assert [(fault.line, fault.path) for fault in raised.value.faults] == [
        (4, "providers.a.hosts[1]"),
        (6, "providers.a.models.m.input_per_1m"),
        (6, "providers.a.models.m.output_per_1m"),
        (6, "providers.a.models.m.source"),
        (6, "providers.a.models.m.date"),
        (7, "providers.a.models.n"),
        (7, "providers.a.models.n.output_per_1m"),
        (7, "providers.a.models.n.sauce"),
        (8, "providers.b.hosts[0]"),
    ]


def test_a_dollar_in_a_list_is_a_dollar(tmp_path: Path) -> None:
    text = LIST.replace("date: 2026-01-31}", "date: 2026-01-31, note: '${NOT_A_VARIABLE}'}")
    (tmp_path / "prices.yaml").write_text(text)
    load_prices(tmp_path / "prices.yaml")


KINDS = """\
version: 1
providers:
  openai:
    models:
      m:
        input_per_1m: 1
        output_per_1m: 2
        audio_input_per_1m: 3
        image_output_per_1m: 4
        per_request: 0.005
        characters_per_1m: 15
        source: https://example.org/prices
        date: 2026-01-31
        tiers: [{above_tokens: 200_000, input_per_1m: 5, output_per_1m: 6}]
        service_tiers:
          flex: {input_per_1m: 0.5, output_per_1m: 1, tiers: [{above_tokens: 9, input_per_1m: 7, output_per_1m: 8}]}
        versions:
          - {from: 2026-06-01, input_per_1m: 9, output_per_1m: 10}
          - {from: "2026-07-01T12:00:00Z", input_per_1m: 11, output_per_1m: 12}
"""


def test_every_kind_tier_and_version_of_a_list_is_kept(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(KINDS)
    price = found(load_prices(tmp_path / "prices.yaml"), "openai", "m")
    assert price is not None
    assert (price.version, price.input, price.audio_input, price.image_output) == (
        "openai/m@2026-01-31",
        1_000_000,
        3_000_000,
        4_000_000,
    )
    assert (price.per_request, price.character, price.cached_input) == (5 * 10**9, 15_000_000, None)
    assert price.tiers == (Tier(above_tokens=200_000, input=5_000_000, output=6_000_000),)
    flex = Tariff(input=500_000, output=1_000_000, tiers=(Tier(above_tokens=9, input=7_000_000, output=8_000_000),))
    assert price.service_tiers == {"flex": flex}
    assert [(later.version, later.input) for later in price.later] == [
        ("openai/m@2026-06-01", 9_000_000),
        ("openai/m@2026-07-01", 11_000_000),
    ]
    assert price.at(1_780_272_000_000).version == "openai/m@2026-06-01", "its first moment, UTC"


def test_tiers_and_dates_that_do_not_grow_are_faults(tmp_path: Path) -> None:
    text = KINDS.replace(
        "above_tokens: 200_000, input_per_1m: 5, output_per_1m: 6}",
        "above_tokens: 9, input_per_1m: 5, output_per_1m: 6}, {above_tokens: 9, input_per_1m: 5, output_per_1m: 6}",
    ).replace("2026-07-01T12", "2026-05-01T12")
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(BadConfiguration) as raised:
        load_prices(tmp_path / "prices.yaml")
    model = "providers.openai.models.m"
    assert [(fault.path, fault.message) for fault in raised.value.faults] == [
        (f"{model}.tiers[1].above_tokens", "should be more than in the tier before it"),
        (f"{model}.versions[1].from", "should be after the version before it"),
    ]


def test_a_shipped_tier_is_never_cheaper_than_a_shorter_prompt() -> None:
    for provider in yaml.safe_load(SHIPPED.read_text())["providers"].values():
        for name, entry in provider["models"].items():
            for tier in entry.get("tiers", ()):
                rates = [kind for kind in entry if kind.endswith("_per_1m")]
                assert all(Decimal(tier[kind]) > Decimal(entry[kind]) for kind in rates if kind in tier), name


def test_a_long_prompt_of_the_shipped_list_costs_what_openai_and_google_say() -> None:
    prices = load_prices(SHIPPED)
    terra = prices.find("openai", "", "gpt-6.1-terra", "")
    pro = prices.find("vertex", "", "gemini-2.5-pro", "")
    assert terra is not None
    assert pro is not None
    rates = terra.for_call(0, 272_001)
    assert (rates.input, rates.cached_input, rates.cache_write, rates.output) == (
        2_000_000,
        100_000,
        2_500_000,
        7_500_000,
    )
    rates = pro.for_call(0, 200_001)
    assert (rates.input, rates.cached_input, rates.output) == (2_500_000, 250_000, 15_000_000)


def test_a_tenant_without_prices_of_its_own_has_none() -> None:
    assert tenant_prices("acme", TenantPriceSettings()) is None
    assert tenant_prices("acme", TenantPriceSettings(price_factor_millionths=2)) == TenantPrices({}, 2)
