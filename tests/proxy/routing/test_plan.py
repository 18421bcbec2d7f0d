"""Station 5: an alias becomes an order of targets, for those who may use it, among those that can do it."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from tests.proxy.edge import ask
from tests.proxy.routing.desk import FREE, NOW_MS, Desk, goal, order, reasons, way

from tollway._native.limits import LedgerError
from tollway._native.routing import Board, Ranking
from tollway.contract.prices import Price, TenantPrices, Tier
from tollway.contract.routing import Override, Rule, When
from tollway.contract.snapshot import Overrule, Route, Timeouts
from tollway.errors import (
    DependencyUnavailable,
    InvalidRequest,
    ModelForbidden,
    ModelNotFound,
    ModelUnpriced,
    NothingToSpend,
)

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}


def saying(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "Look."}, *parts]}]


async def test_the_plan_names_the_route_and_the_order_of_its_targets(board: Board) -> None:
    desk = Desk(board, way(goal("a", tier=2), goal("b", tier=1), strategy="priority"), way(goal("c"), alias="other"))
    planned = desk.plan()
    assert planned.route.alias == "m"
    assert order(planned) == ["b", "a"]
    assert (planned.rule, planned.skipped) == (None, ())
    assert [span for span, _ in planned.arrival.timing.spans] == ["plan"]


@pytest.mark.parametrize("model", ["unknown", "M", "m ", "m/", ""])
async def test_a_model_that_is_not_configured_is_not_found(board: Board, model: str) -> None:
    screened = msgspec.structs.replace(
        Desk(board, way(goal("a"))).screened(), request=ask(model or "x" * 10_000 + "\n")
    )
    with pytest.raises(ModelNotFound) as caught:
        Desk(board, way(goal("a"))).planner.plan(screened)
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
    assert len(caught.value.outside) < 250


async def test_a_model_outside_the_allow_list_is_forbidden(board: Board) -> None:
    desk = Desk(board, way(goal("a")), way(goal("b"), alias="n"))
    assert desk.plan("n", caller={"allowed_models": frozenset({"n"})}).route.alias == "n"
    for allowed in (frozenset({"n"}), frozenset[str]()):
        with pytest.raises(ModelForbidden) as caught:
            desk.plan("m", caller={"allowed_models": allowed})
        assert caught.value.param == "model"
    with pytest.raises(ModelNotFound):
        desk.plan("unknown", caller={"allowed_models": frozenset({"n"})})


async def test_first_choices_are_spread_by_weight(board: Board) -> None:
    desk = Desk(board, way(goal("a", weight=1), goal("b", weight=3), goal("c", weight=0)))
    first = Counter(order(desk.plan())[0] for _ in range(2_000))
    assert first["c"] == 0
    assert 0.70 < first["b"] / first.total() < 0.80  # five standard deviations are 0.048


async def test_only_targets_that_can_do_what_is_asked_for_are_asked(board: Board) -> None:
    simulated = goal("none", kind="simulator")
    desk = Desk(board, way(simulated, goal("vectors")), way(simulated, alias="chat-only"))
    planned = desk.plan(operation="embeddings")
    assert (order(planned), reasons(planned)) == (["vectors"], {"none": "operation"})
    with pytest.raises(InvalidRequest, match="does not serve embeddings") as caught:
        desk.plan("chat-only", operation="embeddings")
    assert caught.value.param == "model"


@pytest.mark.parametrize(
    ("fields", "need", "overrule"),
    [
        ({"messages": saying(IMAGE)}, "vision", Overrule(images=False)),
        ({"messages": saying(SOUND)}, "audio", Overrule(audio=False)),
        ({"messages": saying(FILE)}, "documents", Overrule(documents=False)),
        ({"tools": TOOLS}, "tools", Overrule(tools=False)),
        ({"response_format": SCHEMA}, "json_schema", Overrule(json_schema=False)),
    ],
)
async def test_what_a_request_needs_is_asked_of_those_who_can_take_it(
    board: Board, fields: dict[str, Any], need: str, overrule: Overrule
) -> None:
    desk = Desk(board, way(goal("a", takes=overrule), goal("b"), goal("c")), way(goal("d", takes=overrule), alias="n"))
    planned = desk.plan(**fields)
    assert set(order(planned)) == {"b", "c"}
    assert reasons(planned) == {"a": need}
    assert desk.asked() == {"a", "b", "c"}, "who needs nothing may go anywhere"
    assert desk.asked("n", **fields) == {"d"}, "its file drops what nobody can take, and says so"
    with pytest.raises(InvalidRequest, match="'n' does not take") as caught:
        desk.plan("n", headers={"x-tollway-strict": "true"}, **fields)
    assert caught.value.param in ("messages", *fields)


async def test_who_can_take_most_of_what_is_needed_is_asked(board: Board) -> None:
    blind, mute = goal("blind", takes=Overrule(images=False)), goal("mute", takes=Overrule(tools=False))
    desk = Desk(board, way(blind, mute))
    planned = desk.plan(messages=saying(IMAGE), tools=TOOLS)
    assert (order(planned), reasons(planned)) == (["mute"], {"blind": "vision"})


async def test_what_is_known_of_a_model_is_looked_up_once(board: Board) -> None:
    desk = Desk(board, *(way(goal("a"), alias=str(number)) for number in range(10)))
    assert len(desk.looked_up) == 5
    desk.plan("3", messages=saying(IMAGE))
    assert len(desk.looked_up) == 5


def at_most(tokens: int) -> Overrule:
    return Overrule(context_tokens=tokens)


async def test_a_prompt_that_may_be_too_long_goes_to_those_who_can_read_it(board: Board) -> None:
    short, long, unknown = goal("short", takes=at_most(50)), goal("long", takes=at_most(5_000)), goal("unknown")
    desk = Desk(board, way(short, long, unknown), way(short, long, alias="known"))
    text = [{"role": "user", "content": "x" * 100}]
    assert desk.asked() == {"short", "long", "unknown"}
    assert desk.asked(messages=text) == {"long", "unknown"}
    assert reasons(desk.plan(messages=text)) == {"short": "context"}
    longer = [{"role": "user", "content": "x" * 10_000}]
    assert desk.asked(messages=longer) == {"unknown"}
    assert desk.asked("known", messages=longer) == {"short", "long"}, "the bound is from above: nobody else is there"


async def test_the_bound_itself_fits(board: Board) -> None:
    bound = ask(messages=saying()).prompt_upper_bound()
    desk = Desk(board, way(goal("fits", takes=at_most(bound)), goal("less", takes=at_most(bound - 1))))
    assert desk.asked(messages=saying()) == {"fits"}


async def test_a_short_one_is_asked_rather_than_nobody(board: Board) -> None:
    desk = Desk(board, way(goal("short", takes=at_most(10)), goal("long", takes=at_most(9_000))))
    assert desk.asked(messages=saying()) == {"long"}
    board.cool("openai_compatible/long", NOW_MS + 9_000, NOW_MS, limited=False)
    planned = desk.plan(messages=saying())
    assert (order(planned), planned.skipped) == (["short"], ())


@pytest.mark.parametrize(
    ("price", "is_free"),
    [
        (FREE, True),
        (Price("t", input=0, output=0, cached_input=0, cache_write=0, reasoning=0, cache_write_1h=0), True),
        (None, False),
        (Price("t", input=1, output=0), False),
        (Price("t", input=0, output=1), False),
        (Price("t", input=0, output=0, cached_input=1), False),
        (Price("t", input=0, output=0, cache_write=1), False),
        (Price("t", input=0, output=0, reasoning=1), False),
        (Price("t", input=0, output=0, cache_write_1h=1), False),
    ],
)
async def test_who_may_spend_nothing_gets_what_is_known_to_be_free(
    board: Board, price: Price | None, is_free: bool
) -> None:
    desk = Desk(board, way(goal("a", price=price), goal("free", price=FREE)), way(goal("b", price=price), alias="n"))
    poor = {"may_spend": False}
    assert desk.asked(caller=poor) == ({"a", "free"} if is_free else {"free"})
    assert desk.asked() == {"a", "free"}
    if is_free:
        assert desk.asked("n", caller=poor) == {"b"}
        return
    assert reasons(desk.plan(caller=poor)) == {"a": "price"}
    with pytest.raises(NothingToSpend) as caught:
        desk.plan("n", caller=poor)
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (429, "insufficient_quota", False)


async def test_a_rule_decides_before_anything_else(board: Board) -> None:
    eu = Rule(name="eu", to=frozenset({"eu"}), when=When(tenants=frozenset({"acme"})))
    desk = Desk(board, way(goal("a"), goal("b", "eu", takes=Overrule(images=False)), rules=(eu,)))
    planned = desk.plan(messages=saying(IMAGE))
    assert (planned.rule, order(planned), reasons(planned)) == ("eu", ["b"], {"a": "rule"})
    assert desk.asked(caller={"tenant_name": "other"}) == {"a", "b"}


async def test_a_rule_that_leaves_nobody_is_an_empty_plan(board: Board) -> None:
    moon = Rule(name="moon", to=frozenset({"moon"}))
    planned = Desk(board, way(goal("a"), rules=(moon,))).plan(messages=saying(IMAGE), caller={"may_spend": False})
    assert (planned.rule, order(planned), reasons(planned)) == ("moon", [], {"a": "rule"})


async def test_a_rule_whose_targets_can_not_do_it_is_a_refusal(board: Board) -> None:
    rule = Rule(name="s", to=frozenset({"s"}))
    desk = Desk(board, way(goal("a"), goal("b", "s", kind="simulator"), rules=(rule,)))
    with pytest.raises(InvalidRequest, match="does not serve embeddings"):
        desk.plan(operation="embeddings")


async def test_a_route_that_nobody_may_be_asked_for_now_is_an_empty_plan(board: Board) -> None:
    desk = Desk(board, way(goal("a"), goal("b"), goal("c")))
    desk.router.apply(
        [
            Override(target="openai_compatible/a", drained=True),
            Override(target="openai_compatible/b", opened_until_ms=NOW_MS + 1_000),
        ]
    )
    board.cool("openai_compatible/c", NOW_MS + 5_000, NOW_MS, limited=True)
    planned = desk.plan()
    assert order(planned) == []
    assert reasons(planned) == {"a": "drained", "b": "opened"}
    assert (planned.ranking.limited, planned.ranking.retry_at_ms) == (True, NOW_MS + 5_000)


async def test_the_cheapest_is_found_by_what_this_request_would_cost(board: Board) -> None:
    reader = goal("reader", price=Price("t", input=1, output=1_000_000))
    writer = goal("writer", price=Price("t", input=1_000, output=1))
    desk = Desk(board, way(reader, writer, goal("unknown", price=None), strategy="cost"))
    long = [{"role": "user", "content": "x" * 40_000}]
    assert order(desk.plan(messages=long, max_tokens=1)) == ["reader", "writer", "unknown"]
    assert order(desk.plan(max_tokens=1_000)) == ["writer", "reader", "unknown"]
    assert order(desk.plan())[0] == "writer", "an answer is taken to be of some length"


@pytest.mark.parametrize(
    ("by", "same", "next_call"),
    [
        ("user", {"user": "u"}, {"user": "u", "messages": saying(IMAGE)}),
        (
            "conversation",
            {"messages": [{"role": "user", "content": "Hi"}]},
            {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]},
        ),
        (
            "prefix",
            {"messages": [{"role": "user", "content": "x" * 5_000}]},
            {"messages": [{"role": "user", "content": "x" * 6_000}]},
        ),
    ],
)
async def test_calls_that_belong_together_go_to_the_same_target(
    board: Board, by: Any, same: dict[str, Any], next_call: dict[str, Any]
) -> None:
    desk = Desk(board, way(*(goal(str(number)) for number in range(40)), strategy="sticky", sticky_by=by))
    assert len({order(desk.plan(**fields))[0] for fields in [same, next_call] * 10}) == 1
    users = {order(desk.plan(**(same | {"user": str(number)})))[0] for number in range(20)}
    assert (len(users) > 5) is (by == "user")
    texts = [{"messages": [{"role": "user", "content": str(number)}]} for number in range(20)]
    assert (len({order(desk.plan(**(same | text)))[0] for text in texts}) > 5) is (by != "user")


async def test_calls_that_nothing_tells_apart_are_spread(board: Board) -> None:
    desk = Desk(board, way(*(goal(str(number)) for number in range(40)), strategy="sticky"))
    silent = [{"role": "user"}]
    assert len({order(desk.plan(messages=silent))[0] for _ in range(40)}) > 5


async def test_a_fallback_is_planned_by_its_own_rules_and_rights(board: Board) -> None:
    rule = Rule(name="only", to=frozenset({"x"}))
    desk = Desk(board, way(goal("a", price=FREE)), way(goal("b", "x"), goal("c"), alias="n", rules=(rule,)))
    planned = desk.planner.fallback(desk.plan(), "n")
    assert (planned.route.alias, planned.rule, order(planned)) == ("n", "only", ["b"])
    assert planned.request.model == "m"
    with pytest.raises(ModelForbidden):
        desk.planner.fallback(desk.plan(caller={"allowed_models": frozenset({"m"})}), "n")
    with pytest.raises(NothingToSpend):
        desk.planner.fallback(desk.plan(caller={"may_spend": False}), "n")
    with pytest.raises(ModelNotFound):
        desk.planner.fallback(desk.plan(), "o")


async def test_a_fallback_that_can_not_do_it_is_refused(board: Board) -> None:
    desk = Desk(board, way(goal("a")), way(goal("b", kind="simulator"), alias="n"))
    with pytest.raises(InvalidRequest):
        desk.planner.fallback(desk.plan(operation="embeddings"), "n")


async def test_a_copy_goes_to_its_target_alone(board: Board) -> None:
    rule = Rule(name="only", to=frozenset({"x"}))
    route = Route("m", (goal("a", "x"), goal("b", "x")), Timeouts(total_s=7), "priority", rules=(rule,))
    desk, shadow = Desk(board, route), goal("copy", weight=0)
    for asked in (desk.screened(), desk.plan()):
        planned = desk.planner.only(asked, shadow)
        assert (order(planned), planned.route.alias, planned.route.timeouts.total_s) == (["copy"], "m", 7)
        assert (planned.route.rules, planned.route.fallbacks, planned.route.hedge) == ((), {}, None)
        assert planned.route.targets[planned.ranking.order[0]] is shadow
    desk.router.apply([Override(target=shadow.name, drained=True)])
    planned = desk.planner.only(desk.plan(), shadow)
    assert (order(planned), reasons(planned)) == ([], {"copy": "drained"})


async def test_a_copy_is_not_made_where_it_can_not_be(board: Board) -> None:
    desk = Desk(board, way(goal("a")))
    simulated = goal("copy", kind="simulator", price=FREE)
    assert reasons(desk.planner.only(desk.plan(operation="embeddings"), simulated)) == {"copy": "operation"}
    poor = desk.screened(caller={"may_spend": False})
    assert reasons(desk.planner.only(poor, goal("dear"))) == {"dear": "price"}
    assert order(desk.planner.only(poor, simulated)) == ["copy"]


class Stuck:
    """A board whose lock is held by a process that stands still."""

    def rank(self, *_: object, **__: object) -> Ranking:
        """Waits in vain."""
        raise LedgerError("the lock is held")


async def test_a_board_that_is_out_of_reach_is_said_to_be(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(board, way(goal("a")))
    monkeypatch.setattr(desk.router, "board", Stuck())
    with pytest.raises(DependencyUnavailable) as caught:
        desk.plan()
    assert caught.value.retry_after_s == 1.0


async def test_the_cheapest_of_a_long_prompt_is_found_by_its_tier_and_by_the_date(board: Board) -> None:
    tier = Tier(above_tokens=5_000, input=100, output=100)
    later = Price("t2", input=1_000, output=1_000, from_ms=NOW_MS + 1_000)
    steep = goal("steep", price=Price("t", input=10, output=10, tiers=(tier,), later=(later,)))
    flat = goal("flat", price=Price("t", input=50, output=50))
    desk = Desk(board, way(steep, flat, strategy="cost"))
    long = [{"role": "user", "content": "x" * 40_000}]
    assert order(desk.plan(max_tokens=1)) == ["steep", "flat"]
    assert order(desk.plan(messages=long, max_tokens=1)) == ["flat", "steep"]
    desk.now_ms += 1_000
    assert order(desk.plan(max_tokens=1)) == ["flat", "steep"]


async def test_what_has_no_price_is_not_asked_where_that_is_refused(board: Board) -> None:
    desk = Desk(
        board, way(goal("a", price=None), goal("b")), way(goal("c", price=None), alias="n"), refuses_unpriced=True
    )
    assert reasons(desk.plan()) == {"a": "unpriced"}
    with pytest.raises(ModelUnpriced) as caught:
        desk.plan("n")
    assert (caught.value.status, caught.value.code, caught.value.param) == (403, "model_unpriced", "model")
    copy = desk.planner.only(desk.screened(), goal("a", price=None))
    assert (order(copy), reasons(copy)) == ([], {"a": "unpriced"})
    assert desk.asked("n", operation="count_tokens") == {"c"}, "what is given away needs no price"
    own = TenantPrices({"n": FREE})
    assert desk.asked("n", caller={"prices": own}) == {"c"}
    with pytest.raises(ModelUnpriced):
        desk.plan("n", caller={"prices": TenantPrices({}, 2_000_000)})


async def test_a_tenants_own_price_says_whether_a_model_is_free(board: Board) -> None:
    desk = Desk(board, way(goal("a", price=FREE)), way(goal("b"), alias="n"))
    poor = {"may_spend": False, "prices": TenantPrices({"m": Price("t", input=1, output=0), "n": FREE})}
    with pytest.raises(NothingToSpend):
        desk.plan(caller=poor)
    assert desk.asked("n", caller=poor) == {"b"}
