"""Station 5, plan: a model alias becomes an order of targets that may be asked now, best first.

In: a screened request. Out: the route, the order, and who was left out, and why. Rules, what the request needs and
what the caller may spend decide who is left; the board, by the route's strategy, which of them comes first. It knows no
provider's protocol, asks nobody, and costs the same however many aliases there are.
"""

import random

import msgspec

from tollway._native.limits import LedgerError
from tollway._native.routing import Ranking
from tollway.contract.routing import Need
from tollway.contract.snapshot import Operation, Target
from tollway.errors import (
    DependencyUnavailable,
    InvalidRequest,
    ModelForbidden,
    ModelNotFound,
    ModelUnpriced,
    NothingToSpend,
)
from tollway.proxy.exchange import Planned, Screened
from tollway.proxy.routing.compiled import NEEDS, Compiled
from tollway.proxy.routing.masks import bits
from tollway.proxy.routing.router import Router
from tollway.proxy.routing.traits import Traits

_WORDS: dict[Need, tuple[str, str]] = {
    "vision": ("images", "messages"),
    "audio": ("sound", "messages"),
    "documents": ("documents", "messages"),
    "tools": ("tools", "tools"),
    "json_schema": ("a JSON schema for its answer", "response_format"),
}
"""What a need is called in an error, and the parameter that has it."""

_UNBILLED = frozenset[Operation]({"moderations", "count_tokens"})
"""What providers give away: it needs no price."""


class Decision(msgspec.Struct, frozen=True):
    """What is decided of a call, whoever asks: ``skipped`` are targets that were left out before others were ranked."""

    compiled: Compiled
    ranking: Ranking
    rule: str | None
    skipped: tuple[tuple[int, str], ...]


class Planner:
    """Plans by what a router knows."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def plan(self, screened: Screened) -> Planned:
        """Who may be asked. When none may be asked now, the order is empty.

        Raises:
            ModelNotFound: no model of this name is configured.
            ModelForbidden: there is one, and the caller may not use it.
            InvalidRequest: none of its targets can do what is asked for, or the client's notes for rules are none.
            NothingToSpend: the caller may spend nothing, and none of its targets is free.
            ModelUnpriced: none of its targets has a price, and such are refused.
            DependencyUnavailable: the host's board is out of reach.
        """
        planned = self._plan(screened, screened.request.model)
        screened.arrival.timing.mark("plan")
        return planned

    def fallback(self, planned: Planned, alias: str) -> Planned:
        """The same request on its way to another model: whoever may not use that one does not get there this way.

        Raises:
            GatewayError: as :meth:`plan`, of ``alias``.
        """
        return self._plan(planned, alias)

    def only(self, asked: Screened | Planned, target: Target) -> Planned:
        """The same request on its way to one target and nowhere else, as a copy. The order is empty where that can't do
        it, may not be asked now, or would cost something that the caller may not spend.

        Raises:
            DependencyUnavailable: the host's board is out of reach.
        """
        alias = asked.route.alias if isinstance(asked, Planned) else asked.request.model
        compiled = self._router.alone(alias, target)
        sieve = _Sieve(compiled.everyone)
        sieve.keep(compiled.serving[asked.arrival.operation], "operation")
        if not asked.principal.record.may_spend:
            sieve.keep(compiled.free, "price")
        if self._router.refuses_unpriced and asked.arrival.operation not in _UNBILLED:
            sieve.keep(compiled.priced, "unpriced")
        _hold_back(sieve, compiled, self._router.clock_ms())
        ranking = _rank(self._router, compiled, sieve.mask, Traits.of(asked))
        return _planned(asked, Decision(compiled, ranking, None, sieve.skipped()))

    def _plan(self, asked: Screened | Planned, alias: str) -> Planned:
        compiled = permitted(self._router, alias, asked.principal.record.allowed_models)
        return _planned(asked, decide(self._router, compiled, Traits.of(asked)))


def permitted(router: Router, alias: str, allowed_models: frozenset[str] | None) -> Compiled:
    """The route of that name, for those who may use it.

    Raises:
        ModelNotFound, ModelForbidden: there is none, or it is not for them.
    """
    compiled = router.find(alias)
    if compiled is None:
        message = f"The model {alias[:128]!r} does not exist here. GET /v1/models lists those that do."
        raise ModelNotFound(message, param="model")
    if allowed_models is not None and alias not in allowed_models:
        raise ModelForbidden(f"This key may not use the model {alias!r}.", param="model")
    return compiled


def decide(router: Router, compiled: Compiled, traits: Traits) -> Decision:
    """Who may be asked, and in which order; the same for a request and for the description of one.

    Raises:
        InvalidRequest: no target that the rules leave can do what is asked for.
        NothingToSpend: none of them is free for a caller who may spend nothing.
        ModelUnpriced: none of them has a price, and such are refused.
        DependencyUnavailable: the host's board is out of reach.
    """
    is_plain = traits.operation in compiled.plain and traits.may_spend
    needs_price = router.refuses_unpriced and compiled.priced != compiled.everyone
    if is_plain and not needs_price and (compiled.is_able or not traits.needs()):
        return Decision(compiled, _rank(router, compiled, compiled.everyone, traits), None, ())
    sieve = _Sieve(compiled.everyone)
    left, rule = compiled.rules.choose(traits)
    sieve.keep(left, "rule")
    _keep_able(sieve, compiled, traits)
    if needs_price and traits.operation not in _UNBILLED:
        _keep_priced(sieve, compiled, traits)
    _hold_back(sieve, compiled, router.clock_ms())
    too_small = compiled.contexts.too_small(traits.prompt_bound()) & sieve.mask
    if too_small and too_small != sieve.mask:
        ranking = _rank(router, compiled, sieve.mask & ~too_small, traits)
        if ranking.order:
            sieve.keep(~too_small, "context")
            return Decision(compiled, ranking, rule, sieve.skipped())
    # A prompt's bound is above what it has: before nobody is asked, those are for whom it may be too long.
    return Decision(compiled, _rank(router, compiled, sieve.mask, traits), rule, sieve.skipped())


class _Sieve:
    """Who is left, and who was left out on the way."""

    __slots__ = ("_dropped", "mask")

    def __init__(self, mask: int) -> None:
        self.mask = mask
        self._dropped: list[tuple[int, str]] = []

    def keep(self, mask: int, otherwise: str) -> None:
        """Leaves out who is not in ``mask``, for a reason."""
        dropped = self.mask & ~mask
        if dropped:
            self.mask &= mask
            self._dropped.append((dropped, otherwise))

    def skipped(self) -> tuple[tuple[int, str], ...]:
        """Everyone who was left out, and why."""
        return tuple([(index, reason) for mask, reason in self._dropped for index in bits(mask)])


def _keep_able(sieve: _Sieve, compiled: Compiled, traits: Traits) -> None:
    """Leaves out who can't do what is asked for. A need that nobody can meet leaves out nobody: then the target's own
    file drops what it can't take and says so (``x-tollway-warnings``)."""
    alias, serving = compiled.route.alias, compiled.serving[traits.operation]
    if not serving & (sieve.mask or compiled.everyone):
        raise InvalidRequest(f"The model {alias!r} does not serve {traits.operation}.", param="model")
    sieve.keep(serving, "operation")
    if not traits.may_spend:
        free = compiled.free_for(traits.prices)
        if sieve.mask and not sieve.mask & free:
            raise NothingToSpend(f"This key may spend nothing, and the model {alias!r} is not free.", param="model")
        sieve.keep(free, "price")
    needs = traits.needs()
    for need in NEEDS if needs and sieve.mask else ():
        if need not in needs:
            continue
        if compiled.able[need] & sieve.mask:
            sieve.keep(compiled.able[need], need)
        elif traits.is_strict:
            word, param = _WORDS[need]
            raise InvalidRequest(f"The model {alias!r} does not take {word}.", param=param)


def _keep_priced(sieve: _Sieve, compiled: Compiled, traits: Traits) -> None:
    """Leaves out whose calls could not be billed."""
    priced = compiled.priced_for(traits.prices)
    if sieve.mask and not sieve.mask & priced:
        message = f"The model {compiled.route.alias!r} has no price, and this gateway serves no model without one."
        raise ModelUnpriced(message, param="model")
    sieve.keep(priced, "unpriced")


def _hold_back(sieve: _Sieve, compiled: Compiled, now_ms: int) -> None:
    sieve.keep(~compiled.held.drained, "drained")
    sieve.keep(~compiled.held.opened(now_ms), "opened")


def _rank(router: Router, compiled: Compiled, mask: int, traits: Traits) -> Ranking:
    board, pool, now_ms, stream = router.board, compiled.pool, router.clock_ms(), traits.said.stream
    chance = random.getrandbits(64)  # load spreading, no secret
    try:
        match compiled.route.strategy:
            case "cost":
                prompt, output = traits.tokens()
                pool = compiled.pools.pool(now_ms, prompt)
                return board.rank(pool, mask, now_ms, chance, stream=stream, prompt_tokens=prompt, output_tokens=output)
            case "sticky":
                # Where nothing tells calls apart, they are spread.
                sticky = traits.sticky(compiled.route.sticky_by) or chance
                return board.rank(pool, mask, now_ms, chance, stream=stream, sticky=sticky)
            case _:
                return board.rank(pool, mask, now_ms, chance, stream=stream)
    except LedgerError as error:
        message = "This gateway can't tell now which of its providers may be asked. Try again shortly."
        raise DependencyUnavailable(message, inside=str(error), retry_after_s=1.0) from error


def _planned(asked: Screened | Planned, decision: Decision) -> Planned:
    return Planned(
        asked.arrival,
        asked.principal,
        asked.request,
        decision.compiled.route,
        decision.compiled.pool,
        decision.ranking,
        decision.rule,
        decision.skipped,
        asked.guard,
    )
