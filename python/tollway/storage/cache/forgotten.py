"""What was removed of late, so that nothing of it comes back: answers that were under way when they were removed.

In: removals as they are heard, and answers as they arrive. Out: whether an answer is older than a removal that means
it. What was there when a removal was heard is none of this module's business: that is forgotten at once, whatever its
age. Removals beyond the last :data:`MOST_REMOVALS` count as removals of everything: too little is kept, never too much.
"""

import time
from collections import deque
from typing import NamedTuple, Protocol

from tollway.contract.cache import Selection

MOST_REMOVALS = 1_000


class Labelled(Protocol):
    """What a selection may ask of an answer."""

    @property
    def key(self) -> bytes:
        """Its own key."""

    @property
    def tenant_id(self) -> str:
        """Whose it is."""

    @property
    def key_id(self) -> str:
        """The API key whose call filled it."""

    @property
    def model(self) -> str:
        """The alias that was asked."""

    @property
    def filled_at_ms(self) -> int:
        """When the call that filled it began, Unix time."""


class Kept(Labelled, Protocol):
    """An answer as hosts tell each other of it."""

    @property
    def expires_at_ms(self) -> int:
        """Until when it may be served, Unix time."""

    @property
    def body_bytes(self) -> int:
        """The size of its body."""


def selects(selection: Selection, answer: Labelled) -> bool:
    """Whether the answer is one of those that are meant."""
    return (
        (selection.tenant_id is None or selection.tenant_id == answer.tenant_id)
        and (selection.key is None or selection.key == answer.key)
        and (selection.key_id is None or selection.key_id == answer.key_id)
        and (selection.model is None or selection.model == answer.model)
        and (selection.before_ms is None or answer.filled_at_ms < selection.before_ms)
    )


class _Removal(NamedTuple):
    selection: Selection
    heard_ns: int
    number: int
    at_ms: int


class Forgotten:
    """One worker's."""

    def __init__(self) -> None:
        self._removals: deque[_Removal] = deque()
        self._lost = _Removal(Selection(), 0, 0, 0)

    def note(self, selection: Selection, *, number: int = 0, at_ms: int = 0, heard_ns: int | None = None) -> None:
        """It is heard now, or at ``heard_ns``. ``number`` is what Redis gave it, ``at_ms`` when it was said, Unix time;
        0 where unknown."""
        self._removals.append(_Removal(selection, time.monotonic_ns() if heard_ns is None else heard_ns, number, at_ms))
        if len(self._removals) > MOST_REMOVALS:
            gone, lost = self._removals.popleft(), self._lost
            self._lost = _Removal(
                Selection(),
                max(gone.heard_ns, lost.heard_ns),
                max(gone.number, lost.number),
                max(gone.at_ms, lost.at_ms),
            )

    def renumber(self) -> None:
        """Another Redis counts removals from now on, from the beginning: the numbers that are known say nothing of its
        answers. Those that knew the one before name it, and count for nothing there."""
        self._removals = deque(removal._replace(number=0) for removal in self._removals)
        self._lost = self._lost._replace(number=0)

    def has(self, selection: Selection, since_ns: int) -> bool:
        """Whether the very same has been heard since then."""
        return any(removal.heard_ns >= since_ns and removal.selection == selection for removal in self._removals)

    def since(self, answer: Labelled, begun_ns: int) -> bool:
        """Whether it has been removed since ``begun_ns``, by ``time.monotonic_ns()``, which all processes of a host
        share: then its call had begun before."""
        return self._lost.heard_ns >= begun_ns or any(
            removal.heard_ns >= begun_ns and selects(removal.selection, answer) for removal in self._removals
        )

    def numbered(self, answer: Labelled, number: int) -> bool:
        """Whether a removal of a higher number means it: then its filler did not know of that one."""
        return self._lost.number > number or any(
            removal.number > number and selects(removal.selection, answer) for removal in self._removals
        )

    def dated(self, answer: Labelled, slack_ms: int) -> bool:
        """Whether a removal that was said after it had been filled, or up to ``slack_ms`` before, means it."""
        least_ms = answer.filled_at_ms - slack_ms
        return self._lost.at_ms >= max(least_ms, 1) or any(
            removal.at_ms >= max(least_ms, 1) and selects(removal.selection, answer) for removal in self._removals
        )
