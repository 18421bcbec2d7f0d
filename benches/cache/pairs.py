"""Pairs of questions, and a cache played with them: the `a` sides are its entries, the `b` sides are asked."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tollway._native.questions import Question

NEAREST = 8
"""Of the entries, those that the gateway's cache looks at."""


@dataclass(frozen=True)
class Pair:
    """Two questions; `same` where the answer to `a` serves `b`."""

    a: str
    b: str
    same: bool
    suite: str
    kind: str


def read_pairs(path: Path) -> list[Pair]:
    """Of a file of JSON lines, or of all `*.jsonl` in a directory."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    return [
        Pair(row["a"], row["b"], bool(row["label"]), row["suite"], row["kind"])
        for file in files
        for row in map(json.loads, file.read_text().splitlines())
    ]


def question(text: str) -> Question | None:
    """None for a text that the cache would not compare."""
    try:
        return Question(text)
    except ValueError:
        return None


@dataclass
class Played:
    """Every look-up with its nearest entries. A question that is itself an entry is no look-up: its answer is found by
    its key, and who serves whom is not in doubt."""

    entries: list[str]
    asked: list[str]
    partners: list[set[int]]
    suites: list[str]
    kinds: list[str]
    rows: list[tuple[int, int]] = field(default_factory=list)
    """Look-up and entry."""
    questions: dict[str, Question] = field(default_factory=dict)

    @property
    def answerable(self) -> int:
        return sum(map(bool, self.partners))


def play(pairs: list[Pair], nearest: int = NEAREST) -> Played:
    """What the cache would look at, by the built-in vectors."""
    entries = list(dict.fromkeys(pair.a for pair in pairs))
    place = {text: number for number, text in enumerate(entries)}
    by_text: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.b not in place:
            by_text[pair.b].append(pair)
    asked = list(by_text)
    played = Played(
        entries,
        asked,
        [{place[pair.a] for pair in by_text[text] if pair.same} for text in asked],
        [by_text[text][0].suite for text in asked],
        [by_text[text][0].kind for text in asked],
    )
    for text in (*entries, *asked):
        if found := question(text):
            played.questions[text] = found
    known = [number for number, text in enumerate(entries) if text in played.questions]
    matrix = unit(np.array([_vector(played.questions[entries[number]]) for number in known], np.float32))
    for look_up, text in enumerate(asked):
        if text in played.questions:
            closeness = matrix @ unit(_vector(played.questions[text])[None])[0]
            best = np.argsort(-closeness, kind="stable")[:nearest]
            played.rows.extend((look_up, known[number]) for number in best)
    return played


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each of length one, or nought."""
    scaled: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return scaled


def _vector(asked: Question) -> NDArray[np.float32]:
    return np.frombuffer(asked.vector, np.int8).astype(np.float32)


@dataclass(frozen=True)
class Outcome:
    """What was served of all look-ups at a threshold."""

    threshold: float
    hit: float
    recall: float
    wrong: float


def served(played: Played, scores: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The best entry of each look-up and its score; -1 where there is none."""
    best = np.full(len(played.asked), -1.0, np.float32)
    entry = np.full(len(played.asked), -1, np.int64)
    for (look_up, number), score in zip(played.rows, scores, strict=True):
        if score > best[look_up]:
            best[look_up], entry[look_up] = score, number
    return best, entry


def right(played: Played, entry: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether what is served is a partner."""
    return np.array([number in partners for number, partners in zip(entry, played.partners, strict=True)], np.bool_)


def outcome(
    played: Played, scores: NDArray[np.float32], threshold: float, only: NDArray[np.bool_] | None = None
) -> Outcome:
    """At a threshold, of all look-ups or of some."""
    best, entry = served(played, scores)
    chosen = np.ones(len(best), np.bool_) if only is None else only
    good = right(played, entry)[chosen]
    hit = best[chosen] >= threshold
    answerable = sum(bool(partners) for partners, is_chosen in zip(played.partners, chosen, strict=True) if is_chosen)
    count = max(1, int(chosen.sum()))
    return Outcome(
        threshold,
        float(hit.sum() / count),
        float((hit & good).sum() / max(1, answerable)),
        float((hit & ~good).sum() / count),
    )


def best_recall(played: Played, scores: NDArray[np.float32], wrong: float) -> Outcome:
    """At the lowest threshold with at most that share of wrong answers a look-up."""
    best, entry = served(played, scores)
    order = np.argsort(-best, kind="stable")
    bad = np.cumsum(~right(played, entry)[order])
    allowed = np.flatnonzero(bad <= wrong * len(order))
    # Look-ups of one score are served together or not at all.
    ends = [int(at) for at in allowed if at + 1 == len(order) or best[order[at]] > best[order[at + 1]]]
    threshold = float(best[order[ends[-1]]]) if ends else 2.0
    return outcome(played, scores, threshold)


def groups(pairs: list[Pair]) -> dict[str, int]:
    """A number for every text; texts that stand in pairs together, one by one, have the same."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while parent.setdefault(text, text) != text:
            parent[text] = parent[parent[text]]
            text = parent[text]
        return text

    for pair in pairs:
        parent[root(pair.a)] = root(pair.b)
    numbers: dict[str, int] = {}
    return {text: numbers.setdefault(root(text), len(numbers)) for text in list(parent)}


def suites_of(pairs: list[Pair]) -> dict[str, str]:
    """The suite that each text is of; the first that names it."""
    found: dict[str, str] = {}
    for pair in pairs:
        found.setdefault(pair.a, pair.suite)
        found.setdefault(pair.b, pair.suite)
    return found
