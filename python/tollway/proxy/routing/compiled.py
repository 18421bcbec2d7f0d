"""A route made ready: what can be known of its targets before anybody asks, as a bit for each target.

Compiled once for a snapshot and again when somebody decides about one of its targets; a request only joins masks.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import msgspec

from tollway._native.routing import BreakerPolicy, Pool
from tollway.contract.prices import TenantPrices
from tollway.contract.routing import Breaker, Need, Strategy
from tollway.contract.snapshot import Operation, Price, Route, Target, serves
from tollway.proxy.routing.masks import joined
from tollway.proxy.routing.rules import Rules

NEEDS: tuple[Need, ...] = ("vision", "audio", "documents", "tools", "json_schema")
"""In this order targets are left out for what they can't take."""

Capable = Callable[[Target, Need], bool]
"""Whether a target can take something, as far as is known."""


class Decided(msgspec.Struct, frozen=True):
    """What people decided, by the name of a target or key: its weight in a route, that it is not asked any more, or
    not before a time (Unix milliseconds)."""

    weights: Mapping[tuple[str, str], int] = {}
    drained: frozenset[str] = frozenset()
    opened: Mapping[str, int] = {}


NOTHING_DECIDED = Decided()


class Held:
    """Who is held back by hand among some names, as bits."""

    __slots__ = ("_opened", "drained")

    def __init__(self, names: Sequence[str], decided: Decided) -> None:
        self.drained = joined(1 << index for index, name in enumerate(names) if name in decided.drained)
        self._opened = tuple(
            (1 << index, decided.opened[name]) for index, name in enumerate(names) if name in decided.opened
        )

    @property
    def holds_any(self) -> bool:
        """Whether anybody may be held back, now or later."""
        return bool(self.drained or self._opened)

    def opened(self, now_ms: int) -> int:
        """Those that somebody has opened, and whose time has not come."""
        return joined(bit for bit, until_ms in self._opened if now_ms < until_ms) if self._opened else 0


class Contexts:
    """How much targets can read at once."""

    __slots__ = ("_masks", "_sizes")

    def __init__(self, targets: Sequence[Target]) -> None:
        known = sorted(
            (target.takes.context_tokens, 1 << index)
            for index, target in enumerate(targets)
            if target.takes.context_tokens is not None
        )
        self._sizes = [size for size, _ in known]
        self._masks = [joined(bit for _, bit in known[:count]) for count in range(len(known) + 1)]

    @property
    def knows_any(self) -> bool:
        """Whether any size is known."""
        return bool(self._sizes)

    def too_small(self, tokens: int) -> int:
        """Those that can't read so many tokens."""
        return self._masks[bisect_left(self._sizes, tokens)]


class Pools:
    """A route's targets as the board ranks them.

    What a model costs depends on how long a prompt is and on the date, and a pool has one price for each target: so
    there is a pool for each span of prompts and of time within which no price changes, made when it is first asked for.
    To the board all of them are the same.
    """

    __slots__ = ("_dates", "_made", "_name", "_sizes", "_strategy", "_targets")

    def __init__(self, name: str, strategy: Strategy, targets: Sequence[Target]) -> None:
        self._name, self._strategy, self._targets = name, strategy, targets
        versions = [price for target in targets if target.price for price in (target.price, *target.price.later)]
        self._sizes = sorted({tier.above_tokens for price in versions for tier in price.tiers})
        self._dates = sorted({price.from_ms for price in versions})
        self._made: dict[tuple[int, int], Pool] = {}

    def pool(self, now_ms: int, prompt_tokens: int) -> Pool:
        """The pool for a call with such a prompt, now (Unix milliseconds)."""
        span = (bisect_right(self._dates, now_ms), bisect_left(self._sizes, prompt_tokens))
        found = self._made.get(span)
        if found is None:
            entries = [_entry(target, now_ms, prompt_tokens) for target in self._targets]
            found = self._made[span] = Pool(self._name, self._strategy, entries)
        return found


class Compiled:
    """One route with its targets' weights as they are now. The board knows it by ``pool_name``, else by its alias."""

    __slots__ = (
        "able",
        "contexts",
        "everyone",
        "free",
        "held",
        "is_able",
        "plain",
        "pool",
        "pools",
        "priced",
        "route",
        "rules",
        "serving",
    )

    def __init__(self, route: Route, able: Mapping[Need, int], decided: Decided, pool_name: str = "") -> None:
        weights = [decided.weights.get((route.alias, target.name), target.weight) for target in route.targets]
        targets = tuple(
            target if target.weight == weight else msgspec.structs.replace(target, weight=weight)
            for target, weight in zip(route.targets, weights, strict=True)
        )
        self.route = route if targets == route.targets else msgspec.structs.replace(route, targets=targets)
        self.everyone = (1 << len(targets)) - 1
        self.pools = Pools(pool_name or route.alias, route.strategy, targets)
        self.pool = self.pools.pool(0, 0)
        self.rules = Rules(route.alias, route.rules, targets)
        self.serving: Mapping[Operation, int] = {
            operation: joined(
                1 << index for index, target in enumerate(targets) if serves(target.provider.kind, operation)
            )
            for operation in get_args(Operation)
        }
        self.able = able
        self.free = joined(1 << index for index, target in enumerate(targets) if is_free(target.price))
        self.priced = joined(1 << index for index, target in enumerate(targets) if target.price is not None)
        self.contexts = Contexts(targets)
        self.held = Held([target.name for target in targets], decided)
        chooses = route.rules or self.held.holds_any or self.contexts.knows_any
        self.plain = frozenset(
            operation for operation, mask in self.serving.items() if mask == self.everyone and not chooses
        )
        """The operations for which no target is ever left out, but for what a request needs beyond text."""
        self.is_able = all(mask == self.everyone for mask in able.values())
        """Whether every target can take whatever a request needs."""

    def free_for(self, prices: TenantPrices | None) -> int:
        """Who costs a caller with these prices nothing."""
        own = self._own_price(prices)
        return self.free if own is None else self.everyone if own.is_never_owed else 0

    def priced_for(self, prices: TenantPrices | None) -> int:
        """Whose price is known for a caller with these prices."""
        return self.priced if self._own_price(prices) is None else self.everyone

    def _own_price(self, prices: TenantPrices | None) -> Price | None:
        return None if prices is None else prices.by_alias.get(self.route.alias)


def key_names(target: Target) -> tuple[str, ...]:
    """What the keys of a target are known by, where it has several: ``provider/model#key``."""
    return tuple(f"{target.name}#{key.access.key_name}" for key in target.keys)


def able_of(targets: Sequence[Target], can: Callable[[Target], frozenset[Need]]) -> Mapping[Need, int]:
    """For each need, who can take it."""
    takes = [can(target) for target in targets]
    return {need: joined(1 << index for index, taken in enumerate(takes) if need in taken) for need in NEEDS}


def is_free(price: Price | None) -> bool:
    """Whether nothing can be owed: no part of a known price is above zero."""
    return price is not None and price.is_never_owed


def policy_of(breaker: Breaker) -> BreakerPolicy:
    """A breaker in the board's units, of which each is at least one."""
    return BreakerPolicy(
        consecutive=breaker.consecutive,
        failure_permille=max(1, round(breaker.failure_rate * 1_000)),
        minimum_calls=breaker.minimum_calls,
        window_ms=max(1, round(breaker.window_s * 1_000)),
        cooldown_ms=max(1, round(breaker.cooldown_s * 1_000)),
        max_cooldown_ms=max(1, round(breaker.max_cooldown_s * 1_000)),
        probes=breaker.probes,
        slow_start_ms=round(breaker.slow_start_s * 1_000),
    )


def _entry(
    target: Target, now_ms: int, prompt_tokens: int
) -> tuple[str, int, int, int | None, int | None, BreakerPolicy]:
    rates = None if target.price is None else target.price.for_call(now_ms, prompt_tokens)
    prices = (None, None) if rates is None else (rates.input, rates.output)
    return (target.name, target.weight, target.tier, *prices, policy_of(target.breaker))
