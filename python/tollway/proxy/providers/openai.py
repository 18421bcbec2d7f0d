"""Providers that speak OpenAI's own protocol below ``base_url`` with a bearer key.

Kinds: ``openai``, ``xai``, ``vllm`` and ``openai_compatible``. They differ in address and key only; the body passes
through as the client wrote it.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from tollway.contract.snapshot import OPERATIONS, Operation, ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.openai_faults import OpenAIFaults
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest

PATHS: Mapping[Operation, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}
"""Where OpenAI's dialect has its operations."""

_TELL_USAGE_UNASKED = frozenset({"api.mistral.ai"})
"""Hosts that put usage into every stream, and refuse ``stream_options`` as an unknown field."""


class OpenAIProvider:
    """One such provider."""

    def __init__(self, access: ProviderAccess, transport: Transport) -> None:
        self._transport = transport
        self._faults = OpenAIFaults([access.api_key or ""])
        self.speaks = OPERATIONS[access.kind] & PATHS.keys()
        self._urls = {operation: access.base_url + path for operation, path in PATHS.items()}
        self._headers = [("content-type", "application/json")]
        if access.api_key:
            self._headers.append(("authorization", f"Bearer {access.api_key}"))
        self.asks_usage = urlsplit(access.base_url).hostname not in _TELL_USAGE_UNASKED

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says."""
        headers = self._headers + known(call.headers) if call.headers else self._headers
        return await self._transport.post(
            UpstreamRequest(self._urls[call.operation], headers, call.body, call.connect_s, call.sent, self._faults)
        )


def known(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of the client's headers, those that mean something to a provider that speaks OpenAI's dialect."""
    return [header for header in headers if not header[0].startswith("anthropic-")]
