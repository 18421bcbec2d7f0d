"""Azure OpenAI: the deployment is in the path, the key in ``api-key``, or a token of Microsoft Entra is the proof.

With an ``api_version`` the classic path ``/openai/deployments/<deployment>/chat/completions?api-version=…`` is used,
without one the v1 path, which takes the deployment as the body's ``model``.
Sources: learn.microsoft.com, "Azure OpenAI REST API reference" and "API version lifecycle"; "Microsoft identity
platform and the OAuth 2.0 client credentials flow".
"""

from functools import partial
from urllib.parse import quote

from tollway.contract.snapshot import EntraCredentials, ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.openai import PATHS
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest
from tollway.proxy.providers.tokens import Bearer, Minted, ask_for_token, send_with


class AzureProvider:
    """One Azure resource."""

    asks_usage = True

    def __init__(self, access: ProviderAccess, transport: Transport) -> None:
        self._transport = transport
        self._base_url = access.base_url
        self._api_version = access.api_version
        self._api_key = access.api_key or ""
        self._bearer = Bearer(partial(_mint, access.entra, transport)) if access.entra else None

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says; a token that Azure refuses is replaced once."""
        if self._bearer is None:
            return await self._post(call, ("api-key", self._api_key))
        return await send_with(self._bearer, lambda token: self._post(call, ("authorization", f"Bearer {token}")))

    async def _post(self, call: UpstreamCall, proof: tuple[str, str]) -> UpstreamAnswer:
        headers = [("content-type", "application/json"), proof, *call.headers]
        return await self._transport.post(
            UpstreamRequest(self._url(call), headers, call.body, call.connect_s, call.sent)
        )

    def _url(self, call: UpstreamCall) -> str:
        if self._api_version is None:
            return f"{self._base_url}/openai/v1{PATHS[call.operation]}"
        path = f"{self._base_url}/openai/deployments/{quote(call.model, safe='')}{PATHS[call.operation]}"
        return f"{path}?api-version={quote(self._api_version, safe='')}"


async def _mint(entra: EntraCredentials, transport: Transport) -> Minted:
    form = {
        "grant_type": "client_credentials",
        "client_id": entra.client_id,
        "client_secret": entra.client_secret,
        "scope": entra.scope,
    }
    return await ask_for_token(transport, entra.token_url, form)
