"""How much is granted, decided without a database."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tollway.contract.budgets import Ask, Budget, Granted, Purse
from tollway.storage.lending import Lease, Standing, lend

PURSE = Purse(Budget(id="file:b", name="b", amount_picousd=1_000, period="total"))
WHOLE = st.integers(min_value=0, max_value=10**6)


def _standing(
    own: Lease | None = None, *, spent: int = 0, held: int = 0, hosts: int = 0, amount: int = 1_000
) -> Standing:
    return Standing(amount=amount, spent=spent, held_by_others=held, other_hosts=hosts, own=own)


def _lent(
    standing: Standing, wanted: int, granted: int = 0, spent: int = 0, needed: int | None = 0
) -> tuple[int, bool]:
    _, answer = lend(Ask(PURSE, granted, spent, wanted, 9, needed), standing)
    assert answer is not None
    return answer.granted, answer.exhausted


def test_a_host_gets_what_it_wants_while_there_is_plenty() -> None:
    assert _lent(_standing(), 400) == (400, False)
    assert _lent(_standing(hosts=1), 250) == (250, False)


def test_near_the_end_a_host_gets_its_share_of_half_of_what_is_free() -> None:
    assert _lent(_standing(), 600) == (500, False)
    assert _lent(_standing(hosts=4, spent=200), 600) == (80, False)


def test_what_calls_wait_for_is_given_to_the_last_part() -> None:
    assert _lent(_standing(hosts=4, spent=200), 700, needed=300) == (300, False)
    assert _lent(_standing(hosts=4, spent=900, held=80), 700, needed=300) == (20, True)
    assert _lent(_standing(hosts=4), 700, needed=None) == (700, False)


def test_nothing_is_lent_of_a_ceiling_that_was_lowered_below_what_is_spent() -> None:
    own = Lease(granted=100, spent=50, is_live=True)
    assert _lent(_standing(own, spent=500, amount=300), 10, granted=100, spent=60) == (100, True)


def test_a_question_whose_answer_was_lost_is_answered_the_same() -> None:
    lease, first = lend(Ask(PURSE, 0, 0, 300, 1), _standing())
    again, second = lend(Ask(PURSE, 0, 0, 300, 2), _standing(lease))
    assert first == second == Granted(PURSE.name, 300, False)
    assert again is not None
    assert again.held == 300


def test_what_a_host_gives_back_others_have() -> None:
    own = Lease(granted=900, spent=100, turn=8, is_live=True)
    lease, answer = lend(Ask(PURSE, 150, 100, 0, 9), _standing(own))
    assert answer == Granted(PURSE.name, 150, False)
    assert lease is not None
    assert lease.held == 150


def test_what_a_later_question_has_overtaken_is_not_listened_to() -> None:
    own = Lease(granted=300, spent=10, turn=9, is_live=True)
    for turn in (8, 9):
        assert lend(Ask(PURSE, 300, 10, 300, turn), _standing(own)) == (None, None)
        assert lend(Ask(PURSE, 300, 10, 300, turn), _standing(msgspec.structs.replace(own, is_live=False)))[1] is None


def test_nobody_has_more_of_a_lease_than_it_was_granted() -> None:
    own = Lease(granted=300, spent=10, is_live=True)
    assert _lent(_standing(own), 0, granted=700, spent=10, needed=None) == (700, False), "it asks for it anew"
    assert _lent(_standing(own, held=650, hosts=1), 0, granted=700, spent=10, needed=None) == (350, True)


def test_a_host_whose_lease_has_expired_has_again_what_is_still_there() -> None:
    own = Lease(granted=900, spent=100, is_live=False)
    assert own.held == 100
    assert _lent(_standing(own), 0, granted=900, spent=150) == (900, False)
    assert _lent(_standing(own, held=800, hosts=1), 0, granted=900, spent=150) == (200, True)
    assert _lent(_standing(own, held=800, hosts=1), 0, granted=150, spent=150) == (150, False)
    assert _lent(_standing(own, held=800, hosts=1), 700, granted=150, spent=150, needed=700) == (200, True)


def test_a_host_that_has_forgotten_counts_from_nothing_and_owes_what_it_had_told() -> None:
    own = Lease(base=0, granted=900, spent=100, shipped=40, turn=8, is_live=True)
    lease, answer = lend(Ask(PURSE, 0, 0, 50, 9), _standing(own, spent=40))
    assert answer == Granted(PURSE.name, 50, False)
    assert lease == Lease(base=100, granted=150, spent=100, shipped=40, turn=9, is_live=True)
    assert lease.held == 110


def test_a_host_that_is_unknown_but_counts_on_is_lent_above_its_count() -> None:
    assert _lent(_standing(), 50, granted=400, spent=300) == (450, False)
    assert _lent(_standing(), 0, granted=300, spent=300) == (300, False)
    assert _lent(_standing(held=970, hosts=1), 50, granted=400, spent=300) == (330, True)


def test_who_has_spent_more_than_was_granted_is_not_lent_what_others_have() -> None:
    own = Lease(granted=100, spent=0, is_live=True)
    assert _lent(_standing(own, held=850, hosts=1), 100, granted=100, spent=130, needed=100) == (150, True)


@given(WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, st.booleans(), st.none() | WHOLE, st.integers(0, 9))
def test_no_grant_makes_what_is_committed_more_than_there_is(
    amount: int,
    spent: int,
    held: int,
    granted: int,
    own_spent: int,
    wanted: int,
    alive: bool,
    needed: int | None,
    hosts: int,
) -> None:
    own = Lease(granted=granted, spent=own_spent, is_live=alive)
    standing = Standing(amount, spent, held, hosts, own)
    lease, answer = lend(Ask(PURSE, granted, own_spent, wanted, 9, needed), standing)
    assert lease is not None
    assert answer is not None
    assert lease.granted >= lease.spent
    more = lease.held - own.held
    assert more >= 0
    if more:
        assert spent + held + lease.held <= amount
    if wanted and needed is None and not answer.exhausted and alive:
        assert answer.granted >= max(granted + wanted, own_spent)
