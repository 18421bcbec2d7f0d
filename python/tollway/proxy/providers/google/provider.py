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
from tollway.proxy.media.fetch import Fetcher
from tollway.proxy.media.inline import inline
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.google.media import needs_bytes
from tollway.proxy.providers.google.request import Translated, translate
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest
from tollway.proxy.providers.translated import INLINE_BYTES, TranslatedAnswer

BASE_URL = "https://generativelanguage.googleapis.com"
"""Where the Gemini API is, unless the configuration says otherwise."""

_VERSION = "/v1beta"
_PASSED_ON = ("traceparent", "tracestate")
"""Of the client's headers, those that mean something to Google; the others are OpenAI's."""

_UNREADABLE = "The request is not a JSON object that can be read."
_TOO_DEEP = "The request is nested too deeply."


class GoogleProvider:
    """The Gemini API with one key."""

    speaks = OPERATIONS["google"]
    asks_usage = True

    def __init__(self, access: ProviderAccess, transport: Transport, media: Fetcher) -> None:
        self._transport = transport
        self._media = media
        self._base_url = (access.base_url or BASE_URL).rstrip("/").removesuffix(_VERSION) + _VERSION
        self._headers = [("content-type", "application/json"), ("x-goog-api-key", access.api_key or "")]

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says.

        Raises:
            InvalidRequest: Gemini can't take the content, or in strict mode a field; or an address can't be fetched.
        """
        translated, body = await self._prepare(call)
        headers = self._headers + [(name, value) for name, value in call.headers if name in _PASSED_ON]
        url = self._url(call.model, stream=translated.stream)
        answer = await self._transport.post(UpstreamRequest(url, headers, body, call.connect_s, call.sent))
        reader = GoogleReader(call.model)
        return await TranslatedAnswer.begin(answer, reader, stream=translated.stream, warnings=translated.warnings)

    async def _prepare(self, call: UpstreamCall) -> tuple[Translated, bytes]:
        """The request in Google's dialect, also as bytes."""
        is_small = len(call.body) <= INLINE_BYTES
        asked = _read(call) if is_small else await asyncio.to_thread(_read, call)
        brought_bytes = await inline(asked, self._media, needs_bytes)
        if is_small and brought_bytes <= INLINE_BYTES:
            return _translate(asked, call)
        return await asyncio.to_thread(_translate, asked, call)

    def _url(self, model: str, *, stream: bool) -> str:
        collection, slash, name = model.partition("/")
        if not slash or collection not in ("models", "tunedModels"):
            collection, name = "models", model
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"{self._base_url}/{collection}/{quote(name, safe='')}:{method}"


def _read(call: UpstreamCall) -> dict[str, Any]:
    try:
        return msgspec.json.decode(call.body, type=dict[str, Any])
    except ValueError:  # no JSON, or no UTF-8
        raise InvalidRequest(_UNREADABLE) from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None


def _translate(asked: dict[str, Any], call: UpstreamCall) -> tuple[Translated, bytes]:
    try:
        translated = translate(asked, call.model)
        body = msgspec.json.encode(translated.body)
    except ValueError:  # half a character
        raise InvalidRequest(_UNREADABLE) from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
    if call.strict and translated.warnings:
        field = translated.warnings[0]
        raise InvalidRequest(f"The provider does not take '{field}'.", param=field)
    return translated, body
