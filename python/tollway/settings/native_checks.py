"""What only the native extension can tell of a check: kinds of secrets, topics, languages, patterns, schemas.

Importing it loads the extension; ``guardrail_checks`` does so at the first check that needs it.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from tollway._native import content, secrets
from tollway.settings.conversion import nearest
from tollway.settings.document import Path
from tollway.settings.guardrails import ContentCheckSettings, Direction, SecretsCheckSettings
from tollway.settings.model_checks import Finding

_PLACE = re.compile(r'^(?:deny|allow|patterns)\[(\d+)\] (?:"(?:[^"\\]|\\.)*": )?')
"""How the native matcher says which of a list is wrong."""


def check_natively(
    path: Path, check: SecretsCheckSettings | ContentCheckSettings, direction: Direction
) -> Iterator[Finding]:
    """What is wrong with the words and names of one check."""
    if isinstance(check, ContentCheckSettings):
        yield from _content(path, check, direction)
        return
    for kind in check.actions:
        yield from _listed((*path, "actions", kind), kind, secrets.KINDS, "kind of secret")


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
        yield from _listed((*path, "topics", at), topic, content.TOPICS, "topic")
    for at, language in enumerate(check.languages):
        yield from _listed((*path, "languages", at), language, content.LANGUAGES, "language")
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
        content.Schema(text)
    except ValueError as error:
        return str(error)
    return ""


def _matching(path: Path, check: ContentCheckSettings) -> Iterator[Finding]:
    """Words and patterns that can't be looked for; the native matcher says why."""
    first = 0
    while why := _unmatched(patterns=check.patterns[first:]):
        place = _PLACE.match(why)
        if place is None:
            yield (*path, "patterns"), why
            break
        at = first + int(place[1])
        yield (*path, "patterns", at), _PLACE.sub("", why)
        first = at + 1
    for name, phrases in (("deny", check.deny), ("allow", check.allow)):
        why = _unmatched(**{name: phrases})
        place = _PLACE.match(why)
        if why:
            yield (*path, name, *((int(place[1]),) if place else ())), _PLACE.sub("", why)


def _unmatched(**wanted: Sequence[str]) -> str:
    try:
        content.Matcher(**wanted)
    except ValueError as error:
        return str(error)
    return ""


def _listed(path: Path, name: str, known: Sequence[str], what: str) -> Iterator[Finding]:
    if name not in known:
        yield path, f'there is no {what} "{name}"{nearest(name, known)}'
