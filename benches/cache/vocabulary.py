"""What is known of words before any sentence is seen: lemmas, kinds, opposites and synonyms, of WordNet and two lists.

WordNet 3.0 (Princeton University, its own permissive license) is read from Debian's package `wordnet-base`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
WORDNET = Path("/usr/share/wordnet")
PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
CLASSES = "content article question time degree quantity joint person modal being place filler asking negator".split()
"""As `words.txt` names them; a word of no list is content."""

NEGATIVE_PREFIXES = ("un", "in", "im", "il", "ir", "non", "dis", "ab")
ENDINGS = {
    "n": (
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
        ("s", ""),
    ),
    "v": (("ies", "y"), ("es", "e"), ("es", ""), ("s", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}
"""WordNet's own rules of detachment (morphy(7WN))."""


@dataclass
class Sense:
    """A synset: its words, what it is a kind of, and the file of its part of speech (45 kinds)."""

    words: list[str]
    file: int
    part: str
    opposites: list[tuple[str, str]] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)
    gloss: str = ""


@dataclass
class WordNet:
    """All of it that is used."""

    senses: dict[str, Sense]
    of: dict[tuple[str, str], list[str]]
    exceptions: dict[tuple[str, str], str]
    counts: Counter[str]

    def lemma(self, word: str) -> str:
        """The form that a dictionary lists: that of the part of speech which is used most."""
        found = Counter[str]()
        for part in PARTS.values():
            for form in self._forms(word, part):
                found[form] = max(found[form], 1 + self.counts[form] + (3 if form == word else 0))
                break
        if not found:
            return word
        return max(sorted(found), key=lambda form: (found[form], -len(form)))

    def _forms(self, word: str, part: str) -> Iterator[str]:
        if (word, part) in self.exceptions:
            yield self.exceptions[word, part]
        if (word, part) in self.of:
            yield word
        if len(word) < 4 or word.endswith("ss"):
            return
        for ending, instead in ENDINGS[part]:
            if word.endswith(ending) and (word[: len(word) - len(ending)] + instead, part) in self.of:
                yield word[: len(word) - len(ending)] + instead


def read_wordnet() -> WordNet:
    """Raises FileNotFoundError where the package is missing."""
    senses: dict[str, Sense] = {}
    of: dict[tuple[str, str], list[str]] = {}
    exceptions: dict[tuple[str, str], str] = {}
    links: list[tuple[str, int, int, str]] = []
    for name, part in PARTS.items():
        for line in _lines(f"data.{name}"):
            head, gloss = line.split(" | ", 1)
            parts = head.split()
            count = int(parts[3], 16)
            words = [re.sub(r"\(.*\)", "", parts[4 + 2 * each]).lower() for each in range(count)]
            key = part + parts[0]
            senses[key] = Sense(words, int(parts[1]), part, gloss=gloss.strip())
            _link(senses[key], key, parts[4 + 2 * count :], links)
        for line in _lines(f"index.{name}"):
            parts = line.split()
            of[parts[0], part] = [part + offset for offset in parts[-int(parts[2]) :]]
        for line in (WORDNET / f"{name}.exc").read_text().splitlines():
            form, lemma, *_ = line.split()
            exceptions.setdefault((form, part), lemma)
    for key, source, target, other in links:
        if source and target:
            senses[key].opposites.append((senses[key].words[source - 1], senses[other].words[target - 1]))
    counts = Counter[str]()
    for line in (WORDNET / "cntlist.rev").read_text().splitlines():
        sense, _, times = line.split()
        word, kind = sense.split("%")
        counts[word] += int(times)
        counts[f"{word}/{'_nvara'[int(kind[0])]}"] += int(times)
    return WordNet(senses, of, exceptions, counts)


def _link(sense: Sense, key: str, parts: list[str], links: list[tuple[str, int, int, str]]) -> None:
    """Reads what a sense points to (wndb(5WN))."""
    for each in range(int(parts[0])):
        symbol, offset, other, ends = parts[1 + 4 * each : 5 + 4 * each]
        part = "a" if other == "s" else other
        if symbol == "!":
            links.append((key, int(ends[:2], 16), int(ends[2:], 16), part + offset))
        elif symbol == "&":
            sense.alike.append(part + offset)


def _lines(name: str) -> Iterator[str]:
    for line in (WORDNET / name).read_text().splitlines():
        if not line.startswith("  "):
            yield line


@dataclass
class Vocabulary:
    """The words and pieces that have vectors, with what is known of each; relations are of lemmas."""

    pieces: list[str]
    lemmas: NDArray[np.uint16]
    weights: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    files: NDArray[np.uint8]
    opposites: list[tuple[int, int]]
    synonyms: list[tuple[int, int]]


def compile_vocabulary(pieces: list[str], wordnet: WordNet) -> Vocabulary:
    """`pieces` stand in the order of how common they are, so their place tells how much one says."""
    place = {piece: number for number, piece in enumerate(pieces)}
    classes = np.zeros(len(pieces), np.uint8)
    lemma_of = {piece: wordnet.lemma(piece) if piece.isalpha() else piece for piece in pieces}
    for line in _listed("words.txt"):
        name, words = line.split(":")
        for group in words.split():
            for word in group.split("="):
                if word in place:
                    classes[place[word]] = CLASSES.index(name)
                    lemma_of[word] = group.split("=")[0]
    lemmas = np.array([place.get(lemma_of[piece], number) for number, piece in enumerate(pieces)], np.uint16)
    rank = np.arange(1, len(pieces) + 1)
    weights = np.clip(np.log2(1 + rank / 40) / np.log2(1 + len(pieces) / 40) * 255, 25, 255).astype(np.uint8)
    files = np.zeros(len(pieces), np.uint8)
    for number in range(len(pieces)):
        best = max(
            (
                (wordnet.counts[f"{lemma}/{part}"], -order, wordnet.senses[keys[0]].file)
                for order, (part, lemma) in enumerate((part, pieces[lemmas[number]]) for part in "nvar")
                if (keys := wordnet.of.get((lemma, part)))
            ),
            default=None,
        )
        if best:
            files[number] = best[2] + 1
    opposites = {*_opposites(place, lemmas, wordnet)}
    synonyms = {*_synonyms(place, lemmas, classes, wordnet)} - opposites
    return Vocabulary(pieces, lemmas, weights, classes, files, sorted(opposites), sorted(synonyms))


def _listed(name: str) -> Iterator[str]:
    for line in (HERE / name).read_text().splitlines():
        if line and not line.startswith("#"):
            yield line


def _opposites(place: dict[str, int], lemmas: NDArray[np.uint16], wordnet: WordNet) -> Iterator[tuple[int, int]]:
    pairs = {tuple(line.split()) for line in _listed("opposites.txt")}
    for sense in wordnet.senses.values():
        pairs.update(sense.opposites)
    for left, right in pairs:
        if left in place and right in place and lemmas[place[left]] != lemmas[place[right]]:
            one, other = int(lemmas[place[left]]), int(lemmas[place[right]])
            yield (one, other)
            yield (other, one)


def _synonyms(
    place: dict[str, int], lemmas: NDArray[np.uint16], classes: NDArray[np.uint8], wordnet: WordNet
) -> Iterator[tuple[int, int]]:
    """Words that share one of the first senses of both, and adjectives whose first are alike; rare senses would make
    everything alike."""
    first: dict[str, list[str]] = defaultdict(list)
    for (word, _), keys in wordnet.of.items():
        if word in place:
            first[word] += keys[:3]
    for key, sense in wordnet.senses.items():
        same = [word for word in sense.words if key in first[word]]
        sure = [word for word in sense.words if first[word][:1] == [key]]
        near = [word for other in sense.alike for word in wordnet.senses[other].words if first[word][:1] == [other]]
        pairs = {(left, right) for left in same for right in same} | {(left, right) for left in sure for right in near}
        for left, right in pairs:
            one, second = int(lemmas[place[left]]), int(lemmas[place[right]])
            if one != second and not classes[one] and not classes[second]:
                yield (one, second)
                yield (second, one)
