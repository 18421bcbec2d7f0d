"""Bodies that arrive in pieces: passed on as they are, or put together without holding the event loop."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

import msgspec

from tollway.errors import UpstreamBroken

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A whole answer larger than this is refused: nothing is held without a bound."""

INLINE_BYTES = 1024 * 1024
"""More than this is joined in a thread; from this size on ``bytes.join`` lets other threads run meanwhile."""


class Streamed(msgspec.Struct, frozen=True):
    """A body that is sent while it arrives, so once and no more. ``length_bytes`` is ``None`` where nobody knows it.

    ``pieces`` raises what is wrong with the body where it comes from.
    """

    content_type: str
    length_bytes: int | None
    pieces: AsyncGenerator[bytes, None]


async def joined(pieces: Sequence[bytes], size_bytes: int) -> bytes:
    """All ``pieces``, together ``size_bytes`` long, as one."""
    if len(pieces) == 1:
        return pieces[0]
    if size_bytes <= INLINE_BYTES:
        return b"".join(pieces)
    return await asyncio.to_thread(b"".join, pieces)


async def read_all(piece: Callable[[], Awaitable[bytes | None]], first: bytes = b"") -> bytes:
    """``first`` and every piece of an answer behind it, as one.

    Raises:
        UpstreamBroken: they are more than :data:`MAX_ANSWER_BYTES`.
    """
    pieces, held = [first], len(first)
    while (following := await piece()) is not None:
        held += len(following)
        if held > MAX_ANSWER_BYTES:
            raise UpstreamBroken("The provider's answer is too large.", inside=f"over {MAX_ANSWER_BYTES} bytes")
        pieces.append(following)
    return await joined(pieces, held)
