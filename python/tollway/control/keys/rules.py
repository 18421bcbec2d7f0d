"""Which keys may be made, and making them. Decisions only, no I/O (the secret's randomness is the system's)."""

from datetime import datetime
from typing import Literal

import msgspec

from tollway._native import keys
from tollway.contract.keys import GATEWAY_USE
from tollway.contract.limits import LimitValues
from tollway.control import fields
from tollway.control.keys.queries import NewKey
from tollway.control.permissions import ADMIN
from tollway.errors import Forbidden

ADMIN_ENVIRONMENT = "admin"


class KeyDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key as it is asked for. ``tenant`` is an id or a name; an ``admin`` key has none.

    ``guardrails`` names a policy that goes before the tenant's.

    ``scopes`` of ``None`` are all that a key of its kind can have.
    """

    name: str
    tenant: str | None = None
    admin: bool = False
    scopes: tuple[str, ...] | None = None
    environment: Literal["live", "test"] = "live"
    expires_at: datetime | None = None
    limits: LimitValues | None = None
    allowed_models: tuple[str, ...] | None = None
    guardrails: str | None = None


class MadeKey(msgspec.Struct, frozen=True):
    """A key to be stored, and its secret: to be shown once, and kept nowhere."""

    record: NewKey
    secret: str

    def __repr__(self) -> str:
        """Without the secret, so that no log or traceback shows it."""
        return f"MadeKey(record={self.record!r})"


def checked_draft(draft: KeyDraft, granter: frozenset[str], now: datetime) -> KeyDraft:
    """The draft with its scopes filled in.

    Raises:
        InvalidRequest: a field is wrong.
        Forbidden: an admin key would get a scope that ``granter`` (who makes it) lacks.
    """
    if draft.admin:
        _check_admin(draft)
    elif draft.tenant is None:
        raise fields.refused("tenant", "a key that is not an admin key belongs to a tenant.")
    if draft.expires_at is not None and fields.moment(draft.expires_at, "expires_at") <= now:
        raise fields.refused("expires_at", "must lie in the future.")
    return msgspec.structs.replace(
        draft,
        name=fields.name(draft.name),
        tenant=None if draft.tenant is None else fields.name(draft.tenant, "tenant"),
        scopes=_scopes(draft, granter),
        limits=fields.limits(draft.limits),
        allowed_models=fields.models(draft.allowed_models),
    )


def new_key(draft: KeyDraft, tenant_id: str | None) -> MadeKey:
    """A key for a checked draft, with a fresh secret."""
    environment = ADMIN_ENVIRONMENT if draft.admin else draft.environment
    secret = keys.generate(environment)
    record = NewKey(
        tenant_id=tenant_id,
        name=draft.name,
        digest=keys.digest(secret.encode()),
        prefix=keys.prefix(secret),
        environment=environment,
        scopes=draft.scopes or (),
        limits=draft.limits,
        allowed_models=draft.allowed_models,
        expires_at=draft.expires_at,
        guardrails=draft.guardrails,
    )
    return MadeKey(record, secret)


def _check_admin(draft: KeyDraft) -> None:
    for field in ("tenant", "limits", "allowed_models", "guardrails"):
        if getattr(draft, field) is not None:
            raise fields.refused(field, "an admin key calls no models and belongs to no tenant.")


def _scopes(draft: KeyDraft, granter: frozenset[str]) -> tuple[str, ...]:
    possible = ADMIN if draft.admin else frozenset({GATEWAY_USE})
    wanted = possible if draft.scopes is None else frozenset(draft.scopes)
    if not wanted:
        raise fields.refused("scopes", "must not be empty.")
    if unknown := wanted - possible:
        raise fields.refused("scopes", f"{min(unknown)[:100]!a} is none of: {', '.join(sorted(possible))}.")
    if draft.admin and (lacking := wanted - granter):
        raise Forbidden(f"scopes: nobody grants what he lacks: {', '.join(sorted(lacking))}.", param="scopes")
    return tuple(sorted(wanted))
