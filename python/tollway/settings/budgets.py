"""What ``budgets`` says: ceilings for what calls may cost in a period."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from tollway.settings.values import AliasName, BudgetPicoUsd, Name, PlainName

Value = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""What a client may call its users; a tag with its value."""


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A ceiling for all calls together of which everything holds that is given."""

    name: Annotated[PlainName, Meta(description="No other budget's. One of another name begins with nothing spent.")]
    amount_picousd: Annotated[
        BudgetPicoUsd, Meta(description="US dollars that calls may cost in the period, and not more.")
    ] = field(name="amount_usd")
    period: Annotated[
        Literal["day", "week", "month", "total"],
        Meta(description="Of the calendar, UTC, weeks from Monday; total never ends."),
    ]
    rolling: Annotated[bool, Meta(description="The last 24 hours, 7 or 30 days instead of the calendar's.")] = False
    warn_at: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=100)], ...],
        Meta(max_length=8, description="Per cents at which somebody is told, once a period each."),
    ] = ()
    tenant: Annotated[PlainName | None, Meta(description="A name under tenants, or the id of another tenant.")] = None
    key: Annotated[Name | None, Meta(description="tenant/key of one under tenants, or the id of another key.")] = None
    user: Annotated[Value | None, Meta(description="A user, as calls name theirs.")] = None
    model: Annotated[AliasName | None, Meta(description="A name under models.")] = None
    tag: Annotated[Value | None, Meta(description="name=value, as calls are tagged.")] = None
    per: Annotated[
        tuple[Literal["key", "user", "model"], ...],
        Meta(max_length=3, description="A ceiling of its own for each of these, instead of one for all."),
    ] = ()
