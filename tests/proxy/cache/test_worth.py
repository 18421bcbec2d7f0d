"""Who goes first, against a list that is sorted anew each time."""

from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.cache.test_shelf import entry

from tollway.proxy.cache.held import Held
from tollway.proxy.cache.worth import Worth

COSTS = st.none() | st.integers(0, 10**10)
STEPS = st.lists(
    st.tuples(st.just("add"), COSTS, st.integers(0, 10_000))
    | st.tuples(st.sampled_from(["serve", "discard", "evict", "lose"]), st.integers(0, 50), st.just(0)),
    max_size=120,
)


@given(STEPS)
def test_the_one_with_the_least_value_goes_and_of_equal_ones_the_older(
    steps: list[tuple[str, int | None, int]],
) -> None:
    worth = Worth()
    kept: list[Held] = []
    floor = 0.0
    for number, (step, which, taken) in enumerate(steps):
        if step == "add":
            one = Held(entry(number, cost=which), None, None, taken, number)
            worth.add(one)
            saved = 1 + (100_000 * 12 if which is None else which)
            assert one.value == floor + saved / (taken + 2_000)
            kept.append(one)
        elif kept and step == "evict":
            least = worth.least()
            assert least is min(kept, key=lambda one: (one.value, one.number))
            floor = least.value
            worth.discard(least)
            kept.remove(least)
        elif kept and which is not None:
            one = kept[which % len(kept)]
            before = one.value
            if step == "serve":
                worth.served(one)
                assert one.value >= before
            elif step == "discard":
                worth.discard(one)
                worth.discard(one)
                kept.remove(one)
            else:
                one.is_gone = True
                kept.remove(one)
    while kept:
        least = worth.least()
        assert least is min(kept, key=lambda one: (one.value, one.number))
        worth.discard(least)
        kept.remove(least)
    assert worth.least() is None
