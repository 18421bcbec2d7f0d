"""What station 4 needs of others: where answers are kept, who is told of them, second opinions on questions."""

from collections.abc import Sequence
from typing import Protocol

from tollway._native.questions import Question
from tollway.contract.cache import Selection
from tollway.proxy.cache.entry import Call, Entry, Near


class Answers(Protocol):
    """The answers that this worker knows of. Nothing here raises: what can't be had is a miss."""

    def find(self, key: bytes) -> Entry | None:
        """The entry of that key, if it has not expired."""
        ...

    def near(self, namespace: bytes, question: Question) -> Sequence[Near]:
        """The entries of the namespace that are most similar, best first, a few only. Never another namespace's."""
        ...

    async def body(self, entry: Entry) -> bytes | None:
        """The answer; ``None`` when it is gone, or can't be had in time."""
        ...

    def keep(self, entry: Entry, question: Question | None, body: bytes) -> None:
        """Keeps an answer and tells others of it; never waits. ``question`` is the entry's own, where it has one."""
        ...

    def served(self, entry: Entry) -> None:
        """It has been served once more: what saves much stays longest."""
        ...

    def is_removed(self, call: Call, begun_ns: int) -> bool:
        """Whether answers like that call's have been removed since ``begun_ns``, by ``time.monotonic_ns()``."""
        ...


class Commons(Protocol):
    """What workers and hosts have in common: they tell each other what they fill and remove. Nothing here raises.

    Where ``holds_bodies``, bodies lie there and each worker has the rest; else every worker has all of it.
    """

    @property
    def holds_bodies(self) -> bool:
        """Whether :meth:`body` may have what this worker does not."""
        ...

    def fill(self, answer: Entry, body: bytes, begun_ns: int) -> None:
        """Tells others; never waits, and drops what there is no room to tell. Its call began at ``begun_ns``, by
        ``time.monotonic_ns()``: a removal since then means it too."""
        ...

    async def body(self, answer: Entry) -> bytes | None:
        """The body, opened and decompressed; ``None`` when it is gone or can't be had in time."""
        ...

    def evicted(self, answers: Sequence[Entry]) -> None:
        """These had to go from the shelf for what this worker has filled."""
        ...

    async def remove(self, selection: Selection, removed: Sequence[Entry]) -> bool:
        """Tells others to forget; whether everybody has, or can't serve them any more, when this returns. ``removed``
        are those that were known of here."""
        ...

    async def run(self) -> None:
        """Tells and hears, for ever; ends when it is cancelled, with nothing left open."""
        ...


class EmbedderDown(Exception):
    """An embedder has not answered, or not in time: the look-up is a miss."""


class Embedder(Protocol):
    """What embeds questions besides the built-in embedder."""

    @property
    def name(self) -> str:
        """It tells vectors of several models apart: entries without a vector of that name can't be confirmed."""
        ...

    async def embed(self, text: str) -> bytes:
        """A vector, one signed byte a dimension; only its direction says anything.

        Raises:
            EmbedderDown: there is none.
        """
        ...
