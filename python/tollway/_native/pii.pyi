"""Personal data in text: finding it in linear time and replacing it by typed placeholders (station 3).

Check digits, issuer and country tables, and the words beside a bare number decide; names and addresses are not looked
for.
"""

from collections.abc import Mapping, Sequence
from typing import final

__all__ = ["ENTITIES", "MEANINGS", "Scanner"]

ENTITIES: tuple[str, ...]
"""Every entity: `email`, `credit_card`, `us_ssn`, `phone`, `iban`, `ip`, and those of the countries."""

MEANINGS: Mapping[str, str]
"""What each entity is, in a sentence."""

@final
class Scanner:
    """Finds the chosen entities; ValueError for one that is not in `ENTITIES`. Holds no state of a text."""

    def __new__(cls, entities: Sequence[str]) -> Scanner: ...
    def scan(self, text: str) -> list[tuple[str, int, int]]:
        """Entity, start and end in code points, in order, never overlapping; of a confidence of 50 % and more."""

    def redact(self, text: str) -> tuple[str, dict[str, int]]:
        """The text with `[EMAIL]`, `[CREDIT_CARD]`… in place of what was found, and how often each entity was."""
