"""API keys: their form against zlib and arithmetic, the table of known keys against a plain dictionary."""

import gc
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.native.twins import keys as twin

from tollway._native import keys

DAY_MS = 86_400_000


@given(st.from_regex(r"[a-z]{1,12}", fullmatch=True))
def test_a_generated_key_has_its_form(environment: str) -> None:
    key = keys.generate(environment)
    assert key.startswith(f"tw_{environment}_")
    assert keys.well_formed(key.encode())
    assert twin.well_formed(key.encode())


def test_no_two_keys_are_alike() -> None:
    assert len({keys.generate("live") for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("environment", ["", "Live", "live_", "a" * 13, "tést"])
def test_an_odd_environment_is_a_value_error(environment: str) -> None:
    with pytest.raises(ValueError, match="1 to 12 letters"):
        keys.generate(environment)


@given(st.integers(0, 56), st.integers(0, 255))
def test_a_changed_byte_is_noticed_as_by_the_twin(at: int, byte: int) -> None:
    key = bytearray(keys.generate("live").encode())
    key[at] = byte
    assert keys.well_formed(bytes(key)) == twin.well_formed(bytes(key))


@given(st.binary(max_size=100))
def test_any_bytes_may_be_asked_about(secret: bytes) -> None:
    assert keys.well_formed(secret) == twin.well_formed(secret)
    assert keys.digest(secret) == twin.digest(secret)


@pytest.mark.parametrize(
    "secret", [b"", b"' OR '1'='1", b"\x00" * 57, b"\xff" * 57, "tw_live_é".encode("latin-1"), b"a" * 1_000_000]
)
def test_odd_secrets_are_not_well_formed(secret: bytes) -> None:
    assert not keys.well_formed(secret)
    assert keys.KeyTable[str](1, 1).find(secret, 0) == (keys.UNKNOWN, None)


def test_a_list_shows_fourteen_characters_of_a_key() -> None:
    key = keys.generate("test")
    assert keys.prefix(key) == key[:14]
    assert keys.prefix("hand-made") == "h"
    assert keys.prefix("") == ""


def test_a_digest_of_another_length_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 3"):
        keys.KeyTable[str](1, 1).forget(b"abc")


def test_time_does_not_run_below_zero() -> None:
    with pytest.raises(OverflowError):
        keys.KeyTable[str](1, 1).find(b"key", -1)


class Value:
    """Something that can be watched, and that can point back at the table."""

    table: object = None


def test_a_table_gives_its_values_free() -> None:
    table: keys.KeyTable[Value] = keys.KeyTable(1, 1)
    watched = []
    for number in range(4):
        value = Value()
        watched.append(weakref.ref(value))
        table.insert(keys.digest(bytes([number])), value, 0, DAY_MS, None)
        del value
    assert [ref() is None for ref in watched] == [True, True, True, False]
    table.clear_unpinned()
    assert watched[-1]() is None


def test_a_table_in_a_cycle_is_collected() -> None:
    table: keys.KeyTable[Value] = keys.KeyTable(2, 2)
    value = Value()
    value.table = table
    table.pin(keys.digest(b"key"), value, None)
    watched = weakref.ref(value)
    del table, value
    gc.collect()
    assert watched() is None


def test_a_value_may_use_the_table_while_it_leaves_it() -> None:
    table: keys.KeyTable[object] = keys.KeyTable(1, 1)
    seen = []

    class Meddler:
        def __del__(self) -> None:
            seen.append(len(table))
            table.refuse(keys.digest(b"meddler"), DAY_MS)

    table.insert(keys.digest(b"one"), Meddler(), 7, DAY_MS, None)
    table.insert(keys.digest(b"two"), Meddler(), 7, DAY_MS, None)
    assert table.forget_group(7) == 1
    assert seen == [1, 0]
    assert table.find(b"meddler", 0) == (keys.REFUSED, None)


SECRETS = st.sampled_from([bytes([number]) for number in range(8)])
TIMES = st.integers(0, 20)
GROUPS = st.integers(0, 2)
ENDS = st.none() | TIMES


class TableAgainstTwin(RuleBasedStateMachine):
    """Any sequence of operations leaves the table and its twin with the same answers."""

    def __init__(self) -> None:
        super().__init__()
        self.table: keys.KeyTable[int] = keys.KeyTable(3, 2)
        self.twin = twin.KeyTable(3, 2)

    @rule(secret=SECRETS, now_ms=TIMES)
    def find(self, secret: bytes, now_ms: int) -> None:
        assert self.table.find(secret, now_ms) == self.twin.find(secret, now_ms)

    @rule(secret=SECRETS, value=st.integers(), group=GROUPS, fresh_until_ms=TIMES, expires_ms=ENDS)
    def insert(self, secret: bytes, value: int, group: int, fresh_until_ms: int, expires_ms: int | None) -> None:
        self.table.insert(keys.digest(secret), value, group, fresh_until_ms, expires_ms)
        self.twin.insert(keys.digest(secret), value, group, fresh_until_ms, expires_ms)

    @rule(secret=SECRETS, value=st.integers(), expires_ms=ENDS)
    def pin(self, secret: bytes, value: int, expires_ms: int | None) -> None:
        self.table.pin(keys.digest(secret), value, expires_ms)
        self.twin.pin(keys.digest(secret), value, expires_ms)

    @rule(secret=SECRETS, until_ms=TIMES)
    def refuse(self, secret: bytes, until_ms: int) -> None:
        self.table.refuse(keys.digest(secret), until_ms)
        self.twin.refuse(keys.digest(secret), until_ms)

    @rule(secret=SECRETS)
    def forget(self, secret: bytes) -> None:
        assert self.table.forget(keys.digest(secret)) == self.twin.forget(keys.digest(secret))

    @rule(group=GROUPS)
    def forget_group(self, group: int) -> None:
        assert self.table.forget_group(group) == self.twin.forget_group(group)

    @rule(pinned=st.booleans())
    def clear(self, pinned: bool) -> None:
        for table in (self.table, self.twin):
            if pinned:
                table.clear_pinned()
            else:
                table.clear_unpinned()

    @invariant()
    def they_hold_as_many(self) -> None:
        assert len(self.table) == len(self.twin)


TableAgainstTwin.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_the_table_answers_as_its_twin = TableAgainstTwin.TestCase
