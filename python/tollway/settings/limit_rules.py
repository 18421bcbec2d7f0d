"""The sections ``limit_rules``, limits of any value or pair of values of tenant, key, user and model, and ``queue``."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from tollway.settings.values import AliasName, LimitSettings, LimitsName, Seconds

Per = Literal["tenant", "key", "user", "model"]
RuleName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
CallerName = Annotated[str, Meta(min_length=1, max_length=256)]
"""A tenant, a key or a user as it is known outside this file too; so nothing is declared."""


class LimitRuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits beside those of tenants and keys."""

    name: Annotated[RuleName, Meta(description="Told to whom it refuses; counts go on under it when all else changes.")]
    limits: Annotated[LimitSettings | LimitsName, Meta(description="Inline, or a name under limits.")]
    per: Annotated[
        tuple[Per, ...],
        Meta(max_length=2, description="The limits hold for each of these, or each pair; else for all together."),
    ] = ()
    tenant: Annotated[tuple[CallerName, ...], Meta(max_length=256, description="Only of these: names or ids.")] = ()
    key: Annotated[
        tuple[CallerName, ...], Meta(max_length=256, description="Only with these: tenant/key, or an id.")
    ] = ()
    user: Annotated[tuple[CallerName, ...], Meta(max_length=256, description="Only for these.")] = ()
    model: Annotated[tuple[AliasName, ...], Meta(max_length=256, description="Only to these: names under models.")] = ()
    on_exceed: Annotated[
        Literal["finish", "cut"],
        Meta(description="An answer that outgrows its limit: finish lets it, and the next ones wait; cut ends it."),
    ] = "finish"


class QueueSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Calls that a limit holds back for a moment wait for it, instead of being refused."""

    max_wait_s: Annotated[Seconds, Meta(ge=0.01, le=60, description="No call waits longer.")] = field(
        default=2.0, name="max_wait"
    )
    max_waiting: Annotated[int, Meta(ge=1, le=1000, description="Calls that may wait in one worker.")] = 100
    weights: Annotated[
        dict[CallerName, Annotated[int, Meta(ge=1, le=1000)]],
        Meta(max_length=1024, description="Shares of tenants, by name or id, in what is free; 1 unless given."),
    ] = field(default_factory=dict)
