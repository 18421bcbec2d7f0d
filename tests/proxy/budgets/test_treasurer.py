"""The treasurer: purses are filled in time, by one question at a time, and what nobody needs goes back."""

import asyncio
from pathlib import Path

import pytest
from tests.fakes.bank import ScriptedBank
from tests.fakes.telemetry import Recording
from tests.proxy.budgets.vault import PURSE, Clock, Vault, budget

from tollway._native.purses import Hold, Shortage
from tollway.contract.budgets import Purse
from tollway.errors import DependencyUnavailable
from tollway.proxy.budgets import treasurer
from tollway.proxy.budgets.treasurer import MOST_KNOWN, Treasurer
from tollway.telemetry.metrics import Metrics


def held(outcome: Hold | Shortage) -> Hold:
    assert isinstance(outcome, Hold)
    return outcome


async def filled(vault: Vault, picousd: int) -> None:
    """Has so much leased."""
    assert isinstance(vault.hold(picousd), Shortage)
    await vault.treasurer.more()


async def test_what_calls_miss_is_asked_for_in_one_question(vault: Vault, bank: ScriptedBank) -> None:
    other = Purse(budget("other"))
    for picousd, purse in ((30, PURSE), (12, PURSE), (7, other)):
        assert isinstance(vault.hold(picousd, purse), Shortage)
    await asyncio.gather(*(vault.treasurer.more() for _ in range(20)))
    ((host, asked),) = bank.asked
    assert host == vault.purses.host_id
    assert {(ask.purse, ask.granted, ask.spent, ask.wanted) for ask in asked} == {(PURSE, 0, 0, 42), (other, 0, 0, 7)}
    held(vault.hold(42))
    held(vault.hold(7, other))


async def test_who_comes_while_a_question_is_out_waits_for_the_next(vault: Vault, bank: ScriptedBank) -> None:
    assert isinstance(vault.hold(30), Shortage)
    bank.gate.clear()
    first = asyncio.create_task(vault.treasurer.more())
    await bank.asking.wait()
    assert isinstance(vault.hold(5), Shortage)
    second = asyncio.create_task(vault.treasurer.more())
    await asyncio.sleep(0.01)
    assert not second.done()
    was_asking = vault.treasurer.is_asking
    bank.gate.set()
    await asyncio.gather(first, second)
    assert (was_asking, vault.treasurer.is_asking) == (True, False)
    assert bank.most_under_way == 1


async def test_a_host_asks_once_at_a_time_whatever_the_number_of_its_workers(
    vault: Vault, tmp_path: Path, bank: ScriptedBank, recording: Recording, metrics: Metrics, clock: Clock
) -> None:
    other = Vault(tmp_path / "purses.ledger", bank, recording, metrics, clock)
    bank.gate.clear()
    assert isinstance(vault.hold(30), Shortage)
    first = asyncio.create_task(vault.treasurer.more())
    await bank.asking.wait()
    assert isinstance(other.hold(5), Shortage)
    second = asyncio.create_task(other.treasurer.more())
    await asyncio.sleep(0.02)
    assert len(bank.asked) == 1
    bank.gate.set()
    await asyncio.gather(first, second)
    assert bank.most_under_way == 1
    assert {host for host, _ in bank.asked} == {vault.purses.host_id}
    held(other.hold(30))
    other.close()


async def test_a_turn_that_another_worker_has_used_is_not_used_again(
    vault: Vault, tmp_path: Path, bank: ScriptedBank, recording: Recording, metrics: Metrics, clock: Clock
) -> None:
    other = Vault(tmp_path / "purses.ledger", bank, recording, metrics, clock)
    assert isinstance(vault.hold(30), Shortage)
    assert isinstance(other.hold(30), Shortage)
    await vault.treasurer.more()
    await other.treasurer.more()
    assert [ask.wanted for _, asked in bank.asked for ask in asked] == [60]
    other.close()


async def test_a_lease_is_renewed_when_a_third_of_it_is_over(vault: Vault, bank: ScriptedBank, clock: Clock) -> None:
    await filled(vault, 30)
    hold = held(vault.hold(5))
    clock.now_ms += 3_000
    assert not vault.standing().is_due(clock())
    clock.now_ms += 500
    assert vault.standing().is_due(clock())
    hold.settle(4)
    await vault.treasurer.more()
    ((_, _), (_, (ask,))) = bank.asked
    assert (ask.spent, ask.wanted) == (4, 0)
    clock.now_ms += 9_000
    held(vault.hold(ask.granted - 4)).cancel()


async def test_what_is_spent_is_told_before_much_of_it_is_unknown(vault: Vault, bank: ScriptedBank) -> None:
    await filled(vault, 80)
    held(vault.hold(10)).settle(10)
    assert not vault.standing().is_due(vault.clock())
    held(vault.hold(10)).settle(10)
    assert vault.standing().is_due(vault.clock())
    await vault.treasurer.more()
    assert bank.asked[-1][1][0].spent == 20
    assert not vault.standing().is_due(vault.clock())


async def test_more_is_asked_for_before_what_is_there_runs_out(vault: Vault, bank: ScriptedBank) -> None:
    await filled(vault, 40)
    for _ in range(2):
        held(vault.hold(20)).settle(15)
    standing = vault.standing()
    assert (standing.available, standing.recent) == (10, 40)
    assert standing.is_due(vault.clock())
    await vault.treasurer.more()
    assert bank.asked[-1][1][0].wanted == 30
    assert vault.standing().available == 40


async def test_what_nobody_has_used_for_long_goes_back_and_is_not_asked_about_again(
    vault: Vault, bank: ScriptedBank, clock: Clock
) -> None:
    await filled(vault, 60)
    held(vault.hold(60)).settle(10)
    for _ in range(12):
        clock.now_ms += 3_500
        if vault.standing().is_due(clock()):
            await vault.treasurer.more()
    assert bank.available(PURSE) == 90
    assert vault.standing().available == 0
    asked = len(bank.asked)
    clock.now_ms += 60_000
    await vault.treasurer.more()
    assert len(bank.asked) == asked


async def test_what_is_held_for_long_keeps_its_lease(vault: Vault, bank: ScriptedBank, clock: Clock) -> None:
    await filled(vault, 60)
    hold = held(vault.hold(60))
    for _ in range(30):
        clock.now_ms += 3_500
        await vault.treasurer.more()
    assert bank.available(PURSE) == 40
    hold.settle(25)
    await vault.treasurer.more()
    assert (vault.standing().spent, vault.standing().held) == (25, 0)


async def test_a_bank_with_nothing_more_is_left_alone_for_a_while(
    vault: Vault, bank: ScriptedBank, clock: Clock
) -> None:
    await filled(vault, 130)
    shortage = vault.hold(130)
    assert isinstance(shortage, Shortage)
    assert (shortage.is_exhausted, shortage.missing_picousd) == (True, 30)
    clock.now_ms += 1_001
    shortage = vault.hold(130)
    assert isinstance(shortage, Shortage)
    assert not shortage.is_exhausted
    held(vault.hold(100))


async def test_a_bank_out_of_reach_is_told_to_all_who_wait_and_once_in_the_log(
    vault: Vault, bank: ScriptedBank, clock: Clock, recording: Recording
) -> None:
    bank.down = True
    assert isinstance(vault.hold(30), Shortage)
    outcomes = await asyncio.gather(*(vault.treasurer.more() for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DependencyUnavailable] * 3
    with pytest.raises(DependencyUnavailable):
        await vault.treasurer.more()
    assert len(bank.asked) == 1, "nobody waits for it until it has had time to come back"
    clock.now_ms += 501
    with pytest.raises(DependencyUnavailable):
        await vault.treasurer.more()
    assert len(bank.asked) == 2
    bank.down = False
    clock.now_ms += 501
    await filled(vault, 30)
    held(vault.hold(30))
    assert recording.events() == ["budgets_out_of_reach", "budgets_reached_again"]


async def test_a_bank_that_does_not_answer_is_given_up_and_the_turn_goes_back(
    vault: Vault, bank: ScriptedBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(treasurer, "ANSWER_S", 0.05)
    bank.gate.clear()
    assert isinstance(vault.hold(30), Shortage)
    with pytest.raises(DependencyUnavailable):
        await vault.treasurer.more()
    assert bank.under_way == 0
    assert vault.purses.turn(vault.clock(), 1) is not None


async def test_answers_that_are_lost_cost_nobody_anything(vault: Vault, bank: ScriptedBank, clock: Clock) -> None:
    bank.deaf = True
    for _ in range(3):
        assert isinstance(vault.hold(30), Shortage)
        with pytest.raises(DependencyUnavailable):
            await vault.treasurer.more()
        clock.now_ms += 501
    bank.deaf = False
    await filled(vault, 30)
    held(vault.hold(30))
    assert bank.available(PURSE) == 70


async def test_a_defect_of_the_bank_is_told_and_keeps_nobody_waiting(
    vault: Vault, recording: Recording, monkeypatch: pytest.MonkeyPatch, bank: ScriptedBank
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(bank, "renew", broken)
    assert isinstance(vault.hold(30), Shortage)
    with pytest.raises(DependencyUnavailable):
        await vault.treasurer.more()
    assert recording.events() == ["defect", "budgets_out_of_reach"]


async def test_it_looks_after_what_it_knows_by_itself(
    vault: Vault, bank: ScriptedBank, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(treasurer, "LOOK_S", 0.001)
    monkeypatch.setattr(treasurer, "_REST_S", 0.001)
    await filled(vault, 30)
    _hold = held(vault.hold(30))
    running = asyncio.create_task(vault.treasurer.run())
    bank.down = True
    clock.now_ms += 4_000
    while len(bank.asked) < 3:
        clock.now_ms += 1
        await asyncio.sleep(0.001)
    bank.down = False
    clock.now_ms += 5_000
    while vault.standing().until_ms < clock() + 9_000:
        clock.now_ms += 1
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_worker_that_ends_gives_its_turn_back_and_lets_nobody_wait(vault: Vault, bank: ScriptedBank) -> None:
    bank.gate.clear()
    assert isinstance(vault.hold(30), Shortage)
    waiting = asyncio.create_task(vault.treasurer.more())
    await bank.asking.wait()
    late = asyncio.create_task(vault.treasurer.more())
    await asyncio.sleep(0)
    await vault.treasurer.close()
    outcomes = await asyncio.gather(waiting, late, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DependencyUnavailable] * 2
    assert vault.purses.turn(vault.clock(), 1) is not None
    await vault.treasurer.close()


async def test_a_waiting_call_that_is_cancelled_keeps_nobody_else_from_the_answer(
    vault: Vault, bank: ScriptedBank
) -> None:
    bank.gate.clear()
    assert isinstance(vault.hold(30), Shortage)
    gone, stays = (asyncio.create_task(vault.treasurer.more()) for _ in range(2))
    await bank.asking.wait()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    bank.gate.set()
    await stays
    held(vault.hold(30))


async def test_the_purses_that_were_used_last_are_known_and_not_more(vault: Vault) -> None:
    kept: Treasurer = vault.treasurer
    kept.learn(Purse(budget(str(number))) for number in range(MOST_KNOWN))
    kept.learn([Purse(budget("0")), Purse(budget("new"))])
    assert len(kept._known) == MOST_KNOWN
    assert Purse(budget("0")).name in kept._known
    assert Purse(budget("1")).name not in kept._known
