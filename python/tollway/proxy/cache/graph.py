"""A graph over many vectors (HNSW): which of them are most similar, nearly always right. The nodes are the
extension's; this module knows whose they are.

A thread puts vectors in while the event loop asks; the one waits for the other for microseconds. hnswlib, the usual
library, did not do here: its binding holds the interpreter for up to 15 ms to make or to drop a large graph, adds and
asks only by turns, and takes four bytes a dimension.
"""

from tollway._native import questions
from tollway.proxy.cache.held import Held

_BREADTH = 96
"""So many are kept in view while it is searched; measured, see ``benches/README.md``."""


class Graph:
    """Entries have labels, from 0 in the order they came.

    ``insert`` and ``forget`` are for one thread, everything else for the event loop. ``is_even`` tells two graphs of
    one namespace apart, so that an entry knows its label in both.
    """

    def __init__(self, *, is_even: bool) -> None:
        self.is_even = is_even
        self._nodes = questions.Graph()
        self._held: list[Held | None] = []
        self._gone = 0

    def __len__(self) -> int:
        """How many have been put in, gone or not."""
        return len(self._held)

    @property
    def gone(self) -> int:
        """How many of them are."""
        return self._gone

    def insert(self, vector: bytes) -> None:
        """Puts a vector in, in the thread. Its label is :meth:`place`'s next."""
        self._nodes.insert(vector)

    def forget(self, label: int) -> None:
        """What is gone is not to be found, in the thread."""
        self._nodes.forget(label)

    def clear(self) -> None:
        """Gives its memory back, in the thread: nobody asks it any more."""
        self._nodes.clear()

    def place(self, held: Held) -> int:
        """The label under which its vector was put in."""
        label = len(self._held)
        self._held.append(held)
        if self.is_even:
            held.even_label = label
        else:
            held.odd_label = label
        return label

    def label_of(self, held: Held) -> int:
        """Its label, -1 where it is not in here."""
        label = held.even_label if self.is_even else held.odd_label
        return label if 0 <= label < len(self._held) and self._held[label] is held else -1

    def part(self, start: int, count: int) -> list[Held]:
        """Those that are not gone, of the labels from ``start`` on."""
        return [held for held in self._held[start : start + count] if held is not None]

    def discard(self, label: int) -> None:
        """From now on it is not there; :meth:`forget` is yet to be called."""
        self._held[label] = None
        self._gone += 1

    def nearest(self, vector: bytes, most: int) -> list[Held]:
        """Those that are most similar, best first."""
        count = len(self._held)  # what the thread has put in since then has no place yet
        found = (self._held[label] for label, _ in self._nodes.nearest(vector, most, _BREADTH) if label < count)
        return [held for held in found if held is not None]
