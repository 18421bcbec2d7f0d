"""What a model costs: in ``prices.yaml``, as a model's ``price`` and among a tenant's ``prices``.

Written in US dollars per million tokens, kept in whole pico-dollars per token; what is paid for each is written in US
dollars and kept in pico-dollars.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, field

from tollway.settings.values import InstantMs, PicoUsd, PicoUsdPerToken

TierName = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,16}$")]
"""A provider's word for a service tier, in lower case."""

_Rate = PicoUsdPerToken | None


class RateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What each kind of token costs; one that is left out costs what it is a kind of."""

    input: Annotated[PicoUsdPerToken, Meta(description="Prompt tokens.")] = field(name="input_per_1m")
    output: Annotated[PicoUsdPerToken, Meta(description="Completion tokens.")] = field(name="output_per_1m")
    cached_input: Annotated[_Rate, Meta(description="Prompt tokens read from the provider's cache; else input's.")] = (
        field(default=None, name="cached_input_per_1m")
    )
    cache_write: Annotated[_Rate, Meta(description="Prompt tokens written to the provider's cache; else input's.")] = (
        field(default=None, name="cache_write_per_1m")
    )
    cache_write_1h: Annotated[_Rate, Meta(description="Of these, what is kept for an hour; else cache_write's.")] = (
        field(default=None, name="cache_write_1h_per_1m")
    )
    reasoning: Annotated[_Rate, Meta(description="Reasoning tokens; else output's.")] = field(
        default=None, name="reasoning_per_1m"
    )
    audio_input: Annotated[_Rate, Meta(description="Prompt tokens of sound; else input's.")] = field(
        default=None, name="audio_input_per_1m"
    )
    cached_audio_input: Annotated[
        _Rate, Meta(description="Of these, read from the cache; else audio_input's, or cached_input's.")
    ] = field(default=None, name="cached_audio_input_per_1m")
    audio_output: Annotated[_Rate, Meta(description="Completion tokens of sound; else output's.")] = field(
        default=None, name="audio_output_per_1m"
    )
    image_input: Annotated[_Rate, Meta(description="Prompt tokens of images; else input's.")] = field(
        default=None, name="image_input_per_1m"
    )
    image_output: Annotated[_Rate, Meta(description="Completion tokens of images; else output's.")] = field(
        default=None, name="image_output_per_1m"
    )
    character: Annotated[PicoUsdPerToken, Meta(description="Characters of a text to be spoken.")] = field(
        default=0, name="characters_per_1m"
    )
    per_request: Annotated[PicoUsd, Meta(description="US dollars for each call that is answered.")] = 0
    per_image: Annotated[PicoUsd, Meta(description="US dollars for each image that is made.")] = 0
    per_minute: Annotated[PicoUsd, Meta(description="US dollars for a minute of sound that is heard.")] = 0


class TierSettings(RateSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rates of a longer prompt: all of them, for the whole call."""

    above_tokens: Annotated[
        int, Meta(ge=1, le=1_000_000_000, description="For prompts of more tokens, cached ones included.")
    ]


Tiers = Annotated[tuple[TierSettings, ...], Meta(max_length=16)]


class TariffSettings(RateSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rates, and those of longer prompts."""

    tiers: Annotated[Tiers, Meta(description="The rates of longer prompts, shortest first.")] = ()


class DatedSettings(TariffSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A price with its service tiers."""

    service_tiers: Annotated[
        dict[TierName, TariffSettings],
        Meta(max_length=16, description="By the provider's word for how it served a call; else as above."),
    ] = {}


class LaterSettings(DatedSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A price that follows another."""

    from_ms: Annotated[InstantMs, Meta(description="From when on it holds; UTC unless it says.")] = field(name="from")


class PriceSettings(DatedSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model's price, and those that follow it."""

    versions: Annotated[
        Annotated[tuple[LaterSettings, ...], Meta(max_length=64)],
        Meta(description="Whole prices that follow this one, earliest first; the time of a call chooses."),
    ] = ()
