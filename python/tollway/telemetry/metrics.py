"""Counts what happens, over all processes of a host, for Prometheus.

What comes in: one call an event, from the hallway, the supervisor and the log. What goes out: the text of
``/metrics``. It never sees a client's text, and never waits: a count is a write into memory.

Each process maps files of its own in one directory, in prometheus-client's multiprocess format; its collector
sums them. The files are written directly rather than through its ``Counter`` and ``Histogram``: those take the
directory from the environment at import, are bound to a process id (so a host that respawns workers gathers files
without end), and cost three times as much an event. A process is therefore known by a name that its successor
inherits, counters included.
"""

import math
import shutil
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from tollway import __version__
from tollway.telemetry import catalogue
from tollway.telemetry.catalogue import Family
from tollway.telemetry.readings import Reading, Readings

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""The ``content-type`` of :meth:`Metrics.exposition`."""

MOST_KINDS = 512
"""Kinds of findings that one process tells apart: more than all native checks have together."""

_PICOUSD_PER_USD = 1e12
_NONE = "none"
_VALUE_AND_TIME = struct.Struct("dd")


def prepare(directory: Path) -> None:
    """Empty ``directory``, made if missing: the gateway's first act, before any process counts in it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def forget(directory: Path, process: str) -> None:
    """Take the gauges of a process that died out of the sums; its counters stay."""
    mark_process_dead(process, str(directory))  # type: ignore[no-untyped-call]


class Metrics:
    """One process's share of the host's metrics, and the sum over all of them.

    ``process`` names it among its siblings (``worker-0``, ``supervisor``): never two alive under one name, the same
    name again after a restart, and no underscore (the format splits file names there). Methods may be called from
    any thread. Times are in seconds.
    """

    def __init__(self, directory: Path, process: str) -> None:
        if "_" in process:
            raise ValueError(f"a process's name has no underscore: {process!r}")
        self._directory = directory
        self._process = process
        forget(directory, process)
        self._lock = threading.Lock()
        self._kinds: set[str] = set()
        self._files: dict[str, MmapedDict] = {}
        self._series: dict[tuple[str, ...], _Series] = {}
        self._histograms: dict[tuple[str, ...], _Histogram] = {}
        self._tokens: dict[tuple[str, str], tuple[_Series, _Series]] = {}
        self._answers: dict[tuple[str, str, str, str], tuple[_Series, _Histogram, _Histogram, _Histogram]] = {}
        for family in catalogue.CATALOGUE:
            if family.labels:
                continue
            if family.kind == "histogram":
                self._histogram(family)
            elif family.merge != "livemin":  # the lowest counts: nothing known yet is not 0
                self._one(family)
        self._one(catalogue.BUILD, __version__).set(1)
        self._in_flight = self._one(catalogue.IN_FLIGHT)
        self._in_flight.set(0)

    def entered(self) -> None:
        """A request came in."""
        with self._lock:
            self._in_flight.add(1)

    def left(self) -> None:
        """A request that :meth:`entered` is done, however it ended."""
        with self._lock:
            self._in_flight.add(-1)

    def answered(
        self,
        model: str,
        provider: str,
        outcome: str,
        code: str,
        duration_s: float,
        added_s: float,
        first_token_s: float | None = None,
    ) -> None:
        """A request that reached a provider was answered. ``code`` is its error's ``metric_label``, or ``none``.

        ``model`` is an alias of the configuration, ``provider`` a provider of it, ``outcome`` one of
        :data:`tollway.contract.usage.Outcome`: what a client wrote is no label.
        """
        key = (model, provider, outcome, code)
        with self._lock:
            parts = self._answers.get(key)
            if parts is None:
                parts = self._answers[key] = (
                    self._one(catalogue.REQUESTS, *key),
                    self._histogram(catalogue.DURATION, model, provider),
                    self._histogram(catalogue.ADDED),
                    self._histogram(catalogue.FIRST_TOKEN, model, provider),
                )
            requests, duration, added, first_token = parts
            requests.add(1)
            duration.observe(duration_s)
            added.observe(added_s)
            if first_token_s is not None:
                first_token.observe(first_token_s)

    def refused(self, code: str) -> None:
        """A request was answered with this error before any provider was called; ``code`` is its ``metric_label``."""
        with self._lock:
            self._one(catalogue.REQUESTS, _NONE, _NONE, "refused", code).add(1)

    def settled(
        self,
        model: str,
        provider: str,
        *,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int = 0,
        reasoning_tokens: int = 0,
        cost_picousd: int | None,
    ) -> None:
        """A call was settled; ``cost_picousd`` is in 10⁻¹² US dollars, ``None`` for a model without a price."""
        key = (model, provider)
        with self._lock:
            parts = self._tokens.get(key)
            if parts is None:
                parts = self._tokens[key] = (
                    self._one(catalogue.TOKENS, *key, "prompt"),
                    self._one(catalogue.TOKENS, *key, "completion"),
                )
            prompt, completion = parts
            prompt.add(prompt_tokens)
            completion.add(completion_tokens)
            if cached_tokens:
                self._one(catalogue.TOKENS, model, provider, "cached").add(cached_tokens)
            if reasoning_tokens:
                self._one(catalogue.TOKENS, model, provider, "reasoning").add(reasoning_tokens)
            if cost_picousd is None:
                self._one(catalogue.UNPRICED, model).add(1)
            else:
                self._one(catalogue.COST, model, provider).add(cost_picousd / _PICOUSD_PER_USD)

    def looked_up(self, model: str, result: str) -> None:
        """What the cache did for a call of a model: :data:`~tollway.telemetry.catalogue.LOOK_UPS` names the results."""
        with self._lock:
            self._one(catalogue.LOOK_UPS, model, result).add(1)

    def filled(self, result: str) -> None:
        """What became of an answer that might be kept: ``kept``, ``unfit``, ``large``, ``dropped`` or ``failed``."""
        with self._lock:
            self._one(catalogue.FILLS, result).add(1)

    def saved(self, model: str, picousd: int) -> None:
        """The cache has answered, which saved so much."""
        with self._lock:
            self._one(catalogue.SAVED, model).add(picousd / _PICOUSD_PER_USD)

    def holds_answers(self, entries: int, size_bytes: int) -> None:
        """What this worker's cache holds now."""
        with self._lock:
            if self._files:
                self._one(catalogue.CACHE_ENTRIES).set(entries)
                self._one(catalogue.CACHE_BYTES).set(size_bytes)

    def retried(self, model: str, kind: str) -> None:
        """Another call was made for a request for ``model``: ``retry``, ``fail_over``, ``fallback`` or ``hedge``."""
        with self._lock:
            self._one(catalogue.RETRIES, model, kind).add(1)

    def breaker_changed(self, target: str, state: str) -> None:
        """The breaker of a target has opened or closed."""
        with self._lock:
            self._one(catalogue.BREAKER_CHANGES, target, state).add(1)

    def key_set_aside(self, provider: str, key: str) -> None:
        """A provider's key is not used for a while; ``key`` is its name, empty where there is but one."""
        with self._lock:
            self._one(catalogue.KEYS_SET_ASIDE, provider, key).add(1)

    def limited(self, kind: str) -> None:
        """A limit of this kind refused a request, or a ``budget`` did."""
        with self._lock:
            self._one(catalogue.LIMITED, kind).add(1)

    def queued(self, result: str) -> None:
        """A call that had to wait for a limit was admitted or refused, or found too many others waiting."""
        with self._lock:
            self._one(catalogue.QUEUED, result).add(1)

    def budget_passed(self, period: str) -> None:
        """What was spent of a budget has passed one of its thresholds; its ``period`` is a word of ours."""
        with self._lock:
            self._one(catalogue.BUDGETS_PASSED, period).add(1)

    def found(self, direction: str, check: str, kind: str, action: str, findings: int = 1) -> None:
        """A guardrail found something and acted on it.

        External checks bring kinds of their own: beyond :data:`MOST_KINDS` they are counted as ``other``.
        """
        with self._lock:
            if kind not in self._kinds:
                if len(self._kinds) < MOST_KINDS:
                    self._kinds.add(kind)
                else:
                    kind = "other"
            self._one(catalogue.FINDINGS, direction, check, kind, action).add(findings)

    def blocked(self, direction: str, check: str) -> None:
        """A guardrail refused a request or an answer."""
        with self._lock:
            self._one(catalogue.BLOCKED, direction, check).add(1)

    def asked(self, check: str, result: str) -> None:
        """An external check was to be asked: it ``answered``, was ``late``, ``failed``, or was ``left_out``."""
        with self._lock:
            self._one(catalogue.CHECKS_ASKED, check, result).add(1)

    def embedded(self, embedder: str, result: str) -> None:
        """A vector was to be had of an embedder: ``answered``, ``late``, ``failed``, ``left_out`` or ``busy``."""
        with self._lock:
            self._one(catalogue.EMBEDDED, embedder, result).add(1)

    def authenticated(self, result: str) -> None:
        """A key was checked: ``known``, ``asked``, ``missing``, ``refused`` or ``forbidden``."""
        with self._lock:
            self._one(catalogue.AUTH, result).add(1)

    def shadowed(self, model: str, result: str) -> None:
        """A copy of a call for ``model`` was ``answered``, has ``failed``, or was ``dropped``."""
        with self._lock:
            self._one(catalogue.SHADOWS, model, result).add(1)

    def follows_snapshot(self, version: int) -> None:
        """This worker now serves from this version."""
        with self._lock:
            self._one(catalogue.SNAPSHOT).set(version)

    def shipped(self, rows: int) -> None:
        """Usage rows reached PostgreSQL."""
        with self._lock:
            self._one(catalogue.SHIPPED).add(rows)

    def journal(self, size_bytes: int, pending_rows: int, limit_bytes: int) -> None:
        """How the journal stands now."""
        with self._lock:
            self._one(catalogue.JOURNAL_LIMIT).set(limit_bytes)
            self._one(catalogue.JOURNAL_BYTES).set(size_bytes)
            self._one(catalogue.JOURNAL_PENDING).set(pending_rows)

    def dropped_row(self) -> None:
        """A usage row was lost, because the journal was full and calls were to be served all the same."""
        with self._lock:
            self._one(catalogue.ROWS_DROPPED).add(1)

    def dropped_log_lines(self, lines: int) -> None:
        """Log lines were lost. The log may outlive the metrics: then it goes uncounted."""
        with self._lock:
            if self._files:
                self._one(catalogue.LOG_DROPPED).add(lines)

    def worker_restarted(self) -> None:
        """A worker ended unasked and was started again."""
        with self._lock:
            self._one(catalogue.RESTARTS).add(1)

    def redis_connected(self, *, connected: bool) -> None:
        """Whether Redis answers this process now."""
        with self._lock:
            if self._files:
                self._one(catalogue.REDIS).set(1 if connected else 0)

    def limits_shared(self, *, shared: bool) -> None:
        """Whether this host keeps to its share of each limit now, instead of leasing."""
        with self._lock:
            if self._files:
                self._one(catalogue.LIMITS_SHARED).set(1 if shared else 0)

    def limits_asked(self, *, answered: bool) -> None:
        """Redis was asked for slices of limits."""
        with self._lock:
            self._one(catalogue.LIMITS_ASKED, "answered" if answered else "unanswered").add(1)

    def limits_waited(self) -> None:
        """A call waits for a slice of a limit."""
        with self._lock:
            self._one(catalogue.LIMITS_WAITED).add(1)

    def unheard(self, kind: str, messages: int = 1) -> None:
        """Messages between hosts came to nothing: ``garbled``, ``unknown`` or ``overflow``."""
        with self._lock:
            self._one(catalogue.UNHEARD, kind).add(messages)

    def exposition(self, readings: Iterable[Reading] = ()) -> bytes:
        """The text of ``/metrics``, over all processes of the host, and with what was read of the host itself. Reads
        files: call it from a thread."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._directory))  # type: ignore[no-untyped-call]
        registry.register(Readings(readings))
        return generate_latest(registry)

    def close(self) -> None:
        """Let go of the files; counters stay in the sums, gauges leave them. Nothing is counted after this."""
        with self._lock:
            for file in self._files.values():
                file.close()  # type: ignore[no-untyped-call]
            self._files.clear()
        forget(self._directory, self._process)

    def _one(self, family: Family, *values: str) -> "_Series":
        key = (family.name, *values)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series(self._file(family), family, family.name, family.labels, values)
        return series

    def _histogram(self, family: Family, *values: str) -> "_Histogram":
        key = (family.name, *values)
        histogram = self._histograms.get(key)
        if histogram is None:
            histogram = self._histograms[key] = _Histogram(self._file(family), family, values)
        return histogram

    def _file(self, family: Family) -> MmapedDict:
        kind = f"gauge_{family.merge}" if family.kind == "gauge" else family.kind
        file = self._files.get(kind)
        if file is None:
            path = self._directory / f"{kind}_{self._process}.db"
            file = self._files[kind] = MmapedDict(str(path))  # type: ignore[no-untyped-call]
        return file


class _Series:
    """One number in a file."""

    def __init__(
        self, file: MmapedDict, family: Family, name: str, labels: tuple[str, ...], values: tuple[str, ...]
    ) -> None:
        base = family.name.removesuffix("_total") if family.kind == "counter" else family.name
        key = mmap_key(base, name, list(labels), list(values), family.meaning)
        self._value: float = file.read_value(key)[0]  # type: ignore[no-untyped-call]
        # Its place in the file never moves, so it is looked up once: `write_value` costs five times as much, and a
        # call writes a dozen numbers. The mapping itself is replaced when the file grows.
        self._file = file
        self._at: int = file._positions[key]

    def add(self, amount: float) -> None:
        self._value += amount
        _VALUE_AND_TIME.pack_into(self._file._m, self._at, self._value, 0.0)

    def set(self, value: float) -> None:
        self._value = value
        _VALUE_AND_TIME.pack_into(self._file._m, self._at, value, 0.0)


class _Histogram:
    """A sum, and a count for each bucket; the collector adds the buckets up."""

    def __init__(self, file: MmapedDict, family: Family, values: tuple[str, ...]) -> None:
        self._bounds = (*family.buckets, math.inf)
        self._sum = _Series(file, family, f"{family.name}_sum", family.labels, values)
        self._buckets = [
            _Series(
                file,
                family,
                f"{family.name}_bucket",
                (*family.labels, "le"),
                (*values, "+Inf" if bound == math.inf else str(bound)),
            )
            for bound in self._bounds
        ]

    def observe(self, value: float) -> None:
        self._sum.add(value)
        self._buckets[bisect_left(self._bounds, value)].add(1)
