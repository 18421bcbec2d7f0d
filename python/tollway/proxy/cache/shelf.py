"""The answers that a worker has: found by key, or by a question of the same namespace that is similar.

All of it is called on the event loop, and none of it holds that for longer than a slice of work: what takes longer is
marked at once and done bit by bit in :meth:`Shelf.sweep`. Nothing here raises.
"""

from collections import deque
from collections.abc import Callable

import msgspec

from tollway._native.questions import Question
from tollway.contract.cache import CacheSpace, Selection
from tollway.proxy.cache.building import Building, BuildingThread
from tollway.proxy.cache.drawers import PARTS, Catalogue, Drawers
from tollway.proxy.cache.entry import Entry, Near
from tollway.proxy.cache.held import Held, taken_bytes
from tollway.proxy.cache.nearest import FEW, Nearest
from tollway.proxy.cache.worth import Worth

_MOST_EVICTED = 256
"""What makes room for one entry, at most: whatever needs more is not kept, and finds room the next time."""

_SLICE = 200
"""How many entries are taken apart at a time: below a millisecond."""


class Stats(msgspec.Struct, frozen=True):
    """What the shelf holds now, and what it has dropped since it is there. ``bytes`` are those that ``max_bytes``
    bounds: of bodies (where they lie elsewhere, as they were told), of questions and vectors."""

    entries: int
    bytes: int
    questions: int
    namespaces: int
    evicted: int
    expired: int
    removed: int


class Shelf:
    """Entries within the bounds of ``space``, and their bodies where it ``holds_bodies``.

    ``now_ms`` is the clock: Unix milliseconds. Namespaces of more than ``few`` questions are searched by a graph, which
    ``building`` builds: by itself in a thread that :meth:`close` ends. ``on_removal`` is called at each removal,
    whether anything was there or not.
    """

    def __init__(
        self,
        space: CacheSpace,
        *,
        holds_bodies: bool,
        now_ms: Callable[[], int],
        building: Building | None = None,
        few: int = FEW,
    ) -> None:
        self.on_removal: Callable[[], None] | None = None
        self._space = space
        self._holds_bodies = holds_bodies
        self._now_ms = now_ms
        self._building = building or BuildingThread()
        self._few = few
        self._catalogue = Catalogue()
        self._namespaces: Drawers[Held | Nearest] = Drawers()
        self._worth = Worth()
        self._gone: deque[Held] = deque()
        self._swept = 0
        self._count = 0
        self._bytes = 0
        self._questions = 0
        self._numbered = 0
        self._changes = 0
        self._evicted = self._expired = self._removed = 0

    def __len__(self) -> int:
        return self._count

    @property
    def changes(self) -> int:
        """It grows whenever an entry is put or removed."""
        return self._changes

    def find(self, key: bytes) -> Entry | None:
        """The entry of that key, if it has not expired."""
        held = self._catalogue.get(key)
        return held.entry if held is not None and held.serves(self._now_ms()) else None

    def near(self, namespace: bytes, question: Question, most: int = 8) -> list[Near]:
        """The entries of the namespace that are most similar, best first. Never another namespace's."""
        found = self._namespaces.get(namespace) if namespace else None
        if found is None:
            return []
        if isinstance(found, Nearest):
            return found.near(question, most, self._now_ms())
        if found.question is None or not found.serves(self._now_ms()) or most < 1:
            return []
        return [Near(found.entry, found.question, question.similarity(found.question))]

    def body(self, entry: Entry) -> bytes | None:
        """The answer of that very entry, where bodies are held here."""
        held = self._of(entry)
        return held.body if held is not None else None

    def served(self, entry: Entry) -> None:
        """It has been served once more: what saves much stays longest."""
        held = self._of(entry)
        if held is not None:
            self._worth.served(held)

    def put(self, entry: Entry, question: Question | None, body: bytes | None) -> list[Entry]:
        """Keeps an entry in place of an older one of its key, and returns what had to go for it.

        What has expired, is older than what is there, or is larger than all of the space is not kept. ``question`` is
        the entry's own; without one, or without a namespace, it is found by its key alone.
        """
        self._take_apart(2)
        body = body if self._holds_bodies else None
        taken = taken_bytes(entry, body)
        known = self._catalogue.get(entry.key)
        is_late = known is not None and not known.is_gone and known.entry.filled_at_ms > entry.filled_at_ms
        if is_late or entry.expires_at_ms <= self._now_ms() or taken > self._space.max_bytes:
            return []
        hits = 1
        if known is not None and not known.is_gone:
            hits = known.hits
            self._drop(known)
        evicted = self._make_room(taken, _MOST_EVICTED)
        if self._lacks_room(taken):
            return evicted
        self._changes += 1
        self._numbered += 1
        held = Held(entry, question if entry.namespace else None, body, taken, self._numbered, hits)
        self._add(held)
        return evicted

    def remove(self, selection: Selection) -> list[Entry]:
        """Forgets the entries that are meant; nobody is served them any more when it returns."""
        removed = self._catalogue.select(selection)
        taken = 0
        for held in removed:
            held.is_gone = True
            taken += held.taken_bytes
        self._count -= len(removed)
        self._bytes -= taken
        self._gone.extend(removed)
        self._changes += bool(removed)
        self._removed += len(removed)
        self._take_apart(_SLICE)
        if self.on_removal is not None:
            self.on_removal()
        return [held.entry for held in removed]

    def entries(self, selection: Selection, most: int, after: bytes = b"") -> list[Entry]:
        """The first of those that are meant, in the order of their keys, of those beyond ``after``."""
        return self._catalogue.page(selection, most, after, self._now_ms())

    def part(self, number: int) -> list[tuple[Entry, bytes]]:
        """One of 256 parts, from 0 on, of what may be served and whose bodies are here."""
        now_ms = self._now_ms()
        held = (each for each in self._catalogue.part(number) if each.serves(now_ms))
        return [(each.entry, each.body) for each in held if each.body is not None]

    def stats(self) -> Stats:
        """What it holds."""
        return Stats(
            entries=len(self),
            bytes=self._bytes,
            questions=self._questions,
            namespaces=len(self._namespaces),
            evicted=self._evicted,
            expired=self._expired,
            removed=self._removed,
        )

    def resize(self, space: CacheSpace) -> None:
        """Other bounds: what is over them goes with the next sweeps."""
        self._space = space

    def sweep(self) -> bool:
        """One slice of what is to be cleared away; whether there is more of it that is known of.

        What has expired is found by walking through the drawers: one a slice, so in 256 slices all.
        """
        if not self._take_apart(_SLICE):
            self._expire()
            self._make_room(0, _SLICE, entries=0)
        return bool(self._gone) or self._lacks_room(0, entries=0)

    def close(self) -> None:
        """Ends the thread that builds graphs."""
        self._building.close()

    def _of(self, entry: Entry) -> Held | None:
        held = self._catalogue.get(entry.key)
        if held is None or held.is_gone or held.entry.filled_at_ms != entry.filled_at_ms:
            return None
        return held

    def _add(self, held: Held) -> None:
        self._catalogue.add(held)
        self._worth.add(held)
        self._count += 1
        self._bytes += held.taken_bytes
        if held.question is not None:
            self._questions += 1
            self._place(held, held.question)

    def _place(self, held: Held, question: Question) -> None:
        namespace = held.entry.namespace
        found = self._namespaces.get(namespace)
        if found is None:
            self._namespaces.put(namespace, held)  # most namespaces have one entry: a conversation's last turn
        elif isinstance(found, Nearest):
            found.add(held, question)
        else:
            nearest = Nearest(self._building, self._few)
            for each in (found, held):
                if each.question is not None:
                    nearest.add(each, each.question)
            self._namespaces.put(namespace, nearest)

    def _lacks_room(self, taken: int, entries: int = 1) -> bool:
        space = self._space
        return len(self) + entries > space.max_entries or self._bytes + taken > space.max_bytes

    def _make_room(self, taken: int, most: int, entries: int = 1) -> list[Entry]:
        evicted: list[Entry] = []
        while self._lacks_room(taken, entries) and len(evicted) < most:
            held = self._worth.least()
            if held is None:
                break
            self._drop(held)
            evicted.append(held.entry)
        self._evicted += len(evicted)
        return evicted

    def _expire(self) -> int:
        """Of one drawer: what has expired is served to nobody, so that it may lie there until its turn comes."""
        now_ms = self._now_ms()
        expired = [held for held in self._catalogue.part(self._swept) if held.entry.expires_at_ms <= now_ms]
        self._swept = (self._swept + 1) % PARTS
        for held in expired:
            self._drop(held)
        self._expired += len(expired)
        return len(expired)

    def _mark(self, held: Held) -> None:
        if not held.is_gone:
            held.is_gone = True
            self._count -= 1
            self._bytes -= held.taken_bytes

    def _drop(self, held: Held) -> None:
        self._mark(held)
        self._unplace(held)

    def _take_apart(self, most: int) -> int:
        done = 0
        while self._gone and done < most:
            self._unplace(self._gone.popleft())
            done += 1
        return done

    def _unplace(self, held: Held) -> None:
        held.body = None
        self._worth.discard(held)
        self._catalogue.discard(held)
        if held.question is None:
            return
        self._questions -= 1
        namespace = held.entry.namespace
        found = self._namespaces.get(namespace)
        if found is held:
            self._namespaces.pop(namespace)
        elif isinstance(found, Nearest):
            found.discard(held)
            if not len(found):
                self._namespaces.pop(namespace)
