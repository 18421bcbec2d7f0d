"""Every kind of provider has a class, and every configured one is opened once."""

from typing import get_args

import pytest
from tests.fakes.media import ServedMedia
from tests.proxy.edge import route, snapshot, target
from tests.proxy.providers.openai.test_provider import Wire

from tollway.contract.snapshot import GoogleCredentials, ProviderAccess, ProviderKind
from tollway.proxy.providers.anthropic.provider import AnthropicProvider
from tollway.proxy.providers.azure import AzureProvider
from tollway.proxy.providers.bedrock.provider import BedrockProvider
from tollway.proxy.providers.google.provider import GoogleProvider
from tollway.proxy.providers.openai.provider import OpenAIProvider
from tollway.proxy.providers.registry import open_providers
from tollway.proxy.providers.simulator import SimulatorProvider

GOOGLE = GoogleCredentials("p", "global", "a@b", "PEM", "http://127.0.0.1:9/token")

CLASSES: dict[str, type] = {
    "anthropic": AnthropicProvider,
    "azure": AzureProvider,
    "google": GoogleProvider,
    "bedrock": BedrockProvider,
    "simulator": SimulatorProvider,
    "vertex": GoogleProvider,
}


@pytest.mark.parametrize("kind", get_args(ProviderKind))
def test_every_kind_has_its_class(kind: ProviderKind) -> None:
    access = ProviderAccess("p", kind, "http://127.0.0.1:9", None, google=GOOGLE)
    (opened,) = open_providers(snapshot(route("m", target(access=access))), Wire(), ServedMedia()).values()
    assert type(opened) is CLASSES.get(kind, OpenAIProvider)


def test_providers_are_known_by_their_configured_names_over_all_routes() -> None:
    a, b, c = (ProviderAccess(name, "openai", f"http://127.0.0.1:9/{name}", None) for name in "abc")
    known = snapshot(route("one", target(access=a), target(access=b)), route("two", target(access=b), target(access=c)))
    assert sorted(open_providers(known, Wire(), ServedMedia())) == [("a", ""), ("b", ""), ("c", "")]
