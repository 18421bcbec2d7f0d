"""The section ``models``: who may answer for an alias, and how a call finds its way to them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from tollway.settings.prices import PriceSettings
from tollway.settings.values import (
    AliasName,
    GuardrailName,
    PicoUsd,
    PlainName,
    ProviderName,
    Seconds,
    Share,
)

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "default"]


Strategy = Literal["weighted", "round_robin", "least_busy", "latency", "cost", "priority", "sticky"]
Need = Literal["vision", "audio", "documents", "tools", "json_schema"]

Tag = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=64)]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=128)]
"""A token (RFC 9110, section 5.1)."""

HeaderValue = Annotated[str, Meta(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=1024)]
MetadataName = Annotated[str, Meta(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Meta(max_length=512)]
"""As long as OpenAI allows (platform.openai.com, API reference, "metadata")."""


class TakesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a target's model takes of a translated request, where Tollway's own table does not know it."""

    images: Annotated[bool | None, Meta(description="Images.")] = None
    image_urls: Annotated[
        bool | None, Meta(description="Images by their address; else fetched here, for OpenAI-like kinds.")
    ] = None
    documents: Annotated[bool | None, Meta(description="Documents, such as PDFs.")] = None
    audio: Annotated[bool | None, Meta(description="Sound.")] = None
    tools: Annotated[bool | None, Meta(description="Tools.")] = None
    parallel_tool_calls: Annotated[bool | None, Meta(description="parallel_tool_calls: false.")] = None
    json_schema: Annotated[bool | None, Meta(description="A schema as response_format.")] = None
    seed: Annotated[bool | None, Meta(description="seed.")] = None
    temperature: Annotated[bool | None, Meta(description="temperature and its neighbours.")] = None
    reasoning_effort: Annotated[
        Annotated[tuple[Effort, ...], Meta(max_length=8)] | None,
        Meta(description="The words it knows; none of them: it does not think."),
    ] = None
    stop: Annotated[Annotated[int, Meta(ge=0, le=1024)] | None, Meta(description="The most stop sequences.")] = None
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=1, le=100_000_000)] | None, Meta(description="The most tokens of an answer.")
    ] = None
    context_tokens: Annotated[
        Annotated[int, Meta(ge=1, le=100_000_000)] | None, Meta(description="The most tokens of prompt and answer.")
    ] = None


class TargetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider's model that may answer."""

    provider: Annotated[ProviderName, Meta(description="A name under providers.")]
    model: Annotated[str, Meta(min_length=1, max_length=256, description="The model, or Azure deployment, asked for.")]
    weight: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Share of the calls, against the other targets'; 0 is asked only where no other can answer.",
        ),
    ] = 1
    priority: Annotated[
        int, Meta(ge=1, le=1000, description="For the strategy priority: the lowest is asked first.")
    ] = 1
    tags: Annotated[tuple[Tag, ...], Meta(max_length=16, description="What rules choose it by.")] = ()
    takes: Annotated[TakesSettings, Meta(description="What the model takes, against what is known of it.")] = (
        TakesSettings()
    )


class TimeoutSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of one upstream call."""

    connect_s: Annotated[Seconds, Meta(ge=0.001, le=3600, description="Until there is a connection.")] = field(
        default=5.0, name="connect"
    )
    first_token_s: Annotated[
        Annotated[Seconds, Meta(ge=0.001, le=3600)] | None,
        Meta(description="From sending to the first byte of the answer; else 120s for a stream, total for the whole."),
    ] = field(default=None, name="first_token")
    idle_s: Annotated[Seconds, Meta(ge=0.001, le=3600, description="Between two pieces of the answer.")] = field(
        default=60.0, name="idle"
    )
    total_s: Annotated[Seconds, Meta(ge=0.001, le=86400, description="For all of the answer.")] = field(
        default=600.0, name="total"
    )
    keep_alive_s: Annotated[
        Annotated[Seconds, Meta(ge=0.01, le=3600)] | Literal["off"],
        Meta(description="A stream that was silent for so long is sent a comment; off is never."),
    ] = field(default=5.0, name="keep_alive")


class WhenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a rule asks of a request: all of it must hold, and of a list any one value will do."""

    tenant: Annotated[
        Annotated[tuple[PlainName, ...], Meta(min_length=1, max_length=1024)] | None,
        Meta(description="The tenant's name."),
    ] = None
    header: Annotated[
        dict[HeaderName, Annotated[tuple[HeaderValue, ...], Meta(min_length=1, max_length=64)]],
        Meta(description="Values of headers, letter for letter."),
    ] = {}
    metadata: Annotated[
        dict[MetadataName, Annotated[tuple[MetadataValue, ...], Meta(min_length=1, max_length=64)]],
        Meta(description="Values of x-tollway-metadata, or else of the request's metadata."),
    ] = {}
    needs: Annotated[
        Annotated[tuple[Need, ...], Meta(min_length=1)] | None,
        Meta(description="What the request needs of a model beyond text."),
    ] = None
    tokens_over: Annotated[
        Annotated[int, Meta(ge=0, le=100_000_000)] | None, Meta(description="The prompt has more tokens.")
    ] = None
    tokens_up_to: Annotated[
        Annotated[int, Meta(ge=1, le=100_000_000)] | None, Meta(description="The prompt has no more tokens.")
    ] = None


class RuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first rule that holds leaves only the targets with one of its tags."""

    name: Annotated[PlainName, Meta(description="What decisions call it; no other rule of the model's.")]
    when: Annotated[WhenSettings, Meta(description="What it asks of a request; unless given, it always holds.")] = (
        WhenSettings()
    )
    share: Annotated[
        Share | None,
        Meta(description="Of the users, always the same ones, so many go there, and the others never do."),
    ] = None
    to: Annotated[tuple[Tag, ...], Meta(min_length=1, max_length=16, description="Tags of targets.")]


class RetriesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often a call is tried, of this target or another."""

    attempts: Annotated[int, Meta(ge=1, le=10, description="At most, the first included.")] = 3
    budget: Annotated[
        Share, Meta(description="Those beyond the first are at most this share of the model's calls on this host.")
    ] = 0.2
    backoff_s: Annotated[
        Seconds,
        Meta(ge=0, le=60, description="Before a target is asked again, doubled each time; a random part of it."),
    ] = field(default=0.1, name="backoff")
    max_backoff_s: Annotated[Seconds, Meta(ge=0, le=60, description="But never longer.")] = field(
        default=2.0, name="max_backoff"
    )


Aliases = Annotated[tuple[AliasName, ...], Meta(max_length=64)]


class FallbackSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Other models, in order, by why this one can't answer."""

    error: Annotated[Aliases, Meta(description="No target answers.")] = ()
    rate_limit: Annotated[Aliases, Meta(description="Every target is at its provider's limit.")] = ()
    context_window: Annotated[Aliases, Meta(description="The prompt is too long.")] = ()
    content_policy: Annotated[Aliases, Meta(description="The provider's own policy refuses the prompt.")] = ()


class HedgeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A second target is asked when the first has not begun to answer; the first answer wins, both are paid."""

    after_s: Annotated[
        Annotated[Seconds, Meta(ge=0.001, le=3600)] | Literal["p95"],
        Meta(description="When: p95 is the wait that 95 % of the first target's answers keep below."),
    ] = field(default="p95", name="after")
    budget: Annotated[Share, Meta(description="At most this share of the model's calls.")] = 0.05
    max_cost_picousd: Annotated[
        PicoUsd, Meta(description="Only where the second call costs no more, by the request's estimate.")
    ] = field(default=10_000_000_000, name="max_cost_usd")


class ShadowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Copies of calls go to another model; its answers are metered and thrown away."""

    provider: Annotated[ProviderName, Meta(description="A name under providers.")]
    model: Annotated[str, Meta(min_length=1, max_length=256, description="The model, or Azure deployment, asked for.")]
    share: Annotated[Share, Meta(description="Of the calls.")] = 1.0
    takes: Annotated[TakesSettings, Meta(description="What the model takes, against what is known of it.")] = (
        TakesSettings()
    )


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model as clients name it."""

    targets: Annotated[
        tuple[TargetSettings, ...], Meta(min_length=1, max_length=64, description="Who may answer for it.")
    ]
    strategy: Annotated[Strategy, Meta(description="How a target is chosen.")] = "weighted"
    sticky_by: Annotated[
        Literal["user", "conversation", "prefix"] | None,
        Meta(description="For the strategy sticky: what stays with a target; the conversation unless given."),
    ] = None
    rules: Annotated[
        tuple[RuleSettings, ...], Meta(max_length=64, description="Which targets may answer which requests, in order.")
    ] = ()
    retries: RetriesSettings = RetriesSettings()
    fallbacks: Annotated[
        Aliases | FallbackSettings,
        Meta(description="Other models, in order: a list for error and rate_limit, or lists by cause."),
    ] = ()
    hedge: Annotated[HedgeSettings | None, Meta(description="Ask a second target when the first is slow.")] = None
    shadow: Annotated[ShadowSettings | None, Meta(description="Send copies of calls to another model.")] = None
    guardrails: Annotated[
        GuardrailName | None, Meta(description="A name under guardrails that holds besides the caller's.")
    ] = None
    timeouts: TimeoutSettings = TimeoutSettings()
    price: Annotated[PriceSettings | None, Meta(description="Instead of the price in prices.yaml.")] = None
