"""What a tenant may look like. Decisions only, no I/O."""

from decimal import Decimal

import msgspec
from msgspec import UNSET

from tollway.control import fields
from tollway.control.money import picousd
from tollway.control.tenants.queries import Declared, TenantDraft, TenantPatch
from tollway.errors import Conflict, InvalidRequest


def checked_draft(draft: TenantDraft, declared: Declared) -> TenantDraft:
    """The draft, its fields in order.

    Raises:
        InvalidRequest: a field is wrong.
        Conflict: the configuration file declares a tenant of this name.
    """
    return msgspec.structs.replace(
        draft,
        name=_name(draft.name, declared),
        limits=fields.limits(draft.limits),
        allowed_models=fields.models(draft.allowed_models),
        monthly_budget_usd=_budget(draft.monthly_budget_usd),
    )


def checked_patch(patch: TenantPatch, declared: Declared) -> TenantPatch:
    """The patch, its fields in order.

    Raises:
        InvalidRequest: a field is wrong, or there is nothing to change.
        Conflict: the configuration file declares a tenant of the new name.
    """
    if not patch.changes:
        raise InvalidRequest("There is nothing to change: the body names no field.")
    for required in ("name", "is_active"):
        if getattr(patch, required) is None:
            raise fields.refused(required, "must not be null.")
    return msgspec.structs.replace(
        patch,
        name=UNSET if patch.name is UNSET else _name(patch.name, declared),
        limits=UNSET if patch.limits is UNSET else fields.limits(patch.limits),
        allowed_models=UNSET if patch.allowed_models is UNSET else fields.models(patch.allowed_models),
        monthly_budget_usd=UNSET if patch.monthly_budget_usd is UNSET else _budget(patch.monthly_budget_usd),
    )


def refuse_declared(id_or_name: str, declared: Declared) -> None:
    """What the file declares is changed there.

    Raises:
        Conflict: the file declares this tenant.
    """
    if id_or_name in declared.tenants:
        raise Conflict("This tenant is managed by the configuration file; change it there.")


def _budget(amount_usd: Decimal | None) -> Decimal | None:
    if amount_usd is not None:
        picousd(amount_usd, "monthly_budget_usd")
    return amount_usd


def _name(name: str, declared: Declared) -> str:
    refuse_declared(name, declared)
    return fields.name(name)
