"""Which policies hold for a call, and what becomes of them when the snapshot changes."""

import msgspec
import pytest
from tests.proxy.edge import route, snapshot

from tollway.contract.guardrails import Check, PiiCheck, Policy, WebhookCheck
from tollway.contract.snapshot import Route, Snapshot
from tollway.errors import DependencyUnavailable, InternalError
from tollway.proxy.guardrails.policies import Compiled, Policies
from tollway.proxy.outside import External, unknown

EMAIL = PiiCheck({"email": "redact"})
CARD = PiiCheck({"credit_card": "block"})
WEBHOOK = WebhookCheck("https://example.com")


class Opened:
    """An external check that is never asked."""

    name, restore = "webhook", False

    async def judge(self, *_: object) -> object:
        """Nobody asks."""
        raise AssertionError


class Faults:
    """Policies that could not be compiled."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def __call__(self, name: str, fault: str) -> None:
        self.told.append((name, fault))


def compiled(known: Snapshot, *, chance: float = 0.5, faults: Faults | None = None) -> Policies:
    return Policies(known, unknown, broken=faults or Faults(), chance=lambda: chance)


def holding(policies: Policies, name: str | None = None, alias: str = "m") -> Compiled:
    held = policies.of(name, alias)
    assert held is not None
    return held


def examined(held: Compiled, text: str = "jane@example.org 4111 1111 1111 1111") -> list[str]:
    return [f"{kind} {action}" for _, kind, _, _, _, action in held.native.examine(text, "input", "acme")[1]]


def named(model: Route, policy: str) -> Route:
    return msgspec.structs.replace(model, guardrails=policy)


def test_a_model_has_its_own_policy_besides_the_callers() -> None:
    known = snapshot(
        named(route(), "cards"), policies=(Policy("default", "1", (EMAIL,)), Policy("cards", "1", (CARD,)))
    )
    policies = compiled(known)
    assert examined(holding(policies)) == ["email redact", "credit_card block"]
    assert examined(holding(policies, alias="other")) == ["email redact"]
    assert holding(policies) is holding(policies), "they are joined once"


def test_a_models_policy_holds_for_callers_that_have_none() -> None:
    policies = compiled(snapshot(named(route(), "cards"), policies=(Policy("cards", "1", (CARD,)),)))
    assert examined(holding(policies)) == ["credit_card block"]
    assert policies.of(None, "other") is None


def test_the_policies_of_fallbacks_hold_too() -> None:
    first = msgspec.structs.replace(route("m"), fallbacks={"error": ("n",)})
    second = msgspec.structs.replace(named(route("n"), "cards"), fallbacks={"error": ("m", "o")})
    third = named(route("o"), "emails")
    known = snapshot(first, second, third, policies=(Policy("cards", "1", (CARD,)), Policy("emails", "1", (EMAIL,))))
    assert examined(holding(compiled(known))) == ["email redact", "credit_card block"]
    assert examined(holding(compiled(known), alias="o")) == ["email redact"]


def test_a_policy_without_checks_is_none() -> None:
    policies = compiled(snapshot(policies=(Policy("default", "1"),)))
    assert policies.of(None, "m") is None


def test_a_model_whose_policy_is_gone_is_closed() -> None:
    policies = compiled(snapshot(named(route(), "removed")))
    with pytest.raises(InternalError) as caught:
        policies.of(None, "m")
    assert "removed" in caught.value.inside


@pytest.mark.parametrize("name", [None, "default", "strict"])
def test_who_may_have_a_policy_that_is_not_told_yet_is_to_come_back(name: str | None) -> None:
    known = msgspec.structs.replace(snapshot(policies=(Policy("own", "1", (EMAIL,)),)), is_partial=True)
    policies = compiled(known)
    with pytest.raises(DependencyUnavailable) as caught:
        policies.of(name, "m")
    assert "strict" not in caught.value.outside
    assert examined(holding(policies, "own")) == ["email redact"]
    declared = Policy("default", "1", (CARD,))
    policies.follow(msgspec.structs.replace(known, policies={"default": declared}))
    assert examined(holding(policies)) == ["credit_card block"], "the file's goes before any other of its name"


@pytest.mark.parametrize(("chance", "holds"), [(0.09, True), (0.1, False)])
def test_a_policy_that_watches_may_look_at_a_share_of_calls(chance: float, holds: bool) -> None:
    watching = Policy("default", "1", (EMAIL,), mode="monitor", sample=0.1)
    held = compiled(snapshot(policies=(watching,)), chance=chance).of(None, "m")
    assert (held is not None) == holds
    if held is not None:
        assert not held.is_strict


def test_a_policy_that_enforces_is_never_sampled() -> None:
    enforcing = Policy("default", "1", (EMAIL,), sample=0.0)
    assert holding(compiled(snapshot(policies=(enforcing,)))).is_strict


def test_policies_that_differ_in_how_they_refuse_make_it_an_error() -> None:
    refusing = Policy("default", "1", (EMAIL,), on_block="refusal")
    telling = Policy("cards", "1", (CARD,))
    policies = compiled(snapshot(named(route(), "cards"), policies=(refusing, telling)))
    assert holding(policies, alias="other").on_block == "refusal"
    assert holding(policies).on_block == "error"


def test_what_did_not_change_is_not_compiled_again() -> None:
    policies = compiled(snapshot(policies=(Policy("default", "1", (EMAIL,)), Policy("own", "1", (CARD,)))))
    default, own = holding(policies), holding(policies, "own")
    policies.follow(snapshot(policies=(Policy("default", "1", (EMAIL,)), Policy("own", "2", (EMAIL,)))))
    assert holding(policies) is default
    assert holding(policies, "own") is not own
    policies.follow(
        msgspec.structs.replace(snapshot(policies=(Policy("default", "1", (EMAIL,)),)), guardrail_secret=b"x")
    )
    assert holding(policies) is not default, "digests are others"
    with pytest.raises(InternalError):
        policies.of("own", "m")


def test_a_policy_that_can_not_be_compiled_takes_no_other_down() -> None:
    faults = Faults()
    policies = compiled(snapshot(policies=(Policy("default", "1", (EMAIL,)),)), faults=faults)
    default = holding(policies)
    broken: tuple[Check, ...] = (PiiCheck({"shoe_size": "redact"}),)
    policies.follow(snapshot(policies=(Policy("default", "2", broken), Policy("new", "1", (WEBHOOK,)))))
    assert holding(policies) is default, "its last good form holds"
    with pytest.raises(InternalError):
        policies.of("new", "m")
    assert [name for name, _ in faults.told] == ["default", "new"]
    assert "shoe_size" in faults.told[0][1]


def test_external_checks_are_made_once_for_each_check() -> None:
    made: list[Check] = []

    def opened(check: Check) -> External:
        made.append(check)
        return Opened()  # type: ignore[return-value] # nobody asks it

    known = snapshot(policies=(Policy("default", "1", (WEBHOOK, EMAIL), (WEBHOOK,)),))
    policies = Policies(known, opened, broken=Faults())
    held = holding(policies)
    assert (len(held.input), len(held.output), made) == (1, 1, [WEBHOOK, WEBHOOK])
    policies.follow(known)
    assert len(made) == 2
