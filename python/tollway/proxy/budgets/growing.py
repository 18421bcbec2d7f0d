"""A stream that outgrows the money held for it: more is held while it flows.

In: how much it has said. Out: nothing. A budget lets an answer that has begun finish: its true cost is settled at its
end, and those who come next find the less. Limits of tokens hear of it through here, and may end it.
"""

from tollway._native.limits import LedgerError
from tollway.proxy.exchange import Growing, Reserved

STEP_TOKENS = 1024
"""So many more are held for at once."""

BYTES_PER_TOKEN = 4
"""Of English."""


class Spending:
    """One call's; ``limits`` is what its limits want to hear."""

    __slots__ = ("_limits", "_next_bytes", "_reserved", "next_bytes")

    def __init__(self, reserved: Reserved, limits: Growing | None) -> None:
        self._reserved = reserved
        self._limits = limits
        self._next_bytes = STEP_TOKENS * BYTES_PER_TOKEN
        self.next_bytes = self._next_bytes if limits is None else min(self._next_bytes, limits.next_bytes)

    @property
    def is_over(self) -> bool:
        """Whether a limit has ended the answer."""
        return self._limits is not None and self._limits.is_over

    def reach(self, said_bytes: int) -> None:
        """So many bytes of text have been said.

        Raises:
            RateLimited: a limit does not let the answer go on.
        """
        if said_bytes >= self._next_bytes:
            tokens = -(-said_bytes // BYTES_PER_TOKEN) + STEP_TOKENS
            self._next_bytes = tokens * BYTES_PER_TOKEN
            self._hold(tokens)
        self.next_bytes = self._next_bytes
        if self._limits is not None:
            if said_bytes >= self._limits.next_bytes:
                self._limits.reach(said_bytes)
            self.next_bytes = min(self._next_bytes, self._limits.next_bytes)

    def _hold(self, tokens: int) -> None:
        try:
            self._reserved.grow(tokens)
        except LedgerError:
            return  # out of reach for a while: what the answer has cost is settled at its end
