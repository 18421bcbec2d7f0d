"""The answers that this worker knows of: its own shelf, and what it has in common with other workers and hosts.

In: answers that its calls have filled, and those that others tell of; removals, from anywhere. Out: entries and their
bodies. What was removed stays removed, in whatever order things arrive: what was there is forgotten at once, and what
was under way is not taken in. Nothing here raises, and nothing holds the event loop.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tollway._native.questions import Question
from tollway.contract.cache import CacheSpace, Selection
from tollway.proxy.cache.entry import Call, Entry, Near
from tollway.proxy.cache.port import Commons
from tollway.proxy.cache.shelf import Shelf, Stats
from tollway.proxy.cache.snapshots import Snapshots, path_of
from tollway.storage.cache.forgotten import Forgotten
from tollway.storage.cache.sealing import Sealing
from tollway.storage.cache.siblings import SiblingAnswers
from tollway.storage.commands import first_of
from tollway.telemetry.logs import Log

if TYPE_CHECKING:
    from tollway.storage.cache.shared import SharedAnswers

SKEW_MS = 5_000
"""What was kept somewhere is not taken back if it was filled less than this after a removal: clocks may differ."""

_SWEEP_EVERY_S = 0.1
_PAUSE_S = 0.001
_PAGE = 256
_CLOSE_S = 5.0


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class KnownAnswers:
    """One worker's, as :class:`tollway.proxy.cache.port.Answers` says, and what the control plane asks of it.

    ``open_commons`` is called once, with this. ``arrived`` is told the keys of entries that others have filled.
    """

    def __init__(self, space: CacheSpace, open_commons: "Callable[[KnownAnswers], Commons]") -> None:
        self.forgotten = Forgotten()
        self.arrived: Callable[[bytes], None] = _nobody
        self._commons = open_commons(self)
        self._shelf = Shelf(space, holds_bodies=not self._commons.holds_bodies, now_ms=now_ms)
        self._snapshots: Snapshots | None = None

    def last(self, path: Path, sealing: Sealing, log: Log, most_bytes: int) -> None:
        """What is here lasts in that file, of which no answer has more than ``most_bytes``."""
        self._snapshots = Snapshots(self._shelf, path, sealing, self.restore, log, most_bytes)

    def find(self, key: bytes) -> Entry | None:
        """The entry of that key, if it has not expired."""
        return self._shelf.find(key)

    def near(self, namespace: bytes, question: Question) -> Sequence[Near]:
        """The entries of the namespace that are most similar, best first, a few only. Never another namespace's."""
        return self._shelf.near(namespace, question)

    async def body(self, entry: Entry) -> bytes | None:
        """The answer; ``None`` when it is gone, or can't be had in time."""
        return await self._commons.body(entry) if self._commons.holds_bodies else self._shelf.body(entry)

    def keep(self, entry: Entry, question: Question | None, body: bytes) -> None:
        """Keeps an answer and tells others of it, unless it was removed since its call began; never waits."""
        begun_ns = _begun_ns(entry)
        if self.forgotten.since(entry, begun_ns):
            return
        evicted = self._shelf.put(entry, question, body)
        self._commons.evicted(evicted)
        if self._shelf.find(entry.key) is entry:
            self._commons.fill(entry, body, begun_ns)

    def served(self, entry: Entry) -> None:
        """It has been served once more: what saves much stays longest."""
        self._shelf.served(entry)

    def is_removed(self, call: Call, begun_ns: int) -> bool:
        """Whether answers like that call's have been removed since ``begun_ns``, by ``time.monotonic_ns()``."""
        return self.forgotten.since(call, begun_ns)

    async def remove(self, selection: Selection) -> bool:
        """Forgets what is meant, here at once. ``True``: nobody whom this worker can reach serves any of it from
        now on; ``False``: not everybody has said so within a second, and they are told again."""
        removed = self._forget(selection)
        self.forgotten.note(selection, at_ms=0 if self._commons.holds_bodies else now_ms())
        if selection.key is not None and removed:  # a key is one tenant's, and removals of one tenant concern it alone
            selection = msgspec.structs.replace(selection, tenant_id=removed[0].tenant_id)
        return await self._commons.remove(selection, removed)

    def forget(self, selection: Selection, at_ms: int, age_ms: int) -> None:
        """Somebody has said so to all hosts at ``at_ms``, Unix time, which was ``age_ms`` ago. Where it was heard since
        then by another way, what was filled after that is not meant."""
        if self.forgotten.has(selection, time.monotonic_ns() - age_ms * 1_000_000):
            self.forgotten.note(selection, at_ms=at_ms, heard_ns=0)
        else:
            self.forgotten.note(selection, at_ms=at_ms)
            self._forget(selection)

    def stats(self) -> Stats:
        """What the shelf holds."""
        return self._shelf.stats()

    def entries(self, selection: Selection, most: int, after: bytes = b"") -> Sequence[Entry]:
        """The first of those that are meant, in the order of their keys, of those beyond ``after``."""
        return self._shelf.entries(selection, most, after)

    def filled(self, entry: Entry, body: bytes | None = None) -> None:
        """Another worker has filled it. What is here may be newer."""
        known = self._shelf.find(entry.key)
        if known is not None and known.filled_at_ms >= entry.filled_at_ms:
            return
        self._shelf.put(entry, _question(entry), body)
        self.arrived(entry.key)

    def restore(self, entry: Entry, body: bytes | None) -> None:
        """It was kept on a disk."""
        if not self.forgotten.dated(entry, SKEW_MS):
            self.filled(entry, body)

    def removed(self, selection: Selection) -> None:
        """Another worker has removed what is meant."""
        self._forget(selection)

    def gone(self, entry: Entry) -> None:
        """Its body is not there, and won't be."""
        known = self._shelf.find(entry.key)
        if known is not None and known.filled_at_ms == entry.filled_at_ms:
            self._shelf.remove(Selection(tenant_id=entry.tenant_id, key=entry.key))

    async def all(self) -> AsyncGenerator[tuple[Entry, bytes], None]:
        """All that is here with its body, while it changes."""
        after = b""
        while page := self._shelf.entries(Selection(), _PAGE, after):
            for entry in page:
                body = self._shelf.body(entry)
                if body is not None:
                    yield entry, body
            after = page[-1].key
            await asyncio.sleep(_PAUSE_S)

    async def run(self) -> None:
        """Tells, hears and clears away, for ever; ends when it is cancelled, with nothing left open."""
        if self._snapshots is None:
            await first_of(self._commons.run(), self._sweep())
        else:
            await first_of(self._commons.run(), self._sweep(), self._snapshots.run())

    async def close(self) -> None:
        """What is here is on the disk, where it is to last, if that does not take too long."""
        if self._snapshots is not None:
            await self._snapshots.write(_CLOSE_S)
        self._shelf.close()

    def _forget(self, selection: Selection) -> list[Entry]:
        return self._shelf.remove(selection)

    async def _sweep(self) -> None:
        while True:
            has_more = self._shelf.sweep()
            await asyncio.sleep(_PAUSE_S if has_more else _SWEEP_EVERY_S)


def open_answers(
    space: CacheSpace, redis_url: str | None, data_dir: Path, index: int, sealing: Sealing, log: Log
) -> KnownAnswers:
    """One worker's, in common with all hosts of that Redis, else with the workers of this host, which meet below
    ``data_dir`` and keep there what they have: this one is the one of that ``index``.

    Raises:
        ValueError: the address of Redis cannot be used; the text does not repeat it.
    """
    decode = msgspec.msgpack.Decoder(Entry).decode

    def shared(answers: KnownAnswers) -> Commons:
        module = import_module("tollway.storage.cache.shared")  # who has no Redis need not load its client
        opening: type[SharedAnswers[Entry]] = module.SharedAnswers
        filled, removed, gone = answers.filled, answers.removed, answers.gone
        return opening(redis_url or "", space, sealing, answers.forgotten, decode, filled, removed, gone, log)

    def siblings(answers: KnownAnswers) -> Commons:
        filled, removed = answers.filled, answers.removed
        run = data_dir / "run"
        return SiblingAnswers(run, index, space, answers.forgotten, decode, filled, removed, answers.all, log)

    if redis_url is not None:
        return KnownAnswers(space, shared)
    answers = KnownAnswers(space, siblings)
    answers.last(path_of(data_dir / "cache", index), sealing, log, space.max_answer_bytes)
    return answers


def _question(entry: Entry) -> Question | None:
    """Of an entry that is found by its key alone there is none, and none of a text that makes no question here."""
    if not entry.namespace or not entry.question:
        return None
    try:
        return Question(entry.question)
    except ValueError:
        return None


def _begun_ns(entry: Entry) -> int:
    """When its call began, by ``time.monotonic_ns()``. A clock that was set back says nothing: long ago."""
    ago_ms = now_ms() - entry.filled_at_ms
    return time.monotonic_ns() - (ago_ms + 1) * 1_000_000 if ago_ms >= 0 else 0


def _nobody(_key: bytes) -> None:
    """Nobody waits."""
