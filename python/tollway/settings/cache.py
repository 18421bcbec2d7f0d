"""The section ``cache``, and what tenants and keys say of it: which answers are given again, to whom, how long."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from tollway.settings.values import Confidence, Name, Seconds, Share, SizeBytes

_Ttl = Annotated[Seconds, Meta(ge=1, le=30 * 86_400)]
_Temperature = Annotated[float, Meta(extra={"reads": "temperature"}, ge=0, le=2)]
_ShareOrNone = Annotated[float, Meta(extra={"reads": "share"}, ge=0, le=1)]
_Entries = Annotated[int, Meta(ge=1, le=10_000_000)]

Scope = Literal["tenant", "key", "user"]

_SCOPE = Meta(description="Who shares answers: a tenant's calls, those with the same key, or those for the same user.")


class ExactSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Answers to the very same request."""

    ttl_s: Annotated[_Ttl, Meta(description="How long an answer is kept.")] = field(default=3_600.0, name="ttl")
    max_temperature: Annotated[
        _Temperature, Meta(description="A request that asks for a higher temperature is not for the cache.")
    ] = 0.0


class SemanticSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Answers to a question that means the same, asked after the same turns with the same parameters."""

    threshold: Annotated[
        Confidence, Meta(description="How sure the verifier must be that the answer serves, from 0 to 1.")
    ] = 0.95
    ttl_s: Annotated[_Ttl, Meta(description="How long an answer is kept.")] = field(default=3_600.0, name="ttl")
    embedder: Annotated[
        Name, Meta(description="builtin, minilm, or a name under models that serves embeddings; asked beside builtin.")
    ] = "builtin"
    adaptive: Annotated[bool, Meta(description="Thresholds are learned from feedback instead.")] = False
    max_wrong: Annotated[
        Share, Meta(description="For adaptive: at most so many of the hits may be wrong, as far as feedback tells.")
    ] = 0.01
    shadow_share: Annotated[
        _ShareOrNone, Meta(description="So many of the hits are asked of the model all the same, and compared.")
    ] = field(default=0.0, name="shadow")


class FileSemanticSettings(SemanticSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Answers to a question that means the same, asked after the same turns with the same parameters."""

    max_entries: Annotated[_Entries | None, Meta(description="May stand here instead of under cache.")] = None


class CachePolicySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A cache of one's own, instead of the file's; a part that is left out is off."""

    exact: Annotated[ExactSettings | None, Meta(description="Answers to the very same request.")] = None
    semantic: Annotated[SemanticSettings | None, Meta(description="Answers to a question that means the same.")] = None
    scope: Annotated[Scope, _SCOPE] = "tenant"


class CacheSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Answers that are given again; a part that is left out is off."""

    exact: Annotated[ExactSettings | None, Meta(description="Answers to the very same request.")] = None
    semantic: Annotated[FileSemanticSettings | None, Meta(description="Answers to a question that means the same.")] = (
        None
    )
    scope: Annotated[Scope, _SCOPE] = "tenant"
    max_entries: Annotated[
        _Entries | None, Meta(description="Answers that are kept, in each worker or in Redis; 100000 unless given.")
    ] = None
    max_bytes: Annotated[
        SizeBytes, Meta(ge=2**20, le=2**40, description="What they may take, compressed, in each worker or in Redis.")
    ] = 256 * 2**20
    max_answer_bytes: Annotated[
        SizeBytes, Meta(ge=2**10, le=64 * 2**20, description="A larger answer is not kept.")
    ] = field(default=2**20, name="max_answer")
    join_s: Annotated[
        Seconds, Meta(ge=0, le=600, description="So long a call waits for an identical one that is under way.")
    ] = field(default=30.0, name="join")
    pace: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        Meta(description="Tokens a second of a stream from the cache; all at once unless given."),
    ] = None
    minilm: Annotated[
        Annotated[str, Meta(min_length=1, max_length=4096)] | None,
        Meta(description="For the embedder minilm: a directory with model.onnx and tokenizer.json."),
    ] = None

    @property
    def entries(self) -> int:
        """``max_entries``, wherever the file gives it."""
        within = self.semantic.max_entries if self.semantic is not None else None
        return self.max_entries or within or 100_000


CacheChoice = CachePolicySettings | Literal["off"]
"""What a tenant or a key may say."""
