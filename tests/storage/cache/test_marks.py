"""What lies in Redis is read as it was written, and what somebody else wrote is no mark and no removals."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.cache import Selection
from tollway.storage.cache.marks import Mark, body_key, is_whole, read_removals, removed_key, tenant_prefix, unpacked

numbers = st.integers(0, 2**53)


@given(st.binary(max_size=64), numbers)
def test_a_mark_is_read_as_it_was_written(memory: bytes, number: int) -> None:
    assert unpacked(Mark(memory, number).packed()) == (Mark(memory, 0).digest, number)


@given(st.binary(max_size=40).filter(lambda noise: len(noise) != 16))
def test_what_is_no_mark_is_refused(noise: bytes) -> None:
    with pytest.raises(ValueError, match="not a mark"):
        unpacked(noise)


@given(numbers, st.lists(st.tuples(numbers, st.binary(max_size=100)), max_size=5))
def test_removals_are_read_as_redis_writes_them(all_below: int, some: list[tuple[int, bytes]]) -> None:
    records = b"".join(struct.pack(">QI", number, len(sealed)) + sealed for number, sealed in some)
    assert read_removals(struct.pack(">Q", all_below) + records) == (all_below, tuple(some))


@given(st.binary(max_size=80))
def test_what_is_no_removals_is_refused_and_nothing_else_happens(noise: bytes) -> None:
    try:
        read = read_removals(noise)
    except ValueError:
        return
    assert len(noise) == 8 + sum(12 + len(sealed) for _, sealed in read.some)


def test_nothing_was_removed_where_there_is_no_value() -> None:
    assert read_removals(None) == (0, ())


@given(st.text(max_size=30), st.text(max_size=30))
def test_tenants_have_keys_apart_that_do_not_name_them(one: str, other: str) -> None:
    assert (tenant_prefix(one) == tenant_prefix(other)) == (one == other)
    assert removed_key(one) != removed_key(None)
    assert body_key(one, bytes(32)).startswith(tenant_prefix(one))


def test_what_means_all_of_a_tenant_or_of_everybody_is_whole() -> None:
    assert is_whole(Selection())
    assert is_whole(Selection(tenant_id="acme"))
    for part in (Selection(key_id="ci"), Selection(model="m"), Selection(key=bytes(32)), Selection(before_ms=1)):
        assert not is_whole(part)
