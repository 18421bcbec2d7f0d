"""Which limits a call is under: its tenant's, its key's, and those of the rules that it matches.

In: a request of a known caller. Out: the limits as the ledger takes them, compiled once for each key, user and model
that meet, and kept. It asks nobody and counts nothing.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from tollway._native.limits import LimitSet
from tollway.contract.keys import KeyRecord
from tollway.contract.limits import LIMIT_FIELDS, LimitRule, LimitValues, Per
from tollway.contract.snapshot import Snapshot
from tollway.proxy.exchange import Principal, Received, user_of

KEPT = 10_000
"""Compiled limits kept per worker; the oldest are compiled anew, which takes some microseconds."""

LONGEST_NAME = 128
"""Characters of a user's name; a longer one is known by its digest."""

_Rules = Sequence[tuple[str, str, int, int]]


class Held(msgspec.Struct, frozen=True):
    """The limits of one call, ``None`` where there are none. An answer that outgrows one of those at the positions
    ``cutting`` ends there. The scopes ``shared`` are other tenants' too."""

    limits: LimitSet | None
    cutting: frozenset[int] = frozenset()
    shared: frozenset[str] = frozenset()


def compile_principal(record: KeyRecord, default: LimitValues) -> Principal:
    """A key's record with its limits made ready for the ledger.

    The tenant's limits are its own, else the ``default``; a key's own limits hold beside them.
    """
    return Principal(record, compile_limits(*_scopes(record, default), shared=True))


def compile_limits(*scopes: tuple[str, LimitValues], shared: bool = False) -> LimitSet | None:
    """The limits of these scopes, ready for the ledger; ``None`` when nothing is limited. ``shared``: hosts hold them
    together, where there are several."""
    rules = [rule for scope, values in scopes for rule in _rules(scope, values)]
    return LimitSet(rules, shared=shared) if rules else None


def _scopes(record: KeyRecord, default: LimitValues) -> list[tuple[str, LimitValues]]:
    scopes = [(f"tenant:{record.tenant_id}", record.tenant_limits or default)]
    if record.key_limits is not None:
        scopes.append((f"key:{record.key_id}", record.key_limits))
    return scopes


def _rules(scope: str, values: LimitValues) -> list[tuple[str, str, int, int]]:
    found = ((kind, getattr(values, field), window_ms) for field, kind, window_ms in LIMIT_FIELDS)
    return [(scope, kind, limit, window_ms) for kind, limit, window_ms in found if limit is not None]


class LimitBook:
    """One worker's."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._rules = snapshot.limit_rules
        self._default = snapshot.default_limits
        self._models = snapshot.routes
        self._asks_user = any("user" in rule.per or rule.users is not None for rule in self._rules)
        self._known: dict[tuple[str, str | None, str | None], tuple[Principal, Held]] = {}

    def held(self, received: Received) -> Held:
        """The limits of a call."""
        principal = received.principal
        if not self._rules:
            return Held(principal.limits)
        # Made-up names of models are refused soon enough; until then they shall not take room in the ledger.
        model = received.request.model if received.request.model in self._models else None
        user = _shortened(user_of(received)) if self._asks_user else None
        key = (principal.record.key_id, model, user)
        known = self._known.get(key)
        if known is not None and known[0] is principal:
            return known[1]
        held = self._compiled(principal.record, model, user)
        self._known.pop(key, None)
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[key] = (principal, held)
        return held

    def _compiled(self, record: KeyRecord, model: str | None, user: str | None) -> Held:
        rules = [rule for scope, values in _scopes(record, self._default) for rule in _rules(scope, values)]
        cutting: set[int] = set()
        shared: set[str] = set()
        for rule in self._rules:
            if not _matches(rule, record, model, user):
                continue
            scope = _scope(rule, record, model, user)
            own = _rules(scope, rule.limits)
            if "tenant" not in rule.per and "key" not in rule.per:
                shared.add(scope)
            if rule.on_exceed == "cut":
                cutting.update(range(len(rules), len(rules) + len(own)))
            rules += own
        compiled = LimitSet(rules, shared=True) if rules else None
        return Held(compiled, frozenset(cutting), frozenset(shared))


def _shortened(user: str | None) -> str | None:
    if user is None or len(user) <= LONGEST_NAME:
        return user
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()


def _matches(rule: LimitRule, record: KeyRecord, model: str | None, user: str | None) -> bool:
    """A rule for each model has nothing to say of one that is not known."""
    return (
        (rule.tenants is None or record.tenant_id in rule.tenants or record.tenant_name in rule.tenants)
        and (rule.keys is None or record.key_id in rule.keys or f"{record.tenant_name}/{record.key_name}" in rule.keys)
        and (rule.users is None or user in rule.users)
        and (rule.models is None or model in rule.models)
        and not (model is None and "model" in rule.per)
    )


def _scope(rule: LimitRule, record: KeyRecord, model: str | None, user: str | None) -> str:
    """What the counters of a rule are named by: ``rule:per-user|user|user:alice``.

    Calls that name no user count as those of one user for each key: leaving the name out is no way around a limit.
    """
    values: dict[Per, str] = {
        "tenant": f"tenant:{record.tenant_id}",
        "key": f"key:{record.key_id}",
        "user": f"user:{user}" if user is not None else f"key:{record.key_id}",
        "model": f"model:{model}",
    }
    return "|".join([f"rule:{rule.name}", " and ".join(rule.per), *(values[each] for each in rule.per)])
