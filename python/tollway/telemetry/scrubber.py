"""Keeps secrets out of the log: hides fields by their name and known or key-like strings by their look.

What comes in: field names and texts on their way into a log line. What goes out: the same, with ``[secret]`` in
place of every secret. It never logs, and never shows the secrets it knows (its ``repr`` is bare).
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

SECRET = "[secret]"  # noqa: S105  what stands in a secret's place

SHORTEST_SECRET = 8
"""Known secrets below this many characters are not searched for: they would blot out ordinary words."""

_HIDDEN_WORDS = frozenset(
    "secret secrets apikey password passwords passwd authorization cookie cookies credential credentials dsn".split()
)
_HIDDEN_LAST_WORDS = frozenset(("key", "keys", "token"))  # `api_key`, but neither `key_id` nor `prompt_tokens`
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

# Each begins with a letter and looks behind only after it: a pattern that begins with `\b` would cost the search
# its table of first letters, and three times the time.
_KEY_LIKE = re.compile(
    r"s(?<!\ws)k-[A-Za-z0-9_\-]{8,}|"  # OpenAI, Anthropic, OpenRouter and their imitators
    r"x(?<!\wx)ai-[A-Za-z0-9_\-]{8,}|"
    r"t(?<!\wt)w_(?:live|test|admin)_[A-Za-z0-9_\-]+|"  # our own
    r"[Bb](?<!\w[Bb])(?i:earer)\s+[^\s\"',;]+"
)
_USER_OF_URL = re.compile(r"(?<=://)[^\s/@]*:[^\s/@]*(?=@)")  # user:password (RFC 3986, 3.2.1)

_MEMO_ENTRIES = 4096
_MEMO_LONGEST = 128


class Scrubber:
    """Replaces secrets in texts. ``secrets`` are the known ones: provider keys, configured keys, passwords.

    Texts are searched one by one rather than as whole lines, since the same few (model, tenant, outcome) make up
    nearly all of a busy gateway's log: those found clean are remembered, and cost one look-up the next time.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._known = _any_of(self._secrets)
        self._shortest = 0
        self._clean: set[str] = set()
        self._open_names: set[str] = set()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Know these secrets too, from now on; those of an earlier configuration stay known."""
        self._secrets |= frozenset(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)
        self._known = _any_of(self._secrets)
        self._shortest = min(map(len, self._secrets), default=0)
        self._clean.clear()

    def field(self, name: str, text: str) -> str:
        """What a field of this name may show of ``text``."""
        if text in self._clean and name in self._open_names:
            return text
        return SECRET if self.hides(name) else self.scrub(text)

    def scrub(self, text: str) -> str:
        """``text`` with ``[secret]`` for every secret in it, known or by its look."""
        if text in self._clean:
            return text
        scrubbed = text
        if self._secrets and len(text) >= self._shortest:  # every spelling is at least as long as its secret
            scrubbed = self._known.sub(SECRET, text)
        scrubbed = _KEY_LIKE.sub(SECRET, scrubbed)
        if "://" in scrubbed:
            scrubbed = _USER_OF_URL.sub(SECRET, scrubbed)
        if scrubbed == text and len(text) <= _MEMO_LONGEST:
            if len(self._clean) >= _MEMO_ENTRIES:
                self._clean.clear()
            self._clean.add(text)
        return scrubbed

    def hides(self, name: str) -> bool:
        """Whether a field of this name holds a secret, whatever its value: ``api_key``, ``Authorization``…"""
        if name in self._open_names:
            return False
        words = [word.lower() for word in _WORD.findall(name)]
        if words and (words[-1] in _HIDDEN_LAST_WORDS or not _HIDDEN_WORDS.isdisjoint(words)):
            return True
        if len(self._open_names) < _MEMO_ENTRIES:
            self._open_names.add(name)
        return False


def _any_of(secrets: Iterable[str]) -> re.Pattern[str]:
    """Longest first, so that a secret that begins another one does not leave its tail."""
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    return re.compile("|".join(re.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True)))


def _spellings(secret: str) -> tuple[str, ...]:
    """As it is, inside JSON, and inside a URL: an upstream's error message may quote any of them."""
    return secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")
