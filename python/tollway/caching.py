"""What one worker's cache is made of: station 4, the answers that it has in common with others, and who decides.

In: settings, a snapshot, and the parts of the data plane that it works with. Out: the station, what people may ask of
it, and what runs beside the requests.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import msgspec

from tollway._native import limits
from tollway._native.claims import Claims
from tollway.charge import Places
from tollway.contract.snapshot import Snapshot
from tollway.proxy.cache.answers import KnownAnswers, open_answers
from tollway.proxy.cache.comparing import Again, Comparing
from tollway.proxy.cache.desk import Desk
from tollway.proxy.cache.embedders.minilm import minilm
from tollway.proxy.cache.embedders.opening import Embedders
from tollway.proxy.cache.embedders.source import Source
from tollway.proxy.cache.fill import Filler, now_ms
from tollway.proxy.cache.flights import Flights
from tollway.proxy.cache.look_up import EarlyHead, LookUp
from tollway.proxy.cache.recall import Begin, Recaller
from tollway.proxy.cache.thresholds import Thresholds
from tollway.proxy.providers.asking import Embedding
from tollway.settings import Settings
from tollway.settings.cache import CacheSettings
from tollway.settings.minilm import find, missing
from tollway.storage.cache.removals import CacheRemovals, Said
from tollway.storage.cache.sealing import Sealing
from tollway.storage.feedback import FeedbackChanges, FeedbackWriter
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

MEASURE_S = 5.0

Work = Callable[[], Coroutine[Any, Any, None]]


class Caching:
    """One worker's cache. ``background`` runs beside the requests."""

    def __init__(
        self,
        look_up: LookUp,
        desk: Desk,
        answers: KnownAnswers,
        filler: Filler,
        embedders: Embedders,
        removals: CacheRemovals,
        following: list[Work],
        named: frozenset[str],
        metrics: Metrics,
    ) -> None:
        self.look_up = look_up
        self.desk = desk
        self.background: list[Work] = [answers.run, removals.follow, self._measure, *following]
        self._answers = answers
        self._filler = filler
        self._embedders = embedders
        self._removals = removals
        self._named = named
        self._metrics = metrics

    async def learn(self) -> None:
        """Before anybody is served: what was to be forgotten while this worker did not run, and what takes long to load
        of the embedders that the file's policies name."""
        await asyncio.gather(self._removals.learn(), self._embedders.prepare(self._named))

    async def _measure(self) -> None:
        while True:
            stats = self._answers.stats()
            self._metrics.holds_answers(stats.entries, stats.bytes)
            await asyncio.sleep(MEASURE_S)

    async def close(self) -> None:
        """What is being kept is kept first."""
        await self._filler.finish()
        await self._answers.close()
        await self._embedders.close()


def open_caching(
    settings: Settings,
    snapshot: Snapshot,
    dsn: str,
    pool: asyncpg.Pool,
    ledger: limits.Ledger,
    places: Places,
    index: int,
    log: Log,
    metrics: Metrics,
    begin: Begin,
    early_head: EarlyHead,
    again: Again,
    embedding: Embedding,
) -> Caching:
    """Opens one worker's; ``index`` tells it from the others of its host. ``begin`` and ``early_head`` are the relay's,
    ``again`` asks a call's model once more, ``embedding`` the models that embed."""
    space, sealing = snapshot.cache_space, Sealing()
    redis = settings.storage.redis.reveal() if settings.storage.redis else None
    answers = open_answers(space, redis, places.data_dir, index, sealing, log)
    flights = Flights(Claims(ledger), space.join_s, now_ms)
    answers.arrived = flights.arrived

    def forget(said: Said) -> None:
        answers.forget(said.selection, said.at_ms, said.age_ms)

    filler = Filler(answers, log, metrics, most_answer_bytes=space.max_answer_bytes)
    embedders = Embedders(embedding, _minilm(settings), log, metrics)
    thresholds, writer = Thresholds(), FeedbackWriter(pool, log)
    feedback = FeedbackChanges(dsn, thresholds.learn, thresholds.forget)
    look_up = LookUp(
        answers,
        filler,
        Recaller(answers, begin, space.pace, log),
        flights,
        early_head,
        embedders.of,
        thresholds.of,
        Comparing(again, writer.tell),
        log,
        metrics,
    )
    removals = CacheRemovals(dsn, forget, sealing.learn)
    desk = Desk(answers, is_shared=redis is not None)
    following = [feedback.follow, writer.run]
    return Caching(look_up, desk, answers, filler, embedders, removals, following, _named(snapshot), metrics)


def _named(snapshot: Snapshot) -> frozenset[str]:
    """The embedders that policies of the file name."""
    policies = [snapshot.cache, *(record.cache for _, record in snapshot.file_keys)]
    parts = [policy.semantic for policy in policies if policy is not None]
    return frozenset(semantic.embedder for semantic in parts if semantic is not None)


def _minilm(settings: Settings) -> Callable[[], Source] | None:
    """What makes the embedder of this machine, if it can be had."""
    directory = settings.cache.minilm if isinstance(settings.cache, CacheSettings) else None
    if missing(directory) is not None:
        return None
    return minilm(*msgspec.structs.astuple(find(directory)))
