"""Providers that speak OpenAI's own protocol at ``<base_url>/chat/completions`` with a bearer key.

Kinds: ``openai``, ``xai``, ``vllm`` and ``openai_compatible``. They differ in address and key only; the body passes
through as the client wrote it.
"""

from urllib.parse import urlsplit

from tollway.contract.snapshot import ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest

_TELL_USAGE_UNASKED = frozenset({"api.mistral.ai"})
"""Hosts that put usage into every stream, and refuse ``stream_options`` as an unknown field."""


class OpenAIProvider:
    """One such provider."""

    def __init__(self, access: ProviderAccess, transport: Transport) -> None:
        self._transport = transport
        self._url = f"{access.base_url}/chat/completions"
        self._headers = [("content-type", "application/json")]
        if access.api_key:
            self._headers.append(("authorization", f"Bearer {access.api_key}"))
        self.asks_usage = urlsplit(access.base_url).hostname not in _TELL_USAGE_UNASKED

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says."""
        headers = self._headers + call.headers if call.headers else self._headers
        return await self._transport.post(UpstreamRequest(self._url, headers, call.body, call.connect_s, call.sent))
