"""What recent texts were embedded as, and one question for those who ask the same at the same time.

A vector is remembered for the tenant that asked for it alone: how fast an answer comes must not tell one tenant what
another has asked.
"""

import asyncio
from collections import OrderedDict
from hashlib import blake2b

from tollway.contract.keys import KeyRecord
from tollway.proxy.cache.embedders.steady import Steady

MOST_BYTES = 8 * 2**20
"""Of vectors and what they are found by, for each embedder of a worker: about 18,000 of MiniLM."""

_ENTRY_BYTES = 16 + 200
"""What an entry takes besides its vector: its key, and Python's objects around both."""


class Remembered:
    """An embedder's vectors of late."""

    def __init__(self, steady: Steady, *, most_bytes: int = MOST_BYTES) -> None:
        self.name = steady.name
        self._steady = steady
        self._most_bytes = most_bytes
        self._vectors: OrderedDict[bytes, bytes] = OrderedDict()
        self._held_bytes = 0
        self._under_way: dict[bytes, asyncio.Task[bytes]] = {}

    @property
    def held_bytes(self) -> int:
        """What it takes."""
        return self._held_bytes

    async def vector(self, text: str, record: KeyRecord) -> bytes:
        """The vector of ``text``. Whoever leaves does not take it away from those who wait for the same.

        Raises:
            EmbedderDown: there is none.
        """
        key = _key(record.tenant_id, text)
        found = self._vectors.get(key)
        if found is not None:
            self._vectors.move_to_end(key)
            return found
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._steady.vector(text, record))
            self._under_way[key] = task
            task.add_done_callback(lambda ended: self._ended(key, ended))
        return await asyncio.shield(task)

    def _ended(self, key: bytes, task: "asyncio.Task[bytes]") -> None:
        del self._under_way[key]
        # Asking for the exception also says that it was heard: everybody who waited may have left.
        if task.cancelled() or task.exception() is not None:
            return
        vector = task.result()
        self._vectors[key] = vector
        self._held_bytes += len(vector) + _ENTRY_BYTES
        while self._held_bytes > self._most_bytes:
            _, oldest = self._vectors.popitem(last=False)
            self._held_bytes -= len(oldest) + _ENTRY_BYTES

    async def prepare(self) -> None:
        """Loads what takes long to load."""
        await self._steady.prepare()

    async def close(self) -> None:
        """Ends it, and the embedder."""
        under_way = list(self._under_way.values())
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._steady.close()


def _key(tenant_id: str, text: str) -> bytes:
    digest = blake2b(tenant_id.encode(), digest_size=16)
    digest.update(b"\0")
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()
