"""How many tokens an answer is taken to have: what the client bounds it by, else what answers have had of late.

In: a request; and how long answers were, as they are settled. Out: what is reserved of output. A guess is no promise:
what an answer needs beyond it is asked for while it flows.
"""

from collections import deque
from collections.abc import Callable

import msgspec

from tollway._native.chat import ChatRequest
from tollway.contract.snapshot import Operation, Route, Snapshot, Target

MOST_TOKENS = 1_000_000_000
"""A ``max_tokens`` beyond this is reserved as this: no model writes more, and sums stay far from any overflow."""

FIRST_TOKENS = 256
"""Taken at least, until so many answers as ``FEWEST`` are known."""

FEWEST = 20
KEPT = 200
"""The lengths of so many answers are kept for each alias, the newest."""

_ANSWERED = frozenset[Operation]({"chat", "completions", "messages", "responses"})
"""What is answered in tokens whose number nobody knows before."""


class Expected(msgspec.Struct, frozen=True):
    """Tokens of an answer, all choices together; ``is_guess``: the client sets no bound."""

    tokens: int
    is_guess: bool


class _Lengths:
    """Of one alias' answers."""

    __slots__ = ("_kept", "_new", "usual")

    def __init__(self) -> None:
        self._kept: deque[int] = deque(maxlen=KEPT)
        self._new = 0
        self.usual = FIRST_TOKENS
        """What 95 of 100 are not longer than."""

    def add(self, tokens: int) -> None:
        self._kept.append(tokens)
        self._new += 1
        count = len(self._kept)
        if count < FEWEST:
            self.usual = max(self.usual, tokens)
        elif count == FEWEST or self._new >= KEPT // 20:
            self._new = 0
            self.usual = sorted(self._kept)[-(-count * 95 // 100) - 1]


class Expectations:
    """One worker's. ``cap`` tells the most tokens that a target's answer can have, where that is known."""

    def __init__(self, snapshot: Snapshot, cap: Callable[[Target], int | None]) -> None:
        self._caps = {alias: _cap(route, cap) for alias, route in snapshot.routes.items()}
        self._lengths = {alias: _Lengths() for alias in snapshot.routes}

    def expect(self, request: ChatRequest) -> Expected:
        """What to reserve for the answer."""
        if request.max_tokens is not None:
            return Expected(min(request.max_tokens, MOST_TOKENS) * request.n, is_guess=False)
        lengths = self._lengths.get(request.model)
        if request.operation not in _ANSWERED or lengths is None:
            return Expected(0, is_guess=False)
        cap = self._caps[request.model]
        return Expected((lengths.usual if cap is None else min(lengths.usual, cap)) * request.n, is_guess=True)

    def learn(self, request: ChatRequest, alias: str, tokens: int) -> None:
        """An answer has ended as its model wished. Bounded ones tell nothing of those that are not."""
        lengths = self._lengths.get(alias)
        if lengths is not None and request.max_tokens is None and request.operation in _ANSWERED:
            lengths.add(-(-tokens // request.n))


def _cap(route: Route, cap: Callable[[Target], int | None]) -> int | None:
    """The most that any of an alias' targets can answer; ``None`` if that of one is not known."""
    most = 0
    for target in route.targets:
        own = cap(target)
        if own is None:
            return None
        most = max(most, own)
    return most or None
