"""What is said of semantic hits: rows of ``cache_feedback``, written by whoever hears it and followed by every worker.

In: verdicts. Out: each of them once, in every worker of every host, its own included; and once a day all of the last
:data:`KEPT_DAYS` days anew, so that what is older counts no more. Bounded: of a region the last :data:`MOST_OF_REGION`
rows are kept, and what can't be written in time is dropped and counted.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

import asyncpg
import msgspec

from tollway.contract.cache import Feedback
from tollway.storage.pool import OUT_OF_REACH, Connection
from tollway.storage.subscription import POLL_S, Subscription
from tollway.telemetry.logs import Log

CHANNEL = "tollway_cache_feedback"
KEPT_DAYS = 30
MOST_OF_REGION = 4_096
MOST_READ = 200_000
"""The newest rows with which a worker begins."""

MOST_WAITING = 1_000
SLACK_S = 15.0
"""As in ``storage.changes``: so long may lie between a row's time and its being seen."""

_SLICE = 500
_AGAIN_S = 86_400.0

_INSERT = f"""
    with told as (
        insert into cache_feedback (tenant_id, region, confidence, verdict, source, request_id)
        values ($1, $2, $3::text::numeric, $4, $5, $6)
        on conflict (tenant_id, request_id) do nothing
        returning id
    ), old as (
        delete from cache_feedback where id in (
            select id from cache_feedback where at < clock_timestamp() - interval '{KEPT_DAYS} days'
            order by at limit 100
        )
    ), over as (
        delete from cache_feedback where tenant_id = $1 and region = $2 and id <= (
            select id from cache_feedback where tenant_id = $1 and region = $2
            order by id desc offset {MOST_OF_REGION} limit 1
        )
    )
    select count(*) from told
"""  # noqa: S608 -- numbers of ours

_FIELDS = "id, at, tenant_id, region, confidence::float8 as confidence, verdict, source, request_id"

_ALL = f"""
    select {_FIELDS} from (
        select {_FIELDS} from cache_feedback where at > clock_timestamp() - interval '{KEPT_DAYS} days'
        order by id desc limit {MOST_READ}
    ) as newest order by id
"""  # noqa: S608 -- numbers and columns of ours

_SINCE = f"select {_FIELDS} from cache_feedback where at > $1 order by id limit {MOST_READ}"  # noqa: S608 -- as above


async def insert_feedback(connection: Connection, feedback: Feedback) -> bool:
    """Stores a verdict; ``False`` when the call has been judged already, and the first verdict stays."""
    told: int = await connection.fetchval(
        _INSERT,
        feedback.tenant_id,
        feedback.region,
        repr(feedback.confidence),  # as many digits as tell it from any other
        feedback.verdict,
        feedback.source,
        feedback.request_id,
    )
    return told == 1


class FeedbackWriter:
    """What a worker itself finds, written when the database has time for it. ``dropped`` counts what never was."""

    def __init__(self, pool: asyncpg.Pool, log: Log, *, pause_s: float = 1.0) -> None:
        self._pool = pool
        self._log = log
        self._pause_s = pause_s
        self._waiting: deque[Feedback] = deque()
        self._stirred = asyncio.Event()
        self.dropped = 0

    def tell(self, feedback: Feedback) -> None:
        """Takes a verdict; never waits."""
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(feedback)
        self._stirred.set()

    async def run(self) -> None:
        """Writes for ever; ends when it is cancelled. Through an outage what is told waits, as far as there is room."""
        is_told = False
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            try:
                while self._waiting:
                    await self._write(self._waiting[0])
                    self._waiting.popleft()
                is_told = False
            except OUT_OF_REACH as error:
                if not is_told:
                    self._log.warning("cache_feedback_not_written", cause=type(error).__name__)
                is_told = True
                self._stirred.set()
                await asyncio.sleep(self._pause_s)

    async def _write(self, feedback: Feedback) -> None:
        try:
            async with self._pool.acquire() as connection:
                await insert_feedback(connection, feedback)
        except OUT_OF_REACH:
            raise
        except asyncpg.PostgresError as error:  # what the table does not take now it never will
            self.dropped += 1
            self._log.warning("cache_feedback_refused", cause=type(error).__name__)


class FeedbackChanges:
    """Follows verdicts on a connection of its own. ``forget`` means that all of them are told from the beginning.

    Both are called on the event loop and must be quick. ``clock`` is in seconds and never goes back.
    """

    def __init__(
        self,
        dsn: str,
        learn: Callable[[Feedback], None],
        forget: Callable[[], None],
        *,
        poll_s: float = POLL_S,
        slack_s: float = SLACK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._learn = learn
        self._forget = forget
        self._slack_s = slack_s
        self._clock = clock
        self._began_at: float | None = None
        self._asked_at: datetime | None = None
        self._told: set[int] = set()
        self._subscription = Subscription(
            dsn, CHANNEL, application_name="tollway cache feedback", ask=self._ask, heard=self._hear, poll_s=poll_s
        )

    @property
    def connected(self) -> bool:
        """Whether verdicts are heard now, as far as the last question can tell."""
        return self._subscription.connected

    async def follow(self) -> None:
        """Follow for ever, through outages; ends when it is cancelled."""
        await self._subscription.follow()

    def _hear(self, _payload: str) -> None:
        self._subscription.ask_soon()

    async def _ask(self, connection: Connection) -> None:
        now: datetime = await connection.fetchval("select clock_timestamp()")
        if self._began_at is None or self._clock() - self._began_at >= _AGAIN_S:
            rows = await connection.fetch(_ALL)
            self._forget()
            self._told = set()
            self._began_at = self._clock()
        else:
            since = (self._asked_at or now) - timedelta(seconds=self._slack_s)
            rows = await connection.fetch(_SINCE, since)
        await self._tell(rows)
        self._asked_at = now
        # What was seen in this question is seen by the next one again, if it is younger than the slack.
        self._told = {row["id"] for row in rows if row["at"] > now - timedelta(seconds=2 * self._slack_s)}

    async def _tell(self, rows: list[asyncpg.Record]) -> None:
        """In slices: there may be many, and calls wait behind them."""
        for first in range(0, len(rows), _SLICE):
            for row in rows[first : first + _SLICE]:
                if row["id"] not in self._told:
                    self._told.add(row["id"])
                    self._learn(_feedback(row))
            await asyncio.sleep(0)


def _feedback(row: asyncpg.Record) -> Feedback:
    return msgspec.convert({name: row[name] for name in Feedback.__struct_fields__}, type=Feedback)
