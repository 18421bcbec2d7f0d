"""How calls find their way: what a route of the snapshot says beyond who may answer, and what was changed by hand.

Plain data. ``Override`` is the one part that changes while the gateway runs: people's decisions, kept in PostgreSQL.
"""

from typing import Literal

import msgspec

Strategy = Literal["weighted", "round_robin", "least_busy", "latency", "cost", "priority", "sticky"]
Need = Literal["vision", "audio", "documents", "tools", "json_schema"]
"""What a request needs of a model beyond text."""


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """When a target is left alone, and how it comes back.

    It opens after ``consecutive`` failures, or when at least ``failure_rate`` of ``minimum_calls`` or more in the last
    ``window_s`` failed. After ``cooldown_s`` (doubled at each opening in a row, up to ``max_cooldown_s``), ``probes``
    calls may try it, over all workers and hosts; when they succeed it is closed, and takes its full share again
    after ``slow_start_s``.
    """

    consecutive: int = 5
    failure_rate: float = 0.5
    minimum_calls: int = 20
    window_s: float = 10.0
    cooldown_s: float = 5.0
    max_cooldown_s: float = 15.0
    probes: int = 1
    slow_start_s: float = 10.0


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A question that is asked of a target's server though nobody calls: ``GET`` of ``path`` below its address, every
    ``every_s``, answered within ``timeout_s`` by a status below 400."""

    path: str = "/models"
    every_s: float = 10.0
    timeout_s: float = 2.0


class When(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule asks of a request: all that is set must hold; any one of the values of a set will do.

    ``headers`` and ``metadata`` are by name (headers in lower case); ``needs`` holds when the request has any of them.
    """

    headers: dict[str, frozenset[str]] = {}
    metadata: dict[str, frozenset[str]] = {}
    tenants: frozenset[str] = frozenset()
    needs: frozenset[Need] = frozenset()
    tokens_over: int | None = None
    tokens_up_to: int | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """The first rule that holds leaves only targets with one of the tags in ``to``.

    With a ``share``, that part of the users (always the same ones) goes there, and the others never do.
    """

    name: str
    to: frozenset[str]
    when: When = When()
    share: float | None = None


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a call is tried for one alias: ``attempts`` at most, the first included. Those beyond the first are at
    most ``budget`` of the alias's calls on this host. A target that is asked again is left ``backoff_s`` first, doubled
    each time up to ``max_backoff_s``, of which a random part."""

    attempts: int = 3
    budget: float = 0.2
    backoff_s: float = 0.1
    max_backoff_s: float = 2.0


FallbackCause = Literal["error", "rate_limit", "context_window", "content_policy"]


class Hedge(msgspec.Struct, frozen=True, kw_only=True):
    """A second target is asked when the first has not begun to answer after ``after_s`` (``None``: the 95th percentile
    of its waits): for at most ``budget`` of the alias's calls, and where it costs ``max_cost_picousd`` at most."""

    after_s: float | None = None
    budget: float = 0.05
    max_cost_picousd: int = 10_000_000_000


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody decided about a target while the gateway runs.

    ``alias`` is the route whose share ``weight`` is; the rest holds for the target under every alias, and then
    ``alias`` is empty. Times are Unix milliseconds. ``opened_until_ms``: it is not asked before then (the largest
    integer of 53 bits: until it is closed by hand); ``closed_at_ms``: what the breaker knew before then is forgotten.
    """

    target: str
    alias: str = ""
    weight: int | None = None
    drained: bool = False
    opened_until_ms: int | None = None
    closed_at_ms: int | None = None


FOR_GOOD_MS = 2**53 - 1
"""``opened_until_ms`` of a target that stays open until somebody closes it."""


class TargetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a target stands on one host, now. ``state`` is the breaker's; ``cooling`` is a target that asked to be left
    alone until ``until_ms`` (a 429 or 503 with Retry-After). Latencies are of the first byte of streams, and of whole
    answers; ``ramp`` is below 1 while it starts slowly."""

    name: str
    state: Literal["closed", "open", "half_open", "cooling"] = "closed"
    until_ms: int = 0
    in_flight: int = 0
    stream_latency_us: int | None = None
    whole_latency_us: int | None = None
    consecutive_failures: int = 0
    ramp: float = 1.0
