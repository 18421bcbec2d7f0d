"""What no single field of ``models`` can tell: who can answer, and whether rules lead anywhere.

As in ``checks``, a field that was refused holds its default here, and no second fault may come of it.
"""

from collections.abc import Iterator
from itertools import chain

from tollway.settings.conversion import nearest
from tollway.settings.document import Document, Path, dotted
from tollway.settings.providers import ProviderSettings
from tollway.settings.routing import ModelSettings, RuleSettings, WhenSettings
from tollway.settings.structs import Settings

Finding = tuple[Path, str]
"""Where something is wrong, and what."""

PROOFS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})
"""Headers that hold a caller's secret: none of them belongs into a rule, where everybody reads it."""


def check_models(settings: Settings, document: Document) -> Iterator[Finding]:
    """Everything wrong between the fields of each model."""
    names: dict[str, tuple[str, str]] = {}
    for alias, model in settings.models.items():
        path = ("models", alias)
        yield from _targets((*path, "targets"), model, settings, document)
        if not document.is_faulty((*path, "targets")):
            yield from _same_names((*path, "targets"), model, names)
        if model.sticky_by is not None and model.strategy != "sticky" and not document.is_faulty((*path, "strategy")):
            yield (*path, "sticky_by"), "belongs to the strategy sticky alone"
        retries = model.retries
        yield from not_in_order(
            (*path, "retries"),
            ("backoff", retries.backoff_s),
            ("max_backoff", retries.max_backoff_s),
            document,
            follows="max_backoff",
        )
        if not document.is_faulty((*path, "rules"), (*path, "targets")):
            yield from _rules((*path, "rules"), model)


def not_in_order(
    path: Path, low: tuple[str, float], high: tuple[str, float], document: Document, *, follows: str
) -> Iterator[Finding]:
    """The fault of two durations of which the first should not be the longer; told where the file has one of them.

    The one that ``follows`` is as long as the other needs it to be, unless the file has it.
    """
    (low_name, low_s), (high_name, high_s) = low, high
    if low_s <= high_s or document.is_faulty((*path, low_name), (*path, high_name)):
        return
    if not document.is_written((*path, follows)):
        return
    if document.is_written((*path, low_name)):
        yield (*path, low_name), f"is longer than {high_name}, which is {high_s:g} s"
    else:
        yield (*path, high_name), f"is shorter than {low_name}, which is {low_s:g} s"


def _targets(path: Path, model: ModelSettings, settings: Settings, document: Document) -> Iterator[Finding]:
    if document.is_written((*path, len(model.targets))):
        return  # one of them was refused
    if not any(target.weight for target in model.targets) and not document.is_faulty(path):
        yield path, "every weight is 0; one should be more"
    providers = [settings.providers.get(target.provider) for target in model.targets]
    if any(provider is None or _lacks_key(provider) for provider in providers):
        return  # has its faults already
    if not settings.answering(model.targets):
        names = ", ".join(dict.fromkeys(target.provider for target in model.targets))
        yield path, f"no target can answer: the api_key of {names} is empty"


def _same_names(path: Path, model: ModelSettings, names: dict[str, tuple[str, str]]) -> Iterator[Finding]:
    """Two targets that ``provider/model``, by which their state is known, does not tell apart: ``a/b`` and ``c`` are
    ``a`` and ``b/c``."""
    for at, target in enumerate(model.targets):
        name, own = f"{target.provider}/{target.model}", (target.provider, target.model)
        if (other := names.setdefault(name, own)) != own:
            yield (*path, at), f'is called {name}, as is "{other[1]}" of {other[0]}; the provider needs another name'


def _rules(path: Path, model: ModelSettings) -> Iterator[Finding]:
    tags = set(chain.from_iterable(target.tags for target in model.targets))
    names: dict[str, Path] = {}
    for at, rule in enumerate(model.rules):
        own = (*path, at)
        if (other := names.setdefault(rule.name, own)) != own:
            yield (*own, "name"), f"is the name of {dotted(other)} already"
        unknown = [(index, tag) for index, tag in enumerate(rule.to) if tag not in tags]
        for index, tag in unknown:
            yield (*own, "to", index), f'no target has the tag "{tag}"{nearest(tag, tags)}'
        if (
            rule.share is not None
            and rule.share < 1
            and all(set(rule.to) & set(target.tags) for target in model.targets)
        ):
            yield (*own, "to"), "every target has one of these tags; none is left for the users outside the share"
        if _always_holds(rule) and at < len(model.rules) - 1:
            yield own, "always holds, so that no rule after it ever does; it belongs at the end"
        yield from _when((*own, "when"), rule.when)


def _always_holds(rule: RuleSettings) -> bool:
    return rule.when == WhenSettings() and rule.share is None


def _when(path: Path, when: WhenSettings) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name in when.header:
        if name.lower() in PROOFS:
            yield (*path, "header", name), "holds a secret of the caller's; a rule asks for the tenant instead"
        if (other := first.setdefault(name.lower(), name)) != name:
            yield (*path, "header", name), f'is "{other}" once more: the case of a header makes no difference'
    if when.tokens_over is not None and when.tokens_up_to is not None and when.tokens_over >= when.tokens_up_to:
        yield (*path, "tokens_up_to"), f"no prompt has more than {when.tokens_over:,} tokens and no more than these"


def _lacks_key(provider: ProviderSettings) -> bool:
    return provider.needs_key and provider.key is None
