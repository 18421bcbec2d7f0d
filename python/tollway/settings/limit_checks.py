"""What no single field of a limit can tell: that no call can come under more of them than it has room for."""

from collections.abc import Iterator
from itertools import product

import msgspec

from tollway.settings.document import Document, Path, dotted
from tollway.settings.limit_rules import LimitRuleSettings
from tollway.settings.model_checks import Finding
from tollway.settings.structs import Settings
from tollway.settings.values import LimitSettings

MOST_LIMITS = 8
"""As ``tollway.contract.limits`` has it, which settings may not know; a test holds them together."""

MOST_OF_RULES = 16
"""What a call has room for beside its tenant's and its key's: ``tollway._native.limits`` takes 32 in all."""


def check_limits(settings: Settings, document: Document) -> Iterator[Finding]:
    """Everything wrong with limits, wherever they stand."""
    if not document.is_faulty(("limit_rules",)):
        yield from _rules(settings)
    for path, limits in _all_limits(settings):
        if isinstance(limits, LimitSettings) and (count := count_of(limits)) > MOST_LIMITS:
            yield path, f"has {count} limits; {MOST_LIMITS} are the most"


def _rules(settings: Settings) -> Iterator[Finding]:
    names: dict[str, Path] = {}
    for at, rule in enumerate(settings.limit_rules):
        path: Path = ("limit_rules", at)
        if (other := names.setdefault(rule.name, path)) != path:
            yield (*path, "name"), f"is the name of {dotted(other)} already"
        if len(set(rule.per)) < len(rule.per):
            yield (*path, "per"), f"has {rule.per[0]} twice"
        if isinstance(rule.limits, LimitSettings) and not count_of(rule.limits):
            yield (*path, "limits"), "has no limit in it"
    count, model, tenant = max(_held(settings), key=lambda held: held[0])
    if count > MOST_OF_RULES:
        whose = "".join([f" of the tenant {tenant}" if tenant else "", f" to the model {model}" if model else ""])
        yield ("limit_rules",), f"may hold a call{whose} by {count} limits at once; {MOST_OF_RULES} are the most"


def _held(settings: Settings) -> Iterator[tuple[int, str, str]]:
    """How many limits of rules may hold a call, by model and tenant, empty for one that no rule names. Of keys and
    users the worst is assumed."""
    rules = settings.limit_rules
    models = {"", *(alias for rule in rules for alias in rule.model)}
    tenants = {"", *(name for rule in rules for name in rule.tenant)}
    counts = [(rule, _count_of_rule(rule, settings)) for rule in rules]
    for model, tenant in product(sorted(models), sorted(tenants)):
        matching = (
            count
            for rule, count in counts
            if (not rule.model or model in rule.model) and (not rule.tenant or tenant in rule.tenant)
        )
        yield sum(matching), model, tenant


def _count_of_rule(rule: LimitRuleSettings, settings: Settings) -> int:
    limits = settings.limits.get(rule.limits) if isinstance(rule.limits, str) else rule.limits
    return 0 if limits is None else count_of(limits)


def count_of(limits: LimitSettings) -> int:
    """How many limits are set."""
    return sum(number is not None for number in msgspec.structs.astuple(limits))


def _all_limits(settings: Settings) -> Iterator[tuple[Path, LimitSettings | str | None]]:
    for name, limits in settings.limits.items():
        yield ("limits", name), limits
    for name, provider in settings.providers.items():
        for at, provider_key in enumerate(provider.keys):
            yield ("providers", name, "keys", at, "limits"), provider_key.limits
    for name, tenant in settings.tenants.items():
        yield ("tenants", name, "limits"), tenant.limits
        for key_name, key in tenant.keys.items():
            yield ("tenants", name, "keys", key_name, "limits"), key.limits
    for at, rule in enumerate(settings.limit_rules):
        yield ("limit_rules", at, "limits"), rule.limits
