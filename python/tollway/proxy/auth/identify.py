"""Station 1, authenticate: a key in a header becomes a principal.

In: an arrival. Out: who it is, from the native table of known keys (L1); an unknown key is asked of the key source
once, however many calls bring it at the same time. It never waits for the source when the table knows the key, and
never reads a body. While the source is known to be out of reach, one call at a time tries it and the others are told
at once, so that an outage costs a flood of unknown keys nothing.
"""

import asyncio
import math
import time
from collections.abc import Callable

from tollway._native import keys
from tollway.contract.keys import GATEWAY_USE, KeyChange, KeyRecord, KeySource
from tollway.errors import DependencyUnavailable, Forbidden, Unauthenticated
from tollway.proxy.exchange import Arrival, Identified, Principal
from tollway.telemetry.metrics import Metrics

CAPACITY = 1_000_000
"""Known keys held per worker, beside those of the config file; the least used leave first."""

NEGATIVE_CAPACITY = 100_000
"""Refused keys remembered per worker, so that a wrong key costs the database one question."""

FRESH_S = 60.0
"""A known key is asked anew after this long, in the background. Changes are announced much sooner."""

NEGATIVE_S = 5.0
"""A refusal is remembered this long: a key that was made a moment ago works within the same time."""

ASKING_CAPACITY = 1_000
"""Questions to the key source under way at once; beyond it, unknown keys get a 503 instead of a queue."""

_WRONG = "The API key is missing, wrong, revoked or expired. Send a valid one as 'Authorization: Bearer <key>'."
_BUSY = "The key can't be checked now, because too many unknown keys are being checked. Try again shortly."
_OUTAGE = "The key can't be checked now, because the database is out of reach. Try again shortly."


def presented(headers: dict[bytes, bytes]) -> bytes | None:
    """The secret a request brings: a bearer token, ``x-api-key`` (Anthropic's clients) or ``api-key`` (Azure's)."""
    authorization = headers.get(b"authorization")
    if authorization is not None:
        scheme, _, secret = authorization.partition(b" ")
        return secret.strip() if scheme.lower() == b"bearer" else None
    return headers.get(b"x-api-key") or headers.get(b"api-key")


def group_of(tenant_id: str) -> int:
    """A number for a tenant's keys, so that one change of the tenant forgets them all."""
    return int.from_bytes(keys.digest(tenant_id.encode())[:8], "big") >> 1


class Authenticator:
    """The table of known keys and the way to learn of others.

    ``down_since`` tells since when (``time.monotonic()``) the source is known to be out of reach, ``None`` while it
    is not.
    """

    def __init__(
        self,
        source: KeySource,
        compile_principal: Callable[[KeyRecord], Principal],
        metrics: Metrics,
        *,
        down_since: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._table: keys.KeyTable[Principal] = keys.KeyTable(CAPACITY, NEGATIVE_CAPACITY)
        self._source = source
        self._compile = compile_principal
        self._metrics = metrics
        self._asking: dict[bytes, asyncio.Task[Principal | None]] = {}
        self._down_since = down_since
        self._answered_at = -math.inf
        self._changes = 0

    def pin(self, digest: bytes, record: KeyRecord) -> None:
        """Makes a key of the config file known for good."""
        self._table.pin(digest, self._compile(record), record.expires_at_ms)

    def forget(self, change: KeyChange) -> None:
        """A key, or all keys of a tenant, must be asked anew."""
        self._changes += 1
        if change.digest is not None:
            self._table.forget(change.digest)
        if change.tenant_id is not None:
            self._table.forget_group(group_of(change.tenant_id))

    def forget_all(self) -> None:
        """Changes may have been missed: everything but the file's keys must be asked anew."""
        self._changes += 1
        self._table.clear_unpinned()

    async def identify(self, arrival: Arrival, scope: str = GATEWAY_USE) -> Identified:
        """Names the caller.

        Raises:
            Unauthenticated: there is no key, or none that is valid now.
            Forbidden: the key lacks ``scope``.
            DependencyUnavailable: the key is unknown here and the source can't be asked.
        """
        secret = presented(arrival.headers)
        if not secret:
            self._metrics.authenticated("missing")
            raise Unauthenticated("There is no API key. Send one as 'Authorization: Bearer <key>'.")
        state, principal = self._table.find(secret, time.time_ns() // 1_000_000)
        if state == keys.UNKNOWN and keys.well_formed(secret):
            principal = await self._ask(keys.digest(secret))
        elif state == keys.STALE:
            self._refresh(keys.digest(secret))
        elif state in (keys.REFUSED, keys.EXPIRED):
            principal = None
        if principal is None:
            self._metrics.authenticated("refused")
            raise Unauthenticated(_WRONG)
        if scope not in principal.record.scopes:
            self._metrics.authenticated("forbidden")
            raise Forbidden(f"This key lacks the permission {scope}. Use a key made without --admin to call models.")
        self._metrics.authenticated("known" if state == keys.FRESH else "asked")
        arrival.timing.mark("authenticate")
        return Identified(arrival, principal)

    async def _ask(self, digest: bytes) -> Principal | None:
        task = self._asking.get(digest) or self._start_asking(digest)
        return await asyncio.shield(task)  # one caller that hangs up must not take the answer from the others

    def _refresh(self, digest: bytes) -> None:
        room = 1 if self._is_out_of_reach() else ASKING_CAPACITY
        if digest not in self._asking and len(self._asking) < room:
            self._start_asking(digest)

    def _is_out_of_reach(self) -> bool:
        """Whether the source is known to be down and has answered nobody since."""
        since = self._down_since()
        return since is not None and self._answered_at < since

    def _start_asking(self, digest: bytes) -> "asyncio.Task[Principal | None]":
        if self._asking and self._is_out_of_reach():
            raise DependencyUnavailable(_OUTAGE, inside="key look-up: the outage is known", retry_after_s=1.0)
        if len(self._asking) >= ASKING_CAPACITY:
            raise DependencyUnavailable(_BUSY, retry_after_s=1.0)
        task = asyncio.get_running_loop().create_task(self._learn(digest))
        self._asking[digest] = task
        task.add_done_callback(lambda done: self._asked(digest, done))
        return task

    def _asked(self, digest: bytes, task: "asyncio.Task[Principal | None]") -> None:
        self._asking.pop(digest, None)
        if not task.cancelled():
            task.exception()  # whoever awaited has it; a refresh that failed leaves the stale entry serving

    async def _find(self, digest: bytes) -> KeyRecord | None:
        try:
            record = await self._source.find(digest)
        except DependencyUnavailable:
            self._answered_at = -math.inf
            raise
        self._answered_at = time.monotonic()
        return record

    async def _learn(self, digest: bytes) -> Principal | None:
        changes = self._changes
        record = await self._find(digest)
        # A change announced meanwhile may be younger than the answer: it serves those who asked, and is not remembered.
        is_last_word = changes == self._changes
        now_ms = time.time_ns() // 1_000_000
        expired = record is not None and record.expires_at_ms is not None and record.expires_at_ms <= now_ms
        if record is None or not record.is_active or expired:
            self._table.forget(digest)
            if is_last_word:
                self._table.refuse(digest, now_ms + int(NEGATIVE_S * 1000))
            return None
        principal = self._compile(record)
        fresh_until_ms = now_ms + int(FRESH_S * 1000)
        if is_last_word:
            self._table.insert(digest, principal, group_of(record.tenant_id), fresh_until_ms, record.expires_at_ms)
        return principal
