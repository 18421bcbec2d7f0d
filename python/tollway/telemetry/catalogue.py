"""Every metric Tollway exposes: its name, kind, labels and meaning, in one table.

The table builds :class:`~tollway.telemetry.metrics.Metrics` and ``docs/metrics.md``, so neither can know a metric
the other does not. Labels hold names from the configuration (model alias, provider) or words of our own lists,
never a client's text: their number is bounded by what the operator wrote.
"""

from typing import Literal

import msgspec

Kind = Literal["counter", "histogram", "gauge"]
Merge = Literal["livesum", "livemin", "livemax"]

CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Bucket bounds for what a provider takes: from a cached short answer to ``timeouts.total``."""

ADDED_SECONDS = (0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
"""Bucket bounds for the gateway's own time: fine around the 0.3 ms and 1 ms that it promises."""


class Family(msgspec.Struct, frozen=True):
    """One metric. ``merge`` says how a gauge's values of several processes become one; ``buckets`` are upper bounds."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Merge = "livesum"


REQUESTS = Family(
    "tollway_requests_total",
    "counter",
    "Requests, by outcome (`ok`, `error`, `timeout`, `client_gone`, `cut`; `refused`: no provider was called, and "
    "model and provider are `none`) and by error code (`none`: no error).",
    ("model", "provider", "outcome", "code"),
)
DURATION = Family(
    "tollway_request_duration_seconds",
    "histogram",
    "From the request's arrival to the last byte of its answer.",
    ("model", "provider"),
    CALL_SECONDS,
)
ADDED = Family(
    "tollway_added_latency_seconds",
    "histogram",
    "The gateway's own share of that: the time that was not spent waiting for a provider.",
    buckets=ADDED_SECONDS,
)
FIRST_TOKEN = Family(
    "tollway_first_token_seconds",
    "histogram",
    "From sending the call to the provider to the first byte of its answer.",
    ("model", "provider"),
    CALL_SECONDS,
)
TOKENS = Family(
    "tollway_tokens_total",
    "counter",
    "Tokens settled: `prompt` includes `cached`, `completion` includes `reasoning`.",
    ("model", "provider", "kind"),
)
COST = Family(
    "tollway_cost_usd_total",
    "counter",
    "Cost settled, in US dollars; a rounded view, the exact sums are in `usage_logs`.",
    ("model", "provider"),
)
UNPRICED = Family(
    "tollway_unpriced_total", "counter", "Calls settled without a price, since the model has none.", ("model",)
)
LIMITED = Family(
    "tollway_limited_total",
    "counter",
    "Requests refused by a limit, by its kind: `requests`, `tokens` or `concurrency`.",
    ("kind",),
)
FINDINGS = Family(
    "tollway_guardrail_findings_total",
    "counter",
    "Findings of the guardrails, by what was found and what was done about it.",
    ("entity", "action"),
)
AUTH = Family(
    "tollway_auth_total",
    "counter",
    "Keys checked: `known` to this worker, `asked` of the database, or `missing`, `refused`, `forbidden`.",
    ("result",),
)
IN_FLIGHT = Family("tollway_in_flight", "gauge", "Requests under way now, over all workers.")
SNAPSHOT = Family(
    "tollway_snapshot_version", "gauge", "The oldest snapshot version that any worker serves from.", merge="livemin"
)
SHIPPED = Family("tollway_usage_shipped_total", "counter", "Usage rows written to PostgreSQL.")
JOURNAL_BYTES = Family("tollway_journal_bytes", "gauge", "Size of the usage journal on disk, in bytes.")
JOURNAL_PENDING = Family(
    "tollway_journal_pending_rows", "gauge", "Usage rows in the journal that PostgreSQL does not have yet."
)
LOG_DROPPED = Family("tollway_log_lines_dropped_total", "counter", "Log lines lost because nobody read them in time.")
RESTARTS = Family("tollway_worker_restarts_total", "counter", "Workers that ended unasked and were started again.")
BUILD = Family(
    "tollway_build_info", "gauge", "Always 1; the label says which version runs.", ("version",), merge="livemax"
)

CATALOGUE: tuple[Family, ...] = (
    REQUESTS,
    DURATION,
    ADDED,
    FIRST_TOKEN,
    TOKENS,
    COST,
    UNPRICED,
    LIMITED,
    FINDINGS,
    AUTH,
    IN_FLIGHT,
    SNAPSHOT,
    SHIPPED,
    JOURNAL_BYTES,
    JOURNAL_PENDING,
    LOG_DROPPED,
    RESTARTS,
    BUILD,
)
"""All of them, in the order of the page."""
