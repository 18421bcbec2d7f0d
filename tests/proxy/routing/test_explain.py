"""Decisions as data: all that led to them, the same for a request and its description, and nothing of the client's."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.proxy.routing.desk import NOW_MS, Desk, goal, open_board, order, way

from tollway._native.routing import Board
from tollway.contract.described import Described
from tollway.contract.routing import Need, Override, Rule, When
from tollway.contract.snapshot import Overrule, Price
from tollway.errors import GatewayError, InvalidRequest, ModelForbidden, ModelNotFound, NothingToSpend
from tollway.proxy.exchange import Trail, Tried
from tollway.proxy.routing.explain import decision, explain, record, summary

EU = Rule(name="eu", to=frozenset({"eu"}), when=When(headers={"x-region": frozenset({"eu"})}))


def desk_of(board: Board) -> Desk:
    dear = Price("t", input=1_000_000, output=2_000_000)
    targets = (goal("a", "eu", "stable", tier=2, price=dear), goal("b", "eu"), goal("c"), goal("d", "eu", price=None))
    desk = Desk(board, way(*targets, rules=(EU,), strategy="priority"))
    desk.router.apply([Override(target="openai_compatible/b", drained=True)])
    return desk


def tried(**changes: Any) -> Tried:
    plain = Tried("m", "openai_compatible/a", "one", 1_500_000, 2_500_000, 200, "ok")
    for name, value in changes.items():
        setattr(plain, name, value)
    return plain


async def test_a_decision_tells_of_every_target(board: Board) -> None:
    desk = desk_of(board)
    board.cool("openai_compatible/d", NOW_MS + 9_000, NOW_MS, limited=True)
    planned = desk.plan(headers={"x-region": "eu"}, max_tokens=1_000)
    told = decision(planned)
    (plan,) = told["plans"]
    assert (plan["model"], plan["strategy"], plan["rule"]) == ("m", "priority", "eu")
    assert (plan["order"], plan["retry_at_ms"]) == (["openai_compatible/a"], NOW_MS + 9_000)
    by_name = {candidate["target"][-1]: candidate for candidate in plan["candidates"]}
    assert list(by_name) == ["a", "b", "c", "d"]
    assert {name: candidate["skipped"] for name, candidate in by_name.items()} == {
        "a": None,
        "b": "drained",
        "c": "rule",
        "d": None,
    }
    assert {name: candidate["state"] for name, candidate in by_name.items()} == {
        "a": "closed",
        "b": None,
        "c": None,
        "d": "cooling",
    }
    assert by_name["d"]["until_ms"] == NOW_MS + 9_000
    assert (by_name["a"]["tags"], by_name["a"]["tier"], by_name["a"]["weight"]) == (["eu", "stable"], 2, 1)
    assert (by_name["a"]["in_flight"], by_name["a"]["latency_ms"]) == (0, None)
    prompt = -(-planned.request.prompt_upper_bound() // 4)
    assert by_name["a"]["cost_usd"] == pytest.approx((prompt + 2_000) / 1e6)
    assert by_name["d"]["cost_usd"] is None
    assert (told["refused"], told["attempts"]) == ([], [])
    json.dumps(told)


async def test_a_record_tells_of_all_plans_and_calls(board: Board) -> None:
    desk = desk_of(board)
    trail = Trail(
        [desk.plan(), desk.plan()], [("n", "model_not_allowed")], [tried(), tried(result="server", status=502)]
    )
    told = record(trail)
    assert len(told["plans"]) == 2
    assert told["refused"] == [{"model": "n", "code": "model_not_allowed"}]
    assert told["attempts"][0] == {
        "model": "m",
        "target": "openai_compatible/a",
        "key": "one",
        "began_ms": 1.5,
        "took_ms": 2.5,
        "status": 200,
        "result": "ok",
        "then": "",
    }
    json.dumps(told)


async def test_the_log_hears_of_attempts_only_where_there_is_something_to_tell(board: Board) -> None:
    desk = Desk(board, way(goal("a"), goal("b")))
    assert summary(Trail()) == {}
    plain = summary(Trail([desk.plan()], [], [tried()]))
    candidates = {f"openai_compatible/{name}": ("closed", None, 0) for name in "ab"}
    assert plain == {"strategy": "weighted", "chosen": "openai_compatible/a", "candidates": candidates}
    alone = summary(Trail([Desk(board, way(goal("a"))).plan()], [], [tried()]))
    assert alone == {"strategy": "weighted", "chosen": "openai_compatible/a"}
    failed = summary(Trail([desk.plan()], [], [tried(result="rate_limit")]))
    assert [attempt["result"] for attempt in failed["attempts"]] == ["rate_limit"]
    twice = summary(Trail([desk.plan()], [], [tried(result="server"), tried(target="openai_compatible/b")]))
    assert (twice["chosen"], len(twice["attempts"])) == ("openai_compatible/b", 2)
    json.dumps(twice)


async def test_the_log_hears_who_was_left_out_by_plan_or_by_state(board: Board) -> None:
    desk = desk_of(board)
    board.cool("openai_compatible/d", NOW_MS + 9_000, NOW_MS, limited=True)
    told = summary(Trail([desk.plan(headers={"x-region": "eu"})], [], [tried()]))
    assert told["rule"] == "eu"
    assert told["skipped"] == {
        "openai_compatible/b": "drained",
        "openai_compatible/c": "rule",
        "openai_compatible/d": "cooling",
    }


async def test_nothing_of_the_client_and_no_key_is_told(board: Board) -> None:
    canary = "canary-0123456789"
    rule = Rule(
        name="r",
        to=frozenset({"eu"}),
        when=When(headers={"x-secret": frozenset({canary})}, metadata={"team": frozenset({canary})}),
    )
    desk = Desk(board, way(goal("a", "eu"), goal("b"), rules=(rule,)))
    headers = {"x-secret": canary, "x-tollway-metadata": json.dumps({"team": canary}), "x-tollway-user": canary}
    planned = desk.plan(headers=headers, user=canary, messages=[{"role": "user", "content": canary}])
    assert planned.rule == "r"
    trail = Trail([planned], [], [tried(), tried()])
    for told in (decision(planned), record(trail), summary(trail)):
        assert canary not in json.dumps(told)


CALLS = st.builds(
    Described,
    model=st.sampled_from(["m", "n", "gone"]),
    tenant=st.sampled_from(["tenant-1", "tenant-2"]),
    headers=st.dictionaries(
        st.sampled_from(["x-region", "x-tollway-strict", "x-tollway-user", "x-tollway-metadata"]),
        st.sampled_from(["eu", "true", '{"team": "search"}']),
    ),
    metadata=st.dictionaries(st.just("team"), st.sampled_from(["search", "ads"])),
    user=st.none() | st.sampled_from(["u", "v", "w"]),
    needs=st.frozensets(st.sampled_from(["vision", "tools"])),
    operation=st.sampled_from(["chat", "embeddings"]),
    allowed_models=st.none() | st.just(frozenset({"m"})),
    may_spend=st.booleans(),
)


def _asked(call: Described) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": "Hi"}]
    if "vision" in call.needs:
        parts.append({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}})
    fields: dict[str, Any] = {"messages": [{"role": "user", "content": parts}], "metadata": call.metadata}
    if "tools" in call.needs:
        fields["tools"] = [{"type": "function", "function": {"name": "f"}}]
    if call.user is not None:
        fields["user"] = call.user
    record = {"key_id": call.tenant, "tenant_id": call.tenant, "tenant_name": call.tenant}
    rights = {"allowed_models": call.allowed_models, "may_spend": call.may_spend}
    return {"headers": call.headers, "operation": call.operation, "caller": record | rights, **fields}


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with open_board(tmp_path_factory.mktemp("board")) as board:
        free = Price("t", input=0, output=0)
        team = Rule(name="team", to=frozenset({"s"}), when=When(metadata={"team": frozenset({"search"})}))
        canary = Rule(name="canary", to=frozenset({"c"}), share=0.5)
        tenant = Rule(name="t", to=frozenset({"eu"}), when=When(tenants=frozenset({"tenant-2"}), needs=_needs("tools")))
        targets = (
            goal("a", "eu", "s", price=free, takes=Overrule(images=False)),
            goal("b", "eu", "c", tier=2, takes=Overrule(tools=False)),
            goal("c", "s", tier=3, kind="simulator"),
        )
        rules = (EU, team, tenant, canary)
        yield Desk(board, way(*targets, rules=rules, strategy="priority"), way(goal("d"), alias="n"))


def _needs(*needs: Need) -> frozenset[Need]:
    return frozenset(needs)


@settings(max_examples=200, deadline=None)
@given(call=CALLS)
async def test_a_description_is_planned_as_the_request_that_it_describes(ways: Desk, call: Described) -> None:
    outcomes: list[Any] = []
    try:
        planned = ways.plan(call.model, **_asked(call))
        outcomes.append((planned.rule, planned.skipped, order(planned)))
    except GatewayError as error:
        outcomes.append((type(error), error.outside, error.param))
    try:
        (plan,) = explain(ways.router, call)["plans"]
        outcomes.append(
            (
                plan["rule"],
                tuple((at, each["skipped"]) for at, each in enumerate(plan["candidates"]) if each["skipped"]),
                [name.rpartition("/")[2] for name in plan["order"]],
            )
        )
    except GatewayError as error:
        outcomes.append((type(error), error.outside, error.param))
    first, second = outcomes
    assert _sorted(first) == _sorted(second)


def _sorted(outcome: Any) -> Any:
    rule, skipped, rest = outcome
    return (rule, sorted(skipped), rest) if isinstance(skipped, tuple) else outcome


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (Described(model="gone"), ModelNotFound),
        (Described(model="m", allowed_models=frozenset()), ModelForbidden),
        (Described(model="n", may_spend=False), NothingToSpend),
        (Described(model="m", operation="moderations"), None),
        (Described(model="m", headers={"x-tollway-metadata": "?"}), InvalidRequest),
    ],
)
def test_a_description_is_refused_as_a_request_would_be(
    ways: Desk, call: Described, error: type[GatewayError] | None
) -> None:
    if error is None:
        assert explain(ways.router, call)["plans"]
        return
    with pytest.raises(error):
        explain(ways.router, call)


def test_a_description_is_priced_by_what_it_says(ways: Desk) -> None:
    (plan,) = explain(ways.router, Described(model="n", prompt_tokens=4_000, output_tokens=500))["plans"]
    assert plan["candidates"][0]["cost_usd"] == pytest.approx((1_000 * 1_000 + 500 * 2_000) / 1e12)
