"""Texts that match a regular expression, made by reading the expression once.

The expression comes from a client, so it's never run: Python's ``re`` can be made to take for ever, and building the
text from the parsed expression needs no match. Look-around, back references and flags are refused.
"""

import string
from random import Random

_LENGTH_ALLOWED = 2_000
_STEPS_ALLOWED = 2_000
_NESTING_ALLOWED = 50
_UNBOUNDED_EXTRA = 3  # how far ``*`` and ``+`` go beyond their least

_WORD = string.ascii_letters + string.digits + "_"
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
_CLASSES = {
    "d": string.digits,
    "w": _WORD,
    "s": " ",
    "D": string.ascii_letters,
    "W": "-",
    "S": string.ascii_letters + string.digits,
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}


class UnsupportedPattern(Exception):
    """The expression can't be read, or asks for more than is honoured."""


def matching(pattern: str, random: Random) -> str:
    """A text in which ``pattern`` is found.

    Raises:
        UnsupportedPattern: see there.
    """
    reader = _Reader(pattern, random)
    made = reader.alternatives(0)
    if reader.peek():
        raise UnsupportedPattern("an unbalanced ')' in the pattern")
    return made


class _Reader:
    """A recursive descent over the expression that makes the text as it goes."""

    def __init__(self, pattern: str, random: Random) -> None:
        self._pattern = pattern
        self._random = random
        self._at = 0
        self._steps = 0

    def peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        taken = self.peek()
        if not taken:
            raise UnsupportedPattern("the pattern ends too early")
        self._at += 1
        return taken

    def alternatives(self, nesting: int) -> str:
        if nesting > _NESTING_ALLOWED:
            raise UnsupportedPattern("groups nested too deep")
        branches = [self._sequence(nesting)]
        while self.peek() == "|":
            self._take()
            branches.append(self._sequence(nesting))
        return self._random.choice(branches)

    def _sequence(self, nesting: int) -> str:
        made = ""
        while self.peek() not in ("", "|", ")"):
            start = self._at
            piece = self._atom(nesting)
            end = self._at
            least, most = self._repeat()
            after = self._at
            for repeat in range(self._random.randint(least, most)):
                if repeat:  # read again, so that [a-z]{3} is three letters, not one three times
                    self._at = start
                    piece = self._atom(nesting)
                made += piece
                if len(made) > _LENGTH_ALLOWED:
                    raise UnsupportedPattern("the pattern asks for too long a text")
            self._at = max(after, end)
        return made

    def _repeat(self) -> tuple[int, int]:
        least, most = 1, 1
        match self.peek():
            case "?":
                least, most = 0, 1
            case "*":
                least, most = 0, _UNBOUNDED_EXTRA
            case "+":
                least, most = 1, 1 + _UNBOUNDED_EXTRA
            case "{":
                return self._counted()
            case _:
                return least, most
        self._take()
        self._lazy()
        return least, most

    def _counted(self) -> tuple[int, int]:
        close = self._pattern.find("}", self._at)
        low, comma, high = self._pattern[self._at + 1 : max(close, 0)].partition(",")
        if close < 0 or not low.isascii() or not low.isdigit() or len(low) > 4 or (high and not high.isdigit()):
            raise UnsupportedPattern("a repetition that can't be read")
        least = int(low)
        most = int(high[:5]) if high else least + _UNBOUNDED_EXTRA if comma else least
        if not least <= most or least > _LENGTH_ALLOWED:
            raise UnsupportedPattern("a repetition that can't be had")
        self._at = close + 1
        self._lazy()
        return least, min(most, least + _UNBOUNDED_EXTRA)

    def _lazy(self) -> None:
        if self.peek() in ("?", "+"):
            self._take()

    def _atom(self, nesting: int) -> str:
        self._steps += 1
        if self._steps > _STEPS_ALLOWED:
            raise UnsupportedPattern("the pattern repeats too much")
        match self._take():
            case "^" | "$":
                return ""
            case ".":
                return self._random.choice(string.ascii_lowercase)
            case "(":
                return self._group(nesting)
            case "[":
                return self._random.choice(self._set())
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise UnsupportedPattern("a repetition of nothing")
            case literal:
                return literal

    def _group(self, nesting: int) -> str:
        if self.peek() == "?":
            self._take()
            if self.peek() == "P":
                self._take()
            kind = self._take()
            if kind == "<" and self.peek() not in ("=", "!"):
                self._at = self._pattern.find(">", self._at) + 1 or len(self._pattern)
            elif kind != ":":
                raise UnsupportedPattern("look-around and flags are not supported in patterns")
        made = self.alternatives(nesting + 1)
        if self._take() != ")":
            raise UnsupportedPattern("a group that is never closed")
        return made

    def _escape(self) -> str:
        taken = self._take()
        if taken in _CLASSES:
            return self._random.choice(_CLASSES[taken])
        if taken in ("b", "B", "A", "Z", "z"):
            return ""
        return self._literal(taken)

    def _literal(self, taken: str) -> str:
        """The character of an escape that names one."""
        if taken in _CONTROLS:
            return _CONTROLS[taken]
        if taken in ("x", "u"):
            digits = self._pattern[self._at : self._at + (2 if taken == "x" else 4)]
            self._at += len(digits)
            if not digits or not set(digits) <= set(string.hexdigits) or "\ud800" <= chr(int(digits, 16)) <= "\udfff":
                raise UnsupportedPattern("an escape that can't be read, or is half a character")
            return chr(int(digits, 16))
        if taken.isalnum():
            raise UnsupportedPattern(f"'\\{taken}' is not supported in patterns")
        return taken

    def _set(self) -> str:
        """The characters that a ``[…]`` allows."""
        negated = self.peek() == "^"
        if negated:
            self._take()
        allowed = ""
        while self.peek() != "]" or not allowed:
            allowed += self._members()
            if len(allowed) > 70_000:
                raise UnsupportedPattern("too large a set of characters")
        self._take()
        plain = [letter for letter in _PRINTABLE if (letter in allowed) is not negated]
        if negated and not plain:
            raise UnsupportedPattern("a set that allows no character")
        return "".join(plain) or allowed  # control characters and rare scripts only where nothing else is allowed

    def _members(self) -> str:
        low = self._take()
        if low == "\\":
            low = self._take()
            if low in _CLASSES:
                return _CLASSES[low]
            low = self._literal(low)
        following = self._pattern[self._at : self._at + 2]
        if len(following) < 2 or following[0] != "-" or following[1] == "]":
            return low
        self._take()
        high = self._take()
        if high == "\\":
            high = self._literal(self._take())
        if high < low:
            raise UnsupportedPattern("a range that runs backwards")
        return "".join(map(chr, (code for code in range(ord(low), ord(high) + 1) if not 0xD800 <= code <= 0xDFFF)))
