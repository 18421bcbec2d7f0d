"""What lies where others could read it opens for its own tenant, under its own name, whole, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.storage.cache.sealing import LARGE_BYTES, Sealing

SECRET = b"s" * 32
MOST = 1 << 20


def sealing(secret: bytes = SECRET) -> Sealing:
    known = Sealing()
    known.learn(secret)
    return known


def sealed(plain: bytes, whose: str | None = "acme", about: bytes = b"key") -> bytes:
    made = sealing().seal(whose, about, plain)
    assert made is not None
    return made


@given(st.binary(max_size=4_000), st.one_of(st.none(), st.text(max_size=40)), st.binary(max_size=40))
def test_what_was_sealed_opens_again_on_another_host(plain: bytes, whose: str | None, about: bytes) -> None:
    made = sealing().seal(whose, about, plain)
    assert made is not None
    assert sealing().open(whose, about, made, MOST) == plain


def test_nothing_opens_for_another_tenant_under_another_name_or_by_another_secret() -> None:
    made = sealed(b"an answer")
    assert sealing().open("globex", b"key", made, MOST) is None
    assert sealing().open(None, b"key", made, MOST) is None
    assert sealing().open("acme", b"another", made, MOST) is None
    assert sealing(b"t" * 32).open("acme", b"key", made, MOST) is None


def test_the_hosts_own_key_is_no_tenants() -> None:
    made = sealed(b"an entry", whose=None)
    for whose in ("", "None", "tollway cache"):
        assert sealing().open(whose, b"key", made, MOST) is None


@given(st.data())
def test_what_was_damaged_does_not_open(data: st.DataObject) -> None:
    made = bytearray(sealed(b"an answer of some length, so that there is something to damage"))
    at = data.draw(st.integers(0, len(made) - 1))
    made[at] ^= data.draw(st.integers(1, 255))
    assert sealing().open("acme", b"key", bytes(made), MOST) is None
    assert sealing().open("acme", b"key", bytes(made[:at]), MOST) is None


@given(st.binary(max_size=200))
def test_what_was_never_sealed_does_not_open(noise: bytes) -> None:
    assert sealing().open("acme", b"key", noise, MOST) is None
    assert sealing().open("acme", b"key", b"\x01" + noise, MOST) is None


def test_a_text_that_grows_beyond_its_bound_does_not_open() -> None:
    made = sealed(bytes(MOST + 1))
    assert len(made) < MOST / 100
    assert sealing().open("acme", b"key", made, MOST) is None
    assert sealing().open("acme", b"key", made, MOST + 1) == bytes(MOST + 1)


def test_the_plain_text_and_the_tenant_are_not_to_be_seen() -> None:
    made = sealed(b"canary " * 3, whose="canary")
    assert b"canary" not in made
    assert made != sealed(b"canary " * 3, whose="canary"), "never the same twice"


def test_without_the_secret_nothing_is_sealed_or_opened() -> None:
    unknowing = Sealing()
    assert not unknowing.ready
    assert unknowing.seal("acme", b"key", b"an answer") is None
    assert unknowing.open("acme", b"key", sealed(b"an answer"), MOST) is None


def test_the_secret_is_not_shown() -> None:
    assert "sss" not in repr(sealing())


@pytest.mark.parametrize("size", [10, 3 * LARGE_BYTES])
async def test_large_and_small_texts_are_sealed_off_the_loop_and_on_it_alike(size: int) -> None:
    plain = bytes(index * index % 251 for index in range(size))
    made = await sealing().sealed("acme", b"key", plain)
    assert made is not None
    assert await sealing().opened("acme", b"key", made, MOST) == plain
    assert await sealing().opened("globex", b"key", made, MOST) is None
    assert sealing().open("acme", b"key", made, MOST) == plain


async def test_who_waits_for_the_secret_goes_on_when_it_is_known() -> None:
    known = Sealing()
    known.learn(SECRET)
    await known.known()
    assert known.ready


def test_many_tenants_are_sealed_for_in_a_bounded_memory() -> None:
    known = sealing()
    made = [known.seal(f"tenant-{index}", b"key", b"an answer") for index in range(1_100)]
    assert all(known.open(f"tenant-{index}", b"key", each or b"", MOST) for index, each in enumerate(made))
