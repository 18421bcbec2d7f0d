"""Guardrail policies that people made through the API: all that hold, whenever they are not what they were.

In: a DSN. Out: a call with every policy there is, and the secret that digests are keyed by. A change is heard at once,
and found within :data:`~tollway.storage.subscription.POLL_S` and a round trip when its announcement is lost. While the
database is out of reach the last known policies hold; a copy on disk is what a worker begins with that starts then.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import msgspec

from tollway.storage.pool import Connection
from tollway.storage.subscription import POLL_S, Subscription
from tollway.telemetry.logs import Log

CHANNEL = "tollway_guardrails"
MOST_POLICIES = 1_000
"""So many are heeded, by name; the API makes no more."""

COPY_BYTES_MAX = 256 << 20
"""A larger copy is none of ours."""


class StoredPolicy(msgspec.Struct, frozen=True):
    """A version that holds. ``body`` is JSON in the words of the configuration file."""

    name: str
    version: int
    created_at: datetime
    body: bytes


class StoredPolicies(msgspec.Struct, frozen=True):
    """All of them by name, and what digests are keyed by."""

    secret: bytes
    policies: tuple[StoredPolicy, ...]

    def __repr__(self) -> str:
        """Without the secret."""
        return f"StoredPolicies(policies={self.policies!r})"


_Version = tuple[str, int, datetime]

_VERSIONS = "select name, version, created_at from guardrail_policies where is_active order by name limit $1"

_BODIES = """
    select name, version, created_at, body::text as body from guardrail_policies
    where (name, version) in (select * from unnest($1::text[], $2::bigint[]))
"""


class PolicyChanges:
    """Follows policies on a connection of its own.

    ``on_change`` is awaited with all of them, and not before there is something to tell; ``copy`` is where the last
    known ones are kept on disk, for this user alone.
    """

    def __init__(
        self,
        dsn: str,
        on_change: Callable[[StoredPolicies], Awaitable[None]],
        copy: Path,
        log: Log,
        *,
        poll_s: float = POLL_S,
    ) -> None:
        self._on_change = on_change
        self._copy = copy
        self._log = log
        self._last: StoredPolicies | None = None
        self._known: dict[_Version, StoredPolicy] = {}
        self._subscription = Subscription(
            dsn, CHANNEL, application_name="tollway guardrails", ask=self._ask, heard=self._hear, poll_s=poll_s
        )

    @property
    def connected(self) -> bool:
        """Whether changes are heard now, as far as the last question can tell."""
        return self._subscription.connected

    async def learn(self) -> bool:
        """Ask once, before anybody is served: nothing may pass a policy that is there. Where the database is out of
        reach, which takes seconds to know, the copy on disk has to do; ``False`` without one."""
        if await self._subscription.ask_once():
            return True
        copied = self._recall()
        if copied is None:
            return False
        self._log.warning("guardrails_from_copy", policies=len(copied.policies))
        await self._on_change(copied)
        return True

    async def follow(self) -> None:
        """Follow for ever, through outages; ends when it is cancelled."""
        await self._subscription.follow()

    def _hear(self, _payload: str) -> None:
        self._subscription.ask_soon()

    async def _ask(self, connection: Connection) -> None:
        rows = await connection.fetch(_VERSIONS, MOST_POLICIES)
        versions: list[_Version] = [(row["name"], row["version"], row["created_at"]) for row in rows]
        if self._last is not None and versions == list(self._known):
            return
        known = await self._with_bodies(connection, versions)
        secret = self._last.secret if self._last else await connection.fetchval("select secret from guardrail_secret")
        found = StoredPolicies(secret, tuple(known.values()))
        await self._on_change(found)
        self._last, self._known = found, known  # only now: what could not be taken is told again
        await asyncio.to_thread(self._keep, found)

    async def _with_bodies(self, connection: Connection, versions: list[_Version]) -> dict[_Version, StoredPolicy]:
        new = [version for version in versions if version not in self._known]
        rows = await connection.fetch(_BODIES, [name for name, _, _ in new], [number for _, number, _ in new])
        fetched = [StoredPolicy(row["name"], row["version"], row["created_at"], row["body"].encode()) for row in rows]
        known = self._known | {(policy.name, policy.version, policy.created_at): policy for policy in fetched}
        return {version: known[version] for version in versions if version in known}

    def _keep(self, found: StoredPolicies) -> None:
        """Several workers of a host write the same: each to a file of its own, which then takes the place."""
        beside = self._copy.with_name(f"{self._copy.name}.{os.getpid()}")
        try:
            beside.unlink(missing_ok=True)
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.msgpack.encode(found))
            beside.replace(self._copy)
        except OSError as error:
            self._log.warning("guardrails_not_copied", error=error)

    def _recall(self) -> StoredPolicies | None:
        try:
            with open(self._copy, "rb") as file:
                return msgspec.msgpack.decode(file.read(COPY_BYTES_MAX), type=StoredPolicies)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # msgspec's own is a ValueError
            self._log.warning("guardrails_copy_unreadable", error=error)
            return None
