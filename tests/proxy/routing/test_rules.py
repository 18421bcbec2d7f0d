"""Rules: the first that holds decides, a share is the same people always, and notes are read or refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.proxy.edge import arrive, ask, principal
from tests.proxy.routing.desk import goal

from tollway.contract.described import Described
from tollway.contract.routing import Rule, When
from tollway.errors import InvalidRequest
from tollway.proxy.exchange import Screened
from tollway.proxy.routing.rules import Rules, holds
from tollway.proxy.routing.traits import Traits, number_of

PEOPLE = 20_000


def traits(headers: dict[str, str] | None = None, caller: dict[str, Any] | None = None, **fields: Any) -> Traits:
    raw = {name.encode(): value.encode("latin-1") for name, value in (headers or {}).items()}
    return Traits.of(Screened(arrive(headers=raw), principal(**(caller or {})), ask(**fields)))


def one(*values: str) -> frozenset[str]:
    return frozenset(values)


TARGETS = (goal("a", "stable"), goal("b", "stable", "eu"), goal("c", "canary", "eu"))
STABLE, EU, CANARY, ALL = 0b011, 0b110, 0b100, 0b111


async def test_without_rules_everyone_may_be_asked() -> None:
    assert Rules("m", (), TARGETS).choose(traits()) == (ALL, None)


@pytest.mark.parametrize(
    ("when", "asked", "expected"),
    [
        (When(), {}, True),
        (When(headers={"x-region": one("eu", "uk")}), {"headers": {"x-region": "uk"}}, True),
        (When(headers={"x-region": one("eu")}), {"headers": {"x-region": "EU"}}, False),
        (When(headers={"x-region": one("caf\xe9")}), {"headers": {"x-region": "caf\xe9"}}, True),
        (When(headers={"x-region": one("eu")}), {}, False),
        (When(headers={"x-a": one("1"), "x-b": one("2")}), {"headers": {"x-a": "1", "x-b": "3"}}, False),
        (When(tenants=one("acme")), {}, True),
        (When(tenants=one("tenant-1")), {}, True),
        (When(tenants=one("ACME", "tenant-2")), {}, False),
        (When(metadata={"team": one("search")}), {"metadata": {"team": "search", "n": 5}}, True),
        (When(metadata={"team": one("search")}), {"metadata": {"team": ["search"]}}, False),
        (When(metadata={"team": one("search")}), {"metadata": "search"}, False),
        (When(metadata={"team": one("search")}), {"headers": {"x-tollway-metadata": '{"team": "search"}'}}, True),
        (
            When(metadata={"team": one("search")}),
            {"headers": {"x-tollway-metadata": "{}"}, "metadata": {"team": "search"}},
            False,
        ),
        (When(needs=frozenset({"tools", "vision"})), {"tools": [{"type": "function"}]}, True),
        (When(needs=frozenset({"tools"})), {"tools": []}, False),
        (When(tenants=one("acme"), headers={"x-region": one("eu")}), {}, False),
    ],
)
async def test_a_rule_asks_for_all_that_is_set_and_any_of_its_values(
    when: When, asked: dict[str, Any], expected: bool
) -> None:
    assert holds(when, traits(**asked)) is expected


async def test_the_size_of_a_prompt_is_its_bound() -> None:
    asked = traits()
    bound = asked.prompt_bound()
    assert holds(When(tokens_over=bound - 1), asked)
    assert not holds(When(tokens_over=bound), asked)
    assert holds(When(tokens_up_to=bound), asked)
    assert not holds(When(tokens_up_to=bound - 1), asked)


async def test_a_rule_leaves_the_targets_with_one_of_its_tags() -> None:
    rules = (Rule(name="eu", to=one("eu"), when=When(headers={"x-region": one("eu")})),)
    compiled = Rules("m", rules, TARGETS)
    assert compiled.choose(traits({"x-region": "eu"})) == (EU, "eu")
    assert compiled.choose(traits()) == (ALL, None)
    nobody = Rules("m", (Rule(name="moon", to=one("moon")),), TARGETS)
    assert nobody.choose(traits()) == (0, "moon")


@given(st.lists(st.tuples(st.sampled_from(["1", "2", "3"]), st.sampled_from(["stable", "eu", "canary"])), max_size=6))
def test_the_first_rule_that_holds_decides(written: list[tuple[str, str]]) -> None:
    rules = tuple(
        Rule(name=str(number), to=one(tag), when=When(headers={"x-group": one(group)}))
        for number, (group, tag) in enumerate(written)
    )
    compiled = Rules("m", rules, TARGETS)
    for group in ("1", "2", "3"):
        expected = next(
            (
                ({"stable": STABLE, "eu": EU, "canary": CANARY}[tag], str(number))
                for number, (wanted, tag) in enumerate(written)
                if wanted == group
            ),
            (ALL, None),
        )
        described = Described(model="m", headers={"x-group": group})
        assert compiled.choose(Traits.described(described)) == expected


def dealt(share: float, name: str = "canary", alias: str = "m") -> set[int]:
    compiled = Rules(alias, (Rule(name=name, to=one("canary"), share=share),), TARGETS)
    found = set()
    for number in range(PEOPLE):
        mask, rule = compiled.choose(Traits.described(Described(model=alias, user=f"user-{number}")))
        assert (mask, rule) in ((CANARY, name), (ALL & ~CANARY, None)), "the others never go there"
        if rule is not None:
            found.add(number)
    return found


def test_a_share_is_that_part_of_the_users_and_always_the_same_ones() -> None:
    some = dealt(0.05)
    assert 0.045 < len(some) / PEOPLE < 0.055
    assert dealt(0.05) == some
    assert some < dealt(0.10), "a share that grows keeps whom it had"
    assert dealt(0.0) == set()
    assert len(dealt(1.0)) == PEOPLE


def test_shares_of_other_rules_and_other_models_are_other_users() -> None:
    some = dealt(0.5)
    for others in (dealt(0.5, name="next"), dealt(0.5, alias="n")):
        assert 0.47 < len(some & others) / len(some) < 0.53


def test_who_is_dealt_is_the_same_on_every_host() -> None:
    """Pinned: were it another number, everybody would change sides at an upgrade."""
    assert number_of("canary", "m", "user-1") == 3_698_934_206_404_025_688
    assert number_of("a", "b") != number_of("ab")


@given(st.text(), st.floats(0, 1))
def test_any_user_is_dealt_once_and_for_all(user: str, share: float) -> None:
    rules = (Rule(name="canary", to=one("canary"), share=share),)
    asked = Traits.described(Described(model="m", user=user))
    assert Rules("m", rules, TARGETS).choose(asked) == Rules("m", rules, TARGETS).choose(asked)


async def test_a_user_is_named_by_the_header_else_by_the_body_else_it_is_the_key() -> None:
    assert traits({"x-tollway-user": "h"}, user="b").user() == "h"
    assert traits({"x-tollway-user": ""}, user="b").user() == "b"
    assert traits(user="b").user() == "b"
    assert traits(caller={"key_id": "key-7"}).user() == "key-7"


def test_two_shares_divide_the_users() -> None:
    rules = (
        Rule(name="a", to=one("canary"), share=0.5),
        Rule(name="b", to=one("stable")),
    )
    compiled = Rules("m", rules, TARGETS)
    sides = [compiled.choose(Traits.described(Described(model="m", user=str(user)))) for user in range(2_000)]
    assert set(sides) == {(CANARY, "a"), (STABLE, "b")}
    assert 0.45 < sides.count((CANARY, "a")) / len(sides) < 0.55


async def test_targets_of_a_share_are_closed_to_other_rules_but_not_to_one_that_names_them() -> None:
    canary = Rule(name="canary", to=one("canary"), share=0.0)
    eu = Rule(name="eu", to=one("eu"), when=When(headers={"x-region": one("eu")}))
    brave = Rule(name="brave", to=one("canary"), when=When(headers={"x-brave": one("yes")}))
    compiled = Rules("m", (brave, eu, canary), TARGETS)
    assert compiled.choose(traits({"x-region": "eu"})) == (EU & ~CANARY, "eu")
    assert compiled.choose(traits({"x-brave": "yes"})) == (CANARY, "brave")
    assert compiled.choose(traits()) == (ALL & ~CANARY, None)


async def test_a_request_with_broken_notes_is_refused_whatever_the_rules() -> None:
    with pytest.raises(InvalidRequest):
        traits({"x-tollway-metadata": "team=search"})
