"""Calls of the gateway's own that a provider bills, and where they are written down."""

from typing import Protocol

import msgspec

from tollway.contract.keys import KeyRecord
from tollway.contract.snapshot import Operation, Target


class OwnCall(msgspec.Struct, frozen=True):
    """One of them: ``alias`` was asked on account of a call of ``record``.

    ``at_us`` is when it left, in Unix microseconds, ``took_ms`` how long it took. ``status`` is 0 and ``body`` ``None``
    where no answer came; ``prompt_bytes`` is the size of what was asked.
    """

    record: KeyRecord
    alias: str
    target: Target
    operation: Operation
    prompt_bytes: int
    at_us: int = 0
    took_ms: int = 0
    status: int = 0
    body: bytes | None = None


class Books(Protocol):
    """Where they are written down."""

    def check_room(self) -> None:
        """To be called before one is made.

        Raises:
            tollway.errors.DependencyUnavailable: it could not be written down.
        """
        ...

    def record(self, call: OwnCall) -> None:
        """Writes one down that has left."""
        ...
