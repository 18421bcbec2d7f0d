"""Azure OpenAI: the deployment in the path, the key in its own header."""

import pytest
from tests.proxy.providers.test_openai import Wire

from tollway.contract.snapshot import Operation, ProviderAccess
from tollway.proxy.causes import Cause
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


PATHS: dict[Operation, str] = {
    "chat": "chat/completions",
    "completions": "completions",
    "embeddings": "embeddings",
    "images": "images/generations",
    "image_edits": "images/edits",
    "speech": "audio/speech",
    "transcriptions": "audio/transcriptions",
    "translations": "audio/translations",
}


@pytest.mark.parametrize("operation", PATHS)
@pytest.mark.parametrize("version", ["2024-10-21", None])
async def test_every_operation_has_its_path(operation: Operation, version: str | None) -> None:
    before, after = ("openai/v1", "") if version is None else ("openai/deployments/m", f"?api-version={version}")
    assert await url(BASE, version, operation) == f"{BASE}/{before}/{PATHS[operation]}{after}"


@pytest.mark.parametrize("version", ["2024-10-21", None])
async def test_responses_are_asked_for_by_the_v1_path_whatever_the_version(version: str | None) -> None:
    assert await url(BASE, version, "responses") == f"{BASE}/openai/v1/responses"


async def test_an_address_of_the_v1_path_is_taken_as_it_is() -> None:
    assert await url(f"{BASE}/openai/v1", "2024-10-21", "chat") == f"{BASE}/openai/v1/chat/completions"


async def test_the_models_of_a_foundry_resource_are_asked_right_below_their_address() -> None:
    expected = f"{BASE}/models/chat/completions?api-version=2024-05-01-preview"
    assert await url(f"{BASE}/models", "2024-05-01-preview", "chat") == expected


async def test_its_refusals_are_read_without_its_key() -> None:
    wire = Wire()
    await provider(wire, BASE, None).send(UpstreamCall("m", b"{}", [], 1.0, lambda: None))
    fault = wire.requests[0].faults.fault(401, {"": ""}.get, b'{"error":{"code":"401","message":"No azure-key"}}')
    assert (fault.cause, fault.message) == (Cause.BAD_KEY, "No [secret]")


def provider(wire: Wire, base_url: str, version: str | None) -> AzureProvider:
    return AzureProvider(ProviderAccess("azure", "azure", base_url, "azure-key", version), wire)


async def url(base_url: str, version: str | None, operation: Operation) -> str:
    wire = Wire()
    call = UpstreamCall("m", b"{}", [], 1.0, lambda: None, operation=operation)
    await provider(wire, base_url, version).send(call)
    (request,) = wire.requests
    return request.url
