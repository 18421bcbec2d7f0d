"""An application of Microsoft Entra instead of Azure's key."""

import pytest

from tollway.settings import BadConfiguration, Secret, read

ENTRA = "entra: {tenant_id: t-1, client_id: c-1, client_secret: '${SECRET}'"


def faults(provider: str, held: str = "hidden-canary") -> list[tuple[str, str]]:
    with pytest.raises(BadConfiguration) as raised:
        read(f"version: 1\nproviders: {{a: {{{provider}}}}}", {"SECRET": held})
    assert "canary" not in str(raised.value)
    return [(fault.path, fault.message) for fault in raised.value.faults]


def test_azure_needs_a_key_or_an_application() -> None:
    azure = "kind: azure, base_url: 'https://x.test'"
    loaded = read(f"version: 1\nproviders: {{a: {{{azure}, {ENTRA}}}}}}}", {"SECRET": "hidden"}).providers["a"]
    assert loaded.is_configured
    assert (loaded.key, loaded.secrets) == (Secret("hidden"), ("hidden",))
    assert (
        not read(f"version: 1\nproviders: {{a: {{{azure}, {ENTRA}}}}}}}", {"SECRET": ""}).providers["a"].is_configured
    )
    assert faults(azure) == [("providers.a", '"api_key" is missing; azure needs one')]
    assert faults(f"{azure}, api_key: abc, {ENTRA}}}") == [
        ("providers.a.entra", "stands beside an api_key; one of them is enough")
    ]


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        (
            "kind: azure, base_url: 'https://x.test', entra: {client_id: c, client_secret: '${SECRET}'}",
            ("providers.a.entra", '"tenant_id" is missing'),
        ),
        (
            "kind: azure, base_url: 'https://x.test', entra: {tenant_id: t, client_secret: '${SECRET}'}",
            ("providers.a.entra", '"client_id" is missing'),
        ),
        (
            "kind: azure, base_url: 'https://x.test', entra: {tenant_id: t, client_id: c}",
            ("providers.a.entra", '"client_secret" is missing'),
        ),
        (
            f"kind: azure, base_url: 'https://x.test', {ENTRA}, authority: 'login.test'}}",
            ("providers.a.entra.authority", "should begin with http:// or https://"),
        ),
        (
            "kind: azure, base_url: 'https://x.test', "
            "entra: {tenant_id: 't/../x', client_id: c, client_secret: '${SECRET}'}",
            ("providers.a.entra.tenant_id", "should match ^[A-Za-z0-9][A-Za-z0-9.-]{0,253}$"),
        ),
        (f"kind: openai, api_key: abc, {ENTRA}}}", ("providers.a.entra", "only azure has entra")),
    ],
)
def test_what_is_missing_or_odd_is_named(provider: str, fault: tuple[str, str]) -> None:
    assert faults(provider) == [fault]


def test_a_secret_with_blanks_is_told_without_it() -> None:
    told = faults(f"kind: azure, base_url: 'https://x.test', {ENTRA}}}", "hidden canary")
    assert told == [
        ("providers.a.entra.client_secret", "should be plain ASCII without blanks, as it travels in a header")
    ]
