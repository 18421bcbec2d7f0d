"""The settings as frozen structs: what ``config/tollway.yaml`` says, typed, with units in the names.

Names in the file are the field names unless ``name=`` gives another (``max_body_bytes`` is written ``max_body``).
The structs know no place, no YAML and no environment; ``schema`` and ``conversion`` read them.
"""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Meta, field

from tollway.settings.budgets import BudgetSettings
from tollway.settings.cache import CacheChoice, CacheSettings
from tollway.settings.guardrails import GuardrailSettings, WebhookCheckSettings
from tollway.settings.limit_rules import LimitRuleSettings, QueueSettings
from tollway.settings.prices import PriceSettings
from tollway.settings.providers import ProviderSettings
from tollway.settings.routing import ModelSettings, TargetSettings
from tollway.settings.values import (
    BudgetPicoUsd,
    GuardrailName,
    HostPort,
    InstantMs,
    LimitSettings,
    LimitsName,
    Millionths,
    ModelName,
    Name,
    ObjectsAddress,
    PlainName,
    Seconds,
    Secret,
    SizeBytes,
)

_Kept = Annotated[Seconds, Meta(ge=86_400)]


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where and how the gateway listens."""

    host: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:%_-]{1,253}$", description="Address or name to listen on.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port to listen on.")] = 8080
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | Literal["auto"],
        Meta(description="Worker processes; auto is one per usable core."),
    ] = "auto"
    max_body_bytes: Annotated[SizeBytes, Meta(ge=1024, le=2**30, description="Largest request body accepted.")] = field(
        default=20 * 2**20, name="max_body"
    )
    drain_s: Annotated[
        Seconds, Meta(ge=0, le=3600, description="How long calls under way may finish after SIGTERM.")
    ] = field(default=120.0, name="drain")

    @property
    def worker_count(self) -> int:
        """``workers``, with ``auto`` as the number of cores this process may run on."""
        if self.workers != "auto":
            return self.workers
        # macOS has no affinity to ask.
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class JournalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The usage journal of a host: rows that PostgreSQL does not have yet, on its disk."""

    max_bytes: Annotated[SizeBytes, Meta(ge=64 * 2**20, le=2**40, description="What of the disk it may take.")] = field(
        default=2**30, name="max_size"
    )
    sync_s: Annotated[
        Seconds,
        Meta(
            ge=0,
            le=60,
            description="A row is in PostgreSQL or on the disk after so long at most: what a power cut may lose. "
            "0s leaves it to the system.",
        ),
    ] = field(default=1.0, name="sync")
    when_full: Annotated[
        Literal["refuse", "drop"],
        Meta(description="refuse: no call is taken. drop: calls are served, and their rows are lost and counted."),
    ] = "refuse"


class RetentionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long usage is kept; what is not named is kept for ever."""

    usage_s: Annotated[_Kept | None, Meta(description="Rows, by the day.")] = field(default=None, name="usage")
    hourly_s: Annotated[_Kept | None, Meta(description="Sums by hour, also by tag; by the month.")] = field(
        default=None, name="hourly"
    )
    daily_s: Annotated[_Kept | None, Meta(description="Sums by day; by the month.")] = field(default=None, name="daily")


class StorageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the truth is kept, and what hosts share."""

    postgres: Annotated[Secret, Meta(description="embedded, or a postgresql:// address.")] = Secret("embedded")
    redis: Annotated[
        Secret | None, Meta(description="A redis:// or rediss:// address that hosts share; empty or null is none.")
    ] = None
    objects: Annotated[
        ObjectsAddress | None,
        Meta(description="Where exports go: file://DIR, s3://bucket/prefix, gs://… or az://…; else data_dir/objects."),
    ] = None
    data_dir: Annotated[
        str, Meta(min_length=1, description="Journal, ledger and embedded database; relative to the working directory.")
    ] = "./data"
    journal: JournalSettings = JournalSettings()
    retention: RetentionSettings = RetentionSettings()

    @property
    def objects_address(self) -> str:
        """Where exports go."""
        return self.objects or f"file://{Path(self.data_dir).absolute()}/objects"

    @property
    def is_embedded(self) -> bool:
        """Whether Tollway runs PostgreSQL itself, inside ``data_dir``."""
        return self.postgres.reveal() == "embedded"

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that a log must never show: whole addresses, and the passwords in them."""
        held = [self.redis] if self.redis else []
        addresses = [address.reveal() for address in (held if self.is_embedded else [self.postgres, *held])]
        passwords = (_password(address) for address in addresses)
        return (*addresses, *(password for password in passwords if password))


class MediaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Images and files that requests name by their address, where the provider needs their bytes."""

    allow: Annotated[
        tuple[HostPort, ...],
        Meta(max_length=64, description="host:port that may be asked though it is not public; any other must be."),
    ] = ()


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The log, JSON lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class TelemetrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the gateway tells about itself."""

    metrics: Annotated[bool, Meta(description="Serve /metrics.")] = True
    logs: LogSettings = LogSettings()


class BillingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What calls cost."""

    unpriced: Annotated[
        Literal["flag", "refuse"],
        Meta(description="A model without a price answers, and its calls are flagged; or it does not answer."),
    ] = "flag"


class KeySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An API key of a tenant."""

    key: Annotated[Secret, Meta(description="At least 16 characters; best a variable.")]
    limits: Annotated[
        LimitSettings | LimitsName | None, Meta(description="Beside the tenant's: inline, or a name.")
    ] = None
    guardrails: Annotated[GuardrailName | None, Meta(description="A name under guardrails; else the tenant's.")] = None
    cache: Annotated[CacheChoice | None, Meta(description="Instead of the tenant's, as a whole; off is none.")] = None
    environment: Annotated[Literal["live", "test"], Meta(description="A label of the key.")] = "live"
    expires_at_ms: Annotated[InstantMs | None, Meta(description="When it stops working; UTC unless it says.")] = field(
        default=None, name="expires"
    )


class TenantPriceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a tenant pays otherwise than listed."""

    prices: Annotated[
        dict[Name, PriceSettings],
        Meta(max_length=1000, description="By names under models: what this tenant pays instead of the listed price."),
    ] = field(default_factory=dict)
    price_factor_millionths: Annotated[
        Millionths, Meta(description="What listed prices are multiplied by; not those under prices.")
    ] = field(default=1_000_000, name="price_factor")


class TenantSettings(TenantPriceSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tenant and its keys."""

    limits: Annotated[
        LimitSettings | LimitsName | None, Meta(description="Inline, or a name; else limits.default.")
    ] = None
    allowed_models: Annotated[tuple[ModelName, ...], Meta(description="Names under models; * is all of them.")] = ("*",)
    guardrails: Annotated[
        GuardrailName | None, Meta(description="A name under guardrails; else guardrails.default.")
    ] = None
    monthly_budget_picousd: Annotated[
        BudgetPicoUsd | None,
        Meta(
            description="US dollars that its calls may cost in a month (UTC). 0: only models that cost nothing answer."
        ),
    ] = field(default=None, name="monthly_budget_usd")
    cache: Annotated[CacheChoice | None, Meta(description="Instead of the file's, as a whole; off is none.")] = None
    keys: dict[PlainName, KeySettings] = field(default_factory=dict)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that ``tollway.yaml`` says."""

    version: Annotated[Literal[1], Meta(description="The version of this file's language.")]
    server: ServerSettings = ServerSettings()
    storage: StorageSettings = StorageSettings()
    providers: dict[Name, ProviderSettings] = field(default_factory=dict)
    models: dict[Name, ModelSettings] = field(default_factory=dict)
    guardrails: dict[Name, GuardrailSettings] = field(default_factory=dict)
    limits: dict[Name, LimitSettings] = field(default_factory=dict)
    limit_rules: Annotated[tuple[LimitRuleSettings, ...], Meta(max_length=64)] = ()
    queue: QueueSettings | None = None
    cache: Annotated[
        CacheSettings | Literal["off"] | None, Meta(description="Answers that are given again; none unless given.")
    ] = None
    media: MediaSettings = MediaSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    billing: BillingSettings = BillingSettings()
    tenants: dict[PlainName, TenantSettings] = field(default_factory=dict)
    budgets: Annotated[tuple[BudgetSettings, ...], Meta(max_length=64)] = ()

    def answering(self, targets: tuple[TargetSettings, ...]) -> tuple[TargetSettings, ...]:
        """The targets that can answer: those with a configured provider; simulators only where there is no other.

        So one file serves a machine with provider keys and one without: a simulator beside a real target stands in
        for it until its key is there, and never mixes with real answers.
        """
        asked = [target for target in targets if self.can_ask(target.provider)]
        real = tuple(target for target in asked if self.providers[target.provider].kind != "simulator")
        return real or tuple(asked)

    def can_ask(self, name: str) -> bool:
        """Whether there is a provider of this name, with what it needs to be asked."""
        provider = self.providers.get(name)
        return provider is not None and provider.is_configured

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that a log must never show."""
        providers = (secret for provider in self.providers.values() for secret in provider.secrets)
        keys = (key.key.reveal() for tenant in self.tenants.values() for key in tenant.keys.values())
        checks = (check for policy in self.guardrails.values() for check in (*policy.input, *policy.output))
        signing = (
            check.secret.reveal() for check in checks if isinstance(check, WebhookCheckSettings) and check.secret
        )
        return (*providers, *keys, *signing, *self.storage.secrets)


def _password(address: str) -> str:
    try:
        return unquote(urlsplit(address).password or "")
    except ValueError:
        return ""


def encode(settings: Settings) -> bytes:
    """The settings, secrets included, for a worker's standard input. Never to be logged or stored."""
    return msgspec.msgpack.encode(settings)


def decode(data: bytes) -> Settings:
    """What ``encode`` wrote.

    Raises:
        msgspec.ValidationError: it did not come from this version's ``encode``.
    """
    return msgspec.msgpack.decode(data, type=Settings)
