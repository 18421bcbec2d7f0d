"""What others call what they find, as it may stand in rows, logs and metrics."""

import re

OTHER = "other"
MOST_KINDS = 32
"""So many kinds one judgement may hold; what is beyond is :data:`OTHER`."""

_PLAIN = re.compile(r"[a-z0-9_./-]{1,64}")


class Kinds:
    """The kinds of one judgement."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def plain(self, said: str) -> str:
        """In lower case; :data:`OTHER` for what is not a short word of letters, digits and ``_ . / -``: it could be a
        piece of the text."""
        known = self._said.get(said)
        if known is None:
            known = said.lower()
            if not _PLAIN.fullmatch(known) or len(self._said) >= MOST_KINDS:
                return OTHER
            self._said[said] = known
        return known
