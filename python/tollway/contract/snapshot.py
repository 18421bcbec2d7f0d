"""The snapshot: everything the data plane needs to route, screen and price, immutable and versioned.

Control publishes one; the data plane swaps its reference and keeps the last good one. Tenants and keys made
through the API are not in it (there may be a million): they come by key, see ``contract.keys``.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tollway.contract.budgets import Budget
from tollway.contract.cache import CachePolicy, CacheSpace
from tollway.contract.guardrails import Policy
from tollway.contract.keys import KeyRecord
from tollway.contract.limits import LimitRule, LimitValues, Queueing
from tollway.contract.prices import Price as Price
from tollway.contract.routing import Breaker, FallbackCause, Hedge, Probe, Retries, Rule, Strategy

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

_TEXTS = frozenset[Operation]({"chat", "completions", "embeddings"})
_SOUNDS = frozenset[Operation]({"speech", "transcriptions", "translations"})
_IMAGES = frozenset[Operation]({"images", "image_edits"})
OPERATIONS: Mapping[ProviderKind, frozenset[Operation]] = {
    "openai": _TEXTS | _SOUNDS | _IMAGES | {"responses", "moderations"},
    "azure": _TEXTS | _SOUNDS | _IMAGES | {"responses"},
    "xai": frozenset({"chat", "completions", "responses", "images"}),
    "vllm": _TEXTS | {"rerank", "transcriptions", "translations"},
    "openai_compatible": _TEXTS | _SOUNDS | _IMAGES | {"moderations", "rerank"},
    "anthropic": frozenset({"chat", "messages", "count_tokens"}),
    "google": frozenset({"chat", "embeddings"}),
    "mistral": frozenset({"chat", "embeddings", "moderations", "transcriptions"}),
    "deepseek": frozenset({"chat", "responses"}),
    "groq": _SOUNDS | {"chat"},
    "together": _TEXTS | _SOUNDS | {"images", "rerank"},
    "openrouter": _TEXTS | {"responses"},
    "ollama": _TEXTS,
    "cohere": frozenset({"chat", "embeddings", "rerank"}),
    "bedrock": frozenset({"chat"}),
    "simulator": frozenset({"chat"}),
    "vertex": frozenset({"chat", "embeddings"}),
}
"""What a kind of provider can be asked for; whether its model can is its own to say. ``openai_compatible`` may be any
server: it is trusted to say itself what it does not serve, but for ``responses``, which are said as chat to it."""

TRANSLATED = frozenset[Operation]({"messages", "count_tokens", "responses"})
"""What is said as chat to a provider that can't be asked for it; tokens are counted here where it can't count."""


def serves(kind: ProviderKind, operation: Operation) -> bool:
    """Whether a provider of this kind can answer, in its own dialect or as chat."""
    asked = OPERATIONS[kind]
    return operation in asked or (operation in TRANSLATED and "chat" in asked)


KEY_LINE_CHARACTERS = 16
"""A shorter line of a private key, such as its last one, gives nothing away."""


class GoogleCredentials(msgspec.Struct, frozen=True):
    """A service account of Google Cloud, and where its calls go. ``private_key`` is PEM."""

    project: str
    location: str
    client_email: str
    private_key: str
    token_url: str
    private_key_id: str | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"GoogleCredentials(project={self.project!r}, location={self.location!r})"


class EntraCredentials(msgspec.Struct, frozen=True):
    """An application that Microsoft Entra knows, and where it gets its tokens for ``scope``."""

    token_url: str
    client_id: str
    client_secret: str
    scope: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"EntraCredentials(client_id={self.client_id!r})"


class AwsCredentials(msgspec.Struct, frozen=True):
    """What requests to Amazon are signed with, and for which region."""

    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"AwsCredentials(region={self.region!r})"


def _key_lines(pem: str) -> tuple[str, ...]:
    """The lines of a private key that are not its frame: however its line ends are spelt, these stay."""
    return tuple(line for line in pem.split() if len(line) >= KEY_LINE_CHARACTERS and not line.startswith("-"))


class ProviderAccess(msgspec.Struct, frozen=True):
    """How a configured provider is reached, with one of its keys. ``base_url`` has no trailing slash; empty for the
    simulator. ``key_name`` tells the keys of a provider apart; empty where it has but one, or none.
    """

    name: str
    kind: ProviderKind
    base_url: str
    api_key: str | None
    api_version: str | None = None
    google: GoogleCredentials | None = None
    entra: EntraCredentials | None = None
    aws: AwsCredentials | None = None
    """For ``bedrock`` without an ``api_key``."""
    key_name: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not come back to a client, should the provider repeat it."""
        signed = (self.aws.secret_access_key, self.aws.session_token) if self.aws is not None else ()
        application = (self.entra.client_secret,) if self.entra is not None else ()
        account = _key_lines(self.google.private_key) if self.google is not None else ()
        return tuple(secret for secret in (self.api_key, *signed, *application, *account) if secret)

    def __repr__(self) -> str:
        """Without the key, so that no log or traceback shows it."""
        return f"ProviderAccess(name={self.name!r}, kind={self.kind!r}, base_url={self.base_url!r})"


class Timeouts(msgspec.Struct, frozen=True):
    """Limits of one upstream call, in seconds.

    ``connect_s`` to a socket, ``first_token_s`` from sending to the first byte of the answer (``None``: 120 s for a
    stream; a whole answer has its total time),
    ``idle_s`` between two pieces of it, ``total_s`` for all of it, over all attempts. A client of a stream that has
    waited ``keep_alive_s`` without a byte is sent a comment, and again after as long (``None``: never).
    """

    connect_s: float = 5.0
    first_token_s: float | None = None
    idle_s: float = 60.0
    total_s: float = 600.0
    keep_alive_s: float | None = 5.0


class Overrule(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator says that a target takes, against what is known of its model; ``None`` is nothing said."""

    images: bool | None = None
    image_urls: bool | None = None
    documents: bool | None = None
    audio: bool | None = None
    tools: bool | None = None
    parallel_tool_calls: bool | None = None
    json_schema: bool | None = None
    seed: bool | None = None
    temperature: bool | None = None
    reasoning_effort: tuple[str, ...] | None = None
    stop: int | None = None
    max_output_tokens: int | None = None
    context_tokens: int | None = None


class ProviderKey(msgspec.Struct, frozen=True):
    """One of a provider's keys: its share of the calls against the others', and what may be asked with it."""

    access: ProviderAccess
    weight: int = 1
    limits: LimitValues | None = None


class Target(msgspec.Struct, frozen=True):
    """One (provider, model) that may answer for an alias; ``price`` is ``None`` for an unpriced model.

    ``provider`` is reached with any of ``keys``; without any, as it is. The lowest ``tier`` is asked first by the
    strategy ``priority``. Rules choose targets by ``tags``.
    """

    provider: ProviderAccess
    model: str
    weight: int
    price: Price | None
    takes: Overrule = Overrule()
    tags: frozenset[str] = frozenset()
    tier: int = 1
    keys: tuple[ProviderKey, ...] = ()
    breaker: Breaker = Breaker()
    probe: Probe | None = None

    @property
    def name(self) -> str:
        """``provider/model``: what its state is known by, whichever alias it answers for."""
        return f"{self.provider.name}/{self.model}"


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """Copies of ``share`` of the calls go to ``target``; its answers are metered and thrown away."""

    target: Target
    share: float = 1.0


class Route(msgspec.Struct, frozen=True):
    """A model alias as clients name it, and who may answer.

    ``fallbacks`` are aliases, in order, by why this one can't answer. ``sticky_by`` is what calls are told apart by
    under the strategy ``sticky``. ``guardrails`` names a policy that holds besides the caller's.
    """

    alias: str
    targets: tuple[Target, ...]
    timeouts: Timeouts
    strategy: Strategy = "weighted"
    rules: tuple[Rule, ...] = ()
    retries: Retries = Retries()
    fallbacks: dict[FallbackCause, tuple[str, ...]] = {}
    sticky_by: Literal["user", "conversation", "prefix"] = "conversation"
    hedge: Hedge | None = None
    shadow: Shadow | None = None
    guardrails: str | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """One version of everything above. ``file_keys`` are the keys that the config file declares.

    ``policies`` are guardrail policies by name, the file's and those made through the API. A name in ``unreadable`` is
    one whose policy this version can't understand: whoever it is for is refused. ``is_partial``: what is stored is not
    known yet, and any other name may have a policy, ``default`` too. ``guardrail_secret`` keys digests and
    placeholders; it is the same on every host once the database has told it. ``budgets`` are the file's.
    ``refuses_unpriced``: a model without a price does not answer. ``cache`` holds for whoever has no policy of its own.
    """

    version: int
    routes: dict[str, Route]
    policies: dict[str, Policy]
    default_limits: LimitValues
    file_keys: tuple[tuple[bytes, KeyRecord], ...]
    unreadable: frozenset[str] = frozenset()
    is_partial: bool = False
    guardrail_secret: bytes = b""
    budgets: tuple[Budget, ...] = ()
    refuses_unpriced: bool = False
    limit_rules: tuple[LimitRule, ...] = ()
    queueing: Queueing | None = None
    cache: CachePolicy = CachePolicy()
    cache_space: CacheSpace = CacheSpace()

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Snapshot(version={self.version}, routes={self.routes!r}, policies={self.policies!r})"
