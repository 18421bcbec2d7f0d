"""The router: what people decide while the gateway runs reaches the next plan, and touches nothing else."""

import pytest
from tests.proxy.routing.desk import NOW_MS, Desk, goal, order, reasons, way

from tollway._native.routing import Board
from tollway.contract.routing import FOR_GOOD_MS, Override
from tollway.contract.snapshot import ProviderAccess, ProviderKey, Shadow

A, B = "openai_compatible/a", "openai_compatible/b"


def access(key: str) -> ProviderAccess:
    return ProviderAccess("openai_compatible", "openai_compatible", "http://127.0.0.1:9", f"sk-{key}", key_name=key)


async def test_a_weight_is_that_of_one_alias(board: Board) -> None:
    desk = Desk(board, way(goal("a"), goal("b")), way(goal("a"), goal("b"), alias="n"))
    desk.router.apply([Override(target=A, alias="m", weight=0)])
    assert {order(desk.plan())[0] for _ in range(30)} == {"b"}
    assert {order(desk.plan("n"))[0] for _ in range(60)} == {"a", "b"}
    assert [target.weight for target in desk.plan().route.targets] == [0, 1]
    desk.router.apply([])
    assert {order(desk.plan())[0] for _ in range(60)} == {"a", "b"}


async def test_a_drained_target_is_asked_under_no_alias_until_it_is_back(board: Board) -> None:
    desk = Desk(board, way(goal("a"), goal("b")), way(goal("a"), alias="n"))
    desk.router.apply([Override(target=A, drained=True)])
    assert (desk.asked(), desk.asked("n")) == ({"b"}, set())
    assert reasons(desk.plan()) == {"a": "drained"}
    desk.router.apply([Override(target=A, drained=False)])
    assert (desk.asked(), desk.asked("n")) == ({"a", "b"}, {"a"})


async def test_a_target_that_was_opened_by_hand_comes_back_by_itself(board: Board) -> None:
    desk = Desk(board, way(goal("a"), goal("b")))
    desk.router.apply([Override(target=A, opened_until_ms=NOW_MS + 1_000)])
    assert (desk.asked(), reasons(desk.plan())) == ({"b"}, {"a": "opened"})
    desk.now_ms += 999
    assert desk.asked() == {"b"}
    desk.now_ms += 1
    assert desk.asked() == {"a", "b"}


async def test_a_target_that_was_opened_for_good_is_closed_by_hand(board: Board) -> None:
    desk = Desk(board, way(goal("a"), goal("b")))
    desk.router.apply([Override(target=A, opened_until_ms=FOR_GOOD_MS)])
    desk.now_ms += 10**12
    assert desk.asked() == {"b"}
    desk.router.apply([Override(target=A, closed_at_ms=desk.now_ms)])
    assert desk.asked() == {"a", "b"}


async def test_only_the_routes_that_a_decision_touches_are_compiled_again(board: Board) -> None:
    desk = Desk(board, way(goal("a")), way(goal("b"), alias="n"), way(goal("a"), goal("b"), alias="o"))

    def compiled() -> dict[str, object]:
        return {alias: desk.router.find(alias) for alias in ("m", "n", "o")}

    def touched(*overrides: Override) -> set[str]:
        before = compiled()
        desk.router.apply(overrides)
        return {alias for alias, now in compiled().items() if now is not before[alias]}

    assert touched(Override(target=A, drained=True)) == {"m", "o"}
    assert touched(Override(target=A, drained=True)) == set()
    assert touched(Override(target=A, drained=True), Override(target=B, alias="o", weight=3)) == {"o"}
    assert touched(Override(target=B, opened_until_ms=NOW_MS + 1)) == {"m", "n", "o"}
    assert touched(Override(target="gone/gone", drained=True), Override(target=B, alias="gone", weight=1)) == {"n", "o"}


@pytest.mark.parametrize("name", [A, "openai_compatible/keyed#one"])
async def test_closing_by_hand_forgets_what_was_known_once_on_a_host(board: Board, name: str) -> None:
    keys = (ProviderKey(access("one")), ProviderKey(access("two")))
    routes = (way(goal("a"), goal("keyed", keys=keys)),)
    first, later = Desk(board, *routes), Desk(board, *routes)

    def is_cooling(desk: Desk) -> bool:
        return {status.name: status.state for status in desk.router.statuses()}[name] == "cooling"

    board.cool(name, NOW_MS + 60_000, NOW_MS, limited=True)
    closing = [Override(target=name, closed_at_ms=NOW_MS)]
    first.router.apply(closing)
    assert not is_cooling(first)
    board.cool(name, NOW_MS + 90_000, NOW_MS, limited=True)
    first.router.apply(closing)
    later.router.apply(closing)
    assert is_cooling(first), "a worker that starts later does not close again what has happened since"
    later.router.apply([Override(target=name, closed_at_ms=NOW_MS + 1)])
    assert not is_cooling(first)


async def test_every_target_and_every_one_of_several_keys_has_a_status(board: Board) -> None:
    keys = (ProviderKey(access("one")), ProviderKey(access("two")))
    shadow = Shadow(target=goal("copy"))
    desk = Desk(board, way(goal("a"), goal("b", keys=keys), shadow=shadow), way(goal("a"), alias="n"))
    names = [A, B, f"{B}#one", f"{B}#two", "openai_compatible/copy"]
    assert sorted(desk.router.names) == names
    board.cool(B, NOW_MS + 5_000, NOW_MS, limited=True)
    desk.router.apply([Override(target=A, opened_until_ms=NOW_MS + 7_000)])
    found = {status.name: (status.state, status.until_ms) for status in desk.router.statuses()}
    assert found[A] == ("open", NOW_MS + 7_000)
    assert found[B] == ("cooling", NOW_MS + 5_000)
    assert found[f"{B}#one"][0] == "closed"
    desk.now_ms += 7_000
    assert {status.name: status.state for status in desk.router.statuses()}[A] == "closed"


async def test_a_route_that_is_too_wide_is_told_at_once(board: Board) -> None:
    Desk(board, way(*(goal(str(number)) for number in range(64))))
    with pytest.raises(ValueError, match="64"):
        Desk(board, way(*(goal(str(number)) for number in range(65))))
