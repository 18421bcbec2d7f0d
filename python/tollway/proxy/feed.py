"""The feed: what the data plane knows of the rest of the world: one snapshot, and which keys have changed.

It swaps one reference when a newer snapshot comes and keeps the last good one otherwise. It never asks for
anything while a request waits.
"""

from tollway.contract.keys import KeyChange
from tollway.contract.snapshot import Snapshot
from tollway.proxy.auth.identify import Authenticator
from tollway.telemetry.metrics import Metrics


class Feed:
    """One worker's view."""

    def __init__(self, snapshot: Snapshot, authenticator: Authenticator, metrics: Metrics) -> None:
        self._snapshot = snapshot
        self._authenticator = authenticator
        for digest, record in snapshot.file_keys:
            authenticator.pin(digest, record)
        metrics.follows_snapshot(snapshot.version)

    def current(self) -> Snapshot:
        """The snapshot to serve a request by, from its beginning to its end."""
        return self._snapshot

    def follow(self, snapshot: Snapshot) -> None:
        """Other policies hold: requests that begin from now on are served by this snapshot."""
        self._snapshot = snapshot

    def key_changed(self, change: KeyChange) -> None:
        """A key was made, changed or revoked: ask anew at its next call."""
        self._authenticator.forget(change)

    def missed_changes(self) -> None:
        """The announcements were interrupted for too long: ask anew for every key that is not the file's."""
        self._authenticator.forget_all()
