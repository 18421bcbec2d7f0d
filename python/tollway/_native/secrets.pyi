"""Secrets in text: keys of providers, private keys, and passwords and tokens beside their names, found in linear time.

A key is found by the form that its provider gave it, another secret by the name beside it and by how random it looks.
Placeholders, and keys that public documentation prints, are left alone.
"""

from typing import final

__all__ = ["KINDS", "Scanner"]

KINDS: tuple[str, ...]
"""The name of every kind, sorted: `aws_access_key_id`, `github_token`, `private_key`, `generic_secret`…"""

@final
class Scanner:
    """Finds secrets of every kind. Holds no state of a text."""

    def __new__(cls) -> Scanner: ...
    def scan(self, text: str) -> list[tuple[str, int, int, float]]:
        """Kind, start and end in code points, and confidence from 0 to 1; in order, never overlapping."""

    def redact(self, text: str) -> tuple[str, dict[str, int]]:
        """The text with `[GITHUB_TOKEN]`, `[PRIVATE_KEY]`… in place of what was found, and how often each kind was."""
