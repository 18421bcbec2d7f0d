"""Why a call went where it went: plans and attempts as plain data, for the log, for people, and as an answer.

It holds names of the configuration, states and times. What a client wrote, in its body, its headers or its notes, and
what a provider's key is never get into it.
"""

import time
from collections.abc import Sequence
from typing import Any, TypedDict

from tollway._native.routing import Ranking
from tollway.contract.described import Described
from tollway.contract.snapshot import Price, Route, Target
from tollway.proxy.exchange import Planned, Trail, Tried
from tollway.proxy.routing.plan import decide, permitted
from tollway.proxy.routing.router import Router
from tollway.proxy.routing.traits import Traits, guessed_usd

MOST_LOGGED = 16
"""So many candidates are in a line of the log; all of them are in the answer to a dry run."""


class Candidate(TypedDict):
    """A target of a plan. ``score`` orders it by the route's strategy, less is better; ``skipped`` is why it was left
    out before any were ranked, and then nothing is said of its state."""

    target: str
    tags: list[str]
    weight: int
    tier: int
    cost_usd: float | None
    skipped: str | None
    state: str | None
    until_ms: int | None
    score: float | None
    in_flight: int | None
    latency_ms: float | None


class Plan(TypedDict):
    """A decision: ``order`` names who may be asked, best first; ``retry_at_ms`` is when one more may be, if known."""

    model: str
    strategy: str
    rule: str | None
    candidates: list[Candidate]
    order: list[str]
    retry_at_ms: int | None


class Attempt(TypedDict):
    """A call of a provider; times are milliseconds since the request arrived. ``key`` is the name of a key."""

    model: str
    target: str
    key: str
    began_ms: float
    took_ms: float
    status: int
    result: str
    then: str


class Refusal(TypedDict):
    """A model that a request could not turn to, and the code of the error that says why."""

    model: str
    code: str


class Record(TypedDict):
    """A request's way: a plan for each model that it was planned for, and every call that was made."""

    plans: list[Plan]
    refused: list[Refusal]
    attempts: list[Attempt]


def explain(router: Router, call: Described) -> Record:
    """What would be decided now of a call that nobody makes.

    Raises:
        tollway.errors.GatewayError: it would be refused: as :meth:`tollway.proxy.routing.plan.Planner.plan`.
    """
    compiled = permitted(router, call.model, call.allowed_models)
    traits = Traits.described(call)
    decision = decide(router, compiled, traits)
    plan = _plan(compiled.route, decision.rule, decision.skipped, decision.ranking, traits.tokens())
    return {"plans": [plan], "refused": [], "attempts": []}


def decision(planned: Planned) -> Record:
    """What is decided of a request, before anybody is called."""
    return {"plans": [_planned(planned)], "refused": [], "attempts": []}


def record(trail: Trail) -> Record:
    """Where a request has been."""
    return {
        "plans": [_planned(plan) for plan in trail.plans],
        "refused": [{"model": alias, "code": code} for alias, code in trail.refused],
        "attempts": [_attempt(tried) for tried in trail.tried],
    }


def summary(trail: Trail) -> dict[str, Any]:
    """The same in few words, for the log's line of the request: what the cache did; candidates where there was a
    choice, each with its state, score and calls in flight; attempts where there is something to tell.
    """
    told: dict[str, Any] = {"cache": trail.cache} if trail.cache else {}
    if not trail.plans:
        return told
    first, tried = trail.plans[0], trail.tried
    told["strategy"] = first.route.strategy
    if first.rule is not None:
        told["rule"] = first.rule
    if tried:
        told["chosen"] = tried[-1].target
    if len(first.route.targets) > 1:
        told["candidates"] = _weighed(first)
    if any([len(plan.ranking.order) < len(plan.route.targets) for plan in trail.plans]):
        told["skipped"] = {
            plan.route.targets[index].name: reason for plan in trail.plans for index, reason in _left_out(plan)
        }
    if len(tried) > 1 or (tried and tried[0].result != "ok"):
        told["attempts"] = [_attempt(each) for each in tried]
    return told


def _weighed(plan: Planned) -> dict[str, tuple[str, float | None, int]]:
    targets = plan.route.targets
    states = plan.ranking.states()[:MOST_LOGGED]
    return {targets[index].name: (state, score, in_flight) for index, state, score, in_flight, _, _ in states}


def _left_out(plan: Planned) -> list[tuple[int, str]]:
    """Who was not to be asked, and why: by the plan, or by its state."""
    order = plan.ranking.order
    if len(order) + len(plan.skipped) == len(plan.route.targets):
        return list(plan.skipped)
    return [*plan.skipped, *((index, state) for index, state, *_ in plan.ranking.states() if index not in order)]


def _planned(planned: Planned) -> Plan:
    tokens = Traits.of(planned).tokens()
    return _plan(planned.route, planned.rule, planned.skipped, planned.ranking, tokens)


def _plan(
    route: Route,
    rule: str | None,
    skipped: Sequence[tuple[int, str]],
    ranking: Ranking,
    tokens: tuple[int, int],
) -> Plan:
    reasons = dict(skipped)
    states = {state[0]: state for state in ranking.states()}
    candidates = []
    for index, target in enumerate(route.targets):
        candidate = _candidate(target, tokens, reasons.get(index))
        if index in states:
            _, state, score, in_flight, latency_us, until_ms = states[index]
            candidate["state"], candidate["score"], candidate["in_flight"] = state, score, in_flight
            candidate["latency_ms"] = None if latency_us is None else latency_us / 1_000
            candidate["until_ms"] = until_ms or None
        candidates.append(candidate)
    return {
        "model": route.alias,
        "strategy": route.strategy,
        "rule": rule,
        "candidates": candidates,
        "order": [route.targets[index].name for index in ranking.order],
        "retry_at_ms": ranking.retry_at_ms or None,
    }


def _candidate(target: Target, tokens: tuple[int, int], skipped: str | None) -> Candidate:
    return {
        "target": target.name,
        "tags": sorted(target.tags),
        "weight": target.weight,
        "tier": target.tier,
        "cost_usd": _guessed(target.price, tokens),
        "skipped": skipped,
        "state": None,
        "until_ms": None,
        "score": None,
        "in_flight": None,
        "latency_ms": None,
    }


def _guessed(price: Price | None, tokens: tuple[int, int]) -> float | None:
    return None if price is None else guessed_usd(price.for_call(time.time_ns() // 1_000_000, tokens[0]), *tokens)


def _attempt(tried: Tried) -> Attempt:
    return {
        "model": tried.alias,
        "target": tried.target,
        "key": tried.key,
        "began_ms": round(tried.began_ns / 1e6, 3),
        "took_ms": round(tried.took_ns / 1e6, 3),
        "status": tried.status,
        "result": tried.result,
        "then": tried.then,
    }
