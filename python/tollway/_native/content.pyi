"""What a text may not say: words, phrases, patterns and topics; which language it is in; schemas of answers.

Phrases are found in either case and width, over repeated spaces and line breaks, with invisible signs inside, and as
whole words. Patterns are regular expressions as written (RE2's kind, without references back), of which a match that
has no bound is at most 256 bytes long.
"""

from collections.abc import Sequence
from typing import final

__all__ = ["LANGUAGES", "TOPICS", "Matcher", "Schema", "language", "speaks"]

TOPICS: tuple[str, ...]
"""The topics that come with Tollway: `crime`, `drugs`, …, `weapons`."""

LANGUAGES: tuple[str, ...]
"""The languages that are known, by ISO 639-1."""

@final
class Matcher:
    """Finds what is denied and not allowed. Holds no state of a text.

    ValueError for an empty phrase, one of more than 256 bytes, a pattern that is none or too large, a topic that is not
    in `TOPICS`: it says which and why.
    """

    def __new__(
        cls,
        deny: Sequence[str] = ...,
        patterns: Sequence[str] = ...,
        topics: Sequence[str] = ...,
        allow: Sequence[str] = ...,
    ) -> Matcher: ...
    def scan(self, text: str) -> list[tuple[str, int, int]]:
        """`phrase`, `pattern` or a topic, start and end in code points, in order, never overlapping."""

@final
class Schema:
    """A JSON schema, compiled. ValueError for one that is none, or that refers to what it does not hold."""

    def __new__(cls, schema: str) -> Schema: ...
    def unheld(self, answer: str) -> str | None:
        """None where the answer holds to it; `json` where it is none, else the place in the schema (RFC 6901)."""

def language(text: str) -> tuple[str, float] | None:
    """ISO 639-1 and how sure that is, 0 to 1, by the text's first KiB; None where that is too short to tell."""

def speaks(text: str, languages: Sequence[str]) -> bool:
    """False for a text that certainly is in none of the languages, at its beginning, middle or end."""
