"""Rules of a route: the first one that holds says which targets may be asked.

A rule with a share also says who may not: its targets are for its users alone, whatever other rule holds, unless that
one names the same tag.
"""

from collections.abc import Sequence

import msgspec

from tollway.contract.routing import Rule, When
from tollway.contract.snapshot import Target
from tollway.proxy.routing.masks import joined
from tollway.proxy.routing.traits import Traits, number_of

_WHOLE = 2**64


class _Compiled(msgspec.Struct, frozen=True):
    """A rule, and a bit for each target that it leaves."""

    rule: Rule
    leaves: int


class Rules:
    """The rules of one route, compiled for its targets."""

    def __init__(self, alias: str, rules: Sequence[Rule], targets: Sequence[Target]) -> None:
        self._alias = alias
        everyone = (1 << len(targets)) - 1
        shared = [(rule.to, _tagged(rule.to, targets)) for rule in rules if rule.share is not None]
        self._rules = tuple(
            _Compiled(
                rule, _tagged(rule.to, targets) & ~joined(mask for tags, mask in shared if tags.isdisjoint(rule.to))
            )
            for rule in rules
        )
        self._others = everyone & ~joined(mask for _, mask in shared)
        """Who may be asked when no rule holds."""

    def choose(self, traits: Traits) -> tuple[int, str | None]:
        """A bit for each target that may be asked, and the name of the rule that says so."""
        for compiled in self._rules:
            rule = compiled.rule
            if holds(rule.when, traits) and (rule.share is None or self._is_dealt(rule.name, rule.share, traits)):
                return compiled.leaves, rule.name
        return self._others, None

    def _is_dealt(self, name: str, share: float, traits: Traits) -> bool:
        return number_of(name, self._alias, traits.user()) < share * _WHOLE


def holds(when: When, traits: Traits) -> bool:
    """Whether a request is what a rule asks for: every part of it that is set."""
    if when.tenants and when.tenants.isdisjoint((traits.tenant_id, traits.tenant_name)):
        return False
    if any(traits.header(name) not in values for name, values in when.headers.items()):
        return False
    if when.needs and when.needs.isdisjoint(traits.needs()):
        return False
    if when.tokens_over is not None and traits.prompt_bound() <= when.tokens_over:
        return False
    if when.tokens_up_to is not None and traits.prompt_bound() > when.tokens_up_to:
        return False
    if not when.metadata:
        return True
    notes = traits.metadata()
    return all(notes.get(name) in values for name, values in when.metadata.items())


def _tagged(tags: frozenset[str], targets: Sequence[Target]) -> int:
    return joined(1 << index for index, target in enumerate(targets) if not tags.isdisjoint(target.tags))
