"""Station 5: an alias becomes a target, by weight, for those who may use it."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.proxy.edge import arrive, ask, principal, route, snapshot, target

from tollway.contract.snapshot import ProviderAccess, Snapshot
from tollway.errors import InvalidRequest, ModelForbidden, ModelNotFound
from tollway.proxy.exchange import Planned, Screened
from tollway.proxy.routing.plan import draw, plan

DRAWS = 20_000


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    before = random.getstate()
    random.seed(4)
    yield
    random.setstate(before)


def planned(model: str, known: Snapshot, allowed: frozenset[str] | None = None) -> Planned:
    return plan(Screened(arrive(known=known), principal(allowed_models=allowed), ask(model)))


async def test_the_plan_names_the_route_and_its_target() -> None:
    known = snapshot(route("gpt-4o", target("gpt-4o-2024-11-20")), route("other"))
    found = planned("gpt-4o", known)
    assert (found.route, found.target) == (known.routes["gpt-4o"], known.routes["gpt-4o"].targets[0])
    assert [span for span, _ in found.arrival.timing.spans] == ["plan"]


@pytest.mark.parametrize("weights", [(1,), (1, 1), (1, 3, 6), (1, 1_000_000), (5, 5, 5, 5, 5)])
def test_targets_are_drawn_in_proportion_to_their_weights(weights: tuple[int, ...]) -> None:
    way = route("m", *(target(str(number), weight=weight) for number, weight in enumerate(weights)))
    drawn = Counter(draw(way.targets).model for _ in range(DRAWS))
    for number, weight in enumerate(weights):
        # Five standard deviations of a binomial count are below 0.018 of the draws.
        assert abs(drawn[str(number)] / DRAWS - weight / sum(weights)) < 0.018


async def test_only_targets_that_can_do_what_is_asked_are_drawn() -> None:
    simulated = target("none", weight=1_000_000, access=ProviderAccess("sim", "simulator", "", None))
    known = snapshot(route("mixed", simulated, target("vectors")), route("chat-only", simulated))
    asked = arrive(known=known, operation="embeddings")
    for _ in range(50):
        assert plan(Screened(asked, principal(), ask("mixed"))).target.model == "vectors"
    with pytest.raises(InvalidRequest, match="does not serve embeddings") as caught:
        plan(Screened(asked, principal(), ask("chat-only")))
    assert caught.value.param == "model"


@pytest.mark.parametrize("model", ["unknown", "M", "m ", "m/"])
async def test_a_model_that_is_not_configured_is_not_found(model: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        planned(model, snapshot(route("m")))
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


async def test_the_name_of_an_unknown_model_is_repeated_in_part_only() -> None:
    with pytest.raises(ModelNotFound) as caught:
        planned("x" * 10_000 + "\n", snapshot())
    assert "x" * 128 in caught.value.outside
    assert len(caught.value.outside) < 250


async def test_a_model_outside_the_allow_list_is_forbidden() -> None:
    known = snapshot(route("m"), route("n"))
    assert planned("n", known, frozenset({"n"})).route.alias == "n"
    with pytest.raises(ModelForbidden) as caught:
        planned("m", known, frozenset({"n"}))
    assert caught.value.param == "model"
    with pytest.raises(ModelForbidden):
        planned("m", known, frozenset())


async def test_a_model_that_does_not_exist_is_not_found_even_for_those_who_may_use_little() -> None:
    with pytest.raises(ModelNotFound):
        planned("unknown", snapshot(), frozenset({"m"}))
