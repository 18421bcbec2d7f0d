"""Token counts, exact for the vocabularies `cl100k_base` and `o200k_base`.

Text that spells a special token counts as ordinary text, as in tiktoken's `encode_ordinary`. The work is linear in the
text. Encodings other than the two raise ValueError.
"""

__all__ = ["chat_overhead", "count", "count_at_most", "encoding_of", "warm"]

def count(encoding: str, text: str) -> int:
    """The number of tokens. From 16 KiB on it works without the interpreter: then call it from a thread."""

def count_at_most(encoding: str, text: str, limit: int) -> int | None:
    """The number of tokens, or None if it is above the limit; stops reading soon after passing it."""

def encoding_of(model: str) -> str:
    """The encoding of an OpenAI model by tiktoken's table, `o200k_base` for every other model."""

def chat_overhead(messages: int, names: int) -> int:
    """Tokens of a chat request beside the texts in it: 3 a message, 1 a name, 3 for the reply (OpenAI cookbook)."""

def warm(encoding: str) -> None:
    """Loads a vocabulary, which the first count would otherwise do. Works without the interpreter."""
