"""A graph over many vectors (HNSW), by ``hnswlib``: which of them are most similar, nearly always right.

hnswlib lets others run while it adds and asks, but must not do both at once. So a thread adds, one vector at a time,
and the event loop asks between two; it waits for its turn for a millisecond at most, and does without otherwise.

M, ef_construction and ef are measured: ``benches/README.md``. To make room in a graph or to make a large one holds the
interpreter for milliseconds, so one never grows: it is made with room to spare, and made anew when that is used up.
"""

from threading import Lock
from typing import Protocol

import hnswlib

from tollway._native.questions import DIMENSIONS
from tollway.proxy.cache.held import Held

_M = 16
_EF_CONSTRUCTION = 200
_EF = 128
_SMALLEST = 8_192
_MOST_SPARE = 100_000
_TURN_S = 0.001
_SEED = 1


class _Index(Protocol):
    """What is used of ``hnswlib.Index``, which says nothing of its types."""

    def init_index(self, *, max_elements: int, M: int, ef_construction: int, random_seed: int) -> None: ...  # noqa: N803
    def set_ef(self, ef: int) -> None: ...
    def add_items(self, data: memoryview, ids: int, num_threads: int) -> None: ...
    def knn_query(self, data: memoryview, k: int, num_threads: int) -> "tuple[_Labels, object]": ...
    def mark_deleted(self, label: int) -> None: ...


class _Labels(Protocol):
    def tolist(self) -> list[list[int]]: ...


class Graph:
    """Made for ``count`` and more, up to ``room``. Entries have labels, from 0 in the order they came.

    ``insert`` and ``forget`` are for one thread, everything else for the event loop. ``is_even`` tells two graphs of
    one namespace apart, so that an entry knows its label in both.
    """

    def __init__(self, count: int, *, is_even: bool) -> None:
        self.room = max(_SMALLEST, min(4 * count, count + _MOST_SPARE))
        self.is_even = is_even
        self._index: _Index = hnswlib.Index(space="cosine", dim=DIMENSIONS)
        self._index.init_index(max_elements=self.room, M=_M, ef_construction=_EF_CONSTRUCTION, random_seed=_SEED)
        self._index.set_ef(_EF)
        self._held: list[Held | None] = []
        self._gone = 0
        # Two locks make it fair: whoever waits holds the first, so that the thread can't take the second again at once.
        self._next, self._turn = Lock(), Lock()

    def __len__(self) -> int:
        """How many have been put in, gone or not."""
        return len(self._held)

    @property
    def gone(self) -> int:
        """How many of them are."""
        return self._gone

    def insert(self, vector: bytes, label: int) -> None:
        """Puts a vector in, in the thread. The label is :meth:`place`'s next."""
        with self._next:
            self._turn.acquire()
        try:
            self._index.add_items(_signed(vector), label, num_threads=1)
        finally:
            self._turn.release()

    def forget(self, label: int) -> None:
        """What is gone is not to be found, in the thread."""
        with self._next:
            self._turn.acquire()
        try:
            self._index.mark_deleted(label)
        finally:
            self._turn.release()

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
        """Those that are most similar, or none when it is not the loop's turn in time."""
        if not self._next.acquire(timeout=_TURN_S):
            return []
        has_turn = self._turn.acquire(timeout=_TURN_S)
        self._next.release()
        if not has_turn:
            return []
        try:
            labels = self._asked(_signed(vector), min(most, len(self._held) - self._gone))
        finally:
            self._turn.release()
        found = (self._held[label] for label in labels if label < len(self._held))
        return [held for held in found if held is not None]

    def _asked(self, vector: memoryview, most: int) -> list[int]:
        while most > 0:
            try:
                return self._index.knn_query(vector, k=most, num_threads=1)[0].tolist()[0]
            except RuntimeError:  # it has not come upon as many: whoever waits for them gets fewer
                most //= 2
        return []


def prepare() -> None:
    """Makes a graph and drops it. The first one loads numpy, which takes 20 MB and holds the interpreter for a tenth of
    a second: better before a worker serves, where graphs will be needed."""
    graph = Graph(1, is_even=True)
    graph.insert(bytes([1]) * DIMENSIONS, 0)


def _signed(vector: bytes) -> memoryview:
    return memoryview(vector).cast("b")
