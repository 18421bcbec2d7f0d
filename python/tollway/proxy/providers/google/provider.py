"""Gemini API: the model and the method are in the path, the key in ``x-goog-api-key``.

Where a call goes and how it proves itself is decided here alone; what it says is in ``request.py`` and ``answer.py``.
Source: ai.google.dev, "Generating content" (REST, v1beta).
"""

import asyncio
from typing import Any
from urllib.parse import quote

import msgspec

from tollway.contract.snapshot import OPERATIONS, ProviderAccess
from tollway.errors import InvalidRequest
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.google.request import Translated, translate
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest
from tollway.proxy.providers.translated import INLINE_BYTES, TranslatedAnswer

BASE_URL = "https://generativelanguage.googleapis.com"
"""Where the Gemini API is, unless the configuration says otherwise."""

_VERSION = "/v1beta"
_PASSED_ON = ("traceparent", "tracestate")
"""Of the client's headers, those that mean something to Google; the others are OpenAI's."""


class GoogleProvider:
    """The Gemini API with one key."""

    speaks = OPERATIONS["google"]
    asks_usage = True

    def __init__(self, access: ProviderAccess, transport: Transport) -> None:
        self._transport = transport
        self._base_url = (access.base_url or BASE_URL).rstrip("/").removesuffix(_VERSION) + _VERSION
        self._headers = [("content-type", "application/json"), ("x-goog-api-key", access.api_key or "")]

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says.

        Raises:
            InvalidRequest: Gemini can't take the content, or in strict mode a field.
        """
        if len(call.body) <= INLINE_BYTES:
            translated, body = _prepare(call)
        else:
            translated, body = await asyncio.to_thread(_prepare, call)
        headers = self._headers + [(name, value) for name, value in call.headers if name in _PASSED_ON]
        url = self._url(call.model, stream=translated.stream)
        answer = await self._transport.post(UpstreamRequest(url, headers, body, call.connect_s, call.sent))
        reader = GoogleReader(call.model)
        return await TranslatedAnswer.begin(answer, reader, stream=translated.stream, warnings=translated.warnings)

    def _url(self, model: str, *, stream: bool) -> str:
        collection, slash, name = model.partition("/")
        if not slash or collection not in ("models", "tunedModels"):
            collection, name = "models", model
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"{self._base_url}/{collection}/{quote(name, safe='')}:{method}"


def _prepare(call: UpstreamCall) -> tuple[Translated, bytes]:
    """The request in Google's dialect, also as bytes."""
    try:
        asked: dict[str, Any] = msgspec.json.decode(call.body, type=dict[str, Any])
        translated = translate(asked, call.model)
        body = msgspec.json.encode(translated.body)
    except ValueError:  # no JSON, no UTF-8, or half a character
        raise InvalidRequest("The request is not a JSON object that can be read.") from None
    except RecursionError:
        raise InvalidRequest("The request is nested too deeply.") from None
    if call.strict and translated.warnings:
        field = translated.warnings[0]
        raise InvalidRequest(f"The provider does not take '{field}'.", param=field)
    return translated, body
