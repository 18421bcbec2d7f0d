"""Azure OpenAI: the deployment is in the path, the key in ``api-key``, or a token of Microsoft Entra is the proof.

With an ``api_version`` the classic path ``/openai/deployments/<deployment>/chat/completions?api-version=…`` is used,
without one, or where ``base_url`` ends in ``/openai/v1``, the v1 path, which takes the deployment as the body's
``model``. A ``base_url`` that ends in ``/models`` is a Foundry resource's, which has its operations right below.
Sources: learn.microsoft.com, "Azure OpenAI REST API reference" and "API version lifecycle"; "Microsoft identity
platform and the OAuth 2.0 client credentials flow".
"""

from functools import partial
from urllib.parse import quote

from tollway.contract.snapshot import OPERATIONS, EntraCredentials, ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.media.fetch import Fetcher
from tollway.proxy.providers.openai.faults import OpenAIFaults
from tollway.proxy.providers.openai.presets import PRESETS
from tollway.proxy.providers.openai.provider import PATHS, known
from tollway.proxy.providers.openai.wording import worded
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest, question
from tollway.proxy.providers.tokens import Bearer, Minted, ask_for_token, send_with

_V1 = "/openai/v1"
_ONLY_V1 = frozenset({"responses"})
"""What has no deployment in its path, and is asked for by the v1 path whatever the version."""

_INFERENCE = "/models"
"""The address of a Foundry resource's models ends so; the body's ``model`` names the deployment there."""


class AzureProvider:
    """One Azure resource. ``media`` fetches documents; without it their addresses are lost."""

    speaks = OPERATIONS["azure"]
    asks_usage = True

    def __init__(self, access: ProviderAccess, transport: Transport, media: Fetcher | None = None) -> None:
        self._transport = transport
        self._media = media
        self._base_url = access.base_url.removesuffix(_V1)
        self._api_version = None if access.base_url.endswith(_V1) else access.api_version
        self._api_key = access.api_key or ""
        self._bearer = Bearer(partial(_mint, access.entra, transport)) if access.entra else None
        self._faults = OpenAIFaults(access.api_key)

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says; a token that Azure refuses is replaced once.

        Raises:
            InvalidRequest: in strict mode, a field that Azure can't take.
        """
        body, lost = await worded(call, PRESETS["azure"], media=self._media)
        if self._bearer is None:
            answer = await self._post(call, body, ("api-key", self._api_key))
        else:
            answer = await send_with(
                self._bearer,
                lambda token: self._post(call, body, ("authorization", f"Bearer {token}")),
                again=call.upload is None,
            )
        answer.warnings = lost
        return answer

    def probe(self, path: str, connect_s: float) -> UpstreamRequest | None:
        """As the port says; below ``/openai/v1``, or ``/openai`` with the version behind the path."""
        if self._bearer is not None:
            return None
        return question(self._below(path), [("api-key", self._api_key)], connect_s)

    def _below(self, path: str) -> str:
        if self._api_version is None:
            return f"{self._base_url}{_V1}{path}"
        place = "" if self._base_url.endswith(_INFERENCE) else "/openai"
        sign = "&" if "?" in path else "?"
        return f"{self._base_url}{place}{path}{sign}api-version={quote(self._api_version, safe='')}"

    async def _post(self, call: UpstreamCall, body: bytes, proof: tuple[str, str]) -> UpstreamAnswer:
        headers = [("content-type", "application/json"), proof, *known(call.headers)]
        return await self._transport.send(
            UpstreamRequest(self._url(call), headers, body, call.connect_s, call.sent, self._faults, call.upload)
        )

    def _url(self, call: UpstreamCall) -> str:
        path, version = PATHS[call.operation], self._api_version
        if version is not None and self._base_url.endswith(_INFERENCE):
            return f"{self._base_url}{path}?api-version={quote(version, safe='')}"
        if version is None or call.operation in _ONLY_V1:
            return f"{self._base_url}{_V1}{path}"
        path = f"{self._base_url}/openai/deployments/{quote(call.model, safe='')}{path}"
        return f"{path}?api-version={quote(version, safe='')}"


async def _mint(entra: EntraCredentials, transport: Transport) -> Minted:
    form = {
        "grant_type": "client_credentials",
        "client_id": entra.client_id,
        "client_secret": entra.client_secret,
        "scope": entra.scope,
    }
    return await ask_for_token(transport, entra.token_url, form)
