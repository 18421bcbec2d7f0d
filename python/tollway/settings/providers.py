"""The section ``providers``: how each is reached, with which keys, and when it is left alone."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from tollway.settings.values import LimitSettings, LimitsName, PlainName, Seconds, Secret, Share

ProviderKind = Literal[
    "openai",
    "azure",
    "xai",
    "vllm",
    "openai_compatible",
    "anthropic",
    "google",
    "mistral",
    "deepseek",
    "groq",
    "together",
    "openrouter",
    "ollama",
    "cohere",
    "bedrock",
    "simulator",
    "vertex",
]


class EntraSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An application in Microsoft Entra that may ask."""

    tenant_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,253}$", description="The directory's id.")]
    client_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$", description="The application's id.")]
    client_secret: Annotated[Secret, Meta(description="Left empty, the provider counts as not configured.")]
    authority: Annotated[str, Meta(description="Where tokens are had; another in sovereign clouds.")] = (
        "https://login.microsoftonline.com"
    )


class ProviderKeySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of several keys of a provider."""

    name: Annotated[PlainName, Meta(description="What logs and metrics call it; no other key of the provider's.")]
    api_key: Annotated[Secret, Meta(description="Left empty, the key is passed over.")]
    weight: Annotated[int, Meta(ge=1, le=1_000_000, description="Share of the calls, against the other keys'.")] = 1
    limits: Annotated[
        LimitSettings | LimitsName | None,
        Meta(description="What the provider allows with it, on this host: inline, or a name. None unless given."),
    ] = None


class BreakerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a target of this provider is left alone, and how it comes back."""

    consecutive: Annotated[int, Meta(ge=1, le=10_000, description="It opens after so many failures in a row,")] = 5
    failure_rate: Annotated[Share, Meta(description="or when this share of the calls in the window failed,")] = 0.5
    minimum_calls: Annotated[int, Meta(ge=1, le=1_000_000, description="if there were at least so many.")] = 20
    window_s: Annotated[Seconds, Meta(ge=0.1, le=600, description="The time that failure_rate looks back.")] = field(
        default=10.0, name="window"
    )
    cooldown_s: Annotated[
        Seconds, Meta(ge=0.01, le=3600, description="Left alone for so long, twice as long at each opening in a row,")
    ] = field(default=5.0, name="cooldown")
    max_cooldown_s: Annotated[Seconds, Meta(ge=0.01, le=86400, description="but never longer.")] = field(
        default=15.0, name="max_cooldown"
    )
    probes: Annotated[
        int, Meta(ge=1, le=100, description="Calls that may then try it, over all workers; all must go well.")
    ] = 1
    slow_start_s: Annotated[
        Seconds, Meta(ge=0, le=3600, description="Until it has its full share again, once it is back.")
    ] = field(default=10.0, name="slow_start")


class ProbeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A question that targets are asked though nobody calls; below 400 is well. A key alone proves it."""

    path: Annotated[
        str, Meta(pattern=r"^/[!-\"$-~]{0,511}$", description="What is got, below the provider's address.")
    ] = "/models"
    every_s: Annotated[Seconds, Meta(ge=0.1, le=3600, description="How often one worker of the host asks.")] = field(
        default=10.0, name="every"
    )
    timeout_s: Annotated[Seconds, Meta(ge=0.01, le=3600, description="Until there must be an answer.")] = field(
        default=2.0, name="timeout"
    )


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider and how it is reached."""

    kind: Annotated[ProviderKind, Meta(description="How the provider is spoken to.")]
    base_url: Annotated[str | None, Meta(description="http(s) address; needed by azure, vllm, openai_compatible.")] = (
        None
    )
    api_key: Annotated[Secret | None, Meta(description="Left empty, the provider counts as not configured.")] = None
    keys: Annotated[
        tuple[ProviderKeySettings, ...],
        Meta(max_length=64, description="Several keys instead of api_key; one that is refused is set aside."),
    ] = ()
    api_version: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9A-Za-z.-]{1,32}$")] | None,
        Meta(description="azure only; 2024-10-21 unless given. v1 is the path without versions."),
    ] = None
    credentials: Annotated[
        Secret | None,
        Meta(
            extra={"holds": "file"},
            description="vertex only: the JSON of a service account's key, or the path of its file, relative to the "
            "working directory. Left empty, the provider counts as not configured.",
        ),
    ] = None
    project: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.:-]{1,127}$")] | None,
        Meta(description="vertex only; the service account's own unless given."),
    ] = None
    location: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{1,63}$")] | None,
        Meta(description="vertex only: a region such as europe-west4, or global."),
    ] = None
    token_url: Annotated[
        str | None, Meta(description="vertex only: where tokens are had, instead of the service account's token_uri.")
    ] = None

    entra: Annotated[EntraSettings | None, Meta(description="azure only, instead of api_key.")] = None
    region: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}$")] | None, Meta(description="bedrock only: the AWS region.")
    ] = None
    access_key_id: Annotated[
        Secret | None, Meta(description="bedrock only: to sign requests with, instead of an api_key.")
    ] = None
    secret_access_key: Annotated[Secret | None, Meta(description="bedrock only: belongs to access_key_id.")] = None
    session_token: Annotated[Secret | None, Meta(description="bedrock only: if access_key_id is a temporary one.")] = (
        None
    )
    breaker: Annotated[BreakerSettings, Meta(description="When a target is left alone, and how it comes back.")] = (
        BreakerSettings()
    )
    probe: Annotated[
        ProbeSettings | None, Meta(description="Ask how it is though nobody calls; never unless given.")
    ] = None

    @property
    def needs_key(self) -> bool:
        """Whether nothing can be asked of this kind without a key."""
        return self.kind not in ("vllm", "openai_compatible", "ollama", "simulator")

    @property
    def key_name(self) -> str:
        """The field that holds the key."""
        if self.entra is not None:
            return "entra.client_secret"
        if self.keys:
            return "keys"
        return "credentials" if self.kind == "vertex" else "api_key"

    @property
    def key(self) -> Secret | None:
        """What proves that the gateway may ask; an empty one is there, but proves nothing."""
        if self.entra is not None:
            return self.entra.client_secret
        if self.keys:
            return (self.filled_keys or self.keys)[0].api_key
        if self.kind == "bedrock" and self.api_key is None:
            return self.secret_access_key if self.access_key_id else self.access_key_id
        return self.credentials if self.kind == "vertex" else self.api_key

    @property
    def filled_keys(self) -> tuple[ProviderKeySettings, ...]:
        """Those of its several keys that are not empty."""
        return tuple(key for key in self.keys if key.api_key)

    @property
    def is_configured(self) -> bool:
        """Whether it can be asked: a provider that needs a key and has an empty one can't."""
        return bool(self.key) or self.signs or not self.needs_key

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that a log must never show."""
        held = (self.api_key, self.credentials, self.entra.client_secret if self.entra else None)
        signed = (self.access_key_id, self.secret_access_key, self.session_token)
        several = (key.api_key for key in self.keys)
        return tuple(secret.reveal() for secret in (*held, *signed, *several) if secret)

    @property
    def signs(self) -> bool:
        """Whether requests are signed with AWS credentials."""
        return not self.api_key and not self.filled_keys and bool(self.access_key_id) and bool(self.secret_access_key)
