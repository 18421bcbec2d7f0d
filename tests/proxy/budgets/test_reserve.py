"""What a call can cost is held before it leaves, waited for a while, and refused where there is nothing left."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.fakes.bank import ScriptedBank
from tests.fakes.telemetry import counted
from tests.proxy.budgets.vault import Clock, Vault, budget
from tests.proxy.routing.desk import goal, way

from tollway.contract.budgets import Budget, Purse
from tollway.contract.prices import TenantPrices
from tollway.contract.routing import Hedge
from tollway.contract.snapshot import Overrule, Price, Route
from tollway.errors import DependencyUnavailable, ModelForbidden, NothingToSpend
from tollway.proxy.budgets import reserve
from tollway.proxy.budgets.reserve import Money
from tollway.proxy.exchange import Planned
from tollway.telemetry.metrics import Metrics
from tollway.wire.error_envelope import render

PRICE = Price(version="test", input=0, output=2)
DEARER = Price(version="test", input=0, output=5)
FREE = Price(version="test", input=0, output=0)
WAY = way(goal("plain", price=PRICE))


def calling(vault: Vault, *budgets: Budget, routes: tuple[Route, ...] = (WAY,), **asked: Any) -> Planned:
    """A call of ten tokens at most."""
    return vault.planned(*budgets, routes=routes, **{"max_tokens": 10, **asked})


async def reserved(vault: Vault, planned: Planned) -> Money:
    """The station."""
    return await vault.reserver.reserve(planned, vault.reserver.purses_of(planned))


async def held(vault: Vault, planned: Planned) -> int:
    """How much it holds."""
    return (await reserved(vault, planned)).held_picousd


def plenty() -> Budget:
    """Nothing here is short of it."""
    return budget(amount_picousd=10**18)


async def test_output_at_its_price_is_held_and_paid_at_what_it_cost(vault: Vault) -> None:
    of_all, of_mine = budget("all"), budget("mine", key_id="key-1")
    money = await reserved(vault, calling(vault, of_all, of_mine))
    assert money.held_picousd == 20
    assert money.charged == (Purse(of_all).name, Purse(of_mine).name)
    money.pay(7)
    money.pay(4)
    for each in (of_all, of_mine):
        assert vault.standing(Purse(each))[1:3] == (11, 0)


async def test_the_prompts_bound_is_held_at_the_dearest_of_its_kinds(vault: Vault) -> None:
    price = Price(version="test", input=3, output=2, cache_write=4)
    planned = calling(vault, plenty(), routes=(way(goal("x", price=price)),))
    assert await held(vault, planned) == 4 * planned.request.prompt_upper_bound() + 20


async def test_the_dearest_of_the_targets_and_of_the_fallbacks_counts(vault: Vault) -> None:
    two = way(goal("cheap", price=PRICE), goal("dear", price=DEARER))
    assert await held(vault, calling(vault, plenty(), routes=(two,))) == 50
    first = msgspec.structs.replace(WAY, fallbacks={"error": ("n",)})
    second = way(goal("n", price=PRICE), alias="n", fallbacks={"error": ("o", "m")})
    third = way(goal("o", price=DEARER), alias="o")
    assert await held(vault, calling(vault, plenty(), routes=(first, second, third))) == 50


async def test_a_tenant_with_prices_of_its_own_is_held_by_those_and_its_copies_by_the_listed_ones(
    vault: Vault, bank: ScriptedBank
) -> None:
    own = TenantPrices({"m": DEARER})
    unlisted = way(goal("new", price=None))
    planned = calling(vault, plenty(), routes=(unlisted,), caller={"prices": own})
    assert await held(vault, planned) == 50
    planned = calling(vault, plenty(), caller={"prices": TenantPrices(factor_millionths=1_500_000)})
    assert await held(vault, planned) in range(30, 40)
    copied = vault.reserver.reserve_at_once(planned)
    assert copied is not None
    assert copied.held_picousd == 20


async def test_a_caller_who_may_spend_nothing_turns_to_nothing_dear(vault: Vault) -> None:
    first = way(goal("free", price=FREE), fallbacks={"error": ("n",)})
    second = way(goal("n", price=PRICE), alias="n")
    planned = calling(vault, budget(amount_picousd=0), routes=(first, second), caller={"may_spend": False})
    assert await held(vault, planned) == 0


async def test_a_hedged_call_may_be_paid_twice(vault: Vault) -> None:
    hedged = way(goal("a", price=PRICE), goal("b", price=PRICE), hedge=Hedge())
    assert await held(vault, calling(vault, plenty(), routes=(hedged,))) == 40


async def test_an_answer_is_as_long_as_the_operator_says_where_the_request_sets_no_bound(vault: Vault) -> None:
    capped = way(goal("a", price=PRICE, takes=Overrule(max_output_tokens=30)))
    assert await held(vault, calling(vault, plenty(), routes=(capped,), max_tokens=None)) == 60


async def test_a_model_without_a_price_cannot_be_held(vault: Vault, bank: ScriptedBank) -> None:
    planned = calling(vault, plenty(), routes=(way(goal("new", price=None)),))
    with pytest.raises(ModelForbidden, match=r"openai_compatible/new' has no price, so the budget 'b' can't hold it"):
        await reserved(vault, planned)
    assert bank.asked == []


async def test_a_free_call_needs_no_bank(vault: Vault, bank: ScriptedBank) -> None:
    bank.down = True
    planned = calling(vault, budget(amount_picousd=0), routes=(way(goal("free", price=FREE)),))
    (await reserved(vault, planned)).pay(0)


async def test_many_calls_at_once_reach_the_ceiling_and_never_pass_it(vault: Vault, bank: ScriptedBank) -> None:
    outcomes = await asyncio.gather(
        *(reserved(vault, calling(vault, budget())) for _ in range(50)), return_exceptions=True
    )
    admitted = [outcome for outcome in outcomes if isinstance(outcome, Money)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, NothingToSpend)]
    assert (len(admitted), len(refused)) == (5, 45)
    assert vault.standing().available == 0
    assert bank.most_under_way == 1
    assert len(bank.asked) < 5
    admitted[0].pay(10)
    again = await reserved(vault, calling(vault, budget(), max_tokens=5))
    assert again.held_picousd == 10


async def test_who_finds_nothing_left_is_told_which_budget_and_not_to_come_back(vault: Vault, metrics: Metrics) -> None:
    with pytest.raises(NothingToSpend) as refused:
        await reserved(vault, calling(vault, budget("marketing", 19)))
    rendered = render(refused.value, "request-1")
    assert rendered.status == 429
    assert dict(rendered.headers)[b"x-should-retry"] == b"false"
    assert b"retry-after" not in dict(rendered.headers)
    error = msgspec.json.decode(rendered.body)["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert "'marketing' has too little left" in error["message"]
    assert counted(metrics, "tollway_limited_total") == {("budget",): 1.0}


async def test_of_many_budgets_the_one_that_is_used_up_is_named(vault: Vault) -> None:
    with pytest.raises(NothingToSpend, match="'small'"):
        await reserved(vault, calling(vault, plenty(), budget("small", 1)))
    assert vault.standing(Purse(plenty())).held == 0


async def test_out_of_reach_of_the_bank_calls_are_paid_from_the_lease_and_then_refused_for_now(
    vault: Vault, bank: ScriptedBank, clock: Clock
) -> None:
    (await reserved(vault, calling(vault, budget()))).pay(5)
    bank.down = True
    (await reserved(vault, calling(vault, budget(), max_tokens=7))).pay(14)
    with pytest.raises(DependencyUnavailable) as refused:
        await reserved(vault, calling(vault, budget()))
    assert (render(refused.value, "request-1").status, refused.value.retry_after_s) == (503, 1.0)
    clock.now_ms += 10_000
    with pytest.raises(DependencyUnavailable):
        await reserved(vault, calling(vault, budget(), max_tokens=1))


async def test_a_slow_bank_is_waited_for_so_long_and_not_longer(
    vault: Vault, bank: ScriptedBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve, "WAIT_S", 0.05)
    bank.gate.clear()
    with pytest.raises(DependencyUnavailable):
        await reserved(vault, calling(vault, budget()))
    bank.gate.set()
    assert await held(vault, calling(vault, budget())) == 20
    await vault.treasurer.close()


async def test_a_bank_that_does_not_know_yet_is_not_asked_for_ever(
    vault: Vault, bank: ScriptedBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> tuple[()]:
        return ()

    monkeypatch.setattr(reserve, "WAIT_S", 0.05)
    monkeypatch.setattr(bank, "renew", nothing)
    with pytest.raises(DependencyUnavailable):
        await reserved(vault, calling(vault, budget()))


async def test_a_stream_that_outgrows_holds_more_as_long_as_there_is_something(vault: Vault) -> None:
    money = await reserved(vault, calling(vault, budget()))
    assert not money.grow(51)
    assert money.held_picousd == 20
    await vault.treasurer.more()
    assert money.grow(50)
    assert money.grow(20)
    assert (money.held_picousd, vault.standing().held) == (100, 100)
    money.pay(104)
    assert vault.standing()[1:3] == (104, 0)


async def test_a_call_that_never_leaves_gives_everything_back(vault: Vault) -> None:
    money = await reserved(vault, calling(vault, budget()))
    money.cancel()
    money = await reserved(vault, calling(vault, budget()))
    del money
    assert vault.standing()[1:3] == (0, 0)


async def test_a_cancelled_call_that_waited_holds_nothing(vault: Vault, bank: ScriptedBank) -> None:
    bank.gate.clear()
    waiting = asyncio.create_task(reserved(vault, calling(vault, budget())))
    await bank.asking.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    bank.gate.set()
    assert await held(vault, calling(vault, budget(), max_tokens=50)) == 100


async def test_a_copy_is_paid_from_what_is_here_and_never_waits(vault: Vault, bank: ScriptedBank) -> None:
    assert vault.reserver.reserve_at_once(calling(vault)) is None
    with pytest.raises(NothingToSpend):
        vault.reserver.reserve_at_once(calling(vault, budget()))
    assert bank.asked == []
    await vault.treasurer.more()
    money = vault.reserver.reserve_at_once(calling(vault, budget()))
    assert money is not None
    assert money.held_picousd == 20


async def test_a_copy_takes_nothing_of_a_tenants_or_a_keys_budget(vault: Vault) -> None:
    theirs = (budget("tenant", tenant_id="tenant-1"), budget("key", key_id="key-1"))
    assert vault.reserver.reserve_at_once(calling(vault, *theirs)) is None
