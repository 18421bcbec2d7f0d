"""Rows of accents: every OpenAI-like kind has one, and what it names is consistent."""

from typing import get_args

import pytest

from tollway.contract.snapshot import OPERATIONS, ProviderAccess, ProviderKind
from tollway.proxy.providers.openai.presets import PRESETS, host_of, preset_of

OWN_DIALECT = {"anthropic", "google", "vertex", "bedrock"}


def access(kind: ProviderKind, base_url: str = "http://127.0.0.1:9/v1") -> ProviderAccess:
    return ProviderAccess("p", kind, base_url, None)


def test_every_kind_that_speaks_openais_dialect_has_a_row() -> None:
    assert PRESETS.keys() == set(get_args(ProviderKind)) - OWN_DIALECT
    assert PRESETS.keys() <= OPERATIONS.keys()
    assert all(preset_of(access(kind)) is preset for kind, preset in PRESETS.items())
    assert preset_of(access("anthropic")) is None


@pytest.mark.parametrize("kind", PRESETS)
def test_a_row_does_not_contradict_itself(kind: ProviderKind) -> None:
    preset = PRESETS[kind]
    assert not preset.refuses & preset.extras
    if preset.only is not None:
        assert {"model", "messages", "stream", preset.limit_field, *preset.renames.values()} <= preset.only
        assert not preset.only & preset.refuses
        assert ("stream_options" in preset.only) is preset.asks_usage


@pytest.mark.parametrize(
    ("base_url", "kind"),
    [
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://API.Groq.com:443/openai/v1", "groq"),
        ("https://api.together.ai/v1", "together"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.mistral.ai.example.com/v1", "openai_compatible"),
        ("http://127.0.0.1:8000/v1", "openai_compatible"),
        ("http://[", "openai_compatible"),
    ],
)
def test_a_compatible_provider_is_known_by_its_host(base_url: str, kind: ProviderKind) -> None:
    assert preset_of(access("openai_compatible", base_url)) is PRESETS[kind]


def test_a_host_of_a_kind_that_says_what_it_is_changes_nothing() -> None:
    assert preset_of(access("vllm", "https://api.mistral.ai/v1")) is PRESETS["vllm"]
    assert host_of(access("vllm", "https://API.Mistral.ai/v1")) == "api.mistral.ai"
