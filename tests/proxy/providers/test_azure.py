"""Azure OpenAI: the deployment in the path, the key in its own header."""

from urllib.parse import parse_qsl

import pytest
from tests.proxy.edge import Answer
from tests.proxy.providers.openai.test_provider import Wire

from tollway.contract.snapshot import EntraCredentials, Operation, ProviderAccess
from tollway.proxy.causes import Cause
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.azure import AzureProvider
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest

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


ENTRA = EntraCredentials(
    "https://login.test/t/oauth2/v2.0/token", "app", "hidden~secret", "https://scope.test/.default"
)


class Cloud:
    """Entra and Azure: tokens ``t1``, ``t2``…, of which Azure refuses the first ``refuses``."""

    def __init__(self, refuses: int = 0) -> None:
        self.forms: list[bytes] = []
        self.calls: list[UpstreamRequest] = []
        self._refuses = refuses

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        if request.url == ENTRA.token_url:
            self.forms.append(request.body)
            return Answer(b'{"access_token": "t%d", "expires_in": 3599}' % len(self.forms))
        self.calls.append(request)
        return Answer(b"{}", status=401 if len(self.calls) <= self._refuses else 200)


async def test_an_application_is_proven_by_a_token_and_no_key() -> None:
    cloud = Cloud()
    provider = AzureProvider(ProviderAccess("azure", "azure", BASE, None, None, entra=ENTRA), cloud)
    for _ in range(2):
        await provider.send(UpstreamCall("m", b"{}", [("traceparent", "00-1")], 2.5, lambda: None))
    assert [request.headers for request in cloud.calls] == [
        [("content-type", "application/json"), ("authorization", "Bearer t1"), ("traceparent", "00-1")]
    ] * 2
    (form,) = cloud.forms
    assert dict(parse_qsl(form.decode())) == {
        "grant_type": "client_credentials",
        "client_id": "app",
        "client_secret": "hidden~secret",
        "scope": "https://scope.test/.default",
    }
    assert "hidden" not in repr(ENTRA)


@pytest.mark.parametrize(("refuses", "status", "sent"), [(1, 200, 2), (2, 401, 2)])
async def test_a_token_that_azure_refuses_is_replaced_once(refuses: int, status: int, sent: int) -> None:
    cloud = Cloud(refuses)
    provider = AzureProvider(ProviderAccess("azure", "azure", BASE, None, None, entra=ENTRA), cloud)
    answer = await provider.send(UpstreamCall("m", b"{}", [], 1.0, lambda: None))
    assert (answer.status, len(cloud.calls), len(cloud.forms)) == (status, sent, 2)
