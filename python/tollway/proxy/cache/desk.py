"""What people are shown of a worker's answers, and may have forgotten: :class:`tollway.control.cache.view.CacheDesk`.

In: selections. Out: facts of entries; never a question, nor an answer.
"""

from collections.abc import Sequence
from typing import Protocol

from tollway.contract.cache import EntryFacts, Selection, ShelfFacts
from tollway.proxy.cache.entry import Entry


class Figures(Protocol):
    """What a shelf counts."""

    @property
    def entries(self) -> int:
        """Those that are there."""
        ...

    @property
    def bytes(self) -> int:
        """What counts towards ``max_bytes``."""
        ...

    @property
    def questions(self) -> int:
        """Entries that answer similar questions too."""
        ...

    @property
    def namespaces(self) -> int:
        """Parts that no question leaves."""
        ...

    @property
    def evicted(self) -> int:
        """Dropped for want of room."""
        ...

    @property
    def expired(self) -> int:
        """Dropped since their time was over."""
        ...

    @property
    def removed(self) -> int:
        """Dropped because somebody said so."""
        ...


class Known(Protocol):
    """What a worker knows of answers."""

    def find(self, key: bytes) -> Entry | None:
        """The entry of that key, if it has not expired."""
        ...

    def entries(self, selection: Selection, most: int, after: bytes = b"") -> Sequence[Entry]:
        """The first of those that are meant, in the order of their keys, of those beyond ``after``."""
        ...

    def stats(self) -> Figures:
        """What is there now, and what was dropped."""
        ...

    async def remove(self, selection: Selection) -> bool:
        """Forgets what is meant; whether nobody serves any of it from now on."""
        ...


class Desk:
    """One worker's. ``is_shared``: bodies lie in Redis."""

    def __init__(self, known: Known, *, is_shared: bool) -> None:
        self._known = known
        self._is_shared = is_shared

    def stats(self) -> ShelfFacts:
        """How much it knows of."""
        figures = self._known.stats()
        return ShelfFacts(
            entries=figures.entries,
            questions=figures.questions,
            namespaces=figures.namespaces,
            bytes=figures.bytes,
            is_shared=self._is_shared,
            evicted=figures.evicted,
            expired=figures.expired,
            removed=figures.removed,
        )

    def entries(self, selection: Selection, most: int, after: bytes) -> Sequence[EntryFacts]:
        """At most so many of the entries that are meant, in the order of their keys, after one of them."""
        return [_facts(entry) for entry in self._known.entries(selection, most, after)]

    def find(self, key: bytes) -> EntryFacts | None:
        """The entry of that key, if it has not expired."""
        found = self._known.find(key)
        return None if found is None else _facts(found)

    async def remove(self, selection: Selection) -> bool:
        """Forgets what is meant, here at once; whether nobody serves any of it from now on."""
        return await self._known.remove(selection)


def _facts(entry: Entry) -> EntryFacts:
    return EntryFacts(
        key=entry.key,
        tenant_id=entry.tenant_id,
        key_id=entry.key_id,
        model=entry.model,
        operation=entry.operation,
        provider=entry.provider,
        provider_model=entry.provider_model,
        filled_at_ms=entry.filled_at_ms,
        expires_at_ms=entry.expires_at_ms,
        body_bytes=entry.body_bytes,
        prompt_tokens=entry.prompt_tokens,
        completion_tokens=entry.completion_tokens,
        cost_picousd=entry.cost_picousd,
        is_semantic=bool(entry.namespace),
    )
