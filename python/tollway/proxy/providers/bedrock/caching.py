"""Cache points where the model takes them, and no more than it takes.

Source: docs.aws.amazon.com, "Prompt caching for faster model inference": four points a request; Nova takes none among
the tools and no time to live.
"""

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
    messages: list[Blocks] = [turn["content"] for turn in out["messages"]]
    tools: Blocks = out.get("toolConfig", {}).get("tools", [])
    system: Blocks = out.get("system", [])
    if not traits.caches_tools:
        _clear(tools)
    if not traits.caches:
        for place in (system, *messages):
            _clear(place)
    elif not traits.caches_tools:
        for point in (point for place in (system, *messages) for point in _points(place)):
            point["cachePoint"].pop("ttl", None)
    places = [*messages, system, tools]
    surplus = sum(len(_points(place)) for place in places) - MAX_POINTS
    for place in places:
        for point in _points(place)[: max(surplus, 0)]:
            place[:] = [block for block in place if block is not point]
            drops.add("cache_control")
            surplus -= 1


def _points(place: Blocks) -> Blocks:
    return [block for block in place if "cachePoint" in block]


def _clear(place: Blocks) -> None:
    place[:] = [block for block in place if "cachePoint" not in block]
