"""Questions as the semantic cache compares them: the built-in embedder's vectors, the signs that tell near-duplicates
apart, and the learned verifier over both.

All of it is deterministic and the same on every host. A question is of at most `MOST_BYTES` of text.
"""

from typing import Final, final

__all__ = ["DIMENSIONS", "MOST_BYTES", "Block", "Question"]

DIMENSIONS: Final[int]
"""Of the built-in embedder's vectors."""

MOST_BYTES: Final[int]
"""A longer text is no question: its answer is found by its key alone."""

@final
class Question:
    """A text, its vector, and its signs: numbers, dates, units, names, negation, order, words.

    Raises ValueError for a text without words, or longer than `MOST_BYTES`."""

    def __new__(cls, text: str) -> Question: ...
    @property
    def text(self) -> str: ...
    @property
    def vector(self) -> bytes:
        """One signed byte a dimension; only its direction says anything."""

    def similarity(self, other: Question) -> float:
        """The cosine of the two vectors."""

    def agrees(self, other: Question) -> bool:
        """Whether numbers and negation are the same, and all words beyond the 160th: where they are not, no confidence
        helps. A number that may be none ("one", "first") may lack on one side."""

    def signs(self, other: Question) -> list[float]:
        """What the verifier weighs beside a second similarity: the cosine, which words either says alone and how near
        the other comes to them, names, order, length, and the words of nine kinds that change what is asked. The same
        in either order; `benches/cache/train_verifier.py` names them."""

    def confidence(self, other: Question, second: float | None = None) -> float:
        """How sure the verifier is, from 0 to 1, that an answer to the one serves the other; 0 where they do not agree.

        `second` is the cosine by another embedder, of MiniLM's class. 0.95 is where at most one look-up in a hundred
        was answered wrongly, with a second similarity and without."""

@final
class Block:
    """Vectors in one piece of memory, for exact search among few. Slots are numbered from 0; a removed one's number is
    given to the last."""

    def __new__(cls) -> Block: ...
    def __len__(self) -> int: ...
    def append(self, vector: bytes) -> int:
        """Its slot. Raises ValueError for a vector of another length than `DIMENSIONS`."""

    def swap_remove(self, slot: int) -> None:
        """Raises IndexError for a slot that is none."""

    def nearest(self, vector: bytes, most: int) -> list[tuple[int, float]]:
        """The slots whose vectors are nearest, best first, with their cosines."""
