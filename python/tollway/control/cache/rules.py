"""What may be asked of the cache, and how it is told. Decisions only, no I/O."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tollway.contract.cache import CachePolicy, EntryFacts, Feedback, Selection, ShelfFacts, model_of
from tollway.control import paging
from tollway.control.cache.policies import declared_cache, written_policy
from tollway.control.cache.queries import FoundPolicy, Owner, SavedDay
from tollway.control.fields import refused
from tollway.control.money import plain
from tollway.control.session import Caller
from tollway.errors import Conflict, InvalidRequest, NotFound
from tollway.settings import BadConfiguration, Settings, read_cache_policy
from tollway.settings.units import duration_s

KEY_CHARACTERS = 64

Days = Annotated[int, Meta(ge=1, le=366)]
Id = Annotated[str, Meta(min_length=1, max_length=256)]


class StatsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of the figures: of the last so many days, today included."""

    days: Days = 30
    tenant_id: Id | None = None
    model: Id | None = None


class EntriesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of the list. ``tenant_id`` may be a name."""

    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None
    tenant_id: Id | None = None
    key_id: Id | None = None
    model: Id | None = None


class RemovalQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which entries are to be forgotten: those for which all that is given holds. ``older_than`` is a duration."""

    tenant_id: Id | None = None
    key_id: Id | None = None
    model: Id | None = None
    older_than: str | None = None


class FeedbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody says of an answer that came from the cache, in the words of its headers: its ``region``
    (x-tollway-cache-region), ``similarity`` (x-tollway-cache-similarity) and ``request_id`` (x-request-id).

    ``tenant_id`` is for who belongs to none.
    """

    region: Annotated[str, Meta(min_length=1, max_length=512)]
    similarity: Annotated[float, Meta(ge=0, le=1)]
    verdict: Literal["good", "wrong"]
    request_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$")] | None = None
    tenant_id: Id | None = None


class Removed(msgspec.Struct, frozen=True):
    """Whether nobody can serve what was meant any more; else those who were not reached will hear of it in seconds."""

    is_complete: bool


class Judged(msgspec.Struct, frozen=True):
    """Whether the verdict counts; a call is judged once."""

    is_counted: bool


class ShownEntry(msgspec.Struct, frozen=True):
    """An entry as the API shows it: never the question, nor the answer."""

    key: str
    tenant_id: str
    key_id: str
    model: str
    operation: str
    provider: str
    provider_model: str
    kind: Literal["exact", "semantic"]
    filled_at: datetime
    expires_at: datetime
    bytes: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None


class ShownStats(msgspec.Struct, frozen=True):
    """What the worker that answers knows of, and what all of them have saved, by day and in all."""

    worker: ShelfFacts
    days: list[SavedDay]
    calls: int
    exact: int
    semantic: int
    hit_rate: float | None
    saved_usd: Decimal


def checked_policy(body: bytes, settings: Settings) -> CachePolicy | None:
    """The policy that a body says in the words of the configuration file: a policy, or ``"off"``.

    Raises:
        InvalidRequest: it has faults.
    """
    if body.strip() == b'"off"':
        return CachePolicy()
    try:
        return declared_cache(read_cache_policy(body, settings))
    except BadConfiguration as error:
        fault = error.faults[0]
        if fault.path:
            raise refused(fault.path, f"{fault.message}.") from None
        raise InvalidRequest(f"The body {fault.message}.") from None


def refuse_declared(owner: Owner, owner_id: str, settings: Settings) -> None:
    """What the file declares is changed there.

    Raises:
        Conflict: the file declares this tenant.
    """
    if owner == "tenant" and owner_id in settings.tenants:
        raise Conflict("This tenant is managed by the configuration file; change it there.")


def shown_policy(owner: Owner, found: FoundPolicy) -> dict[str, Any]:
    """As the API answers: in the words of the configuration file; ``null`` where another policy holds."""
    return {f"{owner}_id": found.id, "cache": None if found.policy is None else written_policy(found.policy)}


def entry_key(text: str) -> bytes:
    """An entry's key, as x-tollway-cache-key tells it.

    Raises:
        NotFound: nothing can have this key.
    """
    try:
        key = bytes.fromhex(text) if len(text) == KEY_CHARACTERS and text.isalnum() else b""
    except ValueError:
        key = b""
    if not key:
        raise NotFound("There is no such entry: a key has 64 hexadecimal digits.")
    return key


def selected(query: RemovalQuery, tenant_id: str | None, now: datetime) -> Selection:
    """What is meant. ``tenant_id`` is the id of whom ``query`` may name.

    Raises:
        InvalidRequest: nothing is chosen, or ``older_than`` is no duration.
    """
    selection = Selection(
        tenant_id=tenant_id, key_id=query.key_id, model=query.model, before_ms=_before_ms(query.older_than, now)
    )
    if selection == Selection():
        raise InvalidRequest(
            "Say which entries: by tenant_id, key_id, model or older_than. All of them: POST /api/v1/cache/flush."
        )
    return selection


def _before_ms(older_than: str | None, now: datetime) -> int | None:
    if older_than is None:
        return None
    try:
        return int((now.timestamp() - duration_s(older_than)) * 1000)
    except ValueError as error:
        raise refused("older_than", f"{error}.") from None


def checked_feedback(body: FeedbackBody, caller: Caller, settings: Settings) -> Feedback:
    """The verdict, of a hit of the caller's own tenant, or of any by an admin.

    Raises:
        InvalidRequest: there is no such region of that tenant.
    """
    tenant_id = body.tenant_id if caller.tenant_id is None else caller.tenant_id
    if tenant_id is None:
        raise refused("tenant_id", "whose answer it was; an admin key belongs to no tenant.")
    if body.tenant_id not in (None, tenant_id):
        raise refused("tenant_id", "another tenant's answers are not this key's to judge.")
    model = model_of(body.region, tenant_id)
    if model is None or model not in settings.models:
        raise refused("region", "is none of this tenant's; it is told by the header x-tollway-cache-region.")
    return Feedback(
        tenant_id=tenant_id,
        region=body.region,
        confidence=body.similarity,
        verdict=body.verdict,
        source="client",
        request_id=body.request_id,
    )


def shown_entry(facts: EntryFacts) -> ShownEntry:
    """An entry as the API shows it."""
    return ShownEntry(
        key=facts.key.hex(),
        tenant_id=facts.tenant_id,
        key_id=facts.key_id,
        model=facts.model,
        operation=facts.operation,
        provider=facts.provider,
        provider_model=facts.provider_model,
        kind="semantic" if facts.is_semantic else "exact",
        filled_at=_moment(facts.filled_at_ms),
        expires_at=_moment(facts.expires_at_ms),
        bytes=facts.body_bytes,
        prompt_tokens=facts.prompt_tokens,
        completion_tokens=facts.completion_tokens,
        cost_usd=None if facts.cost_picousd is None else plain(Decimal(facts.cost_picousd).scaleb(-12)),
    )


def shown_stats(worker: ShelfFacts, days: list[SavedDay]) -> ShownStats:
    """The figures with their sums; ``hit_rate`` is of all answers, ``None`` where there were none."""
    calls, exact, semantic = (sum(getattr(day, name) for day in days) for name in ("calls", "exact", "semantic"))
    return ShownStats(
        worker=worker,
        days=[msgspec.structs.replace(day, saved_usd=plain(day.saved_usd)) for day in days],
        calls=calls,
        exact=exact,
        semantic=semantic,
        hit_rate=round((exact + semantic) / calls, 4) if calls else None,
        saved_usd=plain(sum((day.saved_usd for day in days), Decimal(0))),
    )


def first_day(days: int, now: datetime) -> date:
    """The first of so many days, today included."""
    return now.astimezone(UTC).date() - timedelta(days=days - 1)


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
