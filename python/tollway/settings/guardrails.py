"""The section ``guardrails``: what a text must pass on its way in and out.

A policy is written alike in the file and in the API (``policies`` reads it there). A check says what it is by
``check``; the rest of its fields depends on that.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from tollway.settings.values import Confidence, Entity, HttpAddress, Seconds, Secret, Share

Action = Literal["allow", "flag", "redact", "mask", "hash", "block"]
OnError = Literal["open", "closed"]
Direction = Literal["input", "output"]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2}$")]
"""ISO 639-1."""

Kind = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=64)]
Category = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_/-]*$", max_length=64)]
PresidioEntity = Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=64)]
CheckName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]
"""Names of checks stand in reports and in labels of metrics."""

Phrase = Annotated[str, Meta(min_length=1, max_length=256)]
Pattern = Annotated[str, Meta(min_length=1, max_length=1024)]

_ACTION = "What is done: allow (nothing), flag (recorded), redact, mask, hash, or block."
_RESTORE = "For redact: the originals are put back into what the same client receives."
_TIMEOUT = Meta(ge=0.01, le=2, description="How long it may take.")
_ON_ERROR = Meta(description="Where it does not answer: open lets the text pass, closed refuses the call.")
_THRESHOLD = Meta(description="From which confidence on it counts, 0 to 1.")


class PiiCheckSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="check", tag="pii"
):
    """Personal data."""

    action: Annotated[Action, Meta(description=_ACTION)]
    entities: Annotated[
        Annotated[tuple[Entity, ...], Meta(min_length=1, max_length=256)] | None,
        Meta(description="What to look for; all there are unless given."),
    ] = None
    actions: Annotated[
        dict[Entity, Action], Meta(max_length=256, description="Another action for some; they are looked for as well.")
    ] = {}
    threshold: Annotated[Confidence, _THRESHOLD] = 0.5
    restore: Annotated[bool, Meta(description=_RESTORE)] = False


class SecretsCheckSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="check", tag="secrets"
):
    """Keys, tokens and passwords."""

    action: Annotated[Action, Meta(description=_ACTION)]
    actions: Annotated[dict[Kind, Action], Meta(max_length=256, description="Another action for some kinds.")] = {}
    threshold: Annotated[Confidence, _THRESHOLD] = 0.5
    restore: Annotated[bool, Meta(description=_RESTORE)] = False


class InjectionCheckSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="check", tag="injection"
):
    """Attacks on the instructions of a model, in a request."""

    action: Annotated[Literal["flag", "block"], Meta(description="Record the call, or refuse it.")]
    threshold: Annotated[Confidence, Meta(description="From which score on it counts, 0 to 1.")] = 0.5
    where: Annotated[
        tuple[Literal["user", "tool"], ...],
        Meta(min_length=1, max_length=2, description="Texts of users; results of tools, documents and files."),
    ] = ("user", "tool")


class ContentCheckSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="check", tag="content"
):
    """What a text may not say."""

    action: Annotated[Action, Meta(description=_ACTION)]
    name: Annotated[CheckName, Meta(description="What reports call it.")] = "content"
    deny: Annotated[tuple[Phrase, ...], Meta(max_length=10_000, description="Words and phrases.")] = ()
    patterns: Annotated[tuple[Pattern, ...], Meta(max_length=200, description="Regular expressions.")] = ()
    topics: Annotated[tuple[Kind, ...], Meta(max_length=64, description="Lists of words that come with Tollway.")] = ()
    allow: Annotated[
        tuple[Phrase, ...], Meta(max_length=10_000, description="Words and phrases that none of these may hit.")
    ] = ()
    languages: Annotated[
        tuple[Language, ...], Meta(max_length=64, description="A text must be in one of them (ISO 639-1).")
    ] = ()
    max_characters: Annotated[
        Annotated[int, Meta(ge=1, le=100_000_000)] | None, Meta(description="A text must not be longer.")
    ] = None
    json_schema: Annotated[
        Annotated[str, Meta(min_length=2, max_length=65_536)] | None,
        Meta(description="An answer must be JSON that this JSON schema takes; output only."),
    ] = None


class ModerationCheckSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="check", tag="moderation"
):
    """Categories of a moderation model."""

    action: Annotated[Literal["flag", "block"], Meta(description="Record the call, or refuse it.")]
    model: Annotated[str, Meta(min_length=1, max_length=128, description="A name under models.")]
    categories: Annotated[
        tuple[Category, ...], Meta(max_length=64, description="Those that count; all that it flags unless given.")
    ] = ()
    threshold: Annotated[Confidence, Meta(description="From which score of a category on it counts, 0 to 1.")] = 0.5
    timeout_s: Annotated[Seconds, _TIMEOUT] = field(default=2.0, name="timeout")
    on_error: Annotated[OnError, _ON_ERROR] = "closed"


class WebhookCheckSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="check", tag="webhook"
):
    """Somebody else's judgement."""

    url: Annotated[HttpAddress, Meta(description="Where texts are sent to.")]
    name: Annotated[CheckName, Meta(description="What reports call it.")] = "webhook"
    secret: Annotated[Secret | None, Meta(description="Signs what is sent; best a variable.")] = None
    timeout_s: Annotated[Seconds, _TIMEOUT] = field(default=0.5, name="timeout")
    on_error: Annotated[OnError, _ON_ERROR] = "closed"


class PresidioCheckSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="check", tag="presidio"
):
    """Names, places and whatever else a Presidio analyzer knows."""

    url: Annotated[HttpAddress, Meta(description="Of the analyzer, without /analyze.")]
    action: Annotated[Action, Meta(description=_ACTION)]
    entities: Annotated[
        tuple[PresidioEntity, ...], Meta(min_length=1, max_length=128, description="Its names of what to look for.")
    ]
    actions: Annotated[
        dict[PresidioEntity, Action],
        Meta(max_length=128, description="Another action for some; they are looked for as well."),
    ] = {}
    language: Annotated[Language, Meta(description="Of the texts (ISO 639-1).")] = "en"
    threshold: Annotated[Confidence, _THRESHOLD] = 0.5
    restore: Annotated[bool, Meta(description=_RESTORE)] = False
    timeout_s: Annotated[Seconds, _TIMEOUT] = field(default=1.0, name="timeout")
    on_error: Annotated[OnError, _ON_ERROR] = "closed"


CheckSettings = (
    PiiCheckSettings
    | SecretsCheckSettings
    | InjectionCheckSettings
    | ContentCheckSettings
    | ModerationCheckSettings
    | WebhookCheckSettings
    | PresidioCheckSettings
)
Checks = Annotated[tuple[CheckSettings, ...], Meta(max_length=32)]


class GuardrailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A guardrail policy."""

    mode: Annotated[
        Literal["enforce", "monitor"], Meta(description="monitor records what would be done, and does nothing.")
    ] = "enforce"
    sample: Annotated[Share | None, Meta(description="For monitor: of so many calls; all of them unless given.")] = None
    on_block: Annotated[
        Literal["error", "refusal"], Meta(description="A blocked call is an error, or the model's own refusal.")
    ] = "error"
    input: Annotated[Checks, Meta(description="Checks of a request.")] = ()
    output: Annotated[Checks, Meta(description="Checks of an answer.")] = ()
