"""An entry on the shelf, with what the shelf notes of it."""

import msgspec

from tollway._native.questions import Question
from tollway.proxy.cache.entry import Entry


class Held(msgspec.Struct, gc=False, eq=False):
    """One entry. ``body`` is ``None`` where bodies lie elsewhere; ``taken_bytes`` is what it counts for.

    ``number`` counts entries as they come. ``hits`` counts its filling as one; ``value`` and ``rank`` are for
    :mod:`.worth`, ``slot`` and the labels for :mod:`.nearest`. One that is gone serves nobody any more.

    The collector need not walk these: nothing that one holds leads back to it.
    """

    entry: Entry
    question: Question | None
    body: bytes | None
    taken_bytes: int
    number: int
    hits: int = 1
    value: float = 0.0
    rank: int = -1
    slot: int = -1
    even_label: int = -1
    odd_label: int = -1
    is_gone: bool = False

    def serves(self, now_ms: int) -> bool:
        """Whether it may be served at that Unix time."""
        return not self.is_gone and self.entry.expires_at_ms > now_ms


def taken_bytes(entry: Entry, body: bytes | None) -> int:
    """What an entry counts for: its body, wherever it lies, and the texts and vectors that are kept with it."""
    texts = 2 * len(entry.question) + sum(map(len, entry.vectors.values()))
    return texts + (entry.body_bytes if body is None else len(body))
