"""The questions of one namespace, and which of them are most similar to another.

While they are few they lie in a block and all are compared. When they are more, a thread takes them from the block into
a graph, a batch at a time; each is in one of the two, and both are asked. A graph of which a third is gone is made anew
while the old one serves. One that hardly holds anything any more goes back into the block.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from tollway._native.questions import Block, Question
from tollway.proxy.cache.building import Building
from tollway.proxy.cache.entry import Near
from tollway.proxy.cache.graph import Graph
from tollway.proxy.cache.held import Held

T = TypeVar("T")

FEW = 2_048
"""So many are compared one by one."""

_BATCH = 64
"""How many are taken from one place to the other at a time: what comes back from the thread holds the loop for."""

_MOST_OUTSIDE = 512
"""How many may lie in the block beside a graph, and so be compared in addition; more have to wait."""

_PART = 4_096

_SPARE = 8
"""More than asked for of a graph, because what is gone may still be in it."""


class Nearest:
    """The questions of one namespace: nothing of any other is ever in it. ``few`` may be compared one by one."""

    def __init__(self, building: Building, few: int = FEW) -> None:
        self._building = building
        self._few = few
        self._batch = min(_BATCH, max(1, few // 8))
        self._block = Block()
        self._slots: list[Held] = []
        self._waiting: dict[int, Held] = {}
        self._graph: Graph | None = None
        self._renewed: Graph | None = None
        self._copied = 0
        self._marks: list[tuple[Graph, int]] = []
        self._count = 0
        self._is_busy = self._is_going = False

    def __len__(self) -> int:
        return self._count

    @property
    def waiting(self) -> int:
        """How many are not found yet: more came than the thread could take in."""
        return len(self._waiting)

    @property
    def has_graph(self) -> bool:
        """Whether they are many."""
        return self._graph is not None

    def add(self, held: Held, question: Question) -> None:
        """From now on it is found by what is similar to its question."""
        self._count += 1
        most = _MOST_OUTSIDE + (0 if self._graph is not None else self._few)
        if len(self._slots) < most and not self._waiting:
            self._append(held, question)
        else:
            self._waiting[held.number] = held
        self._go_on()

    def discard(self, held: Held) -> None:
        """From now on it is not. It must have been made gone."""
        self._count -= 1
        self._waiting.pop(held.number, None)
        if held.slot >= 0:
            self._swap_remove(held)
        for graph in (self._graph, self._renewed):
            if graph is not None and (label := graph.label_of(held)) >= 0:
                graph.discard(label)
                self._marks.append((graph, label))
        self._go_on()

    def near(self, question: Question, most: int, now_ms: int) -> list[Near]:
        """Those that may be served and are most similar, best first."""
        vector = question.vector
        found = self._near_in_block(vector, most, now_ms)
        if self._graph is not None:
            found += [held for held in self._graph.nearest(vector, most + _SPARE) if held.serves(now_ms)]
        near = [Near(held.entry, held.question, question.similarity(held.question)) for held in found if held.question]
        return sorted(near, key=lambda each: each.similarity, reverse=True)[:most]

    def _near_in_block(self, vector: bytes, most: int, now_ms: int) -> list[Held]:
        asked = most
        while True:
            slots = self._block.nearest(vector, asked)
            found = [self._slots[slot] for slot, _ in slots if self._slots[slot].serves(now_ms)]
            if len(found) >= most or len(slots) < asked:
                return found
            asked *= 4  # what has expired stood in the way

    def _append(self, held: Held, question: Question) -> None:
        held.slot = self._block.append(question.vector)
        self._slots.append(held)

    def _swap_remove(self, held: Held) -> None:
        slot, last = held.slot, self._slots.pop()
        self._block.swap_remove(slot)
        held.slot = -1
        if last is not held:
            self._slots[slot] = last
            last.slot = slot

    def _go_on(self) -> None:
        """Work, as long as there is some that can be done now."""
        if self._is_going:
            return
        self._is_going = True
        while not self._is_busy and (step := self._next_step()) is not None:
            step()
        self._is_going = False

    def _next_step(self) -> Callable[[], None] | None:
        graph = self._graph
        if graph is None:
            return self._begin if len(self._slots) > self._few else None
        if self._renewed is None and self._count <= self._few // 4:
            return lambda: self._dissolve(graph)
        if len(self._marks) >= self._batch:
            return self._forget
        outside = len(self._slots) + len(self._waiting)
        if outside >= self._batch:
            return lambda: self._take_in(graph)
        if self._renewed is not None:
            renewed = self._renewed
            return lambda: self._copy(graph, renewed)
        if 3 * graph.gone >= len(graph) and 2 * graph.gone >= self._few:
            return lambda: self._renew(graph)
        return None

    def _do(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        def done(result: T) -> None:
            self._is_busy = False
            then(result)
            self._go_on()

        self._is_busy = True
        self._building.do(work, done)

    def _begin(self) -> None:
        self._graph = Graph(is_even=True)

    def _take_in(self, graph: Graph) -> None:
        while self._waiting and len(self._slots) < self._batch:
            self._admit()
        batch = self._slots[: self._batch]

        def taken_in(_: None) -> None:
            for held in batch:
                self._place(graph, held)
                if held.slot >= 0:
                    self._swap_remove(held)
            while self._waiting and len(self._slots) < 2 * self._batch:
                self._admit()

        self._do(lambda: self._insert(graph, batch), taken_in)

    def _admit(self) -> None:
        held = self._waiting.pop(next(iter(self._waiting)))
        if held.question is not None:
            self._append(held, held.question)

    def _renew(self, graph: Graph) -> None:
        self._renewed = Graph(is_even=not graph.is_even)
        self._copied = 0

    def _copy(self, graph: Graph, renewed: Graph) -> None:
        batch = graph.part(self._copied, self._batch)
        self._copied += self._batch

        def copied(_: None) -> None:
            for held in batch:
                self._place(renewed, held)
            if self._copied >= len(graph):
                self._graph, self._renewed = renewed, None
                self._marks = [mark for mark in self._marks if mark[0] is not graph]
                self._building.do(graph.clear, lambda _: None)

        self._do(lambda: self._insert(renewed, batch), copied)

    def _forget(self) -> None:
        marks, self._marks = self._marks, []

        def forget() -> None:
            for graph, label in marks:
                graph.forget(label)

        self._do(forget, lambda _: None)

    def _dissolve(self, graph: Graph) -> None:
        for start in range(0, len(graph), _PART):
            for held in graph.part(start, _PART):
                if held.question is not None:
                    self._append(held, held.question)
        self._graph = None
        self._marks.clear()
        self._building.do(graph.clear, lambda _: None)

    def _insert(self, graph: Graph, batch: list[Held]) -> None:
        """In the thread. Where they lie is noted on the loop, when all of them are in."""
        for held in batch:
            if held.question is not None:
                graph.insert(held.question.vector)
            time.sleep(self._building.pause_s)

    def _place(self, graph: Graph, held: Held) -> None:
        label = graph.place(held)
        if held.is_gone:
            graph.discard(label)
            self._marks.append((graph, label))
