"""What may be kept of answers and served again: the policies of the file, of tenants and of keys."""

from bisect import bisect_right
from typing import Literal

import msgspec

Scope = Literal["tenant", "key", "user"]
"""Who shares an entry: everybody of its tenant, the calls of its key, or those for its user."""


class ExactCaching(msgspec.Struct, frozen=True, kw_only=True):
    """Answers to the very same question. ``ttl_s`` is in seconds.

    A request that asks for a higher ``temperature`` than ``max_temperature`` wants another answer each time: it is
    neither looked up nor kept. One that names none is.
    """

    ttl_s: float = 3_600.0
    max_temperature: float = 0.0


class SemanticCaching(msgspec.Struct, frozen=True, kw_only=True):
    """Answers to a question that means the same, asked after the same turns and for the same model and parameters.

    ``threshold`` is the least confidence, from 0 to 1, of the verifier that the answer serves; the default is where at
    most one look-up in a hundred is answered wrongly. With ``adaptive`` it is learned by region, from feedback and from
    the ``shadow_share`` of hits that are asked of the model all the same, so that at most ``max_wrong`` of the hits are
    wrong. ``embedder`` is ``builtin``, ``minilm``, or the alias of a model that serves embeddings: what is asked in
    addition to the built-in one.
    """

    ttl_s: float = 3_600.0
    threshold: float = 0.95
    embedder: str = "builtin"
    adaptive: bool = False
    max_wrong: float = 0.01
    shadow_share: float = 0.0


class CachePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What is cached for whom; a part that is ``None`` is off, and both are: no cache."""

    exact: ExactCaching | None = None
    semantic: SemanticCaching | None = None
    scope: Scope = "tenant"


class CacheSpace(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker's cache may take. ``max_entries`` and ``max_bytes`` (of bodies) hold for each worker where there is
    no Redis, else for all that share it. Identical calls wait for the first of them for ``join_s`` at most. A stream
    from the cache says ``pace`` tokens a second; ``None``: all at once.
    """

    max_entries: int = 100_000
    max_bytes: int = 256 * 2**20
    max_answer_bytes: int = 2**20
    join_s: float = 30.0
    pace: int | None = None


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are meant: those for which all that is set holds; with nothing set, all of them.

    ``key`` is an entry's own (32 bytes), ``key_id`` the API key's whose call filled it, ``before_ms`` a Unix time in
    milliseconds that it was filled before.
    """

    tenant_id: str | None = None
    key_id: str | None = None
    model: str | None = None
    key: bytes | None = None
    before_ms: int | None = None


Verdict = Literal["good", "wrong"]


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says of one semantic hit: whether the cached answer served the question.

    ``region`` tells where thresholds are learned apart, see :func:`region_of`; ``confidence`` is what the verifier
    said. ``request_id`` is the call's that was answered, which is judged once; ``None`` where that is not known.
    """

    tenant_id: str
    region: str
    confidence: float
    verdict: Verdict
    source: Literal["client", "shadow"]
    request_id: str | None = None


BANDS = (0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""Where one band of similarity, by the built-in embedder, ends and the next of the eight begins."""


def region_of(tenant_id: str, model: str, similarity: float) -> str:
    """Where a hit belongs for thresholds: its tenant, the model's alias and the band of its similarity, 0 to 7."""
    return f"{tenant_id}/{model}/{bisect_right(BANDS, similarity)}"


def model_of(region: str, tenant_id: str) -> str | None:
    """The model's alias of a region of this tenant; ``None`` for a text that is none."""
    model, slash, band = region.removeprefix(f"{tenant_id}/").rpartition("/")
    is_own = bool(tenant_id) and region.startswith(f"{tenant_id}/")
    is_band = len(band) == 1 and "0" <= band <= str(len(BANDS))
    return model if is_own and slash and model and is_band else None


class EntryFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of an entry: never the question, nor the answer. One that ``is_semantic`` answers similar questions
    too."""

    key: bytes
    tenant_id: str
    key_id: str
    model: str
    operation: str
    provider: str
    provider_model: str
    filled_at_ms: int
    expires_at_ms: int
    body_bytes: int
    prompt_tokens: int
    completion_tokens: int
    cost_picousd: int | None
    is_semantic: bool


class ShelfFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker knows of now, and what it has dropped since it is there. ``questions`` are entries that answer
    similar ones too; ``is_shared``: bodies lie in Redis, where ``bytes`` of them are everybody's."""

    entries: int
    questions: int
    namespaces: int
    bytes: int
    is_shared: bool
    evicted: int
    expired: int
    removed: int
