"""Trains the weights of the injection classifier.

    python -m benches.guardrails.train_injection DATA [rust/core/src/injection/weights.bin]

``DATA`` holds the development sets. A score of 0.5 is put where, with near duplicates left out of training, at most
one in a hundred ordinary texts and one in twenty-five over-defence prompts raise an alarm. ``--threshold`` takes the
place of an earlier run instead, and saves five of six trainings.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from benches.guardrails.attacks.linear import Windows, trained
from benches.guardrails.attacks.measure import folds, left_out, threshold
from benches.guardrails.attacks.sources import development, made, shares

WEIGHTS = Path("rust/core/src/injection/weights.bin")


def main() -> None:
    """Writes the weights."""
    parser = argparse.ArgumentParser(description="Trains the weights of the injection classifier.")
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path, nargs="?", default=WEIGHTS)
    parser.add_argument("--threshold", type=float)
    arguments = parser.parse_args()
    rows = development(arguments.data)
    everything = rows + made()
    windows = Windows([row.text for row in everything])
    at = arguments.threshold
    if at is None:
        at = threshold(rows, left_out(everything, windows, folds(rows)))
    labels = np.array([row.label for row in everything])
    model = trained(windows, labels, shares(everything, np.ones(len(everything), dtype=bool)))
    arguments.weights.write_bytes(model.packed(at))
    sys.stderr.write(f"{len(everything)} texts, {windows.count} windows; 0.5 at {at:.2f}\n")


if __name__ == "__main__":
    main()
