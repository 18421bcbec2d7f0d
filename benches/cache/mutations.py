"""Twins of given questions, made by rules: some ask the same, most ask something else. They teach the verifier what the
pairs at hand show only in a few templates."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator

from benches.cache.vocabulary import CLASSES, Vocabulary

Twin = tuple[str, str, bool]
OPENINGS = (
    ("how do i ", "how can i ", "how to ", "what is the best way to ", "how would i "),
    ("can i ", "am i able to ", "is it possible to "),
    ("what is ", "what's ", "tell me what is "),
    ("why is ", "what is the reason why "),
    ("i want to ", "i would like to ", "i'd like to ", "i need to "),
)
FILLERS = ("please", "actually", "really", "just", "kindly")
CHANGED = ("time", "degree", "quantity", "place")


class Mutator:
    """Makes twins with a vocabulary's kinds and relations; the same ones every time."""

    def __init__(self, vocabulary: Vocabulary, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._words = vocabulary
        self._place = {piece: number for number, piece in enumerate(vocabulary.pieces)}
        self._of_file: dict[int, list[int]] = defaultdict(list)
        self._of_class: dict[int, list[int]] = defaultdict(list)
        for number, piece in enumerate(vocabulary.pieces[:9000]):
            if piece.isalpha() and vocabulary.lemmas[number] == number:
                self._of_file[int(vocabulary.files[number]) * (vocabulary.classes[number] == 0)].append(number)
                self._of_class[int(vocabulary.classes[number])].append(number)
        self._opposites = _of(vocabulary.opposites)
        self._synonyms = _of(vocabulary.synonyms)

    def twins(self, text: str) -> Iterator[Twin]:
        """As many of each kind as the text allows, one at most."""
        words = text.split()
        if not 3 <= len(words) <= 30:
            return
        rules: tuple[tuple[Callable[[list[str]], list[str] | None], bool], ...] = (
            (self._other_thing, False),
            (self._other_thing, False),
            (self._opposite, False),
            (self._turned, False),
            (self._changed, False),
            (self._added, False),
            (self._synonym, True),
            (self._filled, True),
            (self._opened, True),
            (self._without_articles, True),
        )
        for rule, same in rules:
            twin = rule(list(words))
            if twin and twin != words:
                yield text, " ".join(twin), same

    def _known(self, words: list[str], content: bool) -> list[tuple[int, int]]:
        found = [(at, self._place.get(word.lower().strip(".,?!"), -1)) for at, word in enumerate(words)]
        return [(at, n) for at, n in found if n >= 0 and (self._words.classes[n] == 0) == content]

    def _put(self, words: list[str], at: int, number: int) -> list[str]:
        tail = words[at][len(words[at].rstrip(".,?!")) :]
        words[at] = self._words.pieces[number] + tail
        return words

    def _other_thing(self, words: list[str]) -> list[str] | None:
        known = [(at, n) for at, n in self._known(words, True) if 4 < self._words.files[n] < 45]
        if not known:
            return None
        at, number = self._random.choice(known)
        other = self._random.choice(self._of_file[int(self._words.files[number])] or [number])
        related = {*self._synonyms[int(self._words.lemmas[number])], int(self._words.lemmas[number])}
        return None if int(self._words.lemmas[other]) in related else self._put(words, at, other)

    def _opposite(self, words: list[str]) -> list[str] | None:
        everything = self._known(words, True) + self._known(words, False)
        known = [(at, n) for at, n in everything if self._opposites[int(self._words.lemmas[n])]]
        if not known:
            return None
        at, number = self._random.choice(known)
        return self._put(words, at, self._random.choice(self._opposites[int(self._words.lemmas[number])]))

    def _turned(self, words: list[str]) -> list[str] | None:
        known = self._known(words, True)
        if len(known) < 2 or {"and", "or"} & {*words}:
            return None
        (one, _), (other, _) = self._random.sample(known, 2)
        words[one], words[other] = words[other], words[one]
        return words

    def _changed(self, words: list[str]) -> list[str] | None:
        kinds = {CLASSES.index(name) for name in CHANGED}
        known = [(at, n) for at, n in self._known(words, False) if int(self._words.classes[n]) in kinds]
        if not known:
            return None
        at, number = self._random.choice(known)
        other = self._random.choice(self._of_class[int(self._words.classes[number])])
        return None if self._words.lemmas[other] == self._words.lemmas[number] else self._put(words, at, other)

    def _added(self, words: list[str]) -> list[str] | None:
        known = [(at, n) for at, n in self._known(words, True) if 4 < self._words.files[n] < 30]
        if not known:
            return None
        at, _ = self._random.choice(known)
        kind = self._random.choice([CLASSES.index("content"), CLASSES.index("time"), CLASSES.index("degree")])
        adjectives = self._of_file[1] if kind == 0 else self._of_class[kind]
        words.insert(at, self._words.pieces[self._random.choice(adjectives)])
        return words

    def _synonym(self, words: list[str]) -> list[str] | None:
        known = [(at, n) for at, n in self._known(words, True) if self._synonyms[int(self._words.lemmas[n])]]
        if not known:
            return None
        at, number = self._random.choice(known)
        return self._put(words, at, min(self._synonyms[int(self._words.lemmas[number])]))

    def _filled(self, words: list[str]) -> list[str] | None:
        words.insert(self._random.choice((0, len(words) - 1)), self._random.choice(FILLERS))
        return words

    def _opened(self, words: list[str]) -> list[str] | None:
        text = " ".join(words)
        for group in OPENINGS:
            for opening in group:
                if text.lower().startswith(opening):
                    other = self._random.choice([each for each in group if each != opening])
                    return (other + text[len(opening) :]).split()
        return None

    def _without_articles(self, words: list[str]) -> list[str] | None:
        return [word for word in words if word.lower() not in ("a", "an", "the")]


def _of(pairs: list[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for one, other in pairs:
        found[one].append(other)
    return found
