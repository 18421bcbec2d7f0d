"""The words of ``limit_rules``, and that no call can come under more of them than it has room for."""

import pytest
from tests.settings.marked import only_fault

from tollway.settings import LimitRuleSettings, LimitSettings, QueueSettings, decode, encode, read

MODELS = "models: {a: {targets: [{provider: p, model: x}]}, b: {targets: [{provider: p, model: x}]}}"
HEAD = f"version: 1\nproviders: {{p: {{kind: simulator}}}}\n{MODELS}\nlimits: {{gold: {{tpm: 9}}}}\nlimit_rules:\n"
EIGHT = "{rps: 1, rpm: 1, rph: 1, rpd: 1, tps: 1, tpm: 1, tph: 1, tpd: 1}"


def test_a_rule_is_read_with_all_that_it_may_say() -> None:
    loaded = read(
        HEAD
        + "  - {name: all, limits: gold}\n"
        + "  - {name: pair, per: [user, model], limits: {rps: 2}, tenant: [acme], key: [acme/ci], user: [x y],\n"
        + "     model: [a], on_exceed: cut}\n",
        {},
    )
    assert decode(encode(loaded)) == loaded, "a worker gets it over a pipe"
    assert loaded.limit_rules == (
        LimitRuleSettings(name="all", limits="gold"),
        LimitRuleSettings(
            name="pair",
            limits=LimitSettings(rps=2),
            per=("user", "model"),
            tenant=("acme",),
            key=("acme/ci",),
            user=("x y",),
            model=("a",),
            on_exceed="cut",
        ),
    )


@pytest.mark.parametrize(
    ("rules", "path", "word"),
    [
        ("- {name: r, limits: {rpm: 1}}\n  - {name: §r, limits: {rpm: 2}}", "limit_rules[1].name", "already"),
        ("- {name: r, per: §[user, user], limits: {rpm: 1}}", "limit_rules[0].per", "user twice"),
        ("- {name: r, per: §[user, model, key], limits: {rpm: 1}}", "limit_rules[0].per", "2"),
        ("- {name: r, limits: §{}}", "limit_rules[0].limits", "no limit"),
        ("- {name: r, limits: §silver}", "limit_rules[0].limits", "silver"),
        ("- {name: r, model: [§c], limits: {rpm: 1}}", "limit_rules[0].model[0]", "c"),
        ("- {name: r, limits: {rpm: 1}, on_exceed: §stop}", "limit_rules[0].on_exceed", "cut"),
        ("- §{name: r, per: [user]}", "limit_rules[0]", "limits"),
    ],
)
def test_a_fault_of_a_rule_is_told_where_it_is(rules: str, path: str, word: str) -> None:
    found, message = only_fault(HEAD + "  " + rules)
    assert found == path
    assert word in message


def test_what_can_hold_one_call_has_room_and_what_is_of_other_models_and_tenants_is_not_counted() -> None:
    read(
        HEAD
        + f"  - {{name: a, model: [a], limits: {EIGHT}}}\n"
        + f"  - {{name: b, model: [b], limits: {EIGHT}}}\n"
        + f"  - {{name: c, tenant: [x], limits: {EIGHT}}}\n"
        + f"  - {{name: d, tenant: [y], limits: {EIGHT}}}\n",
        {},
    )
    path, message = only_fault(
        HEAD
        + f"  §- {{name: a, model: [a], limits: {EIGHT}}}\n"
        + f"  - {{name: b, tenant: [x], limits: {EIGHT}}}\n"
        + "  - {name: c, per: [user], limits: gold}\n"
    )
    assert path == "limit_rules"
    assert message == "may hold a call of the tenant x to the model a by 17 limits at once; 16 are the most"


def test_there_is_a_queue_where_the_file_says_so() -> None:
    assert read("version: 1", {}).queue is None
    assert read("version: 1\nqueue: {}", {}).queue == QueueSettings(max_wait_s=2.0, max_waiting=100)
    loaded = read("version: 1\nqueue: {max_wait: 500ms, max_waiting: 7, weights: {acme: 3}}", {})
    assert loaded.queue == QueueSettings(max_wait_s=0.5, max_waiting=7, weights={"acme": 3})
    assert decode(encode(loaded)) == loaded, "a worker gets it over a pipe"


@pytest.mark.parametrize(
    ("queue", "path"),
    [
        ("{max_wait: §1h}", "queue.max_wait"),
        ("{max_waiting: §0}", "queue.max_waiting"),
        ("{weights: {acme: §0}}", "queue.weights.acme"),
    ],
)
def test_a_fault_of_the_queue_is_told_where_it_is(queue: str, path: str) -> None:
    assert only_fault(f"version: 1\nqueue: {queue}")[0] == path
