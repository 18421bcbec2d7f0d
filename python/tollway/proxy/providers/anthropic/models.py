"""What a Claude model takes, read off its name.

Sources: platform.claude.com, "Models overview" (maximum output), "Extended thinking" and "Adaptive thinking", "Effort",
"Structured outputs", and the migration guides of Claude 4 to 5 (sampling parameters). Rules go by version, not by a
list of names: a model that comes out tomorrow is most likely to take what the latest ones take.
"""

import re
from typing import Literal

import msgspec

FALLBACK_MAX_TOKENS = 4096
"""The maximum output of the oldest models still served: every model takes it."""

Effort = Literal["low", "medium", "high", "xhigh", "max"]

_EFFORTS_4_6: tuple[Effort, ...] = ("low", "medium", "high", "max")
_EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")

_FAMILY = re.compile(r"opus|sonnet|haiku|fable|mythos")
_AFTER = re.compile(r"(?:opus|sonnet|haiku|fable|mythos)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_BEFORE = re.compile(r"claude-(\d)(?:[-.](\d))?-(?:opus|sonnet|haiku)")


class Abilities(msgspec.Struct, frozen=True):
    """What one model takes. ``max_tokens`` is its maximum output.

    ``thinking`` is ``budget`` where the caller sets tokens aside, ``adaptive`` where an effort decides, else ``None``.
    """

    max_tokens: int
    thinking: Literal["budget", "adaptive"] | None
    efforts: tuple[Effort, ...] = ()
    thinks_always: bool = False
    samples: bool = True
    samples_by_both: bool = True
    """Whether ``temperature`` and ``top_p`` may stand together."""
    has_schemas: bool = False
    """Whether answers and tool inputs can be held to a JSON schema."""


UNKNOWN = Abilities(FALLBACK_MAX_TOKENS, None, has_schemas=True)
"""A name that tells nothing: what the caller writes is passed on, but nothing is presumed."""


def abilities_of(model: str) -> Abilities:
    """What ``model`` takes; names of other platforms' making (``anthropic.claude-…-v1:0``) are read, too."""
    family = _FAMILY.search(model)
    version = _version(model)
    if family is None:
        return UNKNOWN
    if family[0] in ("fable", "mythos"):
        return Abilities(128_000, "adaptive", _EFFORTS, thinks_always=True, samples=False, has_schemas=True)
    if version is None:
        return UNKNOWN
    if version >= (4, 7):
        most = 64_000 if family[0] == "haiku" else 128_000
        return Abilities(most, "adaptive", _EFFORTS, samples=False, samples_by_both=False, has_schemas=True)
    if version == (4, 6):
        return Abilities(128_000, "adaptive", _EFFORTS_4_6, samples_by_both=False, has_schemas=True)
    if version == (4, 5):
        return Abilities(64_000, "budget", samples_by_both=False, has_schemas=True)
    if version >= (4, 0):
        is_opus = family[0] == "opus"
        is_4_1 = version >= (4, 1)
        return Abilities(32_000 if is_opus else 64_000, "budget", samples_by_both=not is_4_1, has_schemas=is_4_1)
    if version == (3, 7):
        return Abilities(64_000, "budget")
    return Abilities(8192 if version == (3, 5) else 4096, None)


def _version(model: str) -> tuple[int, int] | None:
    """``claude-sonnet-4-5-20250929`` is 4.5, ``claude-opus-4-20250514`` 4.0, ``claude-3-7-sonnet-latest`` 3.7."""
    found = _AFTER.search(model) or _BEFORE.search(model)
    return None if found is None else (int(found[1]), int(found[2] or 0))
