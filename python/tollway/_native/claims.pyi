"""Which of this host's workers asks a model what several want to know, in the ledger that all of them share.

A claim is advice: it says who waits for whom and nothing of any answer. It ends when it is dropped, at its deadline,
or with its worker. Keys are told apart by their first 16 bytes. ``now_ms`` is Unix time; the module has no clock of
its own.
"""

from typing import final

from tollway._native.limits import Ledger

__all__ = ["Claims"]

@final
class Claims:
    """The host's claims: 4,096 at a time. Raises ``LedgerError`` where the ledger can't be used."""

    def __new__(cls, ledger: Ledger, /) -> Claims: ...
    def take(self, key: bytes, now_ms: int, for_ms: int) -> bool:
        """Claims a key of 32 bytes for so long, ten minutes at most. False while somebody has it, be it this process;
        True also where there is no room for a claim. Raises ``ValueError`` for a key of another length.
        """

    def drop(self, key: bytes) -> None:
        """Ends this process's claim, if it has one. Raises ``ValueError`` for a key of another length."""
