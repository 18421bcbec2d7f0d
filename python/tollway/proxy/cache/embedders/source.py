"""The port of this folder: what makes vectors, before anybody bounds its time, leaves it out or remembers it."""

from typing import Protocol

from tollway.contract.keys import KeyRecord
from tollway.proxy.cache.port import EmbedderDown


class NotThis(EmbedderDown):
    """The embedder works, but has no vector for this very text: nobody is left out for it."""


class Source(Protocol):
    """Makes vectors. ``cause``s of what it raises go into logs: words of ours or a status, never a text."""

    @property
    def name(self) -> str:
        """As :class:`~tollway.proxy.cache.port.Embedder` says."""
        ...

    async def vector(self, text: str, record: KeyRecord) -> bytes:
        """The vector of ``text``, asked for by a call of ``record``. Who asks keeps the time, by cancelling.

        Raises:
            EmbedderDown: there is none, and why.
        """
        ...

    async def prepare(self) -> None:
        """Loads what it needs, if that takes long. That it can't is told by :meth:`vector`."""
        ...

    async def close(self) -> None:
        """Ends it: nobody asks any more."""
        ...
