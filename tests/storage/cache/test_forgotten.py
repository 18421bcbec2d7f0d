"""What was removed of late does not come back, whichever way its age is known."""

import time

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.cached import entry, key_of

from tollway.contract.cache import Selection
from tollway.proxy.cache.entry import Entry
from tollway.storage.cache.forgotten import MOST_REMOVALS, Forgotten, selects

selections = st.builds(
    Selection,
    tenant_id=st.sampled_from([None, "acme", "globex"]),
    key_id=st.sampled_from([None, "ci", "other"]),
    model=st.sampled_from([None, "m", "n"]),
    key=st.sampled_from([None, key_of("a"), key_of("b")]),
    before_ms=st.sampled_from([None, 0, 1 << 50]),
)


def test_all_that_a_selection_sets_must_hold() -> None:
    answer = entry("a", filled_at_ms=1_000)
    assert selects(Selection(), answer)
    assert selects(Selection(tenant_id="acme", key_id="ci", model="m", key=answer.key, before_ms=1_001), answer)
    for other in (
        Selection(tenant_id="globex"),
        Selection(key_id="other"),
        Selection(model="n"),
        Selection(key=key_of("b")),
        Selection(before_ms=1_000),
    ):
        assert not selects(other, answer)


def test_a_call_that_began_before_a_removal_is_removed_with_it_and_one_that_began_after_is_not() -> None:
    forgotten = Forgotten()
    before_ns = time.monotonic_ns()
    forgotten.note(Selection(tenant_id="acme"))
    after_ns = time.monotonic_ns() + 1
    assert forgotten.since(entry("a"), before_ns)
    assert not forgotten.since(entry("a"), after_ns)
    assert not forgotten.since(entry("a", tenant_id="globex"), before_ns)


def test_a_filler_that_did_not_know_of_a_number_is_behind_it() -> None:
    forgotten = Forgotten()
    forgotten.note(Selection(model="m"), number=7)
    assert forgotten.numbered(entry("a"), 6)
    assert not forgotten.numbered(entry("a"), 7)
    assert not forgotten.numbered(entry("a", model="n"), 6)


def test_numbers_of_one_redis_say_nothing_of_another_ones_answers() -> None:
    forgotten = Forgotten()
    for number in range(1, MOST_REMOVALS + 2):  # of the first, only the number is left
        forgotten.note(Selection(model="m"), number=number, at_ms=10_000)
    forgotten.renumber()
    assert not forgotten.numbered(entry("a"), 0)
    assert forgotten.dated(entry("a", filled_at_ms=10_000), 0)
    forgotten.note(Selection(model="m"), number=1)
    assert forgotten.numbered(entry("a"), 0)


def test_what_was_filled_before_a_removal_was_said_is_removed_with_it() -> None:
    forgotten = Forgotten()
    forgotten.note(Selection(), at_ms=10_000)
    assert forgotten.dated(entry("a", filled_at_ms=10_000), 0)
    assert not forgotten.dated(entry("a", filled_at_ms=10_001), 0)
    assert forgotten.dated(entry("a", filled_at_ms=11_000), 1_000)


def test_a_removal_whose_time_is_not_known_removes_nothing_by_its_time() -> None:
    forgotten = Forgotten()
    forgotten.note(Selection(), number=1)
    assert not forgotten.dated(entry("a", filled_at_ms=0), 5_000)


def test_a_removal_is_known_to_have_been_heard_since() -> None:
    forgotten = Forgotten()
    before_ns = time.monotonic_ns()
    forgotten.note(Selection(model="m"))
    assert forgotten.has(Selection(model="m"), before_ns)
    assert not forgotten.has(Selection(model="n"), before_ns)
    assert not forgotten.has(Selection(model="m"), time.monotonic_ns() + 1)


@given(st.lists(selections, min_size=1, max_size=5), st.integers(0, MOST_REMOVALS + 50))
def test_what_is_beyond_the_bound_is_still_removed(early: list[Selection], later: int) -> None:
    forgotten, begun_ns = Forgotten(), time.monotonic_ns()
    for number, selection in enumerate(early, 1):
        forgotten.note(selection, number=number, at_ms=1_000)
    for number in range(later):
        forgotten.note(Selection(tenant_id="nobody"), number=len(early) + 1 + number, at_ms=2_000 + number)
    answers: list[Entry] = [entry("a", filled_at_ms=900), entry("b", tenant_id="globex", filled_at_ms=900)]
    for answer in answers:
        if any(selects(selection, answer) for selection in early):
            assert forgotten.since(answer, begun_ns)
            assert forgotten.numbered(answer, 0)
            assert forgotten.dated(answer, 0)
