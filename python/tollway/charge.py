"""What a supervisor and its workers agree upon: where things of one host lie, and what a worker is told at its start.

It is apart from both, so that the supervisor need not load what only workers run.
"""

import os
import struct
from pathlib import Path

import msgspec

from tollway.contract.snapshot import Snapshot
from tollway.settings import Settings


class Places(msgspec.Struct, frozen=True):
    """Where the processes of one host meet, below ``storage.data_dir``."""

    data_dir: Path

    @property
    def ledger(self) -> Path:
        """The limits' ledger, mapped by every worker."""
        return self.data_dir / "run" / "ledger"

    @property
    def journal(self) -> Path:
        """The usage journal's segments."""
        return self.data_dir / "journal"

    @property
    def guardrails(self) -> Path:
        """The last known policies of the database."""
        return self.data_dir / "run" / "guardrails"

    @property
    def metrics(self) -> Path:
        """The workers' metrics."""
        return self.data_dir / "run" / "metrics"

    @property
    def lock(self) -> Path:
        """Held by the one gateway that uses this directory."""
        return self.data_dir / "run" / "lock"

    @property
    def cache(self) -> Path:
        """What the workers' caches last as."""
        return self.data_dir / "cache"

    def discard_snapshots(self, workers: int) -> None:
        """Deletes what is left of caches of workers that there are no more, from that number on, and what was not
        finished. Before any worker runs.

        Raises:
            OSError: something can't be deleted.
        """
        kept = {f"worker-{index}" for index in range(workers)}
        for path in self.cache.glob("worker-*"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def make(self) -> None:
        """Makes the directories, for this user alone."""
        for directory in (self.data_dir, self.ledger.parent, self.journal):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)


class Charge(msgspec.Struct, frozen=True):
    """What the supervisor tells a worker at its start."""

    index: int
    settings: Settings
    snapshot: Snapshot
    dsn: str
    drain_s: float
    host: str
    """What this host is known by to others: the same for all its workers, another at each start of a gateway."""


def encode_charge(charge: Charge) -> bytes:
    """A charge as it goes down the pipe: its length, then MessagePack."""
    body = msgspec.msgpack.encode(charge)
    return struct.pack("<I", len(body)) + body


def read_charge(descriptor: int) -> Charge:
    """Reads a charge; the pipe stays open."""
    (length,) = struct.unpack("<I", _read_exactly(descriptor, 4))
    return msgspec.msgpack.decode(_read_exactly(descriptor, length), type=Charge)


def _read_exactly(descriptor: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = os.read(descriptor, length - len(data))
        if not piece:
            raise EOFError("the supervisor went away before it had said what to do")
        data += piece
    return data
