"""Prices: what a call of a model costs, by kind of token, by size of its prompt, by service tier and by date.

Rates are whole pico-dollars (10⁻¹² USD) per token, exact for every published price: one US dollar per million tokens
is 1,000,000 pico-dollars per token.
"""

import msgspec

MILLION = 1_000_000


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What each kind of token costs. ``None`` is a kind that the provider names no price of its own for.

    Then a kind costs what it is a kind of: ``cached_input``, ``cache_write``, ``audio_input`` and ``image_input`` are
    input, ``cache_write_1h`` is ``cache_write``, ``reasoning``, ``audio_output`` and ``image_output`` are output, and
    ``cached_audio_input`` is ``audio_input`` where that has a price, else ``cached_input``. Of what is no token,
    ``character`` is one of a text that is to be spoken, and in pico-dollars each: ``per_request`` for a call that is
    answered, ``per_image`` for an image that is made, ``per_minute`` for a minute of sound that is heard.
    """

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    cached_audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    character: int = 0
    per_request: int = 0
    per_image: int = 0
    per_minute: int = 0

    @property
    def dearest_input(self) -> int:
        """The most that a prompt token can cost, whatever its kind: a worst case is reckoned by it."""
        cached = (self.cached_input, self.cache_write, self.cache_write_1h, self.cached_audio_input)
        return max(self.input, *(rate or 0 for rate in (*cached, self.audio_input, self.image_input)))

    @property
    def dearest_output(self) -> int:
        """The most that a completion token can cost, whatever its kind."""
        return max(self.output, *(rate or 0 for rate in (self.reasoning, self.audio_output, self.image_output)))

    @property
    def is_free(self) -> bool:
        """Whether nothing is owed by these rates."""
        return not any(getattr(self, kind) for kind in Rates.__struct_fields__)


class Tier(Rates, frozen=True, kw_only=True):
    """The rates of a whole call whose prompt has more than ``above_tokens``, cached ones included."""

    above_tokens: int


class Tariff(Rates, frozen=True, kw_only=True):
    """Rates, and in ``tiers``, which grow, those of longer prompts."""

    tiers: tuple[Tier, ...] = ()

    def for_prompt(self, prompt_tokens: int) -> Rates:
        """The rates of a call with a prompt of this size."""
        found: Rates = self
        for tier in self.tiers:
            if prompt_tokens <= tier.above_tokens:
                break
            found = tier
        return found


class Price(Tariff, frozen=True):
    """A model's price: its tariff in the standard service tier, and all that may hold instead.

    ``version`` names it in usage rows. ``service_tiers`` are by the provider's word for them, in lower case
    (``batch``, ``flex``, ``priority``); one that is not there costs as much as the standard. ``later`` are the prices
    that follow this one, each from its ``from_ms`` on (Unix milliseconds); they grow, and nothing follows themselves.
    """

    version: str
    service_tiers: dict[str, Tariff] = {}
    from_ms: int = 0
    later: tuple["Price", ...] = ()

    def at(self, now_ms: int) -> "Price":
        """The price that holds at a time (Unix milliseconds)."""
        found = self
        for price in self.later:
            if now_ms < price.from_ms:
                break
            found = price
        return found

    def for_call(self, now_ms: int, prompt_tokens: int, service_tier: str | None = None) -> Rates:
        """The rates of a call that is made at a time, with a prompt of this size."""
        price = self.at(now_ms)
        tariff = price.service_tiers.get(service_tier, price) if service_tier else price
        return tariff.for_prompt(prompt_tokens)

    def possible(self, now_ms: int, prompt_tokens: int) -> tuple[Rates, ...]:
        """Every rate that a call now can have whose prompt has at most so many tokens: a worst case is among them."""
        price = self.at(now_ms)
        return tuple(
            rates
            for tariff in (price, *price.service_tiers.values())
            for rates in (tariff, *(tier for tier in tariff.tiers if tier.above_tokens < prompt_tokens))
        )

    @property
    def is_never_owed(self) -> bool:
        """Whether nothing is owed, whatever the prompt, the service tier and the date."""
        tariffs = (tariff for price in (self, *self.later) for tariff in (price, *price.service_tiers.values()))
        return all(rates.is_free for tariff in tariffs for rates in (tariff, *tariff.tiers))


class TenantPrices(msgspec.Struct, frozen=True):
    """What a tenant pays otherwise than listed: a price for an alias, as it stands; for all else the listed one, times
    ``factor_millionths``."""

    by_alias: dict[str, Price] = {}
    factor_millionths: int = MILLION

    def of(self, alias: str, listed: Price | None) -> "Owed":
        """What this tenant pays for an alias whose target has the price ``listed``."""
        own = self.by_alias.get(alias)
        return Owed(listed, self.factor_millionths) if own is None else Owed(own)


class Owed(msgspec.Struct, frozen=True):
    """A price (``None``: not known) as a tenant pays it: times a factor."""

    price: Price | None
    factor_millionths: int = MILLION

    def version(self, now_ms: int) -> str | None:
        """What a row says of it: the version that holds at a time (Unix milliseconds), and the factor, if it is any."""
        if self.price is None or self.factor_millionths == MILLION:
            return None if self.price is None else self.price.at(now_ms).version
        whole, part = divmod(self.factor_millionths, MILLION)
        factor = f"{whole}.{part:06d}".rstrip("0").rstrip(".")
        return f"{self.price.at(now_ms).version}*{factor}"


def owed(prices: TenantPrices | None, alias: str, listed: Price | None) -> Owed:
    """What a caller with these prices pays."""
    return Owed(listed) if prices is None else prices.of(alias, listed)
