"""Azure OpenAI: the deployment in the path, the key in its own header."""

import pytest
from tests.proxy.providers.test_openai import Wire

from tollway.contract.snapshot import Operation, ProviderAccess
from tollway.proxy.providers.azure import AzureProvider
from tollway.proxy.providers.port import UpstreamCall

BASE = "https://me.openai.azure.com"


@pytest.mark.parametrize(
    ("version", "deployment", "url"),
    [
        ("2024-10-21", "gpt-4o", f"{BASE}/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"),
        ("preview", "a b/ü?#", f"{BASE}/openai/deployments/a%20b%2F%C3%BC%3F%23/chat/completions?api-version=preview"),
        ("1&x=2", "m", f"{BASE}/openai/deployments/m/chat/completions?api-version=1%26x%3D2"),
        (None, "gpt-4o", f"{BASE}/openai/v1/chat/completions"),
    ],
)
async def test_the_version_decides_the_path_and_names_are_escaped(
    version: str | None, deployment: str, url: str
) -> None:
    wire = Wire()
    provider = AzureProvider(ProviderAccess("azure", "azure", BASE, "azure-key", version), wire)
    await provider.send(UpstreamCall(deployment, b"{}", [("traceparent", "00-1")], 2.5, lambda: None))
    (request,) = wire.requests
    assert request.url == url
    assert request.headers == [("content-type", "application/json"), ("api-key", "azure-key"), ("traceparent", "00-1")]
    assert (request.body, request.connect_s) == (b"{}", 2.5)


@pytest.mark.parametrize("operation", ["chat", "completions", "embeddings"])
@pytest.mark.parametrize("version", ["2024-10-21", None])
async def test_every_operation_has_its_path(operation: Operation, version: str | None) -> None:
    wire = Wire()
    provider = AzureProvider(ProviderAccess("azure", "azure", BASE, "azure-key", version), wire)
    await provider.send(UpstreamCall("m", b"{}", [], 1.0, lambda: None, operation=operation))
    path = {"chat": "chat/completions"}.get(operation, operation)
    before, after = ("openai/v1", "") if version is None else ("openai/deployments/m", f"?api-version={version}")
    assert [request.url for request in wire.requests] == [f"{BASE}/{before}/{path}{after}"]
