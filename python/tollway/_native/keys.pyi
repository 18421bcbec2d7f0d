"""API keys: making and checking them, and the table of known ones (station 1, L1).

Secrets come in, digests and answers go out. Nothing here is stored beyond the table, and the table holds digests only.
All times are integer milliseconds on the caller's clock.
"""

from types import GenericAlias
from typing import Any, Generic, TypeVar, final

__all__ = [
    "EXPIRED",
    "FRESH",
    "REFUSED",
    "STALE",
    "UNKNOWN",
    "KeyTable",
    "digest",
    "generate",
    "prefix",
    "well_formed",
]

_V = TypeVar("_V")

UNKNOWN: int
"""The table knows nothing of the key: ask the database."""
REFUSED: int
"""The database did not know it a moment ago: refuse."""
FRESH: int
"""Known and recently confirmed."""
STALE: int
"""Known but due for confirmation: ask again; while nobody answers it may be served."""
EXPIRED: int
"""The key's own end has come: refuse."""

def generate(environment: str) -> str:
    """A new key `tw_<environment>_<43 characters><6 characters of checksum>` with 256 bits from the operating system.

    Raises ValueError unless the environment (`live`, `test`, `admin`) is 1 to 12 letters from a to z, and OSError when
    the operating system gives no randomness.
    """

def well_formed(secret: bytes) -> bool:
    """Whether the form and the checksum are right. Any bytes of any length; the work is bounded by a key's length."""

def prefix(secret: str) -> str:
    """What may be shown of a secret: `tw_live_` and six characters; of one in another form at most four characters."""

def digest(secret: bytes) -> bytes:
    """SHA-256: the 32 bytes under which a secret is stored. Fast on purpose: a key carries 256 random bits."""

@final
class KeyTable(Generic[_V]):
    """Values by the digest of a key. Look-up, insertion and eviction cost the same for a thousand keys and a million.

    At most `capacity` learnt and `negative_capacity` refused entries are kept, each kind giving up its least recently
    used. Pinned entries (from the configuration file) are neither counted nor evicted. Digests other than 32 bytes
    raise ValueError, negative numbers OverflowError.
    """

    def __new__(cls, capacity: int, negative_capacity: int) -> KeyTable[_V]: ...
    def find(self, secret: bytes, now_ms: int) -> tuple[int, _V | None]:
        """Digests the secret and looks it up: one of the states above, and the value if it is FRESH or STALE."""

    def insert(self, digest: bytes, value: _V, group: int, fresh_until_ms: int, expires_ms: int | None) -> None:
        """Learns a key and ends a refusal of it. `group`: a number that keys of one tenant share, 0 to 2**64 - 1."""

    def pin(self, digest: bytes, value: _V, expires_ms: int | None) -> None:
        """Adds a key that the configuration file declares; it is always FRESH until it expires."""

    def refuse(self, digest: bytes, until_ms: int) -> None:
        """Remembers that the database does not know this key, or no longer. Pinned keys stay valid."""

    def forget(self, digest: bytes) -> bool:
        """Drops what was learnt of a key, known or refused. False if that was nothing. Pinned keys stay."""

    def forget_group(self, group: int) -> int:
        """Drops the known keys of a group; returns how many. Costs as much as they are."""

    def clear_unpinned(self) -> None:
        """Drops everything learnt."""

    def clear_pinned(self) -> None:
        """Drops what the former configuration file declared."""

    def __len__(self) -> int:
        """Known and pinned keys."""

    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
