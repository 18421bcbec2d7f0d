"""Cache points where the model takes them, and no more than it takes.

Source: docs.aws.amazon.com, "Prompt caching for faster model inference": four points a request; Nova takes none among
the tools and no time to live.
"""

from collections.abc import Callable
from typing import Any

from tollway.proxy.providers.anthropic.drops import Drops
from tollway.proxy.providers.bedrock.models import Traits

MAX_POINTS = 4

Blocks = list[dict[str, Any]]


def settle_points(out: dict[str, Any], traits: Traits, drops: Drops) -> None:
    """Takes out of the request ``out`` the points that its model does not take.

    Those that a model has no word for go silently, for nothing but time is lost; those beyond four are told, and the
    earliest of the messages go first.
    """
    places: list[Blocks] = [turn["content"] for turn in out["messages"]]
    tools = out.get("toolConfig", {}).get("tools", [])
    system = out.get("system", [])
    if not traits.caches:
        _keep(tools, _is_no_point)
        _keep(system, _is_no_point)
        for place in places:
            _keep(place, _is_no_point)
        return
    if not traits.caches_tools:
        _keep(tools, _is_no_point)
        for block in (block for place in (system, *places) for block in place):
            block.get("cachePoint", {}).pop("ttl", None)
    surplus = sum(not _is_no_point(block) for place in (tools, system, *places) for block in place) - MAX_POINTS
    for place in (*places, system, tools):
        for block in [block for block in place if not _is_no_point(block)]:
            if surplus > 0:
                _keep(place, lambda each, gone=block: each is not gone)  # type: ignore[misc]
                drops.add("cache_control")
                surplus -= 1


def _is_no_point(block: dict[str, Any]) -> bool:
    return "cachePoint" not in block


def _keep(place: Blocks, wanted: Callable[[dict[str, Any]], bool]) -> None:
    place[:] = [block for block in place if wanted(block)]
