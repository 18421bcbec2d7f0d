"""Phrases in texts, the slow and obvious way: every place is tried with every phrase, letter by letter."""

import unicodedata
from collections.abc import Sequence

FILLER_BYTES = 48
_HIDDEN = [
    *(0xAD, 0x34F, 0x61C, 0xFEFF),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xE0000, 0xE1000),
]
_UNSPACED = [
    *(range(0xE00, 0xF00), range(0x1000, 0x10A0), range(0x1780, 0x1800), range(0x3040, 0x3100), range(0x3400, 0x4DC0)),
    *(range(0x4E00, 0xA000), range(0xF900, 0xFB00), range(0xFF66, 0xFFA0), range(0x20000, 0x40000)),
]


def _is_hidden(letter: str) -> bool:
    return ord(letter) in _HIDDEN


def _is_space(letter: str) -> bool:
    return letter.isspace() and letter not in "\x1c\x1d\x1e\x1f"


def _joins(letter: str) -> bool:
    if any(ord(letter) in letters for letters in _UNSPACED):
        return False
    return letter == "_" or letter.isalnum() or unicodedata.category(letter).startswith("M")


def _fold(letter: str) -> str:
    return "".join(part.upper().lower() for part in unicodedata.normalize("NFKD", letter))


def _folded(phrase: str) -> str:
    seen = "".join(letter for letter in phrase if not _is_hidden(letter))
    return "".join(_fold(letter) for letter in " ".join(seen.split()))


def _end(text: str, start: int, phrase: str) -> int | None:
    """Where ``phrase`` ends that begins at ``start``."""
    rest, filler, at = _folded(phrase), 0, start
    while at < len(text):
        letter = text[at]
        if _is_hidden(letter) or _is_space(letter):
            filler += len(letter.encode())
            if filler > FILLER_BYTES:
                return None
        else:
            between = text[start:at]
            is_spaced = at > start and any(_is_space(each) for each in between[len(between) - _gap(between) :])
            folded = " " * is_spaced + _fold(letter)
            if not rest.startswith(folded):
                return None
            rest, filler = rest[len(folded) :], 0
        at += 1
        if not rest:
            return at
    return None


def _gap(text: str) -> int:
    """How many letters at the end of ``text`` are hidden or spaces."""
    return len(text) - len(
        text.rstrip("".join(letter for letter in set(text) if _is_hidden(letter) or _is_space(letter)))
    )


def _seen_beside(letters: Sequence[str]) -> str | None:
    """The first letter that is seen, unless too much that is hidden lies before it."""
    hidden = 0
    for letter in letters:
        if not _is_hidden(letter):
            return letter
        hidden += len(letter.encode())
        if hidden > FILLER_BYTES:
            return None
    return None


def _longest(text: str, start: int, phrases: Sequence[str]) -> int | None:
    if _is_hidden(text[start]) or _is_space(text[start]):
        return None
    before = _seen_beside(text[:start][::-1])
    if before is not None and _joins(before) and _joins(text[start]):
        return None
    ends = []
    for phrase in phrases:
        end = _end(text, start, phrase)
        if end is None:
            continue
        after = _seen_beside(text[end:])
        if not (_joins(text[end - 1]) and after is not None and _joins(after)):
            ends.append(end)
    return max(ends, default=None)


def scan(text: str, deny: Sequence[str], allow: Sequence[str]) -> list[tuple[str, int, int]]:
    """What is denied and touches nothing that is allowed; from left to right, the longest first."""
    found, at = [], 0
    while at < len(text):
        allowed = _longest(text, at, allow)
        if allowed is not None:
            at = allowed
            continue
        denied = [end for phrase in deny if (end := _longest(text, at, [phrase])) is not None]
        free = next(
            (place for place in range(at + 1, len(text)) if _longest(text, place, allow) is not None), len(text)
        )
        end = max((end for end in denied if end <= free), default=None)
        if end is not None:
            found.append(("phrase", at, end))
        at = at + 1 if end is None else end
    return found
