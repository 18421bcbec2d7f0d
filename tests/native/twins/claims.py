"""The slow twin of ``tollway._native.claims``: a dictionary of keys, with whose they are and until when."""

from dataclasses import dataclass, field

MOST_MS = 600_000


@dataclass
class Board:
    """One host's claims."""

    claims: dict[bytes, tuple[int, int]] = field(default_factory=dict)

    def take(self, worker: int, key: bytes, now_ms: int, for_ms: int) -> bool:
        """Claims a key, unless somebody has it."""
        _, until_ms = self.claims.get(key, (worker, now_ms))
        if now_ms < until_ms <= now_ms + MOST_MS:
            return False
        self.claims[key] = (worker, now_ms + min(for_ms, MOST_MS))
        return True

    def drop(self, worker: int, key: bytes) -> None:
        """Ends a worker's claim."""
        if self.claims.get(key, (None, 0))[0] == worker:
            del self.claims[key]

    def die(self, worker: int) -> None:
        """A worker's claims end with it."""
        self.claims = {key: claim for key, claim in self.claims.items() if claim[0] != worker}
