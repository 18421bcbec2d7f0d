"""What no single field of a guardrail policy can tell. It serves the file's policies and those of the API alike.

As in ``checks``, a field that was refused holds its default here, and no second fault may come of it.
"""

from collections.abc import Iterator
from importlib import import_module

from tollway.settings.addresses import KEY_LENGTH_MIN, bad_address
from tollway.settings.conversion import nearest
from tollway.settings.document import Document, Path
from tollway.settings.guardrails import (
    CheckSettings,
    ContentCheckSettings,
    Direction,
    GuardrailSettings,
    InjectionCheckSettings,
    ModerationCheckSettings,
    PiiCheckSettings,
    PresidioCheckSettings,
    SecretsCheckSettings,
    WebhookCheckSettings,
)
from tollway.settings.model_checks import Finding
from tollway.settings.structs import Settings

DIRECTIONS: tuple[Direction, ...] = ("input", "output")

MODERATING = frozenset({"openai", "openai_compatible", "mistral"})
"""Kinds of providers that can be asked for moderations."""


def check_guardrails(settings: Settings, document: Document) -> Iterator[Finding]:
    """Everything wrong between the fields of each policy of the file."""
    for name, policy in settings.guardrails.items():
        yield from check_policy(("guardrails", name), policy, settings, document)


def check_policy(path: Path, policy: GuardrailSettings, settings: Settings, document: Document) -> Iterator[Finding]:
    """Everything wrong between the fields of one policy, and with what it says of the rest of ``settings``."""
    if policy.sample is not None and policy.mode != "monitor" and not document.is_faulty((*path, "mode")):
        yield (*path, "sample"), "belongs to the mode monitor alone: what is enforced holds for every call"
    for direction in DIRECTIONS:
        checks: tuple[CheckSettings, ...] = getattr(policy, direction)
        if document.is_written((*path, direction, len(checks))):
            continue  # one of them was refused, and the places of those after it are others
        for at, check in enumerate(checks):
            own = (*path, direction, at)
            if not document.is_faulty(own):
                yield from _check(own, check, direction, settings, document)


def _check(
    path: Path, check: CheckSettings, direction: Direction, settings: Settings, document: Document
) -> Iterator[Finding]:
    match check:
        case PiiCheckSettings() | SecretsCheckSettings() | PresidioCheckSettings():
            yield from _restoring(path, check, direction)
            if isinstance(check, SecretsCheckSettings) and check.actions:
                yield from _natively(path, check, direction)
            if isinstance(check, PresidioCheckSettings) and (why := bad_address(check.url)):
                yield (*path, "url"), why
        case InjectionCheckSettings() if direction == "output":
            yield (*path, "check"), "injection belongs to input: it looks at what users and tools tell a model"
        case ContentCheckSettings():
            yield from _natively(path, check, direction)
        case ModerationCheckSettings():
            yield from _moderation(path, check, settings, document)
        case WebhookCheckSettings():
            yield from _webhook(path, check)


def _natively(
    path: Path, check: SecretsCheckSettings | ContentCheckSettings, direction: Direction
) -> Iterator[Finding]:
    """What only the extension can tell. It is loaded for that: ``tollway doctor`` reads a file that needs it not."""
    found: Iterator[Finding] = import_module("tollway.settings.native_checks").check_natively(path, check, direction)
    return found


def _restoring(
    path: Path, check: PiiCheckSettings | SecretsCheckSettings | PresidioCheckSettings, direction: Direction
) -> Iterator[Finding]:
    if not check.restore:
        return
    if direction == "output":
        yield (*path, "restore"), "belongs to input: what is hidden there is put back into the answer"
    elif "redact" not in (check.action, *check.actions.values()):
        yield (*path, "restore"), "goes with the action redact: no other leaves a placeholder to put back"


def _moderation(
    path: Path, check: ModerationCheckSettings, settings: Settings, document: Document
) -> Iterator[Finding]:
    model = settings.models.get(check.model)
    if model is None:
        if not document.is_written(("models", check.model)):
            near = nearest(check.model, settings.models)
            yield (*path, "model"), f'there is no "{check.model}" under models{near}'
        return
    providers = [settings.providers.get(target.provider) for target in model.targets]
    if not any(provider is None or provider.kind in MODERATING for provider in providers):
        kinds = ", ".join(sorted(MODERATING))
        yield (*path, "model"), f"no target of {check.model} can be asked for moderations: that takes one of {kinds}"


def _webhook(path: Path, check: WebhookCheckSettings) -> Iterator[Finding]:
    if why := bad_address(check.url):
        yield (*path, "url"), why
    if check.secret is not None and len(check.secret.reveal()) < KEY_LENGTH_MIN:
        yield (*path, "secret"), f"should have at least {KEY_LENGTH_MIN} characters"
