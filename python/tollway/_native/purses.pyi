"""What the calls of this host may still spend, in the ledger that all its worker processes share.

Amounts are whole pico-dollars, below 2**63. ``now_ms`` are milliseconds since boot (``CLOCK_BOOTTIME``), the same for
all processes of a host and untouched by clocks that are set; the module has no clock of its own. What a bank grants is
a lease: good until a time, and absolute, so that an answer that comes twice changes nothing.
"""

from collections.abc import Sequence
from typing import final

from tollway._native.limits import Ledger

__all__ = ["Hold", "PurseSet", "Purses", "Shortage"]

@final
class PurseSet:
    """The purses that one call is paid from. Immutable."""

    def __new__(cls, names: Sequence[str], /) -> PurseSet:
        """Raises ``ValueError`` for more than 16 names, or the same twice."""

    @property
    def names(self) -> list[str]:
        """The names, in the order given."""

@final
class Hold:
    """What one call holds of each of its purses. Dropped without a settlement it is given back.

    What was not taken by this process, or before its ledger was closed, has no effect.
    """

    @property
    def held_picousd(self) -> int:
        """What is held now; 0 once it is settled."""

    def settle(self, picousd: int) -> None:
        """Spends what the call has cost in place of what was held, be it more. The last call holds: a call that is
        found to have cost more in all is settled at that. Raises ``ValueError`` for a negative cost.
        """

    def cancel(self) -> None:
        """Gives everything back: the call has cost nothing."""

    def grow(self, picousd: int, now_ms: int) -> bool:
        """Raises what is held to this much if every purse has it, else changes nothing and says no. True where that
        much is held already, or the call is settled. Raises ``ValueError`` for a negative amount.
        """

@final
class Shortage:
    """A purse that has too little; nothing is held of any. One that the bank had nothing more for, if there is one."""

    @property
    def name(self) -> str: ...
    @property
    def missing_picousd(self) -> int:
        """How much is missing: all of it where the lease has lapsed."""

    @property
    def is_exhausted(self) -> bool:
        """The bank had nothing more a moment ago: waiting does not help."""

@final
class Purses:
    """The purses of one host. Safe for threads and fork."""

    def __new__(cls, ledger: Ledger, /) -> Purses: ...
    @property
    def host_id(self) -> str:
        """What the bank knows this host by: 32 hexadecimal digits, made with the ledger's file. A new file has a new
        one, for it knows nothing of what the old one was granted. Raises ``LedgerError``, or ``OSError`` without
        randomness.
        """

    def reserve(self, purses: PurseSet, picousd: int, now_ms: int, unix_ms: int) -> Hold | Shortage:
        """Holds an amount in every purse, or nothing in any; then what is missing is noted for the next question.

        A shortage looks for dead workers, at most once a second on the whole host by ``unix_ms``.
        Raises ``LedgerFull`` or ``LedgerError``, and ``ValueError`` for a negative amount: then nothing is held.
        """

    def turn(self, now_ms: int, for_ms: int) -> int | None:
        """Takes the host's turn to ask the bank, unless a live process has it; its number. It ends by itself after
        ``for_ms``.
        """

    def end_turn(self, turn: int) -> None:
        """Gives the turn back; nothing happens where another one has begun."""

    def trim(
        self, turn: int, name: str, keep_picousd: int, now_ms: int
    ) -> tuple[int, int, int, int, int, int, int, int, int] | None:
        """Gives back what is granted beyond what is spent, held and to be kept; how the purse stands then, as of
        :meth:`standings`. ``None`` where it is not known here, or the turn is over.
        """

    def grant(self, turn: int, name: str, granted_picousd: int, until_ms: int, exhausted_until_ms: int) -> bool:
        """Notes the bank's answer: what it has granted in all, until when that is good, and until when it need not be
        asked for more. Whether it counts: not once another turn has begun.
        """

    def standings(
        self, names: Sequence[str], now_ms: int, /
    ) -> list[tuple[int, int, int, int, int, int, int, int, int] | None]:
        """How purses stand, ``None`` for one that is not known: ``(granted, spent, held, recent, short, until_ms,
        exhausted_until_ms, touched_ms, told)``.

        ``held`` is what live workers hold, ``recent`` what was reserved in the last five seconds or so, ``short`` what
        reservations have missed since the bank last answered, ``touched_ms`` when one was last tried,
        ``told`` what was spent when it was last trimmed, which comes before every question.
        """

    def forget(self, name: str) -> bool:
        """Forgets a purse of which nothing is held; whether it did. Only for one that is never asked for again."""
