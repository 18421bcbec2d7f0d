"""Between stations 5 and 6, reserve: what a call can cost at most is held in all of its purses, or it does not leave.

In: a plan, and the purses that the call is paid from. Out: the money, held until station 8 knows the cost. It never
asks PostgreSQL: where a purse has too little, the call waits a bounded time for the treasurer. A call without budgets
does not come here at all.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tollway._native.limits import LedgerError
from tollway._native.purses import Hold, Purses, PurseSet, Shortage
from tollway.contract.budgets import MOST_PICOUSD, Purse
from tollway.contract.prices import Owed, TenantPrices, owed
from tollway.contract.snapshot import Operation, Target
from tollway.errors import DependencyUnavailable, ModelForbidden, NothingToSpend
from tollway.proxy.budgets.concerned import Concerned
from tollway.proxy.budgets.treasurer import Treasurer, boot_ms
from tollway.proxy.budgets.worst import extent_of, output_tokens, worst_picousd
from tollway.proxy.exchange import Planned
from tollway.telemetry.metrics import Metrics

WAIT_S: Final = 2.0
"""A call waits so long for more money."""

PAUSE_S: Final = 0.01
"""It is left a little before the bank is asked again, which had something for others but not enough for this call."""

MOST_ALIASES: Final = 8
"""So many aliases are tried for one request."""

_GIVEN_AWAY: Final = frozenset[Operation]({"moderations", "count_tokens"})
"""What providers give away: it needs no price."""

CapOf = Callable[[Target], int | None]
"""The most tokens that a target's model can say in one answer, where it is known."""


class Reserver:
    """Reserves in one host's purses. ``clock_ms`` tells milliseconds since boot."""

    def __init__(
        self,
        purses: Purses,
        treasurer: Treasurer,
        concerned: Concerned,
        cap_of: CapOf,
        metrics: Metrics,
        *,
        clock_ms: Callable[[], int] = boot_ms,
    ) -> None:
        self._purses = purses
        self._treasurer = treasurer
        self._concerned = concerned
        self._cap_of = cap_of
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._caps: dict[str, int | None] = {}

    def purses_of(self, planned: Planned) -> tuple[Purse, ...]:
        """The purses that a call is paid from: of one without budgets none, at no cost.

        Raises:
            Forbidden: it is under more budgets than can be held at once.
        """
        return self._concerned.purses(planned)

    async def reserve(self, planned: Planned, purses: Sequence[Purse]) -> "Money":
        """Holds what the call can cost at most.

        Raises:
            NothingToSpend: a budget has too little left for it.
            ModelForbidden: a model that may be asked has no price.
            DependencyUnavailable: what is leased does not suffice, and PostgreSQL, which has the rest, is out of reach.
        """
        chosen, worst = self._chosen(planned, purses, planned.principal.record.prices)
        outcome = self._try(chosen, worst.picousd())
        if isinstance(outcome, Shortage):
            outcome = await self._wait(chosen, worst.picousd(), outcome)
        if isinstance(outcome, Shortage):
            raise self._refused(outcome, purses)
        planned.arrival.timing.mark("reserve")
        return Money(outcome, chosen, worst, self._clock_ms)

    def reserve_at_once(self, planned: Planned) -> "Money | None":
        """As :meth:`reserve`, of what is here: a copy, which nobody waits for, is dropped rather than held up. ``None``
        where no budget holds for it: no tenant has asked for it, so no budget of a tenant or a key does.

        Raises:
            Forbidden, NothingToSpend, DependencyUnavailable: as :meth:`purses_of` and :meth:`reserve`.
        """
        purses = [purse for purse in self.purses_of(planned) if _is_the_operators(purse)]
        if not purses:
            return None
        chosen, worst = self._chosen(planned, purses, None)
        outcome = self._try(chosen, worst.picousd())
        if isinstance(outcome, Shortage):
            raise self._refused(outcome, purses)
        return Money(outcome, chosen, worst, self._clock_ms)

    def _chosen(
        self, planned: Planned, purses: Sequence[Purse], prices: TenantPrices | None
    ) -> tuple[PurseSet, "_Worst"]:
        worst = _Worst(planned, purses[0].budget.name, self._cap, prices, planned.arrival.operation)
        self._treasurer.learn(purses)
        return PurseSet([purse.name for purse in purses]), worst

    def _cap(self, target: Target) -> int | None:
        said = target.takes.max_output_tokens
        if said is not None:
            return said
        if target.name not in self._caps:  # as many as there are targets in the configuration
            self._caps[target.name] = self._cap_of(target)
        return self._caps[target.name]

    def _try(self, purses: PurseSet, picousd: int) -> Hold | Shortage:
        try:
            return self._purses.reserve(purses, picousd, self._clock_ms(), time.time_ns() // 1_000_000)
        except LedgerError as error:
            message = "This gateway can't keep count of what another caller spends now. Try again shortly."
            raise DependencyUnavailable(message, inside=str(error), retry_after_s=1.0) from error

    async def _wait(self, purses: PurseSet, picousd: int, outcome: Hold | Shortage) -> Hold | Shortage:
        """Tries again whenever the bank has answered, until it has nothing more or the time is over."""
        try:
            async with asyncio.timeout(WAIT_S):
                while isinstance(outcome, Shortage) and not outcome.is_exhausted:
                    await self._treasurer.more()
                    outcome = self._try(purses, picousd)
                    if isinstance(outcome, Shortage):
                        await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            message = "What may still be spent can't be learned in time. Try again shortly."
            raise DependencyUnavailable(message, inside="the bank is slow", retry_after_s=1.0) from None
        return outcome

    def _refused(self, shortage: Shortage, purses: Sequence[Purse]) -> NothingToSpend:
        budget = next(purse.budget for purse in purses if purse.name == shortage.name)
        self._metrics.limited("budget")
        return NothingToSpend(f"The budget {budget.name!r} has too little left for this call.")


def _is_the_operators(purse: Purse) -> bool:
    return purse.budget.tenant_id is None and purse.budget.key_id is None


class _Worst:
    """What one call can cost at most, for any number of output tokens.

    Of all targets that may be asked, fallbacks too, the dearest counts. A route with a hedge may ask two at once, and
    both are paid. A copy is paid at the listed price, whatever its tenant pays.
    """

    __slots__ = ("_extent", "_now_ms", "_prices", "_times")

    def __init__(
        self, planned: Planned, budget: str, cap_of: CapOf, prices: TenantPrices | None, operation: Operation
    ) -> None:
        request = planned.request
        self._prices: list[tuple[Owed, int]] = []
        for alias, target in _targets(planned):
            price = owed(prices, alias, target.price)
            if price.price is None and operation not in _GIVEN_AWAY:
                message = f"The model {target.name!r} has no price, so the budget {budget!r} can't hold it."
                raise ModelForbidden(message, param="model")
            self._prices.append((price, output_tokens(operation, request.max_tokens, request.n, cap_of(target))))
        length = planned.arrival.headers.get(b"content-length", b"")
        sound_bytes = int(length) if length.isdigit() else None
        self._extent = extent_of(operation, request.prompt_upper_bound(), request.text_bytes, request.n, sound_bytes)
        self._now_ms = time.time_ns() // 1_000_000
        self._times = 1 if planned.route.hedge is None else 2

    def picousd(self, output_tokens: int = 0) -> int:
        """For what the request allows, or more: so many tokens of output in all."""
        costs = [
            worst_picousd(price, self._extent, max(most, output_tokens), self._now_ms) for price, most in self._prices
        ]
        return min(max(costs, default=0) * self._times, MOST_PICOUSD)


def _targets(planned: Planned) -> Iterator[tuple[str, Target]]:
    """Who may be asked, and as what: those of the plan, and those of every alias that the call may turn to."""
    yield from ((planned.route.alias, planned.route.targets[index]) for index in planned.ranking.order)
    if not planned.principal.record.may_spend:
        return  # what it may turn to is free, too
    routes, seen = planned.arrival.snapshot.routes, [planned.route.alias]
    waiting = [alias for aliases in planned.route.fallbacks.values() for alias in aliases]
    while waiting and len(seen) < MOST_ALIASES:
        alias = waiting.pop(0)
        if alias not in seen and (route := routes.get(alias)) is not None:
            seen.append(alias)
            yield from ((alias, target) for target in route.targets)
            waiting.extend(alias for aliases in route.fallbacks.values() for alias in aliases)


class Money:
    """What is held for one call: an :class:`tollway.proxy.exchange.Reserved`."""

    __slots__ = ("_clock_ms", "_hold", "_names", "_paid", "_worst")

    def __init__(self, hold: Hold, purses: PurseSet, worst: _Worst, clock_ms: Callable[[], int]) -> None:
        self._hold = hold
        self._names = tuple(purses.names)
        self._paid = 0
        self._worst = worst
        self._clock_ms = clock_ms

    @property
    def charged(self) -> tuple[str, ...]:
        """The names of the purses that it is taken from."""
        return self._names

    @property
    def held_picousd(self) -> int:
        """What is held now; 0 once it is settled."""
        return self._hold.held_picousd

    def pay(self, picousd: int) -> None:
        """Spends what one of its calls of providers has cost; with the first, what was held goes back."""
        self._paid = min(self._paid + picousd, MOST_PICOUSD)
        self._hold.settle(self._paid)

    def cancel(self) -> None:
        """Gives back what was held: no provider was called."""
        self._hold.cancel()

    def grow(self, output_tokens: int) -> bool:
        """Holds enough for so many tokens of output in all, if every purse has it; else nothing changes, and the
        treasurer asks for more."""
        return self._hold.grow(self._worst.picousd(output_tokens), self._clock_ms())
