"""What may be decided about a target, and what may be asked. Decisions only, no I/O."""

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, field

from tollway.contract.described import Described
from tollway.contract.keys import GATEWAY_USE, KeyRecord
from tollway.contract.prices import TenantPrices
from tollway.contract.routing import Need
from tollway.contract.snapshot import Snapshot
from tollway.control import fields
from tollway.control.routing.queries import TargetClosing, TargetOpening, TargetPatch
from tollway.control.routing.standing import targets_of
from tollway.control.tenants.queries import Tenant
from tollway.errors import InvalidRequest, NotFound
from tollway.settings.units import duration_s

HEAVIEST: Final = 1_000_000
LONGEST_NOTE: Final = 500
LONGEST_OPENING_S: Final = 365 * 86_400.0
MOST_NAMED: Final = 20
"""Names that a refusal lists."""

Pairs = Annotated[dict[str, str], msgspec.Meta(max_length=64)]


class OpeningBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an opening: ``{"for": "30s"}``; ``null`` is until it is closed by hand."""

    duration: str | None = field(default=None, name="for")
    note: str | None = None


class ExplainBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of an explanation; ``tenant`` is an id or a name."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    headers: Pairs = {}
    metadata: Pairs = {}
    tenant: str | None = None
    user: str | None = None
    prompt_tokens: Annotated[int, msgspec.Meta(ge=0, le=100_000_000)] = 0
    stream: bool = False
    needs: frozenset[Need] = frozenset()


def checked_patch(patch: TargetPatch, target: str, snapshot: Snapshot) -> TargetPatch:
    """The patch, its fields in order.

    Raises:
        InvalidRequest: a field is wrong, or there is nothing to change.
        NotFound: there is no such model, or the target does not answer for it.
    """
    if patch.drained is UNSET and patch.weight is UNSET:
        raise InvalidRequest("There is nothing to change: the body names neither drained nor weight.")
    if patch.weight is UNSET and patch.model is not UNSET:
        raise fields.refused("model", "goes with weight: whose calls it is a share of.")
    if patch.weight is not UNSET:
        models = [alias for alias, route in snapshot.routes.items() if any(t.name == target for t in route.targets)]
        if patch.model is UNSET:
            raise fields.refused("model", f"must say whose calls it is a share of. {_listed(models)}")
        if patch.model not in models:
            raise NotFound(
                f"The target {target!r} does not answer for {patch.model[:128]!r}. {_listed(models)}", param="model"
            )
        if patch.weight is not None and not 0 <= patch.weight <= HEAVIEST:
            raise fields.refused("weight", f"must be from 0 to {HEAVIEST:,}, or null for the configuration's.")
    return msgspec.structs.replace(patch, note=_note(patch.note))


def checked_opening(body: OpeningBody) -> TargetOpening:
    """The opening.

    Raises:
        InvalidRequest: a field is wrong.
    """
    return TargetOpening(None if body.duration is None else _milliseconds(body.duration), _note(body.note))


def checked_closing(closing: TargetClosing) -> TargetClosing:
    """The closing.

    Raises:
        InvalidRequest: the note is wrong.
    """
    return TargetClosing(_note(closing.note))


def known_target(name: str, snapshot: Snapshot) -> str:
    """The name of a target that there is.

    Raises:
        NotFound: there is none; the message names those there are.
    """
    targets = targets_of(snapshot)
    if name not in targets:
        raise NotFound(f"There is no target {name[:400]!r}. {_listed(targets)}")
    return name


def known_model(alias: str, snapshot: Snapshot) -> str:
    """The alias of a model that there is.

    Raises:
        NotFound: there is none; the message names those there are.
    """
    if alias not in snapshot.routes:
        raise NotFound(f"There is no model {alias[:128]!r}. {_listed(snapshot.routes)}", param="model")
    return alias


def described(body: ExplainBody, record: KeyRecord | None) -> Described:
    """What the router is asked; without a ``record`` it is for somebody who may use every model."""
    call = Described(
        model=body.model,
        headers={name.lower(): value for name, value in body.headers.items()},
        metadata=body.metadata,
        user=body.user,
        prompt_tokens=body.prompt_tokens,
        stream=body.stream,
        needs=body.needs,
    )
    if record is None:
        return call
    return msgspec.structs.replace(
        call,
        tenant=record.tenant_id,
        tenant_name=record.tenant_name,
        allowed_models=record.allowed_models,
        may_spend=record.may_spend,
        prices=record.prices,
    )


def record_of(tenant: Tenant, prices: TenantPrices | None) -> KeyRecord:
    """A key of a tenant that has no rights of its own."""
    models = None if tenant.allowed_models is None else frozenset(tenant.allowed_models)
    return KeyRecord(
        key_id="",
        key_name="",
        tenant_id=tenant.id,
        tenant_name=tenant.name,
        scopes=frozenset({GATEWAY_USE}),
        is_active=tenant.is_active,
        allowed_models=models,
        may_spend=tenant.monthly_budget_usd != 0,
        prices=prices,
    )


def declared_record(tenant: str, snapshot: Snapshot) -> KeyRecord | None:
    """A key of a tenant that the configuration file declares; ``None`` when it declares none."""
    return next((record for _, record in snapshot.file_keys if record.tenant_name == tenant), None)


def _milliseconds(text: str) -> int:
    try:
        seconds = duration_s(text)
    except ValueError as error:
        raise fields.refused("for", f"{error}.") from error
    if not 0 < seconds <= LONGEST_OPENING_S:
        raise fields.refused("for", "must be longer than nothing and at most 365d, or null until it is closed by hand.")
    return round(seconds * 1000) or 1


def _note(note: str | None) -> str | None:
    if note is None:
        return None
    if len(note) > LONGEST_NOTE:
        raise fields.refused("note", f"must have at most {LONGEST_NOTE} characters.")
    if not note.isprintable():
        raise fields.refused("note", "must be printable, on one line.")
    return note.strip() or None


def _listed(names: Iterable[str]) -> str:
    """The names there are, as a sentence; not so many that nobody reads it."""
    found = sorted(names)
    if not found:
        return "There are none."
    more = f" and {len(found) - MOST_NAMED:,} more" if len(found) > MOST_NAMED else ""
    return f"There are: {', '.join(found[:MOST_NAMED])}{more}."
