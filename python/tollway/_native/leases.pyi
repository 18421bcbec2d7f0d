"""What this host holds of limits that many hosts share, in the ledger's file; all workers of the host see the same.

``steady_ms`` is ``time.monotonic`` in milliseconds, read by the extension itself when left out. Nothing here talks to a
Redis: whoever has a connection carries :class:`Question` there and the answer back.
"""

from collections.abc import Sequence
from typing import Literal, final

from tollway._native.limits import Ledger, Short

__all__ = ["Leases", "Question"]

@final
class Question:
    """One round trip. What it tells is true when it is made: it is sent at once or given up (``Leases.unanswered``)."""

    @property
    def host(self) -> str:
        """What this host is known by."""

    @property
    def memory(self) -> bytes:
        """What Redis is taken to remember; empty before it was ever heard of."""

    @property
    def messages(self) -> list[tuple[str, int, int, int, int, int, int, int, int, list[int]]]:
        """Of each counter: key, window (ms; 0 for concurrency), width of its buckets (ms), how many buckets before the
        current one count, limit, number of the question, bucket of the last grant, what calls need, what would do
        for a while, and buckets and amounts by turns that this host has spent or holds. None: the host says that it
        is there."""

@final
class Leases:
    """The host's leases. Raises ``LedgerError`` when the ledger is out of reach."""

    def __new__(cls, ledger: Ledger, /) -> Leases: ...
    def begin(self, host: str, steady_ms: int | None = None) -> str:
        """Begins to hold limits with other hosts, as ``host`` (a UUID in hexadecimal) unless the file has a name
        already; the name it has.

        From now on limit sets that are ``shared`` need leases. Raises ``ValueError`` for a name that is none.
        """

    def connect(self, connected: bool) -> None:
        """Notes whether this worker can reach Redis; while none of the host's can, each limit is held by a share."""

    def question(self, steady_ms: int | None = None) -> Question | None:
        """What Redis is to be asked now, if anything is."""

    def answered(
        self,
        question: Question,
        redis_ms: int,
        hosts: int,
        settling_ms: int,
        granted: Sequence[tuple[int, int, int, bool, bool, int] | None],
        steady_ms: int | None = None,
    ) -> None:
        """Takes in an answer: of each message the bucket, what is granted in it, what is left to all, whether units are
        handed out one by one, whether the need was met, and when so much comes free (ms); ``None`` where a later one
        was heeded."""

    def unanswered(self, question: Question) -> None:
        """There is no answer: what was told is told again."""

    def remember(self, memory: bytes) -> None:
        """Redis remembers by this name: if it is another than before, everything is told anew.

        Raises ``ValueError`` unless it has 1 to 32 bytes, none of them zero.
        """

    def is_answered(self, short: Short) -> bool:
        """Whether Redis has answered what the call waits for, one way or the other: it may try again."""

    def reign(self, steady_ms: int | None = None) -> tuple[Literal["alone", "leased", "shared"], int]:
        """By what limits are held now, and how many hosts hold them, as far as is known. ``alone``: by this host, for
        there is no Redis; ``shared``: Redis is out of reach or learns anew, and each host keeps to its share."""
