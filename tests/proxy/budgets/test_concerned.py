"""Which purses a call is paid from."""

from typing import Any

import msgspec
import pytest
from tests.proxy.budgets.vault import Vault, budget
from tests.proxy.edge import principal, record
from tests.proxy.routing.desk import goal, way

from tollway.contract.budgets import Budget
from tollway.errors import Forbidden
from tollway.proxy.budgets.concerned import MOST_KEYS, Concerned
from tollway.proxy.exchange import Principal

WAY = way(goal("gpt-4o"))
MARCH_S = 1_772_323_200 + 86_400


def purses(vault: Vault, *budgets: Budget, **asked: Any) -> list[str]:
    """The names of the purses of a call, without their period."""
    planned = vault.planned(*budgets, routes=(WAY,), **asked)
    return [f"{purse.budget.name}|{purse.subject}" for purse in Concerned().purses(planned)]


async def test_a_call_without_budgets_is_paid_from_nothing(vault: Vault) -> None:
    assert purses(vault) == []


async def test_filters_choose_by_tenant_key_user_model_and_tag(vault: Vault) -> None:
    budgets = [
        budget("all"),
        budget("tenant", tenant_id="tenant-1"),
        budget("other tenant", tenant_id="tenant-2"),
        budget("key", key_id="key-1"),
        budget("other key", key_id="key-2"),
        budget("user", user="jane"),
        budget("other user", user="joe"),
        budget("model", model="m"),
        budget("other model", model="n"),
        budget("tag", tag="team=red"),
        budget("other tag", tag="team=blue"),
    ]
    headers = {"x-tollway-user": "jane", "x-tollway-metadata": '{"team": "red"}'}
    found = purses(vault, *budgets, headers=headers)
    assert sorted(found) == ["all|", "key|", "model|", "tag|", "tenant|", "user|"]


@pytest.mark.parametrize(
    ("caller", "headers", "body", "user"),
    [
        ({"user_id": "the key's"}, {"x-tollway-user": "the header's"}, {"user": "the body's"}, "the key's"),
        ({}, {"x-tollway-user": "the header's"}, {"user": "the body's"}, "the header's"),
        ({}, {}, {"user": "the body's"}, "the body's"),
        ({}, {}, {}, ""),
    ],
)
async def test_the_user_is_the_keys_else_the_headers_else_the_requests(
    vault: Vault, caller: dict[str, Any], headers: dict[str, str], body: dict[str, Any], user: str
) -> None:
    assert purses(vault, budget(per=("user",)), caller=caller, headers=headers, **body) == [f"b|user={user}"]


async def test_a_tenants_budgets_come_with_its_keys_beside_the_files(vault: Vault) -> None:
    own = budget("own", tenant_id="tenant-1")
    assert purses(vault, budget("file"), caller={"budgets": (own,)}) == ["file|", "own|"]


async def test_a_new_period_is_a_new_purse(vault: Vault) -> None:
    daily = msgspec.structs.replace(budget(), period="day")
    planned = vault.planned(daily, routes=(WAY,))
    today, tomorrow = (Concerned(now_s=lambda at=at: at).purses(planned) for at in (MARCH_S, MARCH_S + 86_400))  # type: ignore[misc]
    assert today[0].name != tomorrow[0].name


async def test_changed_keys_and_files_count_from_the_next_call_on(vault: Vault) -> None:
    concerned = Concerned()

    def found(file: tuple[Budget, ...], who: Principal) -> list[str]:
        planned = vault.planned(*file, routes=(WAY,))
        return [each.budget.name for each in concerned.purses(msgspec.structs.replace(planned, principal=who))]

    who = principal()
    first, second = (budget("first"),), (budget("second"),)
    assert found(first, who) == found(first, who) == ["first"]
    assert found(second, who) == ["second"]
    assert found(second, principal(budgets=(budget("own"),))) == ["second", "own"]
    assert found((), who) == []


async def test_keys_are_remembered_in_bounds(vault: Vault) -> None:
    concerned = Concerned()
    planned = vault.planned(budget(), routes=(WAY,))
    for number in range(MOST_KEYS + 100):
        who = Principal(record(key_id=f"key-{number}"), None)
        assert concerned.purses(msgspec.structs.replace(planned, principal=who))
    assert len(concerned._keys) == MOST_KEYS


async def test_more_budgets_than_can_be_held_at_once_are_refused(vault: Vault) -> None:
    assert len(purses(vault, *(budget(str(number)) for number in range(16)))) == 16
    with pytest.raises(Forbidden, match="More than 16 budgets"):
        purses(vault, *(budget(str(number)) for number in range(17)))
