"""Every metric Tollway exposes: its name, kind, labels and meaning, in one table.

The table builds :class:`~tollway.telemetry.metrics.Metrics` and ``docs/metrics.md``, so neither can know a metric
the other does not. Labels hold names from the configuration (model alias, provider) or words of our own lists,
never a client's text: their number is bounded by what the operator wrote.
"""

from typing import Literal

import msgspec

Kind = Literal["counter", "histogram", "gauge"]
Merge = Literal["livesum", "livemin", "livemax", "host"]

CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Bucket bounds for what a provider takes: from a cached short answer to ``timeouts.total``."""

ADDED_SECONDS = (0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
"""Bucket bounds for the gateway's own time: fine around the 0.3 ms and 1 ms that it promises."""


class Family(msgspec.Struct, frozen=True):
    """One metric. ``merge`` says how a gauge's values of several processes become one; ``buckets`` are upper bounds.

    A gauge of the ``host`` has no values of processes: it is read when it is asked for (``readings``).
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merge: Merge = "livesum"


REQUESTS = Family(
    "tollway_requests_total",
    "counter",
    "Requests, by outcome (`ok`, `error`, `timeout`, `client_gone`, `cut`, `blocked`; `refused`: no provider was "
    "called, and model and provider are `none`) and by error code (`none`: no error).",
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
LOOK_UPS = Family(
    "tollway_cache_lookups_total",
    "counter",
    "Calls of models with a cache, by what it did: `exact`, `semantic` or `joined` (it answered, or the call waited "
    "for an identical one), `miss`, `refresh` (the client wanted a fresh answer), `off` (the call can't be answered "
    "from a cache, or is not to be), `refused` (nothing was there, and the client wanted nothing else), or `failed` (a "
    "defect: the model was asked).",
    ("model", "result"),
)
FILLS = Family(
    "tollway_cache_fills_total",
    "counter",
    "Answers that might be kept: `kept`, `unfit` (cut short, refused, altered by a guardrail…), `large`, `dropped` "
    "(too many were being kept), or `failed` (a defect).",
    ("result",),
)
SAVED = Family(
    "tollway_cache_saved_usd_total",
    "counter",
    "What answers of the cache have cost when they were given first, in US dollars; a rounded view, the exact sums are "
    "in `usage_logs`.",
    ("model",),
)
CACHE_ENTRIES = Family(
    "tollway_cache_entries", "gauge", "Answers that the worker with the most of them knows of.", merge="livemax"
)
CACHE_BYTES = Family(
    "tollway_cache_bytes",
    "gauge",
    "What they take of `cache.max_bytes`, at the worker where they take most.",
    merge="livemax",
)
RETRIES = Family(
    "tollway_retries_total",
    "counter",
    "Calls of providers beyond a request's first: `retry` (the same target), `fail_over` (another one), `fallback` "
    "(under another alias) or `hedge` (beside one that is waited for). `model` is the alias that was asked for.",
    ("model", "kind"),
)
BREAKER_CHANGES = Family(
    "tollway_breaker_changes_total",
    "counter",
    "Breakers that calls have opened or closed, by target (`provider/model`, and `#key` where there are several).",
    ("target", "state"),
)
KEYS_SET_ASIDE = Family(
    "tollway_provider_keys_set_aside_total",
    "counter",
    "Provider keys that were refused, or whose account is empty: somebody has to mend them.",
    ("provider", "key"),
)
LIMITED = Family(
    "tollway_limited_total",
    "counter",
    "Requests refused by a limit, by its kind: `requests`, `tokens`, `input_tokens`, `output_tokens` or `concurrency`; "
    "or by a budget: `budget`.",
    ("kind",),
)
QUEUED = Family(
    "tollway_queued_total",
    "counter",
    "Calls that a limit held back for a moment: `admitted` after a wait, `refused` after it, or `full` where too many "
    "waited.",
    ("result",),
)
BUDGETS_PASSED = Family(
    "tollway_budget_thresholds_passed_total",
    "counter",
    "Thresholds (`warn_at`) of budgets that were passed, by the budget's period; which ones, the table `budget_events` "
    "tells.",
    ("period",),
)
FINDINGS = Family(
    "tollway_guardrail_findings_total",
    "counter",
    "Findings of the guardrails, by the check, what it found (`other`: one of too many kinds) and what was done about "
    "it.",
    ("direction", "check", "kind", "action"),
)
BLOCKED = Family(
    "tollway_guardrail_blocked_total",
    "counter",
    "Requests (`input`) and answers (`output`) that a guardrail refused, by the check.",
    ("direction", "check"),
)
CHECKS_ASKED = Family(
    "tollway_guardrail_asked_total",
    "counter",
    "Times that an external check was to be asked: `answered`, `late`, `failed` (no answer, or none that can be used), "
    "or `left_out` (not asked, since it has failed before).",
    ("check", "result"),
)
EMBEDDED = Family(
    "tollway_cache_embedder_total",
    "counter",
    "Questions of which another embedder than the built-in one was to make a vector: `answered`, `late`, `failed` "
    "(no answer, or none that can be used), `left_out` (not asked, since it has failed before), or `busy` (not asked, "
    "since too many were under way).",
    ("embedder", "result"),
)
AUTH = Family(
    "tollway_auth_total",
    "counter",
    "Keys checked: `known` to this worker, `asked` of the database, or `missing`, `refused`, `forbidden`.",
    ("result",),
)
SHADOWS = Family(
    "tollway_shadow_copies_total",
    "counter",
    "Copies of calls for another model to answer: `answered`, `failed` (no answer came), or `dropped` (never sent, "
    "since too many were under way). `model` is the alias that was asked for.",
    ("model", "result"),
)
IN_FLIGHT = Family("tollway_in_flight", "gauge", "Requests under way now, over all workers.")
SNAPSHOT = Family(
    "tollway_snapshot_version", "gauge", "The oldest snapshot version that any worker serves from.", merge="livemin"
)
TARGET_STATE = Family(
    "tollway_target_state",
    "gauge",
    "1 for the state that a target is in on this host, 0 for the others: `closed` (it is asked), `open`, `half_open` "
    "(a few calls try it), `cooling` (it asked to be left alone).",
    ("target", "state"),
    merge="host",
)
TARGET_DRAINED = Family(
    "tollway_target_drained", "gauge", "1 for a target that somebody has drained.", ("target",), merge="host"
)
TARGET_IN_FLIGHT = Family(
    "tollway_target_in_flight", "gauge", "Calls of a target under way now, over all workers.", ("target",), merge="host"
)
TARGET_LATENCY = Family(
    "tollway_target_latency_seconds",
    "gauge",
    "What a target is known to take, after which `latency` chooses: to the first byte of a stream, or for a `whole` "
    "answer.",
    ("target", "kind"),
    merge="host",
)
TARGET_RAMP = Family(
    "tollway_target_ramp",
    "gauge",
    "The part of its share that a target takes: below 1 while it starts slowly.",
    ("target",),
    merge="host",
)
TARGET_WEIGHT = Family(
    "tollway_target_weight",
    "gauge",
    "A target's share of a model's calls against the other targets', as it holds now.",
    ("model", "target"),
    merge="host",
)
KEY_STATE = Family(
    "tollway_target_key_state",
    "gauge",
    "1 for the state that one of a target's keys is in on this host, as a target's; 0 for the others. `key` is its "
    "name.",
    ("target", "key", "state"),
    merge="host",
)
SHIPPED = Family("tollway_usage_shipped_total", "counter", "Usage rows written to PostgreSQL.")
JOURNAL_BYTES = Family("tollway_journal_bytes", "gauge", "Size of the usage journal on disk, in bytes.")
JOURNAL_LIMIT = Family("tollway_journal_limit_bytes", "gauge", "What the usage journal may take of the disk, in bytes.")
ROWS_DROPPED = Family(
    "tollway_usage_dropped_total", "counter", "Usage rows lost: the journal was full, and calls were to be served."
)
JOURNAL_PENDING = Family(
    "tollway_journal_pending_rows", "gauge", "Usage rows in the journal that PostgreSQL does not have yet."
)
LOG_DROPPED = Family("tollway_log_lines_dropped_total", "counter", "Log lines lost because nobody read them in time.")
RESTARTS = Family("tollway_worker_restarts_total", "counter", "Workers that ended unasked and were started again.")
REDIS = Family(
    "tollway_redis_connected",
    "gauge",
    "1 while Redis answers every worker, 0 while it does not answer one of them: then hosts do without each other's "
    "word. Missing where no Redis is configured.",
    merge="livemin",
)
LIMITS_SHARED = Family(
    "tollway_limits_by_share",
    "gauge",
    "1 while each host keeps to its share of each limit, because Redis is out of reach or learns anew what was used; 0 "
    "while hosts lease. Missing where no Redis is configured.",
    merge="livemax",
)
LIMITS_ASKED = Family(
    "tollway_limit_questions_total",
    "counter",
    "Questions to Redis for slices of limits, each about many: `answered`, or `unanswered`.",
    ("outcome",),
)
LIMITS_WAITED = Family(
    "tollway_limit_waits_total",
    "counter",
    "Calls that waited for Redis, because this host had used up its slice of a limit.",
)
UNHEARD = Family(
    "tollway_neighbour_messages_dropped_total",
    "counter",
    "Messages between hosts that came to nothing: `garbled` (no message of this version's), `unknown` (of a target "
    "that this host does not have) or `overflow` (not sent: too many were waiting for Redis).",
    ("kind",),
)
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
    LOOK_UPS,
    FILLS,
    SAVED,
    CACHE_ENTRIES,
    CACHE_BYTES,
    RETRIES,
    BREAKER_CHANGES,
    KEYS_SET_ASIDE,
    LIMITED,
    QUEUED,
    BUDGETS_PASSED,
    FINDINGS,
    BLOCKED,
    CHECKS_ASKED,
    EMBEDDED,
    AUTH,
    SHADOWS,
    IN_FLIGHT,
    SNAPSHOT,
    TARGET_STATE,
    TARGET_DRAINED,
    TARGET_IN_FLIGHT,
    TARGET_LATENCY,
    TARGET_RAMP,
    TARGET_WEIGHT,
    KEY_STATE,
    SHIPPED,
    JOURNAL_BYTES,
    JOURNAL_LIMIT,
    ROWS_DROPPED,
    JOURNAL_PENDING,
    LOG_DROPPED,
    RESTARTS,
    REDIS,
    UNHEARD,
    BUILD,
)
"""All of them, in the order of the page."""
