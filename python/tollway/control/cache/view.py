"""What the control plane asks of whoever keeps answers in this process. The composition root fills it in."""

from collections.abc import Sequence
from typing import Protocol

from tollway.contract.cache import EntryFacts, Selection, ShelfFacts


class CacheDesk(Protocol):
    """One worker's view of the answers that it may give again."""

    def stats(self) -> ShelfFacts:
        """How much it knows of."""
        ...

    def entries(self, selection: Selection, most: int, after: bytes) -> Sequence[EntryFacts]:
        """At most so many of the entries that are meant, in the order of their keys, after one of them."""
        ...

    def find(self, key: bytes) -> EntryFacts | None:
        """The entry of that key, if it has not expired."""
        ...

    async def remove(self, selection: Selection) -> bool:
        """Forget what is meant, here at once; whether everybody else has, or can't serve it any more, when this
        returns. Those who have not will within seconds."""
        ...


class NoDesk:
    """Where no answers are kept."""

    def stats(self) -> ShelfFacts:
        """Nothing."""
        return ShelfFacts(
            entries=0, questions=0, namespaces=0, bytes=0, is_shared=False, evicted=0, expired=0, removed=0
        )

    def entries(self, _selection: Selection, _most: int, _after: bytes) -> Sequence[EntryFacts]:
        """None."""
        return ()

    def find(self, _key: bytes) -> EntryFacts | None:
        """None."""
        return None

    async def remove(self, _selection: Selection) -> bool:
        """Nothing is left."""
        return True
