"""The snapshot: everything the data plane needs to route, screen and price, immutable and versioned.

Control publishes one; the data plane swaps its reference and keeps the last good one. Tenants and keys made
through the API are not in it (there may be a million): they come by key, see ``contract.keys``.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tollway.contract.keys import KeyRecord
from tollway.contract.limits import LimitValues

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
]
Operation = Literal[
    "chat",
    "completions",
    "embeddings",
    "messages",
    "count_tokens",
    "responses",
    "moderations",
    "rerank",
    "images",
    "image_edits",
    "speech",
    "transcriptions",
    "translations",
]

_OPENAIS = frozenset[Operation]({"chat", "completions", "embeddings"})
OPERATIONS: Mapping[ProviderKind, frozenset[Operation]] = {
    "openai": _OPENAIS,
    "azure": _OPENAIS,
    "xai": frozenset({"chat", "completions"}),
    "vllm": _OPENAIS,
    "openai_compatible": _OPENAIS,
    "anthropic": frozenset({"chat"}),
    "google": frozenset({"chat"}),
    "mistral": frozenset({"chat", "embeddings"}),
    "deepseek": frozenset({"chat"}),
    "groq": frozenset({"chat"}),
    "together": _OPENAIS,
    "openrouter": _OPENAIS,
    "ollama": _OPENAIS,
    "cohere": frozenset({"chat", "embeddings"}),
    "bedrock": frozenset({"chat"}),
    "simulator": frozenset({"chat"}),
}
"""What a kind of provider can be asked for; whether its model can is its own to say."""


class AwsCredentials(msgspec.Struct, frozen=True):
    """What requests to Amazon are signed with, and for which region."""

    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"AwsCredentials(region={self.region!r})"


class ProviderAccess(msgspec.Struct, frozen=True):
    """How a configured provider is reached. ``base_url`` has no trailing slash; empty for the simulator."""

    name: str
    kind: ProviderKind
    base_url: str
    api_key: str | None
    api_version: str | None = None
    aws: AwsCredentials | None = None
    """For ``bedrock`` without an ``api_key``."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not come back to a client, should the provider repeat it."""
        signed = (self.aws.secret_access_key, self.aws.session_token) if self.aws is not None else ()
        return tuple(secret for secret in (self.api_key, *signed) if secret)

    def __repr__(self) -> str:
        """Without the key, so that no log or traceback shows it."""
        return f"ProviderAccess(name={self.name!r}, kind={self.kind!r}, base_url={self.base_url!r})"


class Timeouts(msgspec.Struct, frozen=True):
    """Limits of one upstream call, in seconds.

    ``connect_s`` to a socket, ``first_token_s`` from sending to the first byte of the answer (``None``: 60 s for a
    stream; a whole answer has its total time),
    ``idle_s`` between two pieces of it, ``total_s`` for all of it.
    """

    connect_s: float = 5.0
    first_token_s: float | None = None
    idle_s: float = 60.0
    total_s: float = 600.0


class Price(msgspec.Struct, frozen=True):
    """Prices in whole pico-dollars (10⁻¹² USD) per token: exact for every published price.

    One US dollar per million tokens is 1,000,000 pico-dollars per token. ``cached_input`` and ``reasoning`` are
    ``None`` where the provider names no price of their own (then input's and output's price holds).
    """

    version: str
    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class Target(msgspec.Struct, frozen=True):
    """One (provider, model) that may answer for an alias; ``price`` is ``None`` for an unpriced model."""

    provider: ProviderAccess
    model: str
    weight: int
    price: Price | None


class Route(msgspec.Struct, frozen=True):
    """A model alias as clients name it, and who may answer."""

    alias: str
    targets: tuple[Target, ...]
    timeouts: Timeouts


class PiiCheck(msgspec.Struct, frozen=True):
    """Look for these entities in every text of a request; redact them, or refuse the request."""

    entities: tuple[str, ...]
    action: Literal["redact", "block"]


class Policy(msgspec.Struct, frozen=True):
    """A named guardrail policy: the checks of the input, in order."""

    name: str
    input: tuple[PiiCheck, ...]


class Snapshot(msgspec.Struct, frozen=True):
    """One version of everything above. ``file_keys`` are the keys that the config file declares."""

    version: int
    routes: dict[str, Route]
    policies: dict[str, Policy]
    default_limits: LimitValues
    file_keys: tuple[tuple[bytes, KeyRecord], ...]
