"""Trains the semantic cache's verifier and writes `rust/core/src/questions/verifier.bin`; the same bytes every time.

python -m benches.cache.train_verifier [--data FILE] [--check]

Two heads of small boosted trees, over the signs of two questions, and over those and MiniLM's cosine. They learn from
what the cache would look at (each look-up's nearest entries), from the pairs themselves, and from twins made by rules;
and, at a fifth of the weight, from natural pairs written for this (`lessons.jsonl`, five lists). What they make of each
list without having learned from it is told, and last what they make of pairs that nothing was learned or chosen by
(`natural.jsonl`).
A sign that speaks for or against can only do so (monotone constraints). Texts of the same gist are the same whatever
the trees say, so these learn nothing from them. The line from sums to confidences is laid by cross-validation in groups
of prompts: 0.95 stands where 0.6 % of the look-ups were answered wrongly. Questions of one intent that are no
paraphrases (`same-intent`) neither teach nor count.
"""

import argparse
import os
import random
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benches.cache.mutations import Mutator
from benches.cache.pairs import (
    Outcome,
    Pair,
    Played,
    best_recall,
    groups,
    outcome,
    play,
    question,
    read_pairs,
    suites_of,
)
from benches.cache.sentences import asked_of
from benches.cache.teacher import Teacher
from benches.cache.vocabulary import compile_vocabulary, read_wordnet
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

TARGET = Path("rust/core/src/questions/verifier.bin")
HERE = Path(__file__).parent
FOLDS = 5
LEAF = 0xFFFF
TWINS_OF = 4
"""Of every fourth text there are twins: more teach nothing more, and MiniLM takes its time for each."""
NATURAL_TWINS_OF = 2
"""Of what customers wrote, every second."""
FRAMED = 500
"""Questions of WordNet's words, which have twins too."""
LESSONS = "lessons-"
LESSON_WEIGHT, TWIN_WEIGHT = 0.2, 0.1
"""Of a pair beside one of the development pairs. More teaches natural questions better and the others worse."""
SURE = np.float32(99)
KINDS = "question time degree quantity joint person modal being place".split()
SIGNS = (
    *"cosine+ shared_least+ shared_most+ covered_least+ covered_most+ worst_most- worst_least- lone_most-".split(),
    *"lone_least- alike opposed- content_least swaps- matched".split(),
    *"same_bag names_most- names_least- single single_close".split(),
    *"single_kind length_ratio length numbers numbers_lack- scopes- unknown_most- run+".split(),
    *(f"{kind}_{side}{'-'}" for kind in KINDS for side in ("most", "least")),
    "same_gist+",
    "second+",
)
"""As the core gives them; `+` speaks for, `-` against."""

SAME_GIST = SIGNS.index("same_gist+")
LINE = ((0.0015, 0.985), (0.003, 0.97), (0.006, 0.95), (0.01, 0.93), (0.02, 0.88), (0.05, 0.75), (0.1, 0.5))
"""Shares of wrong answers a look-up, and the confidence that stands where they come about."""


@dataclass
class Rows:
    """Pairs to learn from or to be asked about, and where they are from."""

    signs: NDArray[np.float32]
    same: NDArray[np.bool_]
    agrees: NDArray[np.bool_]
    weights: NDArray[np.float32]
    texts: list[tuple[str, str]]

    def of(self, chosen: NDArray[np.bool_]) -> "Rows":
        texts = [each for each, is_chosen in zip(self.texts, chosen, strict=True) if is_chosen]
        return Rows(self.signs[chosen], self.same[chosen], self.agrees[chosen], self.weights[chosen], texts)


def rows_of(pairs: list[tuple[str, str, bool, float]], second: dict[str, NDArray[np.float32]]) -> Rows:
    """Their signs, MiniLM's cosine last."""
    signs, same, agrees, weights, texts = [], [], [], [], []
    for a, b, is_same, weight in pairs:
        one, other = question(a), question(b)
        if one is None or other is None:
            continue
        signs.append([*one.signs(other), float(second[a] @ second[b])])
        same.append(is_same)
        agrees.append(one.agrees(other))
        weights.append(weight)
        texts.append((a, b))
    return Rows(np.array(signs, np.float32), np.array(same), np.array(agrees), np.array(weights, np.float32), texts)


def rows_to_judge(played: Played, second: dict[str, NDArray[np.float32]]) -> Rows:
    """Each look-up with its nearest entries."""
    asked = [(played.entries[e], played.asked[q], e in played.partners[q], 1.0) for q, e in played.rows]
    return rows_of(asked, second)


def fit(rows: Rows, with_second: bool) -> HistGradientBoostingClassifier:
    """The trees of one head."""
    width = len(SIGNS) - (not with_second)
    chosen = rows.agrees & (rows.weights > 0) & (rows.signs[:, SAME_GIST] == 0)
    model = HistGradientBoostingClassifier(
        max_iter=150,
        max_leaf_nodes=12,
        learning_rate=0.1,
        min_samples_leaf=20,
        l2_regularization=5.0,
        monotonic_cst=[{"+": 1, "-": -1}.get(name[-1], 0) for name in SIGNS[:width]],
        early_stopping=False,
        random_state=0,
    )
    model.fit(rows.signs[chosen, :width], rows.same[chosen], sample_weight=rows.weights[chosen])
    return model


def scores(model: HistGradientBoostingClassifier, rows: Rows) -> NDArray[np.float32]:
    """Sums; the most of pairs of the same gist, the least of those that do not agree."""
    sums: NDArray[np.float32] = model.decision_function(rows.signs[:, : model.n_features_in_]).astype(np.float32)
    return np.where(rows.agrees, np.where(rows.signs[:, SAME_GIST] > 0, SURE, sums), -SURE)


def crossed(asked: Rows, taught: Rows, number: dict[str, int], count: int, with_second: bool) -> NDArray[np.float32]:
    """Each look-up judged by a model that saw none of the texts of its part, nor of the entries'."""
    found = np.full(len(asked.texts), -SURE, np.float32)
    parts = np.array([number[b] % count for _, b in asked.texts])
    seen = np.array([[number.get(a, -1) % count if a in number else -1, number[b] % count] for a, b in taught.texts])
    for part in range(count):
        here = parts == part
        if here.any():
            model = fit(taught.of(~(seen == part).any(axis=1)), with_second)
            found[here] = scores(model, asked.of(here))
    return found


def packed(model: HistGradientBoostingClassifier, line: list[tuple[float, float]]) -> bytes:
    """A head as the core reads it."""
    roots: list[int] = []
    nodes: list[bytes] = []
    for (predictor,) in model._predictors:
        first = len(nodes)
        roots.append(first)
        for node in predictor.nodes:
            if node["is_leaf"]:
                nodes.append(struct.pack("<4Hf", LEAF, 0, 0, 0, node["value"]))
            else:
                children = (first + node["left"], first + node["right"])
                threshold = np.float32(node["num_threshold"])
                if threshold > node["num_threshold"]:
                    threshold = np.nextafter(threshold, np.float32(-np.inf))
                nodes.append(struct.pack("<4Hf", node["feature_idx"], *children, 0, threshold))
    base = float(model._baseline_prediction[0, 0])
    head = struct.pack("<4Hf", len(roots), len(nodes), len(line), 0, base) + struct.pack(f"<{len(roots)}H", *roots)
    return head + b"".join(nodes) + b"".join(struct.pack("<2f", *point) for point in line)


def line_of(played: Played, found: NDArray[np.float32], counted: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Points of sums and confidences, rising."""
    points = [(float(found[found < SURE].max()) + 1.0, 1.0)]
    for wrong, confidence in LINE:
        at = threshold_of(played, found, wrong, counted)
        points.append((min(at, points[-1][0] - 0.05), confidence))
    points.append((points[-1][0] - 6.0, 0.0))
    return points[::-1]


def threshold_of(played: Played, found: NDArray[np.float32], wrong: float, counted: NDArray[np.bool_]) -> float:
    some = Played(
        played.entries,
        [text for text, is_counted in zip(played.asked, counted, strict=True) if is_counted],
        [each for each, is_counted in zip(played.partners, counted, strict=True) if is_counted],
        [],
        [],
        [],
    )
    place = np.cumsum(counted) - 1
    kept = [(row, score) for row, score in zip(played.rows, found, strict=True) if counted[row[0]]]
    some.rows = [(int(place[look_up]), entry) for (look_up, entry), _ in kept]
    return best_recall(some, np.array([score for _, score in kept], np.float32), wrong).threshold


def told(name: str, of: Outcome) -> str:
    return f"{name:34} hit {of.hit:.3f} recall {of.recall:.3f} wrong {of.wrong:.4f}"


def taught_by(pairs: list[Pair], played: Played) -> list[tuple[str, str, bool, float]]:
    """What there is to learn: look-ups with their nearest, pairs, twins by rules."""
    same_intent = {(pair.a, pair.b) for pair in pairs if pair.kind == "same-intent"}

    def weight(one: str, other: str, suite: str) -> float:
        return 0.0 if (one, other) in same_intent else LESSON_WEIGHT if suite.startswith(LESSONS) else 1.0

    found: dict[tuple[str, str], tuple[bool, float]] = {}
    for look_up, entry in played.rows:
        one, other = played.entries[entry], played.asked[look_up]
        found[one, other] = (entry in played.partners[look_up], weight(one, other, played.suites[look_up]))
    for pair in pairs:
        found.setdefault((pair.a, pair.b), (pair.same, weight(pair.a, pair.b, pair.suite)))
    wordnet = read_wordnet()
    mutator = Mutator(compile_vocabulary(Teacher().pieces(), wordnet))
    texts = sorted({text for pair in pairs if not pair.suite.startswith(LESSONS) for text in (pair.a, pair.b)})
    written = sorted({text for pair in pairs if pair.suite == "banking77" for text in (pair.a, pair.b)})
    framed = list(asked_of(wordnet, FRAMED, random.Random(3)))  # noqa: S311 - to be the same each time
    for text in (*texts[::TWINS_OF], *written[::NATURAL_TWINS_OF], *framed):
        for one, other, is_same in mutator.twins(text):
            found.setdefault((one, other), (is_same, TWIN_WEIGHT))
    return [(a, b, same, weight) for (a, b), (same, weight) in found.items()]


def main() -> None:
    """Trains, tells what cross-validation says, and writes; with --check it only tells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/semantic-cache/pairs.dev.jsonl"))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--vectors", type=Path, help="where MiniLM's vectors are kept between runs")
    asked = parser.parse_args()
    official = read_pairs(asked.data)
    pairs = official + read_pairs(HERE / "lessons.jsonl")
    played, wide = play(official), play(pairs)
    strange = play(pairs + read_pairs(HERE / "natural.jsonl"))
    lessons = taught_by(pairs, wide)
    texts = sorted({text for a, b, _, _ in lessons for text in (a, b)} | {*strange.entries} | {*strange.asked})
    second = dict(zip(texts, _vectors(texts, asked.vectors), strict=True))
    taught = rows_of(lessons, second)
    rows, rows_wide, rows_strange = (rows_to_judge(each, second) for each in (played, wide, strange))
    print(f"{len(taught.texts)} pairs teach, {int(taught.same.sum())} the same; {len(rows.texts)} are asked about")
    counted = np.array([kind != "same-intent" for kind in played.kinds])
    number, suite = groups(pairs), suites_of(pairs)
    for a, b in taught.texts:
        number.setdefault(b, number.get(a, 0))
        suite.setdefault(b, suite.get(a, ""))
    names = sorted({*suite.values()})
    numbered = {text: names.index(of) for text, of in suite.items()}
    written = b""
    for with_second in (False, True):
        found = crossed(rows, taught, number, FOLDS, with_second)
        line = line_of(played, found, counted)
        limit = next(at for at, confidence in line if confidence == 0.95)
        print(f"\n{'with MiniLM' if with_second else 'built in alone'}: 0.95 stands at {limit:.3f}")
        _tell(played, found, limit, "groups left out")
        _tell(played, crossed(rows, taught, numbered, len(names), with_second), limit, "suites left out")
        _tell_natural(wide, crossed(rows_wide, taught, numbered, len(names), with_second), limit, LESSONS)
        model = fit(taught, with_second)
        _tell_natural(strange, scores(model, rows_strange), limit, "natural-")
        written += packed(model, line)
    if not asked.check:
        asked.target.write_bytes(written)
        print(f"\n{asked.target}: {len(written)} bytes")


def _tell(played: Played, found: NDArray[np.float32], limit: float, how: str) -> None:
    print(told(f"{how}, at 0.95", outcome(played, found, limit)))
    for wrong in (0.006, 0.01, 0.05):
        print(told(f"{how}, {wrong:.1%} wrong", best_recall(played, found, wrong)))
    for suite in sorted({*played.suites}):
        only = np.array([each == suite for each in played.suites])
        print(told(f"    {suite}", outcome(played, found, limit, only)))


def _tell_natural(played: Played, found: NDArray[np.float32], limit: float, start: str) -> None:
    """Of lists of natural questions that were not taught, in one cache with all others."""
    for name in (start, *sorted({suite for suite in played.suites if suite.startswith(start)})):
        only = np.array([suite.startswith(name) for suite in played.suites])
        print(told(f"{name} left out, at 0.95", outcome(played, found, limit, only)))
        for wrong in (0.01, 0.02):
            at = threshold_of(played, found, wrong, only)
            print(told(f"{name} left out, {wrong:.1%} wrong", outcome(played, found, at, only)))


def _vectors(texts: list[str], kept: Path | None) -> NDArray[np.float32]:
    known: dict[str, NDArray[np.float32]] = {}
    if kept and kept.exists():
        with np.load(kept, allow_pickle=True) as file:
            known = dict(zip(file["texts"].tolist(), file["vectors"], strict=True))
    new = [text for text in texts if text not in known]
    if new:
        known.update(zip(new, Teacher(os.cpu_count() or 1).embed(new), strict=True))
    if kept and new:
        np.savez(kept, texts=np.array(list(known), object), vectors=np.array(list(known.values())))
    return np.array([known[text] for text in texts])


if __name__ == "__main__":
    main()
