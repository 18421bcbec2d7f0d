"""A source of vectors that a test writes the script of."""

import asyncio
from types import EllipsisType

from tollway.contract.keys import KeyRecord

VECTOR = bytes([1, 2, 255])
"""A vector of three dimensions."""


class Scripted:
    """Answers by ``script``, one step a question: a vector, an exception, or ``...``, which hangs; then ``VECTOR``.
    While ``goes_on`` is not set, everybody waits."""

    name = "scripted/1"

    def __init__(self, *script: bytes | BaseException | EllipsisType) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, str]] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.cancelled = 0
        self.closed = 0
        self.prepared = 0

    async def vector(self, text: str, record: KeyRecord) -> bytes:
        """The next step."""
        self.asked.append((record.tenant_id, text))
        step = self.script.pop(0) if self.script else VECTOR
        try:
            await self.goes_on.wait()
            if step is ...:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(step, BaseException):
            raise step
        assert isinstance(step, bytes)
        return step

    async def prepare(self) -> None:
        """Counts."""
        self.prepared += 1

    async def close(self) -> None:
        """Counts."""
        self.closed += 1
