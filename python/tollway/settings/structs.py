"""The settings as frozen structs: what ``config/tollway.yaml`` says, typed, with units in the names.

Names in the file are the field names unless ``name=`` gives another (``max_body_bytes`` is written ``max_body``).
The structs know no place, no YAML and no environment; ``schema`` and ``conversion`` read them.
"""

import os
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

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
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "default"]
Entity = Literal["email", "credit_card", "us_ssn", "phone", "iban", "ip"]

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$", max_length=128)]
"""Names become metric labels and header values: plain ASCII, no blanks."""

PlainName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$", max_length=128)]
"""Names of tenants and keys, which are joined by a slash."""

ProviderName = Annotated[Name, Meta(extra={"names": "providers"})]
GuardrailName = Annotated[Name, Meta(extra={"names": "guardrails"})]
LimitsName = Annotated[Name, Meta(extra={"names": "limits"})]
ModelName = Annotated[str, Meta(extra={"names": "models", "all": "*"})]
"""References: the section must declare the name (or it is the word for all of them)."""

SizeBytes = Annotated[int, Meta(extra={"reads": "size_bytes"})]
Seconds = Annotated[float, Meta(extra={"reads": "duration_s"})]
HostPort = Annotated[str, Meta(pattern=r"^(\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253}):[1-9][0-9]{0,4}$")]
"""A host as addresses name it, in lower case, and its port: ``files.internal:443``."""

PicoUsdPerToken = Annotated[int, Meta(extra={"reads": "picousd_per_token"})]
InstantMs = Annotated[int, Meta(extra={"reads": "instant_ms"})]
"""Quantities: written as ``units`` reads them (``reads`` names its function), kept as plain numbers."""

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Secret(msgspec.Struct, frozen=True):
    """A text that no log, error or traceback shows. An empty one is a variable that was left empty."""

    text: str

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self.text

    def __bool__(self) -> bool:
        return bool(self.text)

    def __repr__(self) -> str:
        return "Secret(…)" if self.text else "Secret()"

    __str__ = __repr__


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


class StorageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the truth is kept."""

    postgres: Annotated[Secret, Meta(description="embedded, or a postgresql:// address.")] = Secret("embedded")
    data_dir: Annotated[
        str, Meta(min_length=1, description="Journal, ledger and embedded database; relative to the working directory.")
    ] = "./data"

    @property
    def is_embedded(self) -> bool:
        """Whether Tollway runs PostgreSQL itself, inside ``data_dir``."""
        return self.postgres.reveal() == "embedded"


class MediaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Images and files that requests name by their address, where the provider needs their bytes."""

    allow: Annotated[
        tuple[HostPort, ...],
        Meta(max_length=64, description="host:port that may be asked though it is not public; any other must be."),
    ] = ()


class EntraSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An application in Microsoft Entra that may ask."""

    tenant_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,253}$", description="The directory's id.")]
    client_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}$", description="The application's id.")]
    client_secret: Annotated[Secret, Meta(description="Left empty, the provider counts as not configured.")]
    authority: Annotated[str, Meta(description="Where tokens are had; another in sovereign clouds.")] = (
        "https://login.microsoftonline.com"
    )


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider and how it is reached."""

    kind: Annotated[ProviderKind, Meta(description="How the provider is spoken to.")]
    base_url: Annotated[str | None, Meta(description="http(s) address; needed by azure, vllm, openai_compatible.")] = (
        None
    )
    api_key: Annotated[Secret | None, Meta(description="Left empty, the provider counts as not configured.")] = None
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

    @property
    def needs_key(self) -> bool:
        """Whether nothing can be asked of this kind without a key."""
        return self.kind not in ("vllm", "openai_compatible", "ollama", "simulator")

    @property
    def key_name(self) -> str:
        """The field that holds the key."""
        if self.entra is not None:
            return "entra.client_secret"
        return "credentials" if self.kind == "vertex" else "api_key"

    @property
    def key(self) -> Secret | None:
        """What proves that the gateway may ask; an empty one is there, but proves nothing."""
        if self.entra is not None:
            return self.entra.client_secret
        if self.kind == "bedrock" and self.api_key is None:
            return self.secret_access_key if self.access_key_id else self.access_key_id
        return self.credentials if self.kind == "vertex" else self.api_key

    @property
    def is_configured(self) -> bool:
        """Whether it can be asked: a provider that needs a key and has an empty one can't."""
        return bool(self.key) or self.signs or not self.needs_key

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that a log must never show."""
        held = (self.api_key, self.credentials, self.entra.client_secret if self.entra else None)
        signed = (self.access_key_id, self.secret_access_key, self.session_token)
        return tuple(secret.reveal() for secret in (*held, *signed) if secret)

    @property
    def signs(self) -> bool:
        """Whether requests are signed with AWS credentials."""
        return not self.api_key and bool(self.access_key_id) and bool(self.secret_access_key)


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


class TargetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One provider's model that may answer."""

    provider: Annotated[ProviderName, Meta(description="A name under providers.")]
    model: Annotated[str, Meta(min_length=1, max_length=256, description="The model, or Azure deployment, asked for.")]
    weight: Annotated[int, Meta(ge=1, le=1_000_000, description="Share of the calls, against the other targets'.")] = 1
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
        Meta(
            description="From sending to the first byte of the answer; else 60s for a stream, total for a whole answer."
        ),
    ] = field(default=None, name="first_token")
    idle_s: Annotated[Seconds, Meta(ge=0.001, le=3600, description="Between two pieces of the answer.")] = field(
        default=60.0, name="idle"
    )
    total_s: Annotated[Seconds, Meta(ge=0.001, le=86400, description="For all of the answer.")] = field(
        default=600.0, name="total"
    )


class PriceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prices, written in US dollars per million tokens, kept in whole pico-dollars per token."""

    input: Annotated[PicoUsdPerToken, Meta(description="Prompt tokens.")] = field(name="input_per_1m")
    output: Annotated[PicoUsdPerToken, Meta(description="Completion tokens.")] = field(name="output_per_1m")
    cached_input: Annotated[
        PicoUsdPerToken | None, Meta(description="Prompt tokens read from the provider's cache; else input's.")
    ] = field(default=None, name="cached_input_per_1m")
    cache_write: Annotated[
        PicoUsdPerToken | None, Meta(description="Prompt tokens written to the provider's cache; else input's.")
    ] = field(default=None, name="cache_write_per_1m")
    cache_write_1h: Annotated[
        PicoUsdPerToken | None, Meta(description="Of these, what is kept for an hour; else cache_write's.")
    ] = field(default=None, name="cache_write_1h_per_1m")
    reasoning: Annotated[PicoUsdPerToken | None, Meta(description="Reasoning tokens; else output's.")] = field(
        default=None, name="reasoning_per_1m"
    )


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model as clients name it."""

    targets: Annotated[
        tuple[TargetSettings, ...], Meta(min_length=1, max_length=64, description="Who may answer for it.")
    ]
    strategy: Annotated[Literal["weighted"], Meta(description="How a target is chosen.")] = "weighted"
    timeouts: TimeoutSettings = TimeoutSettings()
    price: Annotated[PriceSettings | None, Meta(description="Instead of the price in prices.yaml.")] = None


class PiiCheckSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Look for personal data in every text of a request."""

    check: Literal["pii"]
    action: Annotated[Literal["redact", "block"], Meta(description="Replace what is found, or refuse the request.")]
    entities: Annotated[tuple[Entity, ...], Meta(min_length=1, description="What to look for; all unless given.")] = (
        "email",
        "credit_card",
        "us_ssn",
        "phone",
        "iban",
        "ip",
    )


class GuardrailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A guardrail policy."""

    input: Annotated[
        tuple[PiiCheckSettings, ...], Meta(max_length=64, description="Checks of a request, in order.")
    ] = ()


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits; one that is left out does not limit."""

    rpm: Annotated[Count | None, Meta(description="Requests in any 60 seconds.")] = None
    tpm: Annotated[Count | None, Meta(description="Tokens, prompt and completion, in any 60 seconds.")] = None
    concurrency: Annotated[Count | None, Meta(description="Calls under way at once.")] = None


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The log, JSON lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class TelemetrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the gateway tells about itself."""

    metrics: Annotated[bool, Meta(description="Serve /metrics.")] = True
    logs: LogSettings = LogSettings()


class KeySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An API key of a tenant."""

    key: Annotated[Secret, Meta(description="At least 16 characters; best a variable.")]
    limits: Annotated[
        LimitSettings | LimitsName | None, Meta(description="Beside the tenant's: inline, or a name.")
    ] = None
    environment: Annotated[Literal["live", "test"], Meta(description="A label of the key.")] = "live"
    expires_at_ms: Annotated[InstantMs | None, Meta(description="When it stops working; UTC unless it says.")] = field(
        default=None, name="expires"
    )


class TenantSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tenant and its keys."""

    limits: Annotated[
        LimitSettings | LimitsName | None, Meta(description="Inline, or a name; else limits.default.")
    ] = None
    allowed_models: Annotated[tuple[ModelName, ...], Meta(description="Names under models; * is all of them.")] = ("*",)
    guardrails: Annotated[
        GuardrailName | None, Meta(description="A name under guardrails; else guardrails.default.")
    ] = None
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
    media: MediaSettings = MediaSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    tenants: dict[PlainName, TenantSettings] = field(default_factory=dict)

    def answering(self, targets: tuple[TargetSettings, ...]) -> tuple[TargetSettings, ...]:
        """The targets that can answer: those with a configured provider; simulators only where there is no other.

        So one file serves a machine with provider keys and one without: a simulator beside a real target stands in
        for it until its key is there, and never mixes with real answers.
        """
        configured = [(self.providers[target.provider], target) for target in targets if self._can_ask(target)]
        real = tuple(target for provider, target in configured if provider.kind != "simulator")
        return real or tuple(target for _, target in configured)

    def _can_ask(self, target: TargetSettings) -> bool:
        provider = self.providers.get(target.provider)
        return provider is not None and provider.is_configured


def encode(settings: Settings) -> bytes:
    """The settings, secrets included, for a worker's standard input. Never to be logged or stored."""
    return msgspec.msgpack.encode(settings)


def decode(data: bytes) -> Settings:
    """What ``encode`` wrote.

    Raises:
        msgspec.ValidationError: it did not come from this version's ``encode``.
    """
    return msgspec.msgpack.decode(data, type=Settings)
