"""Which entry goes when there is no room: greedy-dual, by what a byte of each has saved.

Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy" (HP Labs, 1998): an
entry's value is the value of the last one evicted plus cost x hits / bytes, taken when it is filled and whenever it is
served. What is asked for often, dear and small stays; what nobody asks for any more goes in the end, however dear,
because the values of all others rise.
"""

from tollway.proxy.cache.entry import Entry
from tollway.proxy.cache.held import Held

_ENTRY_BYTES = 2_000
"""What an entry takes besides its body, about."""

_TOKEN_PICOUSD = 100_000
"""What a token is taken to cost where the model has no price: what the cheapest do."""


class Worth:
    """The entries as a heap by value, of which each knows its place (``rank``).

    ``heapq`` can't take one out of the middle: what is gone would stay until it comes up, and clearing that away holds
    the loop for as long as all of it takes.
    """

    def __init__(self) -> None:
        self._heap: list[Held] = []
        self._floor = 0.0

    def add(self, held: Held) -> None:
        """A new one."""
        held.value = self._value(held)
        held.rank = len(self._heap)
        self._heap.append(held)
        self._rise(held)

    def served(self, held: Held) -> None:
        """It has been served once more."""
        held.hits += 1
        held.value = max(held.value, self._value(held))
        self._sink(held)

    def discard(self, held: Held) -> None:
        """It is no longer among them, if it was."""
        rank = held.rank
        if rank < 0:
            return
        held.rank = -1
        last = self._heap.pop()
        if last is not held:
            self._heap[rank] = last
            last.rank = rank
            self._rise(last)
            self._sink(last)

    def least(self) -> Held | None:
        """The one that goes first, of equal ones the older. What comes from now on is worth more than it is."""
        while self._heap and self._heap[0].is_gone:
            self.discard(self._heap[0])
        if not self._heap:
            return None
        self._floor = self._heap[0].value
        return self._heap[0]

    def _value(self, held: Held) -> float:
        return self._floor + saved_picousd(held.entry) * held.hits / (held.taken_bytes + _ENTRY_BYTES)

    def _rise(self, held: Held) -> None:
        heap, rank = self._heap, held.rank
        while rank > 0:
            above = heap[(rank - 1) // 2]
            if not _goes_before(held, above):
                break
            heap[rank] = above
            above.rank, rank = rank, (rank - 1) // 2
        heap[rank] = held
        held.rank = rank

    def _sink(self, held: Held) -> None:
        heap, rank = self._heap, held.rank
        while (child := 2 * rank + 1) < len(heap):
            if child + 1 < len(heap) and _goes_before(heap[child + 1], heap[child]):
                child += 1
            below = heap[child]
            if not _goes_before(below, held):
                break
            heap[rank] = below
            below.rank, rank = rank, child
        heap[rank] = held
        held.rank = rank


def saved_picousd(entry: Entry) -> int:
    """What a hit is taken to save, 1 at least."""
    if entry.cost_picousd is None:
        return 1 + _TOKEN_PICOUSD * (entry.prompt_tokens + entry.completion_tokens)
    return 1 + entry.cost_picousd


def _goes_before(left: Held, right: Held) -> bool:
    return left.value < right.value or (left.value == right.value and left.number < right.number)
