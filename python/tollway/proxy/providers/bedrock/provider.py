"""Bedrock: the model is in the path, the proof is a signature (AWS Signature Version 4) or Bedrock's own API key.

Where a call goes and how it proves itself is decided here alone; what it says is in ``request.py`` and ``answer.py``.
Sources: docs.aws.amazon.com, "Converse", "ConverseStream" and "Use an Amazon Bedrock API key".
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from tollway.contract.snapshot import OPERATIONS, ProviderAccess
from tollway.errors import InvalidRequest
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.media.fetch import Fetcher
from tollway.proxy.media.inline import inline
from tollway.proxy.providers.bedrock.answer import BedrockReader
from tollway.proxy.providers.bedrock.events import EventFraming
from tollway.proxy.providers.bedrock.faults import TYPE_HEADER
from tollway.proxy.providers.bedrock.request import map_request
from tollway.proxy.providers.bedrock.sigv4 import sign
from tollway.proxy.providers.fit import held
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest
from tollway.proxy.providers.translated import INLINE_BYTES, TranslatedAnswer
from tollway.wire.tool_names import OPENAI, Names, fit_chat

SERVICE = "bedrock"
"""The name that signatures are bound to; the host's, ``bedrock-runtime``, is another."""

_UNREADABLE = "The request is not a JSON object that can be read."
_TOO_DEEP = "The request is nested too deeply."

_PASSED_ON = ("traceparent", "tracestate")
"""Of the client's headers, those that mean something to anyone; they are not signed, for they may change on the way."""


class BedrockProvider:
    """Bedrock in one region. ``clock`` tells seconds since 1970."""

    speaks = OPERATIONS["bedrock"]
    asks_usage = True
    """Bedrock always tells usage; ``stream_options`` ends here."""

    def __init__(
        self, access: ProviderAccess, transport: Transport, media: Fetcher, clock: Callable[[], float] = time.time
    ) -> None:
        self._access = access
        self._transport = transport
        self._media = media
        self._clock = clock

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says.

        Raises:
            InvalidRequest: the request can't be said in Converse's terms, or an address can't be fetched; nothing was
                sent.
        """
        is_small = len(call.body) <= INLINE_BYTES
        asked = _read(call) if is_small else await asyncio.to_thread(_read, call)
        brought_bytes = await inline(asked, self._media, lambda _url, _kind: True)  # Converse takes bytes alone
        if is_small and brought_bytes <= INLINE_BYTES:
            prepared = _prepare(asked, call)
            request = self._request(call, prepared)
        else:
            prepared = await asyncio.to_thread(_prepare, asked, call)
            request = await asyncio.to_thread(self._request, call, prepared)
        answer = await self._transport.send(request)
        reader = BedrockReader(call.model, error_type=answer.header(TYPE_HEADER))
        return await TranslatedAnswer.begin(
            answer,
            reader,
            stream=prepared.stream,
            warnings=prepared.warnings,
            framing=EventFraming(),
            names=prepared.names,
        )

    def _request(self, call: UpstreamCall, prepared: "_Prepared") -> UpstreamRequest:
        url = address(self._access.base_url, call.model, stream=prepared.stream)
        headers = [("content-type", "application/json")]
        if self._access.api_key:
            headers.append(("authorization", f"Bearer {self._access.api_key}"))
        elif self._access.aws is not None:
            headers += sign(url, headers, prepared.body, self._access.aws, service=SERVICE, now_s=self._clock())
        headers += [(name, value) for name, value in call.headers if name in _PASSED_ON]
        return UpstreamRequest(url, headers, prepared.body, call.connect_s, call.sent)


def address(base_url: str, model: str, *, stream: bool) -> str:
    """Where ``model`` is asked. An ARN's colons and slashes are part of its name, not of the path."""
    return f"{base_url.rstrip('/')}/model/{quote(model, safe='')}/converse{'-stream' if stream else ''}"


class _Prepared(msgspec.Struct, frozen=True):
    body: bytes
    stream: bool
    warnings: tuple[str, ...]
    names: Names


def _read(call: UpstreamCall) -> dict[str, Any]:
    try:
        return msgspec.json.decode(call.body, type=dict[str, Any])
    except ValueError:  # no JSON, or no UTF-8
        raise InvalidRequest(_UNREADABLE) from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None


def _prepare(asked: dict[str, Any], call: UpstreamCall) -> _Prepared:
    names = fit_chat(asked, OPENAI)
    asked, lost = held(asked, call.takes, strict=call.strict)
    try:
        mapped = map_request(asked, call.model, strict=call.strict)
        return _Prepared(msgspec.json.encode(mapped.body), mapped.stream, (*lost, *mapped.warnings), names)
    except ValueError:  # half a character
        raise InvalidRequest(_UNREADABLE) from None
    except RecursionError:
        raise InvalidRequest(_TOO_DEEP) from None
