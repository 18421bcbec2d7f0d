"""A linear model over the features of windows, with numpy alone: the same data give the same weights, bit by bit."""

import struct
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tollway._native.injection import FEATURES, Classifier

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

GROUPS = np.array([0, 1 << 17, 1 << 18, (1 << 18) + (1 << 16), FEATURES])
"""Where the groups of features begin: words, letters, concepts, traits. As in ``rust/core``, a test holds."""

STRENGTHS = np.array([1.0, 1.0, 2.0, 1.0])
"""How freely a group may weigh: concepts say the same in texts of another source, words often don't."""

PENALTY = 2e-4
ITERATIONS = 40
MEMORY = 8
SEEN_MIN = 2
NOTHING = -20.0
"""What a text without a word weighs."""


class Windows:
    """The windows of texts as rows of a sparse matrix. Within a group a row is divided by the root of its count."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Reads the features with the classifier itself."""
        classifier = Classifier()
        found = [classifier.features(text) for text in texts]
        rows = [np.frombuffer(window, dtype="<u4").astype(np.int64) for windows in found for window in windows]
        self.texts = len(texts)
        self.owner: Numbers = np.repeat(np.arange(len(texts)), [len(windows) for windows in found])
        self.count = len(rows)
        self.column: Numbers = np.concatenate(rows)
        self.row: Numbers = np.repeat(np.arange(self.count), [len(row) for row in rows])
        group = np.searchsorted(GROUPS, self.column, side="right") - 1
        counts = np.bincount(self.row * 4 + group, minlength=4 * self.count).reshape(-1, 4)
        norm = 1 / np.sqrt(np.maximum(counts, 1))
        norm[:, 3] = 1
        self.value = (norm[self.row, group] * STRENGTHS[group]).astype(np.float32)

    def scores(self, model: "Model") -> Floats:
        """What each window weighs."""
        weights = (model.weights / strengths(FEATURES)).astype(np.float32)
        summed = np.bincount(self.row, weights=self.value * weights[self.column], minlength=self.count)
        return np.asarray(summed + model.bias, dtype=np.float64)

    def worst(self, scores: Floats) -> Floats:
        """For each text the score of its worst window."""
        worst = np.full(self.texts, NOTHING)
        np.maximum.at(worst, self.owner, scores)
        return worst


class Model:
    """What each feature weighs, and what is added."""

    def __init__(self, weights: Floats, bias: float) -> None:
        self.weights = weights
        self.bias = bias

    def packed(self, threshold: float, slope: float = 1.0) -> bytes:
        """As ``weights.bin``: a score of 0.5 at ``threshold``."""
        scales, parts = [], []
        for first, last in pairwise(GROUPS):
            weights = self.weights[first:last]
            used = np.abs(weights[weights != 0])
            top = float(np.quantile(used, 0.9999)) if used.size else 1.0
            scales.append(top / 127)
            parts.append(np.clip(np.rint(weights / scales[-1]), -127, 127).astype(np.int8).tobytes())
        return b"TWI1" + struct.pack("<6f", *scales, self.bias - threshold, slope) + b"".join(parts)


def strengths(features: int) -> Floats:
    """The strength of each feature."""
    return STRENGTHS[np.searchsorted(GROUPS, np.arange(features), side="right") - 1]


class Problem:
    """Logistic loss with a penalty on a part of the windows."""

    def __init__(self, windows: Windows, rows: Flags, labels: Floats, shares: Floats) -> None:
        kept = np.flatnonzero(rows)
        entries = np.flatnonzero(rows[windows.row])
        often = np.bincount(windows.column[entries], minlength=FEATURES) >= SEEN_MIN
        entries = entries[often[windows.column[entries]]]
        self.columns = np.flatnonzero(often)
        column = (np.cumsum(often) - 1)[windows.column[entries]].astype(np.int32)
        row = (np.cumsum(rows) - 1)[windows.row[entries]].astype(np.int32)
        value = windows.value[entries]
        self.by_row = (column, value, starts(row, len(kept)))
        order = np.argsort(column, kind="stable")
        self.by_column = (row[order], value[order], starts(column[order], len(self.columns)))
        self.labels = labels[kept]
        self.shares = shares[kept] / shares[kept].sum()

    def loss(self, point: Floats) -> tuple[float, Floats]:
        """The loss and its gradient; the last number of a point is the bias."""
        weights = point[:-1]
        score = product(self.by_row, weights) + point[-1]
        chance = 1 / (1 + np.exp(-np.clip(score, -30, 30)))
        loss = float(self.shares @ (np.logaddexp(0, score) - self.labels * score)) + PENALTY / 2 * float(
            weights @ weights
        )
        off = self.shares * (chance - self.labels)
        gradient = product(self.by_column, off) + PENALTY * weights
        return loss, np.append(gradient, off.sum())


def starts(sorted_places: NDArray[np.int32], count: int) -> Numbers:
    """Where each of ``count`` runs of a sorted array begins, and the end."""
    return np.searchsorted(sorted_places, np.arange(count + 1))


def product(matrix: tuple[NDArray[np.int32], NDArray[np.float32], Numbers], vector: Floats) -> Floats:
    """A compressed matrix times a vector."""
    places, values, begins = matrix
    terms = np.append(values * vector.astype(np.float32)[places], np.float32(0))
    sums = np.add.reduceat(terms, begins[:-1]).astype(np.float64)
    sums[begins[:-1] == begins[1:]] = 0
    return sums


def minimised(problem: Problem, point: Floats, iterations: int) -> Floats:
    """The point of least loss: L-BFGS with halved steps (Nocedal and Wright, algorithms 7.4 and 3.1)."""
    steps: list[tuple[Floats, Floats]] = []
    loss, gradient = problem.loss(point)
    for _ in range(iterations):
        direction = gradient.copy()
        shares = []
        for moved, turned in reversed(steps):
            shares.append(float(moved @ direction) / float(moved @ turned))
            direction -= shares[-1] * turned
        if steps:
            moved, turned = steps[-1]
            direction *= float(moved @ turned) / float(turned @ turned)
        for (moved, turned), share in zip(steps, reversed(shares), strict=True):
            direction += moved * (share - float(turned @ direction) / float(moved @ turned))
        step = 1.0 if steps else 0.1 / float(np.abs(gradient).max())
        while True:
            there = point - step * direction
            there_loss, there_gradient = problem.loss(there)
            if there_loss <= loss - 1e-4 * step * float(gradient @ direction) or step < 1e-6:
                break
            step /= 2
        moved, turned = there - point, there_gradient - gradient
        if float(moved @ turned) > 1e-14:
            steps = [*steps, (moved, turned)][-MEMORY:]
        settled = abs(loss - there_loss) < 1e-6
        point, loss, gradient = there, there_loss, there_gradient
        if settled:
            break
    return point


def trained(windows: Windows, labels: Numbers, shares: Floats) -> Model:
    """A model from the texts whose share is above zero.

    An attack may lie in one window of a long text: a first model, which takes each window of it for one, says in which;
    the second learns from those alone, and from every window of harmless texts.
    """
    label = labels[windows.owner].astype(np.float64)
    rows = (shares > 0)[windows.owner]
    model = Model(np.zeros(FEATURES), 0.0)
    for iterations in (ITERATIONS // 2, ITERATIONS):
        chosen = rows.copy()
        if iterations == ITERATIONS:
            scores = windows.scores(model)
            chosen &= (label == 0) | (scores >= windows.worst(scores)[windows.owner] - 1)
        each = np.maximum(np.bincount(windows.owner[chosen], minlength=windows.texts), 1)[windows.owner]
        problem = Problem(windows, chosen, label, shares[windows.owner] / np.where(label == 1, each, np.sqrt(each)))
        scale = strengths(FEATURES)[problem.columns]
        point = minimised(problem, np.append(model.weights[problem.columns] / scale, model.bias), iterations)
        weights = np.zeros(FEATURES)
        weights[problem.columns] = point[:-1] * scale
        model = Model(weights, float(point[-1]))
    return model
