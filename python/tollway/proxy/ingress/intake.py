"""Room for bodies that are still arriving: the one memory that callers take before any limit of theirs is asked.

A body that comes in one piece, as most do, never meets it. The rest is counted as it arrives, per tenant and in all, so
that one tenant's uploads can't take the room of the others.
"""

from types import TracebackType
from typing import Self

from tollway.errors import RateLimited, ServerBusy

TOTAL_BYTES = 256 * 1024 * 1024
"""Of bodies that are arriving, one worker holds so much."""

TENANT_BYTES = TOTAL_BYTES // 2
"""Of these, one tenant may take half."""

RETRY_AFTER_S = 1.0


class Intake:
    """One worker's room. It never holds more tenants than have bodies arriving."""

    def __init__(self, total_bytes: int = TOTAL_BYTES, tenant_bytes: int = TENANT_BYTES) -> None:
        self._total_bytes = total_bytes
        self._tenant_bytes = tenant_bytes
        self._held_bytes = 0
        self._held_by: dict[str, int] = {}

    @property
    def held_bytes(self) -> int:
        """What is taken now."""
        return self._held_bytes

    def room(self, tenant_id: str) -> "Room":
        """Room for one body."""
        return Room(self, tenant_id)

    def take(self, tenant_id: str, size_bytes: int) -> None:
        """Counts bytes that have arrived.

        Raises:
            RateLimited: the tenant's share is taken.
            ServerBusy: all of it is.
        """
        if not size_bytes:
            return
        mine = self._held_by.get(tenant_id, 0) + size_bytes
        if mine > self._tenant_bytes:
            message = "Too many bytes of requests are arriving at once for this tenant. Send fewer at a time."
            raise RateLimited(message, retry_after_s=RETRY_AFTER_S)
        if self._held_bytes + size_bytes > self._total_bytes:
            message = "Too many bytes of requests are arriving at once. Try again shortly."
            raise ServerBusy(message, retry_after_s=RETRY_AFTER_S)
        self._held_bytes += size_bytes
        self._held_by[tenant_id] = mine

    def give_back(self, tenant_id: str, size_bytes: int) -> None:
        """The bytes are in a request now, or dropped."""
        if not size_bytes:
            return
        self._held_bytes -= size_bytes
        left = self._held_by[tenant_id] - size_bytes
        if left:
            self._held_by[tenant_id] = left
        else:
            del self._held_by[tenant_id]


class Room:
    """What one body has taken; given back at the end of the ``with`` block."""

    __slots__ = ("_intake", "_taken_bytes", "_tenant_id")

    def __init__(self, intake: Intake, tenant_id: str) -> None:
        self._intake = intake
        self._tenant_id = tenant_id
        self._taken_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """All that was taken goes back; what a ``with`` block does at its end."""
        taken, self._taken_bytes = self._taken_bytes, 0
        self._intake.give_back(self._tenant_id, taken)

    def take(self, size_bytes: int) -> None:
        """A piece has arrived, and more are to come. Errors as :meth:`Intake.take`."""
        self._intake.take(self._tenant_id, size_bytes)
        self._taken_bytes += size_bytes
