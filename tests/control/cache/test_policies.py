"""Policies of the cache between the file's words and the contract's."""

import msgspec
import pytest

from tollway.contract.cache import CachePolicy, CacheSpace, ExactCaching, SemanticCaching
from tollway.control.cache.policies import cache_space, declared_cache, written_policy
from tollway.settings import CacheSettings, read


def _cache(written: str) -> CacheSettings:
    cache = read(f"version: 1\ncache: {written}", {}).cache
    assert isinstance(cache, CacheSettings)
    return cache


def test_what_is_not_written_is_no_policy_and_off_is_one_that_keeps_nothing() -> None:
    assert declared_cache(None) is None
    assert declared_cache("off") == CachePolicy()
    assert (cache_space(None), cache_space("off")) == (CacheSpace(), CacheSpace())


def test_a_policy_says_what_the_file_says() -> None:
    cache = _cache("{exact: {ttl: 5m}, semantic: {threshold: 0.9, shadow: 2%, max_entries: 9}, scope: key, join: 1s}")
    assert declared_cache(cache) == CachePolicy(
        exact=ExactCaching(ttl_s=300.0), semantic=SemanticCaching(threshold=0.9, shadow_share=0.02), scope="key"
    )
    assert cache_space(cache) == CacheSpace(max_entries=9, join_s=1.0)


@pytest.mark.parametrize(
    "policy",
    [
        CachePolicy(),
        CachePolicy(exact=ExactCaching(ttl_s=90.0, max_temperature=0.7)),
        CachePolicy(semantic=SemanticCaching(max_wrong=0.0015, threshold=0.987, adaptive=True), scope="user"),
        CachePolicy(exact=ExactCaching(), semantic=SemanticCaching(embedder="minilm", shadow_share=0.5)),
    ],
)
def test_what_is_shown_can_be_written_again(policy: CachePolicy) -> None:
    shown = written_policy(policy)
    text = msgspec.json.encode({"version": 1, "cache": shown}).decode()
    assert (declared_cache(read(text, {}).cache) or CachePolicy()) == policy
