"""What an export holds: its columns, and the SQL that reads them. It writes nothing.

``rows`` are the calls themselves, ``daily`` their sums by day and all that they may be split by, ``focus`` charges in
the columns of the FinOps Open Cost and Usage Specification, version 1.2 (focus.finops.org).
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

Kind = Literal["text", "whole", "decimal", "moment", "truth", "texts"]
"""``decimal`` has at most twelve decimals, ``moment`` is in UTC, ``texts`` is a JSON array of strings."""

What = Literal["rows", "daily", "focus"]


class Column(msgspec.Struct, frozen=True):
    """A column's name and what its values are; any may be missing."""

    name: str
    kind: Kind = "text"


class Table(msgspec.Struct, frozen=True):
    """Columns, and the query for them: ``$1`` is the tenant or null, ``$2`` and ``$3`` are the range."""

    columns: tuple[Column, ...]
    sql: str


def _columns(**kinds: str) -> tuple[Column, ...]:
    """``text="a b"`` are two columns of texts."""
    return tuple(Column(name, kind) for kind, names in kinds.items() for name in names.split())  # type: ignore[arg-type]


_ROW_COLUMNS = (
    *_columns(text="id request_id", moment="created_at"),
    *_columns(text="tenant_id api_key_id user_id model provider provider_model role status"),
    *_columns(whole="http_status", truth="stream", text="usage_source cache service_tier"),
    *_columns(
        whole="prompt_tokens completion_tokens cached_tokens cache_write_tokens cache_write_1h_tokens reasoning_tokens "
        "audio_input_tokens audio_output_tokens image_input_tokens image_output_tokens",
        decimal="cost cost_input cost_cached_input cost_cache_write cost_output cost_reasoning cost_audio cost_image "
        "cost_other",
    ),
    *_columns(text="price_version"),
    *_columns(whole="latency_ms first_token_ms attempts", texts="tags", decimal="saved"),
)

_DAILY_COLUMNS = (
    *_columns(moment="bucket", text="tenant_id api_key_id user_id model provider provider_model role"),
    *_columns(
        whole="calls failed unpriced cache_hits prompt_tokens completion_tokens cached_tokens cache_write_tokens "
        "cache_write_1h_tokens reasoning_tokens audio_input_tokens audio_output_tokens image_input_tokens "
        "image_output_tokens",
        decimal="cost cost_input cost_cached_input cost_cache_write cost_output cost_reasoning cost_audio cost_image "
        "cost_other",
    ),
    *_columns(text="cache", decimal="saved"),
)

_FOCUS_COLUMNS = (
    *_columns(decimal="BilledCost", text="BillingAccountId BillingAccountName BillingCurrency"),
    *_columns(moment="BillingPeriodStart BillingPeriodEnd"),
    *_columns(text="ChargeCategory ChargeClass ChargeDescription ChargeFrequency"),
    *_columns(moment="ChargePeriodStart ChargePeriodEnd"),
    *_columns(decimal="ConsumedQuantity", text="ConsumedUnit"),
    *_columns(decimal="ContractedCost EffectiveCost", text="InvoiceId InvoiceIssuerName"),
    *_columns(decimal="ListCost", text="PricingCategory"),
    *_columns(decimal="PricingQuantity", text="PricingUnit ProviderName PublisherName"),
    *_columns(text="ResourceId ResourceName ResourceType ServiceCategory ServiceName ServiceSubcategory"),
    *_columns(text="SkuId SkuMeter SubAccountId SubAccountName Tags x_Role"),
)


def _select(columns: tuple[Column, ...], source: str, moment: str) -> str:
    names = ", ".join(column.name for column in columns)
    return f"""
        select {names} from {source}
        where ($1::text is null or tenant_id = $1) and {moment} >= $2 and {moment} < $3
        order by {moment}
    """  # noqa: S608 -- names of ours


# A line for each kind of token, as a statement has it (statements.py), of everything but shadows and what caches
# answered. Late calls are in the billing period of their day; `tollway billing statement` tells the
# statement that they are on.
_FOCUS = """
    with lines as (
        select daily.*, what, quantity, amount,
               date_trunc('month', bucket, 'UTC') as period
        from usage_daily as daily cross join lateral (values
            ('input', prompt_tokens - cached_tokens - cache_write_tokens - audio_input_tokens - image_input_tokens,
             cost_input),
            ('cached_input', cached_tokens, cost_cached_input),
            ('cache_write', cache_write_tokens, cost_cache_write),
            ('output', completion_tokens - reasoning_tokens - audio_output_tokens - image_output_tokens, cost_output),
            ('reasoning', reasoning_tokens, cost_reasoning),
            ('audio', audio_input_tokens + audio_output_tokens, cost_audio),
            ('image', image_input_tokens + image_output_tokens, cost_image),
            ('requests', case role when 'answer' then calls else 0 end, cost_other),
            ('unsplit', null, cost - cost_input - cost_cached_input - cost_cache_write - cost_output - cost_reasoning
                - cost_audio - cost_image - cost_other),
            ('unpriced', unpriced, 0)
        ) as line (what, quantity, amount)
        where ($1::text is null or tenant_id = $1) and bucket >= $2 and bucket < $3 and role <> 'shadow'
          and cache = 'none' and (amount <> 0 or quantity <> 0)
    ), charges as (
        select amount, tenant_id, period, bucket as begins, bucket + interval '1 day' as ends,
               'Usage' as category, 'Usage-Based' as frequency,
               format('%s of %s by %s', replace(what, '_', ' '), provider_model, provider) as description,
               quantity, case when what in ('requests', 'unpriced') then 'Requests' else 'Tokens' end as unit,
               provider, model, provider_model, what, api_key_id, role,
               case when user_id <> '' then jsonb_build_object('user', user_id)::text end as tags
        from lines
        union all
        select amount, tenant_id, month::timestamp at time zone 'UTC', month::timestamp at time zone 'UTC',
               (month + interval '1 month') at time zone 'UTC',
               case when amount < 0 then 'Credit' else 'Adjustment' end, 'One-Time', reason,
               null, null, null, null, null, null, null, null, null
        from billing_adjustments
        where ($1::text is null or tenant_id = $1)
          and month::timestamp at time zone 'UTC' >= $2 and month::timestamp at time zone 'UTC' < $3
    )
    select amount as "BilledCost",
           charges.tenant_id as "BillingAccountId",
           coalesce(tenants.name, charges.tenant_id) as "BillingAccountName",
           'USD' as "BillingCurrency",
           period as "BillingPeriodStart",
           (period at time zone 'UTC' + interval '1 month') at time zone 'UTC' as "BillingPeriodEnd",
           category as "ChargeCategory",
           null::text as "ChargeClass",
           description as "ChargeDescription",
           frequency as "ChargeFrequency",
           begins as "ChargePeriodStart",
           ends as "ChargePeriodEnd",
           quantity as "ConsumedQuantity",
           case when quantity is not null then unit end as "ConsumedUnit",
           amount as "ContractedCost",
           amount as "EffectiveCost",
           case when statements.month is not null then charges.tenant_id || '/' || to_char(statements.month, 'YYYY-MM')
               end as "InvoiceId",
           'Tollway' as "InvoiceIssuerName",
           amount as "ListCost",
           case when quantity is not null then 'Standard' end as "PricingCategory",
           quantity as "PricingQuantity",
           case when quantity is not null then unit end as "PricingUnit",
           coalesce(provider, 'Tollway') as "ProviderName",
           coalesce(provider, 'Tollway') as "PublisherName",
           model as "ResourceId",
           model as "ResourceName",
           case when model is not null then 'Model' end as "ResourceType",
           'AI and Machine Learning' as "ServiceCategory",
           coalesce(provider_model, 'Tollway') as "ServiceName",
           'Generative AI' as "ServiceSubcategory",
           provider || '/' || provider_model || '/' || what as "SkuId",
           what as "SkuMeter",
           api_key_id as "SubAccountId",
           coalesce(keys.name, api_key_id) as "SubAccountName",
           tags as "Tags",
           role as "x_Role"
    from charges
    left join tenants on tenants.id = charges.tenant_id
    left join api_keys as keys on keys.id = charges.api_key_id
    left join billing_statements as statements
        on statements.tenant_id = charges.tenant_id
        and statements.month = (charges.period at time zone 'UTC')::date
"""

TABLES: Mapping[What, Table] = {
    "rows": Table(_ROW_COLUMNS, _select(_ROW_COLUMNS, "usage_logs", "created_at")),
    "daily": Table(_DAILY_COLUMNS, _select(_DAILY_COLUMNS, "usage_daily", "bucket")),
    "focus": Table(_FOCUS_COLUMNS, _FOCUS),
}
