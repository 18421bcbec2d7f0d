"""Policies of the cache: the file's words in, the contract's out, and back for who asks. Pure."""

from typing import Any, Final, Literal

import msgspec

from tollway.contract.cache import CachePolicy, CacheSpace, ExactCaching, SemanticCaching
from tollway.settings import CachePolicySettings, CacheSettings, FileSemanticSettings, SemanticSettings
from tollway.settings.units import duration, percent

OFF: Final = "off"
"""What a policy is called that keeps nothing."""


def declared_cache(settings: CacheSettings | CachePolicySettings | Literal["off"] | None) -> CachePolicy | None:
    """The policy that is written; ``None`` where nothing is, so that another one holds."""
    if settings is None:
        return None
    if settings == OFF:
        return CachePolicy()
    return CachePolicy(
        exact=ExactCaching(**msgspec.structs.asdict(settings.exact)) if settings.exact is not None else None,
        semantic=_semantic(settings.semantic) if settings.semantic is not None else None,
        scope=settings.scope,
    )


def cache_space(settings: CacheSettings | Literal["off"] | None) -> CacheSpace:
    """What a worker's cache may take; the default where the file does not say."""
    if not isinstance(settings, CacheSettings):
        return CacheSpace()
    return CacheSpace(
        max_entries=settings.entries,
        max_bytes=settings.max_bytes,
        max_answer_bytes=settings.max_answer_bytes,
        join_s=settings.join_s,
        pace=settings.pace,
    )


def written_policy(policy: CachePolicy) -> dict[str, Any] | str:
    """The policy in the words of the file, as the API shows it."""
    if policy.exact is None and policy.semantic is None:
        return OFF
    told: dict[str, Any] = {}
    if (exact := policy.exact) is not None:
        told["exact"] = {"ttl": duration(exact.ttl_s), "max_temperature": exact.max_temperature}
    if (semantic := policy.semantic) is not None:
        told["semantic"] = {
            "threshold": semantic.threshold,
            "ttl": duration(semantic.ttl_s),
            "embedder": semantic.embedder,
            "adaptive": semantic.adaptive,
            "max_wrong": percent(semantic.max_wrong),
            "shadow": percent(semantic.shadow_share),
        }
    return {**told, "scope": policy.scope}


def _semantic(settings: SemanticSettings | FileSemanticSettings) -> SemanticCaching:
    said = {name: getattr(settings, name) for name in SemanticSettings.__struct_fields__}
    return SemanticCaching(**said)
