"""Azure OpenAI: the deployment is in the path, the key in ``api-key``.

With an ``api_version`` the classic path ``/openai/deployments/<deployment>/chat/completions?api-version=…`` is used,
without one the v1 path, which takes the deployment as the body's ``model``.
Source: learn.microsoft.com, "Azure OpenAI REST API reference" and "API version lifecycle".
"""

from urllib.parse import quote

from tollway.contract.snapshot import OPERATIONS, ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.openai import PATHS, known
from tollway.proxy.providers.openai_faults import OpenAIFaults
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest


class AzureProvider:
    """One Azure resource."""

    speaks = OPERATIONS["azure"]
    asks_usage = True

    def __init__(self, access: ProviderAccess, transport: Transport) -> None:
        self._transport = transport
        self._faults = OpenAIFaults([access.api_key or ""])
        self._base_url = access.base_url
        self._api_version = access.api_version
        self._headers = [("content-type", "application/json"), ("api-key", access.api_key or "")]

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says."""
        headers = self._headers + known(call.headers)
        return await self._transport.post(
            UpstreamRequest(self._url(call), headers, call.body, call.connect_s, call.sent, self._faults)
        )

    def _url(self, call: UpstreamCall) -> str:
        if self._api_version is None:
            return f"{self._base_url}/openai/v1{PATHS[call.operation]}"
        path = f"{self._base_url}/openai/deployments/{quote(call.model, safe='')}{PATHS[call.operation]}"
        return f"{path}?api-version={quote(self._api_version, safe='')}"
