"""Which limits a call is under, by its tenant, key, user and model."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.proxy.edge import Client, arrive, ask, record, route, snapshot

from tollway._native.limits import Admission, Ledger, Refusal
from tollway.contract.limits import LimitRule, LimitValues
from tollway.proxy.exchange import Received
from tollway.proxy.limits import book as module
from tollway.proxy.limits.book import Held, LimitBook, compile_principal

NOBODY = LimitValues()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger", 1024)
    yield made
    made.close()


def book(*rules: LimitRule) -> LimitBook:
    known = snapshot(route("m"), route("other"))
    return LimitBook(msgspec.structs.replace(known, limit_rules=rules))


def call(model: str = "m", user: str | None = None, headers: dict[bytes, bytes] | None = None, **key: Any) -> Received:
    fields = {} if user is None else {"user": user}
    return Received(arrive(Client(), headers=headers), compile_principal(record(**key), NOBODY), ask(model, **fields))


def one(*per: Any, **filters: Any) -> LimitRule:
    """A rule of one request per day."""
    return LimitRule("r", LimitValues(rpd=1), per, **filters)


def passes(ledger: Ledger, held: Held) -> bool:
    if held.limits is None:
        return True
    return isinstance(ledger.admit(held.limits, 0, 0, time.time_ns() // 1_000_000), Admission)


@pytest.mark.parametrize(
    ("per", "same", "other"),
    [
        ((), {"model": "other", "user": "bob", "tenant_id": "t2", "key_id": "k2"}, None),
        (("tenant",), {"key_id": "k2", "user": "bob"}, {"tenant_id": "t2"}),
        (("key",), {"user": "bob"}, {"key_id": "k2"}),
        (("model",), {"tenant_id": "t2", "key_id": "k2"}, {"model": "other"}),
        (("user",), {"key_id": "k2", "model": "other", "user": "alice"}, {"user": "bob"}),
        (("user", "model"), {"user": "alice", "key_id": "k2"}, {"user": "alice", "model": "other"}),
        (("user", "model"), {"user": "alice"}, {"user": "bob"}),
        (("tenant", "model"), {"user": "bob", "key_id": "k2"}, {"tenant_id": "t2"}),
    ],
)
async def test_calls_share_a_count_when_they_agree_in_what_the_rule_tells_apart(
    ledger: Ledger, per: Any, same: dict[str, Any], other: dict[str, Any] | None
) -> None:
    limits = book(one(*per))
    assert passes(ledger, limits.held(call(user="alice")))
    assert not passes(ledger, limits.held(call(**same)))
    if other is not None:
        assert passes(ledger, limits.held(call(**other)))


@pytest.mark.parametrize(
    ("filters", "fields", "holds"),
    [
        ({"tenants": {"acme"}}, {}, True),
        ({"tenants": {"tenant-1"}}, {}, True),
        ({"tenants": {"zeta"}}, {}, False),
        ({"keys": {"key-1"}}, {}, True),
        ({"keys": {"acme/ci"}}, {}, True),
        ({"keys": {"ci"}}, {}, False),
        ({"users": {"alice"}}, {"user": "alice"}, True),
        ({"users": {"alice"}}, {"user": "bob"}, False),
        ({"users": {"alice"}}, {}, False),
        ({"models": {"m"}}, {}, True),
        ({"models": {"other"}}, {}, False),
        ({"models": {"m"}, "tenants": {"zeta"}}, {}, False),
    ],
)
async def test_a_rule_holds_the_calls_that_match_all_of_its_names(
    filters: dict[str, set[str]], fields: dict[str, Any], holds: bool
) -> None:
    named = {field: frozenset(names) for field, names in filters.items()}
    assert (book(one(**named)).held(call(**fields)).limits is not None) == holds


async def test_the_user_is_the_keys_own_else_the_headers_else_the_bodys(ledger: Ledger) -> None:
    limits = book(one("user"))
    named = {b"x-tollway-user": b"alice"}
    assert passes(ledger, limits.held(call(user="bob", headers=named)))
    assert not passes(ledger, limits.held(call(user="alice")))
    assert not passes(ledger, limits.held(call(user="carol", headers=named, user_id="alice")))
    assert passes(ledger, limits.held(call(user="bob")))


async def test_calls_that_name_no_user_are_those_of_one_user_of_their_key(ledger: Ledger) -> None:
    limits = book(one("user"))
    assert passes(ledger, limits.held(call()))
    assert not passes(ledger, limits.held(call()))
    assert passes(ledger, limits.held(call(key_id="k2")))


async def test_names_can_not_be_made_to_look_like_others(ledger: Ledger) -> None:
    limits = book(one("user", "model"))
    assert passes(ledger, limits.held(call(user="a|model:m")))
    assert passes(ledger, limits.held(call(user="a")))
    long = "x" * 5000
    assert passes(ledger, limits.held(call(user=long)))
    assert not passes(ledger, limits.held(call(user=long)))
    assert passes(ledger, limits.held(call(user=long + "y")))


async def test_a_model_that_is_not_known_is_not_told_apart_from_others() -> None:
    limits = book(one("model"), LimitRule("all", LimitValues(rpm=5)))
    caller = call(model="made-up")
    unknown = limits.held(caller)
    assert unknown.limits is not None
    assert limits.held(Received(caller.arrival, caller.principal, ask("also-made-up"))) is unknown


async def test_rules_hold_beside_the_tenants_and_the_keys_limits_and_know_which_of_them_cut(ledger: Ledger) -> None:
    limits = book(
        LimitRule("lets", LimitValues(tpm=7)),
        LimitRule("cuts", LimitValues(output_tpm=8, rpm=9), on_exceed="cut"),
    )
    held = limits.held(call(tenant_limits=LimitValues(rpm=5, tpm=6), key_limits=LimitValues(concurrency=2)))
    assert held.limits is not None
    shown = [(kind, limit) for kind, limit, _, _ in ledger.status(held.limits, 0)]
    assert shown == [
        ("requests", 5),
        ("tokens", 6),
        ("concurrency", 2),
        ("tokens", 7),
        ("requests", 9),
        ("output_tokens", 8),
    ]
    assert held.cutting == {4, 5}


async def test_a_key_that_has_changed_has_its_new_limits_at_once(ledger: Ledger) -> None:
    limits = book(one("user"))
    before = call(tenant_limits=LimitValues(rpm=5))
    assert limits.held(before) is limits.held(before)
    held = limits.held(call(tenant_limits=LimitValues(rpm=3)))
    assert held.limits is not None
    assert [limit for _, limit, _, _ in ledger.status(held.limits, 0)] == [3, 1]


async def test_what_is_kept_of_users_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    limits, caller = book(one("user")), call()
    kept = [limits.held(Received(caller.arrival, caller.principal, ask(user=str(number)))) for number in range(5)]
    again = [limits.held(Received(caller.arrival, caller.principal, ask(user=str(number)))) for number in (4, 3, 2, 0)]
    assert again[:3] == [kept[4], kept[3], kept[2]]
    assert all(here is there for here, there in zip(again[:3], (kept[4], kept[3], kept[2]), strict=True))
    assert again[3] is not kept[0]


async def test_a_refusal_is_the_rules_own(ledger: Ledger) -> None:
    held = book(one("user", "model")).held(call(user="alice"))
    assert held.limits is not None
    assert passes(ledger, held)
    refusal = ledger.admit(held.limits, 0, 0, time.time_ns() // 1_000_000)
    assert isinstance(refusal, Refusal)
    assert refusal.scope == "rule:r|user and model|user:alice|model:m"
