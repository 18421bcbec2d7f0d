"""Where Google's models are, and how a call proves itself there: what the Gemini API and Vertex AI differ in.

Source: ai.google.dev, "Generating content" (REST, v1beta).
"""

from typing import Any, Protocol
from urllib.parse import quote

from tollway.contract.snapshot import ProviderAccess
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.google.vectors import Shape, gemini_shape
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest, question

BASE_URL = "https://generativelanguage.googleapis.com"
"""Where the Gemini API is, unless the configuration says otherwise."""

_VERSION = "/v1beta"
_COLLECTIONS = ("models/", "tunedModels/")
_PASSED_ON = ("traceparent", "tracestate")
"""Of the client's headers, those that mean something to Google; the others are OpenAI's."""


class GoogleApi(Protocol):
    """One of Google's two homes of its models."""

    def url(self, model: str, method: str) -> str:
        """The address of a method of a model, such as ``generateContent``; no model's name leads out of its place."""
        ...

    async def post(self, call: UpstreamCall, url: str, body: bytes) -> UpstreamAnswer:
        """Sends ``body`` for a call, with what proves that it may. Errors as :class:`~tollway.proxy.providers.port.\
Provider` says."""
        ...

    def probe(self, path: str, connect_s: float) -> UpstreamRequest | None:
        """A GET of ``path`` below the version; ``None`` where a key is no proof."""
        ...

    def counted(self, body: dict[str, Any], model: str) -> dict[str, Any]:
        """What ``countTokens`` is asked for a request."""
        ...

    def embedding(self, model: str, texts: int) -> Shape:
        """How so many texts become vectors here."""
        ...


class GeminiApi:
    """The Gemini API with one key, which goes into ``x-goog-api-key``."""

    def __init__(self, access: ProviderAccess, transport: Transport) -> None:
        self._transport = transport
        self._base_url = (access.base_url or BASE_URL).rstrip("/").removesuffix(_VERSION) + _VERSION
        self._proof = ("x-goog-api-key", access.api_key or "")

    def url(self, model: str, method: str) -> str:
        """As the port says."""
        collection, _, name = named(model).partition("/")
        return f"{self._base_url}/{collection}/{quote(name, safe='')}:{method}"

    async def post(self, call: UpstreamCall, url: str, body: bytes) -> UpstreamAnswer:
        """As the port says."""
        return await self._transport.send(request(call, url, body, self._proof))

    def probe(self, path: str, connect_s: float) -> UpstreamRequest:
        """As the port says."""
        return question(self._base_url + path, [self._proof], connect_s)

    def counted(self, body: dict[str, Any], model: str) -> dict[str, Any]:
        """As the port says."""
        return {"generateContentRequest": {"model": named(model), **body}}

    def embedding(self, model: str, texts: int) -> Shape:
        """As the port says."""
        return gemini_shape(named(model))


def named(model: str) -> str:
    """A model as the Gemini API names it in a body: ``models/gemini-2.5-flash``."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def request(call: UpstreamCall, url: str, body: bytes, proof: tuple[str, str]) -> UpstreamRequest:
    """A call as it goes to Google, with the header that proves it."""
    passed_on = [(name, value) for name, value in call.headers if name in _PASSED_ON]
    return UpstreamRequest(
        url, [("content-type", "application/json"), proof, *passed_on], body, call.connect_s, call.sent
    )
