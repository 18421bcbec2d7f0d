"""Bodies that arrived in pieces, put together without holding the event loop."""

import asyncio
from collections.abc import Sequence

INLINE_BYTES = 1024 * 1024
"""More than this is joined in a thread; from this size on ``bytes.join`` lets other threads run meanwhile."""


async def joined(pieces: Sequence[bytes], size_bytes: int) -> bytes:
    """All ``pieces``, together ``size_bytes`` long, as one."""
    if len(pieces) == 1:
        return pieces[0]
    if size_bytes <= INLINE_BYTES:
        return b"".join(pieces)
    return await asyncio.to_thread(b"".join, pieces)
