"""What a training reaches on rows that it has not seen."""

import numpy as np
from benches.guardrails.attacks.linear import Windows, trained
from benches.guardrails.attacks.sources import OVERDEFENCE, SECRETS, Row, groups, shares
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

FOLDS = 5
BESIDE = {"natural-negative", "hard-negative", "synth-v2", "templates-faker", SECRETS}
"""Harmless suites of other sets: no part of the bars."""
ORDINARY_ALARMS_MAX = 0.008
"""Below the bar of one in a hundred, for what is held out is another sample."""
OVERDEFENCE_ALARMS_MAX = 0.03


def folds(rows: list[Row]) -> Numbers:
    """A fold for each row, the same for near duplicates."""
    return groups(rows) * 7919 % 104729 % FOLDS


def left_out(everything: list[Row], windows: Windows, fold: Numbers) -> Floats:
    """For each row that has a fold the score of a model that was trained without its fold."""
    labels = np.array([row.label for row in everything])
    fold = np.append(fold, np.full(len(everything) - len(fold), -1))
    scores = np.full(len(everything), np.nan)
    for out in sorted(set(fold[fold >= 0])):
        model = trained(windows, labels, shares(everything, fold != out))
        scores[fold == out] = windows.worst(windows.scores(model))[fold == out]
    return scores[: len(everything) - np.count_nonzero(fold < 0)]


def is_ordinary(row: Row) -> bool:
    """Plain text, code, long texts, tool output: of the injection set."""
    return row.label == 0 and row.kind != OVERDEFENCE and row.suite not in BESIDE


def is_overdefence(row: Row) -> bool:
    """Harmless texts that sound like attacks."""
    return row.label == 0 and row.kind == OVERDEFENCE


def allowed(scores: Floats, share: float) -> float:
    """The least threshold above which at most this share of scores lies."""
    ordered = np.sort(scores)[::-1]
    return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)])


def threshold(rows: list[Row], scores: Floats) -> float:
    """Where both bars of false alarms hold."""
    ordinary = np.array([is_ordinary(row) for row in rows])
    overdefence = np.array([is_overdefence(row) for row in rows])
    return (
        max(allowed(scores[ordinary], ORDINARY_ALARMS_MAX), allowed(scores[overdefence], OVERDEFENCE_ALARMS_MAX)) + 1e-6
    )
