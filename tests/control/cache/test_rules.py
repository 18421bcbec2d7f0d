"""What may be asked of the cache: whatever is sent is understood, or refused by its field."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.control.conftest import SETTINGS

from tollway.contract.cache import CachePolicy, Selection
from tollway.control.cache.policies import written_policy
from tollway.control.cache.rules import RemovalQuery, checked_policy, entry_key, selected
from tollway.errors import InvalidRequest, NotFound

NOW = datetime(2027, 1, 31, tzinfo=UTC)

_WORDS = st.sampled_from(
    ["exact", "semantic", "scope", "ttl", "max_temperature", "threshold", "embedder", "adaptive", "max_wrong", "shadow"]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["1h", "5%", "off", "builtin", "minilm", "moderation", "tenant", "key", "user", "0.5"])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.text(max_size=5), inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=300)
@given(_VALUES)
def test_any_json_is_a_policy_that_can_be_written_again_or_refused(value: Any) -> None:
    try:
        policy = checked_policy(msgspec.json.encode(value), SETTINGS)
    except InvalidRequest:
        return
    assert policy is not None
    if value == "off":
        assert policy == CachePolicy()
    else:
        again = checked_policy(msgspec.json.encode(written_policy(policy)), SETTINGS)
        assert again is not None
        assert (again.exact, again.semantic) == (policy.exact, policy.semantic)


@settings(max_examples=200)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_policy_or_refused(body: bytes) -> None:
    try:
        checked_policy(body, SETTINGS)
    except InvalidRequest:
        return


@given(st.text(max_size=70))
def test_any_text_is_a_key_of_32_bytes_or_there_is_no_such_entry(text: str) -> None:
    try:
        assert entry_key(text).hex() == text.lower()
    except NotFound:
        assert len(text) != 64 or not all(character in "0123456789abcdefABCDEF" for character in text)


def test_all_that_is_given_must_hold_of_what_is_forgotten() -> None:
    query = RemovalQuery(tenant_id="a name", key_id="k", model="m", older_than="1d")
    assert selected(query, "id", NOW) == Selection(
        tenant_id="id", key_id="k", model="m", before_ms=int(NOW.timestamp() - 86_400) * 1000
    )


@pytest.mark.parametrize("older_than", ["", "1", "-1h", "1y", "1h "])
def test_an_age_that_is_none_is_refused_by_its_name(older_than: str) -> None:
    with pytest.raises(InvalidRequest, match="older_than") as raised:
        selected(RemovalQuery(older_than=older_than), None, NOW)
    assert raised.value.param == "older_than"
