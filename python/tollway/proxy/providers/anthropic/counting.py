"""How many tokens a prompt has, by Anthropic's own count.

In: a request of the hub. Out: a number. Nothing is generated, and nothing is billed.
Source: platform.claude.com, "Token counting" (``POST /v1/messages/count_tokens``).
"""

import asyncio
from typing import Any

import msgspec

from tollway.errors import InvalidRequest, UpstreamBroken, UpstreamUnavailable
from tollway.proxy.pieces import read_all
from tollway.proxy.providers.anthropic.request import map_request
from tollway.proxy.providers.port import Transport, UpstreamCall, UpstreamRequest

WAIT_S = 30.0
"""A count that takes longer is not waited for."""

_TAKEN = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control")
"""The fields of a request for an answer that a request for a count has, too; others are refused."""

_UNREADABLE = "The provider did not answer with a count of tokens."


class _Counted(msgspec.Struct):
    input_tokens: int


async def count(transport: Transport, url: str, headers: list[tuple[str, str]], call: UpstreamCall) -> int:
    """The tokens of the prompt in ``call``, whose body is the hub's; ``url`` is that of the messages, and ``headers``
    prove that the gateway may ask.

    Raises:
        InvalidRequest: the request can't be said in Anthropic's terms; nothing was sent.
        tollway.errors.UpstreamError: the provider can't be reached or does not count; whoever asks may count itself.
    """
    body = await asyncio.to_thread(_counted, call)
    request = UpstreamRequest(f"{url}/count_tokens", headers, body, call.connect_s, call.sent)
    try:
        async with asyncio.timeout(WAIT_S):
            answer = await transport.post(request)
            try:
                said = await read_all(answer.piece)
            finally:
                await answer.close()
    except TimeoutError:
        raise UpstreamUnavailable(_UNREADABLE, inside="no count in time") from None
    if answer.status != 200:
        raise UpstreamUnavailable("The provider refused to count tokens.", inside=f"status {answer.status}")
    try:
        counted = msgspec.json.decode(said, type=_Counted).input_tokens
    except (ValueError, RecursionError) as error:
        raise UpstreamBroken(_UNREADABLE, inside=type(error).__name__) from None
    if counted < 0:
        raise UpstreamBroken(_UNREADABLE, inside="a count below nought")
    return counted


def _counted(call: UpstreamCall) -> bytes:
    try:
        asked: dict[str, Any] = msgspec.json.decode(call.body, type=dict[str, Any])
        mapped = map_request(asked, call.model).body
        return msgspec.json.encode({name: mapped[name] for name in _TAKEN if name in mapped})
    except ValueError:  # no JSON, no UTF-8, or half a character
        raise InvalidRequest("The request is not a JSON object that can be read.") from None
    except RecursionError:
        raise InvalidRequest("The request is nested too deeply.") from None
