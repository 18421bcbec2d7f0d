"""Questions as the semantic cache compares them: the built-in embedder's vectors, the signs that tell near-duplicates
apart, and the learned verifier over both.

All of it is deterministic and the same on every host. A question is of at most `MOST_BYTES` of text.
"""

from typing import Final, final

__all__ = ["DIMENSIONS", "MOST_BYTES", "Block", "Graph", "Question"]

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
        """How sure the verifier is, from 0 to 1, that an answer to the one serves the other: 0 where they do not agree,
        1 for the same words, at least 0.99 where only words differ that say nothing.

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

@final
class Graph:
    """Vectors in a graph (HNSW), for search among many that is nearly always right. They are numbered from 0 in the
    order in which they come. One thread may change it while another searches: each waits for the other for
    microseconds."""

    def __new__(cls) -> Graph: ...
    def __len__(self) -> int:
        """How many were put in, forgotten or not."""

    def insert(self, vector: bytes) -> int:
        """Its number. Takes some tenths of a millisecond, without the interpreter and without keeping searches waiting.

        Raises ValueError for a vector of another length than `DIMENSIONS`."""

    def forget(self, number: int) -> None:
        """It is not found any more; it still leads to others. Raises IndexError for a number that is none."""

    def nearest(self, vector: bytes, most: int, breadth: int) -> list[tuple[int, float]]:
        """The numbers of the nearest that are not forgotten, best first, with their cosines.

        `breadth` (ef) is how many are kept in view: the more, the surer, and the longer it takes."""

    def clear(self) -> None:
        """Empties it, without the interpreter: giving much memory back takes time."""
