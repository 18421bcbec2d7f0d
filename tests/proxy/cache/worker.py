"""A worker's shelf with its snapshots, as after a start; run as a program, it writes one after another until killed."""

import asyncio
import hashlib
import hmac
import sys
from pathlib import Path

from tests.fakes.telemetry import Recording
from tests.proxy.cache.building import AtOnce
from tests.proxy.cache.test_shelf import Clock, entry

from tollway._native.questions import Question
from tollway.contract.cache import CacheSpace, Selection
from tollway.proxy.cache.drawers import means
from tollway.proxy.cache.entry import Entry
from tollway.proxy.cache.shelf import Shelf
from tollway.proxy.cache.snapshots import Snapshots

MOST_BYTES = 100_000
SPACE = CacheSpace(max_entries=2_000, max_bytes=2**24)


def answer(one: Entry) -> bytes:
    return b"answer " + one.key


class Keyed:
    """Seals by a code over everything: no secrecy, and nothing that was changed opens."""

    def __init__(self, secret: bytes = b"secret") -> None:
        self.ready = True
        self._secret = secret

    def seal(self, whose: str | None, about: bytes, plain: bytes) -> bytes | None:
        return self._code(whose, about, plain) + plain

    def open(self, whose: str | None, about: bytes, sealed: bytes, most_bytes: int) -> bytes | None:
        code, plain = sealed[:32], sealed[32:]
        return plain if code == self._code(whose, about, plain) and len(plain) <= most_bytes else None

    def _code(self, whose: str | None, about: bytes, plain: bytes) -> bytes:
        return hmac.digest(self._secret, (whose or "").encode() + b"\0" + about + plain, hashlib.sha256)


class Worker:
    """Its snapshot is at ``path``, its log beside it."""

    def __init__(self, path: Path, sealed: Keyed | None = None, now_ms: int = 1_000) -> None:
        clock = Clock()
        clock.now_ms = now_ms
        self.removed: list[Selection] = []
        self.shelf = Shelf(SPACE, holds_bodies=True, now_ms=clock, building=AtOnce())
        self.recording = Recording(path.parent.parent / f"log-{id(self)}")
        self.snapshots = Snapshots(
            self.shelf, path, sealed or Keyed(), self.restore, self.recording.log, MOST_BYTES, batch_entries=8
        )

    def restore(self, one: Entry, body: bytes) -> None:
        if not any(means(selection, one) for selection in self.removed):
            self.shelf.put(one, Question(one.question) if one.question else None, body)

    def fill(self, numbers: range, tenant: str = "t1", ttl_ms: int = 3_600_000) -> list[Entry]:
        made = [
            entry(number, tenant=tenant, namespace=bytes([7]) * 32, question=f"what is number {number}", ttl_ms=ttl_ms)
            for number in numbers
        ]
        for one in made:
            self.restore(one, answer(one))
        return made

    def remove(self, selection: Selection) -> None:
        self.removed.append(selection)
        self.shelf.remove(selection)

    def listed(self) -> list[Entry]:
        return self.shelf.entries(Selection(), 10_000)


async def _write_for_ever(path: Path) -> None:
    worker = Worker(path)
    await worker.snapshots.read()
    for number in range(1_000_000):
        worker.fill(range(20 * number, 20 * number + 20))
        await worker.snapshots.write()
        print(number, flush=True)  # noqa: T201 - the test waits for it


if __name__ == "__main__":
    asyncio.run(_write_for_ever(Path(sys.argv[1])))
