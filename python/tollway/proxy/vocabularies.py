"""The vocabularies that exact token counts need: loaded when the first count does, never on the event loop.

A vocabulary takes about 0.1 s and 30 to 65 MB; most workers behind providers that tell their usage never need one.
"""

from tollway._native import tokens


class Vocabularies:
    """Which vocabularies this worker has in memory."""

    def __init__(self) -> None:
        self._loaded: set[str] = set()

    def has(self, encoding: str) -> bool:
        """Whether a count with this encoding costs no more than the count."""
        return encoding in self._loaded

    def load(self, encoding: str) -> None:
        """Makes it so; blocks, and leaves the interpreter to others meanwhile: for a thread."""
        tokens.warm(encoding)
        self._loaded.add(encoding)
