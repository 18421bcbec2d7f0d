"""Attacks on a model's instructions: prompt injection, direct or in what tools and documents bring, and jailbreaks.

A local linear model over words, letters, concepts and phrases of the folded and decoded text, in linear time. Its
weights come from ``benches/guardrails/train_injection.py``.
"""

from typing import final

__all__ = ["FEATURES", "Classifier"]

FEATURES: int
"""How many features there are; each has a weight."""

@final
class Classifier:
    """Judges texts by their worst window of about a hundred words. ValueError for weights of another form."""

    def __new__(cls, weights: bytes | None = None) -> Classifier: ...
    def score(self, text: str) -> tuple[float, str, int, int]:
        """Score, kind, and where the worst window lies, in code points.

        The score is 0 to 1: at 0.5 at most one in a hundred ordinary texts is wrongly taken for an attack.
        """

    def features(self, text: str) -> list[bytes]:
        """The features of each window, as little-endian 32-bit numbers: what the training reads."""
