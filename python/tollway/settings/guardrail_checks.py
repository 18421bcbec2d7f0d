"""What no single field of a guardrail policy can tell. It serves the file's policies and those of the API alike.

As in ``checks``, a field that was refused holds its default here, and no second fault may come of it.
"""

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Literal

import msgspec

from tollway.settings.addresses import KEY_LENGTH_MIN, bad_address
from tollway.settings.conversion import nearest
from tollway.settings.document import Document, Path
from tollway.settings.guardrails import (
    CheckSettings,
    ContentCheckSettings,
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

Direction = Literal["input", "output"]
DIRECTIONS: tuple[Direction, ...] = ("input", "output")

_PLACE = re.compile(r'^(?:deny|allow|patterns)\[(\d+)\] (?:"(?:[^"\\]|\\.)*": )?')
"""How the native matcher says which of a list is wrong."""

MODERATING = frozenset({"openai", "openai_compatible", "mistral"})
"""Kinds of providers that can be asked for moderations."""


def _native(name: str) -> Any:
    """A native module, loaded by the first policy that needs it: ``tollway doctor`` reads a file without it."""
    return import_module(f"tollway._native.{name}")


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
            if isinstance(check, SecretsCheckSettings):
                for kind in check.actions:
                    yield from _listed((*path, "actions", kind), kind, _native("secrets").KINDS, "kind of secret")
            if isinstance(check, PresidioCheckSettings) and (why := bad_address(check.url)):
                yield (*path, "url"), why
        case InjectionCheckSettings() if direction == "output":
            yield (*path, "check"), "injection belongs to input: it looks at what users and tools tell a model"
        case ContentCheckSettings():
            yield from _content(path, check, direction)
        case ModerationCheckSettings():
            yield from _moderation(path, check, settings, document)
        case WebhookCheckSettings():
            yield from _webhook(path, check)


def _restoring(
    path: Path, check: PiiCheckSettings | SecretsCheckSettings | PresidioCheckSettings, direction: Direction
) -> Iterator[Finding]:
    if not check.restore:
        return
    if direction == "output":
        yield (*path, "restore"), "belongs to input: what is hidden there is put back into the answer"
    elif "redact" not in (check.action, *check.actions.values()):
        yield (*path, "restore"), "goes with the action redact: no other leaves a placeholder to put back"


def _content(path: Path, check: ContentCheckSettings, direction: Direction) -> Iterator[Finding]:
    said = bool(check.deny or check.patterns or check.topics)
    of_whole = [name for name in ("languages", "max_characters", "json_schema") if getattr(check, name)]
    if check.allow and not said:
        yield (*path, "allow"), "goes with deny, patterns or topics: without them there is nothing to take out"
    elif not said and not of_whole:
        yield path, "looks for nothing: give it deny, patterns, topics, languages, max_characters or json_schema"
    if of_whole and check.action not in ("allow", "flag", "block"):
        whole = "can only be allowed, flagged or blocked; what is to be rewritten is a check of its own"
        yield (*path, "action"), f"{check.action} is for parts of a text: what {of_whole[0]} finds {whole}"
    for at, topic in enumerate(check.topics):
        yield from _listed((*path, "topics", at), topic, _native("content").TOPICS, "topic")
    for at, language in enumerate(check.languages):
        yield from _listed((*path, "languages", at), language, _native("content").LANGUAGES, "language")
    yield from _matching(path, check)
    if check.json_schema is None:
        return
    if direction == "input":
        yield (*path, "json_schema"), "belongs to output: it is the answer that must hold to it"
    elif why := _bad_schema(check.json_schema):
        yield (*path, "json_schema"), why


def _bad_schema(text: str) -> str:
    try:
        schema = msgspec.json.decode(text)
    except (ValueError, RecursionError):  # msgspec's own is a ValueError
        return "is not JSON; in YAML it is best written as a block that begins with |"
    if not isinstance(schema, dict):
        return "should be a JSON object"
    try:
        _native("content").Schema(text)
    except ValueError as error:
        return str(error)
    return ""


def _matching(path: Path, check: ContentCheckSettings) -> Iterator[Finding]:
    """Words and patterns that can't be looked for; the native matcher says why, of patterns one by one."""
    for at, pattern in enumerate(check.patterns):
        if why := _unmatched(patterns=(pattern,)):
            yield (*path, "patterns", at), _PLACE.sub("", why)
    for name, phrases in (("deny", check.deny), ("allow", check.allow)):
        why = _unmatched(**{name: phrases})
        place = _PLACE.match(why)
        if why:
            yield (*path, name, *((int(place[1]),) if place else ())), _PLACE.sub("", why)


def _unmatched(**wanted: Sequence[str]) -> str:
    try:
        _native("content").Matcher(**wanted)
    except ValueError as error:
        return str(error)
    return ""


def _listed(path: Path, name: str, known: Sequence[str], what: str) -> Iterator[Finding]:
    if name not in known:
        yield path, f'there is no {what} "{name}"{nearest(name, known)}'


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
