"""Providers that speak OpenAI's own protocol below ``base_url`` with a bearer key.

Kinds: all that have a row in ``presets.py``. They differ in address and key only; the body passes through as it was
written, by the client or by ``plain.py``.
"""

from collections.abc import Mapping

from tollway.contract.snapshot import OPERATIONS, Operation, ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.media.fetch import Fetcher
from tollway.proxy.providers.openai.faults import OpenAIFaults
from tollway.proxy.providers.openai.presets import GOOGLES_DOOR, PRESETS, host_of, preset_of
from tollway.proxy.providers.openai.wording import worded
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest, question

PATHS: Mapping[Operation, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
    "responses": "/responses",
    "moderations": "/moderations",
    "rerank": "/rerank",
    "images": "/images/generations",
    "image_edits": "/images/edits",
    "speech": "/audio/speech",
    "transcriptions": "/audio/transcriptions",
    "translations": "/audio/translations",
}
"""Where OpenAI's dialect has its operations; ``rerank`` is not OpenAI's, and is where vLLM and Together have it."""

_COHERES_DOOR = "/compatibility/v1"
"""Behind it Cohere speaks OpenAI's dialect, but for rerank, which is its own."""


class OpenAIProvider:
    """One such provider. ``media`` fetches images and documents for models that take no addresses."""

    def __init__(self, access: ProviderAccess, transport: Transport, media: Fetcher | None = None) -> None:
        self._transport = transport
        self._media = media
        self.speaks = OPERATIONS[access.kind] & PATHS.keys()
        self._urls = {operation: access.base_url + path for operation, path in PATHS.items()}
        if access.kind == "cohere":
            self._urls["rerank"] = access.base_url.removesuffix(_COHERES_DOOR).removesuffix("/v2") + "/v2/rerank"
        self._headers = [("content-type", "application/json")]
        if access.api_key:
            self._headers.append(("authorization", f"Bearer {access.api_key}"))
        self._base_url = access.base_url
        self._preset = preset_of(access) or PRESETS["openai_compatible"]
        self._keeps_extra = host_of(access) == GOOGLES_DOOR
        self.asks_usage = self._preset.asks_usage
        self._faults = OpenAIFaults(access.api_key)

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says.

        Raises:
            InvalidRequest: in strict mode, a field that this provider can't take.
        """
        headers = self._headers + known(call.headers) if call.headers else self._headers
        body, lost = await worded(call, self._preset, keeps_extra=self._keeps_extra, media=self._media)
        url = self._urls[call.operation]
        answer = await self._transport.send(
            UpstreamRequest(url, headers, body, call.connect_s, call.sent, self._faults, call.upload)
        )
        answer.warnings = lost
        return answer

    def probe(self, path: str, connect_s: float) -> UpstreamRequest:
        """As the port says."""
        return question(self._base_url + path, self._headers[1:], connect_s)


def known(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of the client's headers, those that mean something to a provider that speaks OpenAI's dialect."""
    return [header for header in headers if not header[0].startswith("anthropic-")]
