"""How often a semantic cache hits, and how often it lies: ``make bench-cache``. Prints tables, writes plots.

python -m benches.cache [--data FILE_OR_DIRECTORY] [--plots DIRECTORY]

The `a` sides are a cache's entries, the `b` sides are asked; the nearest acceptable entry is served. Nothing is trained
here. MiniLM takes part where its packages are installed. The verifier was trained on the development pairs, so its
figures for those flatter it: `train_verifier` tells the cross-validated ones.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from benches.cache.pairs import Outcome, Pair, Played, best_recall, outcome, play, question, read_pairs
from matplotlib import pyplot
from numpy.typing import NDArray

Scores = dict[str, NDArray[np.float32]]
THRESHOLDS = (0.5, 0.75, 0.85, 0.9, 0.93, 0.95, 0.97, 0.985)
DEFAULT = 0.95


def minilm(texts: list[str]) -> dict[str, NDArray[np.float32]] | None:
    """Vectors of texts; None where the packages are missing."""
    try:
        from benches.cache.teacher import Teacher

        return dict(zip(texts, Teacher().embed(texts), strict=True))
    except ModuleNotFoundError:
        return None


def scored(played: Played, second: dict[str, NDArray[np.float32]] | None) -> Scores:
    """By each way of judging, how sure it is of each look-up's entry."""
    found: dict[str, list[float]] = {"built-in cosine": [], "verifier": []}
    if second:
        found |= {"MiniLM cosine": [], "verifier with MiniLM": []}
    for look_up, entry in played.rows:
        a, b = played.entries[entry], played.asked[look_up]
        one, other = played.questions[a], played.questions[b]
        found["built-in cosine"].append(one.similarity(other))
        found["verifier"].append(one.confidence(other))
        if second:
            cosine = float(second[a] @ second[b])
            found["MiniLM cosine"].append(cosine)
            found["verifier with MiniLM"].append(one.confidence(other, cosine))
    return {name: np.array(scores, np.float32) for name, scores in found.items()}


def by_threshold(played: Played, scores: Scores) -> str:
    lines = [
        "| judged by | threshold | hit rate | recall of the answerable | wrong per look-up |",
        "|---|---|---|---|---|",
    ]
    for name, of in scores.items():
        lines += [_row(name, f"{each.threshold:.3f}", each) for each in (outcome(played, of, at) for at in THRESHOLDS)]
    return "\n".join(lines)


def at_most(played: Played, scores: Scores) -> str:
    lines = [
        "| judged by | most wrong | hit rate | recall of the answerable | wrong per look-up |",
        "|---|---|---|---|---|",
    ]
    for name, of in scores.items():
        lines += [_row(name, f"{wrong:.1%}", best_recall(played, of, wrong)) for wrong in (0.005, 0.01, 0.02, 0.05)]
    return "\n".join(lines)


def by_part(played: Played, scores: Scores, parts: list[str]) -> str:
    lines = [
        f"| {DEFAULT}, judged by | part | hit rate | recall of the answerable | wrong per look-up |",
        "|---|---|---|---|---|",
    ]
    for name in (name for name in scores if name.startswith("verifier")):
        for part in sorted({*parts}):
            only = np.array([each == part for each in parts])
            lines.append(_row(name, f"{part} ({only.sum()})", outcome(played, scores[name], DEFAULT, only)))
    return "\n".join(lines)


def _row(name: str, at: str, of: Outcome) -> str:
    return f"| {name} | {at} | {of.hit:.3f} | {of.recall:.3f} | {of.wrong:.4f} |"


def twins(pairs: list[Pair], second: dict[str, NDArray[np.float32]] | None) -> str:
    """Of every kind of pair, how many would hit if there were no other entry."""
    lines = ["| kind | pairs | same | agree | verifier hits | with MiniLM |", "|---|---|---|---|---|---|"]
    for suite, kind, same in sorted({(pair.suite, pair.kind, pair.same) for pair in pairs}):
        chosen = [pair for pair in pairs if (pair.suite, pair.kind, pair.same) == (suite, kind, same)]
        agreed = hit = confirmed = 0
        for pair in chosen:
            one, other = question(pair.a), question(pair.b)
            if one is None or other is None:
                continue
            agreed += one.agrees(other)
            hit += one.confidence(other) >= DEFAULT
            if second:
                confirmed += one.confidence(other, float(second[pair.a] @ second[pair.b])) >= DEFAULT
        shares = [f"{count / len(chosen):.3f}" for count in (agreed, hit)]
        last = f"{confirmed / len(chosen):.3f}" if second else "-"
        lines.append(f"| {suite}, {kind} | {len(chosen)} | {'yes' if same else 'no'} | {' | '.join(shares)} | {last} |")
    return "\n".join(lines)


def plot(played: Played, scores: Scores, path: Path) -> None:
    """Recall by wrong answers, a line for each way of judging."""
    mpl.rcParams["svg.hashsalt"] = "tollway"
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    shares = np.geomspace(0.0005, 0.1, 40)
    for name, of in scores.items():
        axes.plot(shares * 100, [best_recall(played, of, float(share)).recall for share in shares], label=name)
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="wrong answers per hundred look-ups, at most", ylabel="recall of the answerable")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def plot_thresholds(played: Played, scores: Scores, path: Path) -> None:
    """Recall and wrong answers by the verifier's threshold."""
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(7, 6), sharex=True)
    thresholds = np.linspace(0.4, 1, 61)
    for name in (name for name in scores if name.startswith("verifier")):
        found = [outcome(played, scores[name], float(at)) for at in thresholds]
        above.plot(thresholds, [each.recall for each in found], label=name)
        below.plot(thresholds, [each.wrong * 100 for each in found], label=name)
    for axes, label in ((above, "recall of the answerable"), (below, "wrong per hundred look-ups")):
        axes.axvline(DEFAULT, color="grey", linewidth=0.8, linestyle=":")
        axes.set_ylabel(label)
    above.legend(frameon=False)
    below.set_xlabel("threshold")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    """Prints the tables and writes the plots."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/semantic-cache"))
    parser.add_argument("--plots", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    if not asked.data.exists():
        parser.error(f"{asked.data} does not exist: name a file of pairs, or a directory, with --data")
    pairs = read_pairs(asked.data)
    played = play(pairs)
    second = minilm(sorted({text for pair in pairs for text in (pair.a, pair.b)}))
    scores = scored(played, second)
    print(f"{len(played.entries)} entries, {len(played.asked)} look-ups, {played.answerable} of them answerable\n")
    for heading, table in (
        ("By threshold", by_threshold(played, scores)),
        ("At most so many wrong answers", at_most(played, scores)),
        ("By suite", by_part(played, scores, played.suites)),
        ("By kind", by_part(played, scores, played.kinds)),
        ("Pair by pair", twins(pairs, second)),
    ):
        print(f"## {heading}\n\n{table}\n", flush=True)
    plot(played, scores, asked.plots / "recall.svg")
    plot_thresholds(played, scores, asked.plots / "thresholds.svg")


if __name__ == "__main__":
    main()
