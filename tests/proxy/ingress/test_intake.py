"""Room for bodies that arrive: a share a tenant, all of it bounded, and everything given back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.errors import RateLimited, ServerBusy
from tollway.proxy.ingress.intake import Intake


def test_a_tenant_gets_its_share_and_another_its_own() -> None:
    intake = Intake(total_bytes=100, tenant_bytes=60)
    with intake.room("a") as first, intake.room("a") as second, intake.room("b") as other:
        first.take(40)
        second.take(20)
        with pytest.raises(RateLimited) as refused:
            second.take(1)
        assert refused.value.retry_after_s
        other.take(40)
        with pytest.raises(ServerBusy):
            other.take(1)
    assert intake.held_bytes == 0


def test_room_is_given_back_when_its_body_fails() -> None:
    intake = Intake(total_bytes=10, tenant_bytes=10)

    def fail() -> None:
        with intake.room("a") as room:
            room.take(10)
            raise ValueError("cut")

    with pytest.raises(ValueError, match="cut"):
        fail()
    with intake.room("b") as room:
        room.take(10)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.booleans()), max_size=60))
def test_it_never_holds_more_than_it_may_and_forgets_who_is_gone(steps: list[tuple[str, int, bool]]) -> None:
    intake = Intake(total_bytes=100, tenant_bytes=50)
    held: list[tuple[str, int]] = []
    for tenant, size, leaves in steps:
        try:
            intake.take(tenant, size)
            held.append((tenant, size))
        except RateLimited:
            assert sum(taken for who, taken in held if who == tenant) + size > 50
        except ServerBusy:
            assert sum(taken for _, taken in held) + size > 100
        if leaves and held:
            intake.give_back(*held.pop(0))
        assert intake.held_bytes == sum(taken for _, taken in held) <= 100
    for tenant, size in held:
        intake.give_back(tenant, size)
    assert intake.held_bytes == 0
    assert not intake._held_by


def test_room_that_outlives_a_block_is_closed_once() -> None:
    intake = Intake(total_bytes=10, tenant_bytes=10)
    room = intake.room("a")
    room.take(10)
    room.close()
    room.close()
    assert intake.held_bytes == 0
