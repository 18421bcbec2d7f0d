"""Anthropic: ``<base_url>/v1/messages``, the key in ``x-api-key``.

The version of the API is pinned to 2023-06-01: the later 2026-10-21 refuses ``temperature``, ``top_p`` and ``top_k``
for every model, and chat clients send them to those that still take them.
Source: platform.claude.com, "Versions".
"""

import asyncio
from collections.abc import Mapping

import msgspec

from tollway.contract.snapshot import OPERATIONS, Operation, ProviderAccess
from tollway.errors import InvalidRequest
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.anthropic.answer import AnthropicReader
from tollway.proxy.providers.anthropic.faults import AnthropicFaults
from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.fit import held
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest, question
from tollway.proxy.providers.traces import without_traces
from tollway.proxy.providers.translated import INLINE_BYTES, TranslatedAnswer
from tollway.wire.tool_names import ANTHROPIC, Names, fit_chat

VERSION = "2023-06-01"
_BETA = "anthropic-beta"
_PASSED: Mapping[Operation, str] = {"messages": "", "count_tokens": "/count_tokens"}
"""What passes as it is, and where, behind ``/v1/messages``."""

_NOT_PASSED = frozenset({_BETA, "openai-beta", "anthropic-version"})
"""Headers of the client that are merged, or mean nothing here."""


class AnthropicProvider:
    """One account at Anthropic, or another server that speaks its Messages API."""

    speaks = OPERATIONS["anthropic"]
    asks_usage = True
    """Anthropic always tells usage; ``stream_options`` ends here."""

    def __init__(self, access: ProviderAccess, transport: Transport) -> None:
        self._transport = transport
        self._base_url = f"{access.base_url.rstrip('/').removesuffix('/v1')}/v1"
        self._url = f"{self._base_url}/messages"
        self._headers = [("content-type", "application/json")]
        self._faults = AnthropicFaults()
        if access.api_key:
            self._headers.append(("x-api-key", access.api_key))

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """As the port says.

        Raises:
            InvalidRequest: the request can't be said in Anthropic's terms; nothing was sent.
        """
        if call.operation in _PASSED:
            return await self._pass(call)
        asked = [value for name, value in call.headers if name == _BETA]
        prepared = (
            _prepare(call, asked) if len(call.body) <= INLINE_BYTES else await asyncio.to_thread(_prepare, call, asked)
        )
        headers = [*self._headers, ("anthropic-version", VERSION)]
        headers += [header for header in call.headers if header[0] not in _NOT_PASSED]
        if prepared.betas:
            headers.append((_BETA, ",".join(prepared.betas)))
        request = UpstreamRequest(self._url, headers, prepared.body, call.connect_s, call.sent)
        answer = await self._transport.send(request)
        reader = AnthropicReader(waiting_helps=answer.header("x-should-retry") != "false")
        return await TranslatedAnswer.begin(
            answer, reader, stream=prepared.stream, warnings=prepared.warnings, names=prepared.names
        )

    def probe(self, path: str, connect_s: float) -> UpstreamRequest:
        """As the port says; its address ends in ``/v1``, written or not."""
        proof = [*self._headers[1:], ("anthropic-version", VERSION)]
        return question(self._base_url + path, proof, connect_s)

    async def _pass(self, call: UpstreamCall) -> UpstreamAnswer:
        """A Messages client's own bytes: what its headers say of versions and betas holds."""
        headers = self._headers + [header for header in call.headers if header[0] != "openai-beta"]
        if not any(name == "anthropic-version" for name, _ in headers):
            headers.append(("anthropic-version", VERSION))
        url = self._url + _PASSED[call.operation]
        body = await without_traces(call.body, call.operation)
        return await self._transport.send(UpstreamRequest(url, headers, body, call.connect_s, call.sent, self._faults))


class _Prepared(msgspec.Struct, frozen=True):
    body: bytes
    stream: bool
    warnings: tuple[str, ...]
    betas: list[str]
    names: Names


def _prepare(call: UpstreamCall, asked: list[str]) -> _Prepared:
    body = msgspec.json.decode(call.body)
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    names = fit_chat(body, ANTHROPIC)
    body, lost = held(body, call.takes, strict=call.strict)
    mapped = map_request(body, call.model, strict=call.strict, has_beta=bool(asked))
    betas = asked + [beta for beta in mapped.betas if not any(beta in each for each in asked)]
    warnings = (*lost, *mapped.warnings)
    return _Prepared(msgspec.json.encode(mapped.body), "stream" in mapped.body, warnings, betas, names)
