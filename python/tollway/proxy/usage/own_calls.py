"""Calls of the gateway's own that a provider bills: each has a row, so that the provider's bill can be told.

They are the operator's affair, as copies are (``shadow``): on no tenant's statement and from no tenant's budget, though
the row says on whose account they were made. The alias in ``model`` tells them from copies.
"""

from collections.abc import Callable

from tollway._native import chat
from tollway.contract.prices import Owed
from tollway.contract.usage import Outcome, UsageRow
from tollway.proxy.own_calls import OwnCall
from tollway.proxy.usage.journal import Journal
from tollway.proxy.usage.price import cost_owed, total_picousd
from tollway.proxy.usage.used import NOTHING, Tokens
from tollway.telemetry.metrics import Metrics

BYTES_PER_TOKEN = 4
"""Of English, where a provider has not told its count."""


class OwnCalls:
    """Writes them into a worker's journal (:class:`~tollway.proxy.own_calls.Books`)."""

    def __init__(self, journal: Journal, new_id: Callable[[], str], metrics: Metrics) -> None:
        self._journal = journal
        self._new_id = new_id
        self._metrics = metrics

    def check_room(self) -> None:
        """As the port says."""
        self._journal.check_room()

    def record(self, call: OwnCall) -> None:
        """As the port says."""
        row = self._row(call)
        self._journal.append(row)
        self._metrics.settled(
            row.model,
            row.provider,
            prompt_tokens=row.prompt_tokens,
            completion_tokens=0,
            cached_tokens=0,
            reasoning_tokens=0,
            cost_picousd=row.cost_picousd,
        )

    def _row(self, call: OwnCall) -> UsageRow:
        outcome = _outcome(call)
        used = _used(call, outcome)
        price, at_ms = Owed(call.target.price), call.at_us // 1_000
        costs = cost_owed(price, used, at_ms)
        named = self._new_id()
        return UsageRow(
            id=named,
            request_id=named,
            at_us=call.at_us,
            tenant_id=call.record.tenant_id,
            api_key_id=call.record.key_id,
            user_id=call.record.user_id,
            model=call.alias,
            provider=call.target.provider.name,
            provider_model=call.target.model,
            prompt_tokens=used.prompt,
            completion_tokens=0,
            cached_tokens=0,
            cache_write_tokens=0,
            reasoning_tokens=0,
            cost_picousd=None if costs is None else total_picousd(costs),
            price_version=price.version(at_ms),
            usage_source=used.source,
            outcome=outcome,
            http_status=call.status,
            stream=False,
            latency_ms=call.took_ms,
            first_token_ms=None,
            attempts=1,
            role="shadow",
            costs=costs,
        )


def _outcome(call: OwnCall) -> Outcome:
    if call.body is None:
        return "cut"
    return "ok" if 200 <= call.status < 300 else "error"


def _used(call: OwnCall, outcome: Outcome) -> Tokens:
    """As the provider told, else estimated from what was asked; nothing of a refusal."""
    if outcome == "error":
        return NOTHING
    told = _told(call.body) if call.body is not None else None
    if told is not None:
        return Tokens(told)
    return Tokens(-(-call.prompt_bytes // BYTES_PER_TOKEN), source="estimated")


def _told(body: bytes) -> int | None:
    try:
        return chat.read_answer(body, "embeddings").usage.prompt_tokens
    except ValueError:
        return None
