"""What leaves for a provider that speaks OpenAI's dialect: the client's bytes, unless they have to be put right.

In: a call. Out: its body, and the names of the fields that were lost. A chat that was made of another dialect is held
to what its target takes (``fit.py``), gets images and documents inline where their addresses are not taken, and is
made plain; a client's own is left alone but for what another vendor's answer has left in it and for names that are
newer than the provider (see ``plain.py``).
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from tollway.errors import InvalidRequest
from tollway.proxy.media.fetch import Fetcher
from tollway.proxy.media.inline import NeedsBytes, inline
from tollway.proxy.providers.capabilities import Takes
from tollway.proxy.providers.fit import held
from tollway.proxy.providers.openai.plain import mend, needs_plain, plain
from tollway.proxy.providers.openai.presets import Preset
from tollway.proxy.providers.port import UpstreamCall
from tollway.proxy.providers.traces import STEP_BYTES, found, without_traces

INLINE_BYTES = 64 * 1024
"""Larger bodies are put right off the event loop."""

Dict = dict[str, Any]


async def worded(
    call: UpstreamCall, preset: Preset, *, keeps_extra: bool = False, media: Fetcher | None = None
) -> tuple[bytes, tuple[str, ...]]:
    """The body as this provider takes it. ``keeps_extra``: ``extra_content`` is its own. ``media`` fetches images
    and documents whose addresses it does not take.

    Raises:
        InvalidRequest: a field would be lost, and the client asked that none is; or an address can't be had.
        ServerBusy: too much is being fetched already.
    """
    if call.operation != "chat":
        return await without_traces(call.body, call.operation), ()
    if not call.is_translated:
        # Most calls, so without another coroutine.
        is_short = len(call.body) <= STEP_BYTES
        marked = needs_plain(call.body, preset) if is_short else await found(call.body, _marks(preset))
        if not marked:
            return call.body, ()
    is_small = len(call.body) < INLINE_BYTES
    asked = _read(call.body) if is_small else await asyncio.to_thread(_read, call.body)
    if media is not None and call.is_translated:
        brought_bytes = await inline(asked, media, _needs_bytes(call.takes or Takes(), preset))
        is_small = is_small and brought_bytes < INLINE_BYTES
    if is_small:
        return _reword(asked, call, preset, keeps_extra=keeps_extra)
    return await asyncio.to_thread(_reword, asked, call, preset, keeps_extra=keeps_extra)


def _marks(preset: Preset) -> Callable[[bytes], bool]:
    return lambda part: needs_plain(part, preset)


def _needs_bytes(takes: Takes, preset: Preset) -> NeedsBytes:
    """What is taken, and not by its address."""
    images = takes.images and not takes.image_urls
    files = takes.documents and not (preset.file_urls or preset.document_urls)
    return lambda _, kind: images if kind == "image" else files


def _read(body: bytes) -> Dict:
    try:
        return msgspec.json.decode(body, type=Dict)
    except (ValueError, RecursionError):
        raise InvalidRequest("The request is not a JSON object that can be read.") from None


def _reword(asked: Dict, call: UpstreamCall, preset: Preset, *, keeps_extra: bool) -> tuple[bytes, tuple[str, ...]]:
    if not call.is_translated:
        return msgspec.json.encode(mend(asked, preset)), ()
    asked, lost = held(asked, call.takes, strict=call.strict)
    body, more = plain(asked, preset, keeps_extra=keeps_extra)
    if call.strict and more:
        raise InvalidRequest(f"The provider does not take '{more[0]}'.", param=more[0])
    return msgspec.json.encode(body), tuple(dict.fromkeys(lost + more))
