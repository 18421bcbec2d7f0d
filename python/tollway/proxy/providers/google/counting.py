"""How many tokens a prompt has, by Google's own count.

In: a request in Google's dialect. Out: a number. Nothing is generated, and nothing is billed.
Sources: ai.google.dev, "Counting tokens" (REST, ``models.countTokens``); cloud.google.com, "CountTokens API".
"""

import asyncio
from typing import Any

import msgspec

from tollway.errors import UpstreamBroken, UpstreamUnavailable
from tollway.proxy.pieces import read_all
from tollway.proxy.providers.google.api import GoogleApi
from tollway.proxy.providers.port import UpstreamCall

WAIT_S = 30.0
"""A count that takes longer is not waited for."""

_UNREADABLE = "The provider did not answer with a count of tokens."


class _Counted(msgspec.Struct, rename="camel"):
    total_tokens: int = 0  # Google's JSON leaves noughts out


async def count(api: GoogleApi, call: UpstreamCall, body: dict[str, Any]) -> int:
    """The tokens of the prompt in ``body``, which is a request for an answer.

    Raises:
        tollway.errors.UpstreamError: the provider can't be reached or does not count; whoever asks may count itself.
    """
    try:
        async with asyncio.timeout(WAIT_S):
            written = msgspec.json.encode(api.counted(body, call.model))
            answer = await api.post(call, api.url(call.model, "countTokens"), written)
            try:
                said = await read_all(answer.piece)
            finally:
                await answer.close()
    except TimeoutError:
        raise UpstreamUnavailable(_UNREADABLE, inside="no count in time") from None
    if answer.status != 200:
        raise UpstreamUnavailable("The provider refused to count tokens.", inside=f"status {answer.status}")
    try:
        counted = msgspec.json.decode(said, type=_Counted).total_tokens
    except (ValueError, RecursionError) as error:
        raise UpstreamBroken(_UNREADABLE, inside=type(error).__name__) from None
    if counted < 0:
        raise UpstreamBroken(_UNREADABLE, inside="a count below nought")
    return counted
