"""What leaves for a provider that speaks OpenAI's dialect: the client's bytes, unless they have to be put right.

In: a call. Out: its body, and the names of the fields that were lost. A chat that was made of another dialect is made
plain; a client's own is left alone but for what another vendor's answer has left in it and for names that are newer
than the provider (see ``plain.py``).
"""

import asyncio
from typing import Any

import msgspec

from tollway.errors import InvalidRequest
from tollway.proxy.providers.plain import mend, needs_plain, plain
from tollway.proxy.providers.port import UpstreamCall
from tollway.proxy.providers.presets import Preset

INLINE_BYTES = 64 * 1024
"""Larger bodies are put right off the event loop."""


async def worded(call: UpstreamCall, preset: Preset, *, keeps_extra: bool = False) -> tuple[bytes, tuple[str, ...]]:
    """The body as this provider takes it. ``keeps_extra``: ``extra_content`` is its own.

    Raises:
        InvalidRequest: a field would be lost, and the client asked that none is.
    """
    if call.operation != "chat" or not (call.is_translated or needs_plain(call.body, preset)):
        return call.body, ()
    if len(call.body) < INLINE_BYTES:
        return _reword(call, preset, keeps_extra=keeps_extra)
    return await asyncio.to_thread(_reword, call, preset, keeps_extra=keeps_extra)


def _reword(call: UpstreamCall, preset: Preset, *, keeps_extra: bool) -> tuple[bytes, tuple[str, ...]]:
    try:
        asked = msgspec.json.decode(call.body, type=dict[str, Any])
    except (ValueError, RecursionError):
        raise InvalidRequest("The request is not a JSON object that can be read.") from None
    if not call.is_translated:
        return msgspec.json.encode(mend(asked, preset)), ()
    body, lost = plain(asked, preset, keeps_extra=keeps_extra)
    if call.strict and lost:
        raise InvalidRequest(f"The provider does not take '{lost[0]}'.", param=lost[0])
    return msgspec.json.encode(body), tuple(lost)
