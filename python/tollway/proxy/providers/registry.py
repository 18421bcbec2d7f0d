"""Which class speaks to which kind of provider: the one table to extend when a provider is added."""

from collections.abc import Iterable

from tollway.contract.snapshot import ProviderAccess, Snapshot
from tollway.proxy.media.fetch import Fetcher
from tollway.proxy.providers.anthropic.provider import AnthropicProvider
from tollway.proxy.providers.azure import AzureProvider
from tollway.proxy.providers.bedrock.provider import BedrockProvider
from tollway.proxy.providers.google.api import GeminiApi
from tollway.proxy.providers.google.provider import GoogleProvider
from tollway.proxy.providers.google.vertex import VertexApi
from tollway.proxy.providers.openai.provider import OpenAIProvider
from tollway.proxy.providers.port import Provider, Transport
from tollway.proxy.providers.simulator import SimulatorProvider


def open_providers(snapshot: Snapshot, transport: Transport, media: Fetcher) -> dict[tuple[str, str], Provider]:
    """A provider for each that a route of the snapshot names, by its configured name and that of its key. ``media``
    fetches for those that need bytes where a request has addresses."""
    named = {(access.name, access.key_name): access for access in _named(snapshot)}
    return {name: _open(access, transport, media) for name, access in named.items()}


def _named(snapshot: Snapshot) -> Iterable[ProviderAccess]:
    for route in snapshot.routes.values():
        shadows = (route.shadow.target,) if route.shadow is not None else ()
        for target in (*route.targets, *shadows):
            yield target.provider
            yield from (key.access for key in target.keys)


def _open(access: ProviderAccess, transport: Transport, media: Fetcher) -> Provider:
    match access.kind:
        case "anthropic":
            return AnthropicProvider(access, transport)
        case "google":
            return GoogleProvider(GeminiApi(access, transport), media)
        case "vertex":
            return GoogleProvider(VertexApi(access, transport), media)
        case "bedrock":
            return BedrockProvider(access, transport, media)
        case "azure":
            return AzureProvider(access, transport, media)
        case "simulator":
            return SimulatorProvider()
        case _:  # the others differ in address and key only
            return OpenAIProvider(access, transport, media)
