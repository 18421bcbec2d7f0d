"""Gemini: what a chat becomes on its way to Google, and how its answer comes back.

Where a call goes and how it proves itself is in ``api.py`` and ``vertex.py``; what it says is in ``request.py`` and
``answer.py``.
"""

import asyncio
from typing import Any

import msgspec

from tollway.contract.snapshot import OPERATIONS
from tollway.errors import InvalidRequest
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.media.fetch import Fetcher
from tollway.proxy.media.inline import inline
from tollway.proxy.providers.fit import held
from tollway.proxy.providers.google.answer import GoogleReader
from tollway.proxy.providers.google.api import GoogleApi
from tollway.proxy.providers.google.counting import count
from tollway.proxy.providers.google.embeddings import embed, read_embedding
from tollway.proxy.providers.google.media import needs_bytes
from tollway.proxy.providers.google.request import Translated, translate
from tollway.proxy.providers.port import UpstreamCall, UpstreamRequest
from tollway.proxy.providers.translated import INLINE_BYTES, TranslatedAnswer
from tollway.wire.tool_names import GOOGLE, Names, fit_chat

_UNREADABLE = "The request is not a JSON object that can be read."
_TOO_DEEP = "The request is nested too deeply."


class GoogleProvider:
    """Google's models, through one of its APIs. ``media`` fetches what a request only names by its address."""

    speaks = OPERATIONS["google"]
    asks_usage = True

    def __init__(self, api: GoogleApi, media: Fetcher) -> None:
        self._api = api
        self._media = media

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says.

        Raises:
            InvalidRequest: Gemini can't take the content, or in strict mode a field; or an address can't be fetched.
        """
        if call.operation == "embeddings":
            return await self._embed(call)
        translated, body, names = await self._prepare(call)
        method = "streamGenerateContent?alt=sse" if translated.stream else "generateContent"
        answer = await self._api.post(call, self._api.url(call.model, method), body)
        reader = GoogleReader(call.model)
        return await TranslatedAnswer.begin(
            answer, reader, stream=translated.stream, warnings=translated.warnings, names=names
        )

    async def count_tokens(self, call: UpstreamCall) -> int:
        """The tokens of a chat's prompt, as Google counts them.

        Raises:
            InvalidRequest: as :meth:`send`.
            tollway.errors.UpstreamError: there is no count to be had.
        """
        translated, *_ = await self._prepare(call)
        return await count(self._api, call, translated.body)

    def probe(self, path: str, connect_s: float) -> UpstreamRequest | None:
        """As the port says."""
        return self._api.probe(path, connect_s)

    async def _embed(self, call: UpstreamCall) -> UpstreamAnswer:
        is_small = len(call.body) <= INLINE_BYTES
        asked = read_embedding(_read(call) if is_small else await asyncio.to_thread(_read, call), call.model)
        _refuse_drops(call, asked.warnings)
        return await embed(self._api, call, asked)

    async def _prepare(self, call: UpstreamCall) -> tuple[Translated, bytes, Names]:
        """The request in Google's dialect, also as bytes, and the names that it has there."""
        is_small = len(call.body) <= INLINE_BYTES
        asked = _read(call) if is_small else await asyncio.to_thread(_read, call)
        brought_bytes = await inline(asked, self._media, needs_bytes)
        if is_small and brought_bytes <= INLINE_BYTES:
            return _translate(asked, call)
        return await asyncio.to_thread(_translate, asked, call)


def _read(call: UpstreamCall) -> dict[str, Any]:
    try:
        return msgspec.json.decode(call.body, type=dict[str, Any])
    except ValueError:  # no JSON, or no UTF-8
        raise InvalidRequest(_UNREADABLE) from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None


def _translate(asked: dict[str, Any], call: UpstreamCall) -> tuple[Translated, bytes, Names]:
    names = fit_chat(asked, GOOGLE)
    asked, lost = held(asked, call.takes, strict=call.strict)
    try:
        translated = translate(asked, call.model)
        body = msgspec.json.encode(translated.body)
    except ValueError:  # half a character
        raise InvalidRequest(_UNREADABLE) from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
    _refuse_drops(call, translated.warnings)
    if lost:
        translated = msgspec.structs.replace(translated, warnings=(*lost, *translated.warnings))
    return translated, body, names


def _refuse_drops(call: UpstreamCall, warnings: tuple[str, ...]) -> None:
    if call.strict and warnings:
        raise InvalidRequest(f"The provider does not take '{warnings[0]}'.", param=warnings[0])
