"""The embedders of one worker, by the names that policies call them."""

import asyncio
from collections.abc import Callable, Iterable

from tollway.contract.keys import KeyRecord
from tollway.proxy.cache.embedders.provider import ByAlias, Models
from tollway.proxy.cache.embedders.remembered import Remembered
from tollway.proxy.cache.embedders.source import Source
from tollway.proxy.cache.embedders.steady import Steady
from tollway.proxy.cache.port import Embedder
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

BUILTIN = "builtin"
"""No second embedder."""

MINILM = "minilm"
"""MiniLM on this machine."""

MOST = 16
"""Embedders of one worker; a policy that names another one has none."""

MOST_MISSING = 64
"""So many names that can't be had are told in the log: policies of tenants may name anything."""


class Embedders:
    """Opens embedders when they are first asked for. ``minilm`` makes the one of this machine, if it can be had."""

    def __init__(self, models: Models, minilm: Callable[[], Source] | None, log: Log, metrics: Metrics) -> None:
        self._models = models
        self._minilm = minilm
        self._log = log
        self._metrics = metrics
        self._open: dict[str, Remembered] = {}
        self._missing: set[str] = set()

    def of(self, name: str, record: KeyRecord) -> Embedder | None:
        """The embedder that a policy calls ``name``, for a call of ``record``; ``None`` for the built-in one, and for
        one that can't be had, which is logged once. Nothing is loaded here, and nobody asked."""
        if name == BUILTIN:
            return None
        found = self._opened(name)
        return None if found is None else _Asked(found, record)

    async def prepare(self, names: Iterable[str]) -> None:
        """Opens embedders that policies are known to name, and loads what they need, before calls come."""
        found = [self._opened(name) for name in sorted(set(names) - {BUILTIN})]
        await asyncio.gather(*(embedder.prepare() for embedder in found if embedder is not None))

    def _opened(self, name: str) -> Remembered | None:
        found = self._open.get(name)
        if found is not None:
            return found
        source = self._source(name) if len(self._open) < MOST else None
        if source is None:
            self._miss(name)
            return None
        self._open[name] = made = Remembered(Steady(source, self._log, self._metrics))
        return made

    def _miss(self, name: str) -> None:
        if name not in self._missing and len(self._missing) < MOST_MISSING:
            self._missing.add(name)
            self._log.warning("embedder_missing", embedder=self._log.shown(name))

    def _source(self, name: str) -> Source | None:
        if name == MINILM:
            return None if self._minilm is None else self._minilm()
        model = self._models.model(name)
        return None if model is None else ByAlias(name, model, self._models)

    async def close(self) -> None:
        """Ends all of them."""
        await asyncio.gather(*(embedder.close() for embedder in self._open.values()))


class _Asked:
    """An embedder as one call has it: what it costs and what is remembered is its tenant's."""

    __slots__ = ("_embedder", "_record", "name")

    def __init__(self, embedder: Remembered, record: KeyRecord) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._record = record

    async def embed(self, text: str) -> bytes:
        """As :class:`~tollway.proxy.cache.port.Embedder` says."""
        return await self._embedder.vector(text, self._record)
