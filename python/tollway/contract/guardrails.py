"""Guardrail policies as the data plane knows them: which checks a text must pass on its way in and out.

The native checks are compiled from the JSON of a :class:`Policy`, so the names here are those of ``rust/core``.
"""

from typing import Literal

import msgspec

Action = Literal["allow", "flag", "redact", "mask", "hash", "block"]
"""What is done about a finding: nothing; it is recorded; a typed placeholder stands in its
place, or itself with all but its last four hidden, or a keyed digest; the call is refused."""

OnError = Literal["open", "closed"]
"""What an external check that can't be asked means: the text passes, or the call is refused."""


class PiiCheck(msgspec.Struct, frozen=True, tag_field="check", tag="pii"):
    """Personal data. ``actions`` holds each entity that is looked for.

    ``threshold`` is a confidence, 0 to 1; ``restore`` puts the originals back into what the same client receives.
    """

    actions: dict[str, Action]
    threshold: float = 0.5
    restore: bool = False


class SecretsCheck(msgspec.Struct, frozen=True, tag_field="check", tag="secrets"):
    """Keys, tokens and passwords. ``actions`` holds the kinds of secret whose action is not ``action``."""

    action: Action
    actions: dict[str, Action] = {}
    threshold: float = 0.5
    restore: bool = False


class InjectionCheck(msgspec.Struct, frozen=True, tag_field="check", tag="injection"):
    """Attacks on the instructions of a model: in what users say, and in what tools and documents bring.

    ``threshold`` is a score, 0 to 1.
    """

    action: Literal["flag", "block"]
    threshold: float = 0.5
    where: tuple[Literal["user", "tool"], ...] = ("user", "tool")


class ContentCheck(msgspec.Struct, frozen=True, tag_field="check", tag="content"):
    """What a text may not say. ``name`` stands in reports.

    ``deny`` are words and phrases, ``patterns`` regular expressions, ``topics`` names of lists that come with Tollway;
    what ``allow`` says is taken out first. Of a whole text: ``max_characters``, the ``languages`` it may be in (ISO
    639-1), and of an answer the ``json_schema`` that it must hold to.
    """

    action: Action
    name: str = "content"
    deny: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    max_characters: int | None = None
    languages: tuple[str, ...] = ()
    json_schema: str | None = None


class ModerationCheck(msgspec.Struct, frozen=True, tag_field="check", tag="moderation"):
    """Categories of a moderation model.

    ``model`` is an alias of ours that answers /v1/moderations. Empty ``categories`` are all that it flags; else a
    category counts from ``threshold`` on.
    """

    action: Literal["flag", "block"]
    model: str
    categories: tuple[str, ...] = ()
    threshold: float = 0.5
    timeout_s: float = 2.0
    on_error: OnError = "closed"


class WebhookCheck(msgspec.Struct, frozen=True, tag_field="check", tag="webhook"):
    """Somebody else's judgement. ``secret`` signs what is sent."""

    url: str
    name: str = "webhook"
    secret: str | None = None
    timeout_s: float = 0.5
    on_error: OnError = "closed"

    def __repr__(self) -> str:
        """Without the secret."""
        return f"WebhookCheck(name={self.name!r})"


class PresidioCheck(msgspec.Struct, frozen=True, tag_field="check", tag="presidio"):
    """Names, places and whatever else a Presidio analyzer finds at ``url``. ``actions`` is by its entity types."""

    url: str
    actions: dict[str, Action]
    language: str = "en"
    threshold: float = 0.5
    restore: bool = False
    timeout_s: float = 1.0
    on_error: OnError = "closed"


Check = PiiCheck | SecretsCheck | InjectionCheck | ContentCheck | ModerationCheck | WebhookCheck | PresidioCheck
NATIVE = (PiiCheck, SecretsCheck, InjectionCheck, ContentCheck)
"""The checks that need nobody else."""


class Policy(msgspec.Struct, frozen=True):
    """A named policy; ``version`` changes with what it says.

    ``mode`` ``monitor`` records and changes nothing, of a ``sample`` (0 to 1) of all calls. A block is an error, or the
    dialect's own refusal (``on_block``).
    """

    name: str
    version: str
    input: tuple[Check, ...] = ()
    output: tuple[Check, ...] = ()
    mode: Literal["enforce", "monitor"] = "enforce"
    sample: float = 1.0
    on_block: Literal["error", "refusal"] = "error"


Direction = Literal["input", "output"]


class Found(msgspec.Struct, frozen=True, array_like=True):
    """What one check of a policy found in one call: how many of a kind, and what was done. Never a value.

    An array in MessagePack, for there may be many in a journal: fields are only ever appended.
    """

    direction: Direction
    check: str
    kind: str
    action: Action
    count: int
