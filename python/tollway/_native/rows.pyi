"""Usage rows as the journal holds them, made into what PostgreSQL copies in binary (station 8's other end)."""

from typing import Final, final

__all__ = ["COLUMNS", "Batch"]

COLUMNS: Final[int]
"""How many columns a row becomes: those of `tollway.storage.usage.COLUMNS`, in their order."""

@final
class Batch:
    """Rows on their way to one `COPY … (format binary)`."""

    def __new__(cls) -> Batch: ...
    def add(self, payload: bytes) -> None:
        """Adds a row: a `UsageRow` in MessagePack. Fields that a newer version appended are passed over.

        Raises ValueError if it is none, or holds a number that its column can't; the batch is then what it was.
        """

    def copy(self) -> bytes:
        """All that is to be sent for its rows."""

    def copy_of(self, index: int) -> bytes:
        """All that is to be sent for one of them. Raises ValueError if there are not so many."""

    def __len__(self) -> int: ...
