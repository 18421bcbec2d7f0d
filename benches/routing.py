"""How each strategy takes a brown-out, an outage and a full outage: the real stations, in a world on virtual time.

    .venv/bin/python benches/routing.py --plot benches/routing.svg

Prints the table that stands in ``benches/README.md`` and draws the plot beside it. The world is in ``outages.py``.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import get_args

import matplotlib

sys.path.insert(0, str(Path(__file__).parents[1]))

from benches.outages import MEDIANS_S, Figures, World, figures, percentile, phases
from benches.stations import lived
from matplotlib import pyplot

from tollway.contract.routing import Strategy

BIN_S = 10.0
TICKS_S = (2.0, 3.0, 5.0, 10.0)
SHOWN: tuple[Strategy, ...] = ("round_robin", "weighted", "least_busy", "latency")
"""Drawn; the others are in the table."""

AS_NORMAL = ("after the brown-out", "after the outage")
"""Phases that the table leaves out: after a minute at most they are the normal one again."""


def table(found: Mapping[Strategy, Sequence[Figures]]) -> str:
    """Markdown: a row a phase and strategy."""
    lines = [
        "| phase | strategy | p50 s | p95 s | p99 s | of the best's p99 | lost | calls per call | "
        + " | ".join(MEDIANS_S)
        + " |",
        "|---|---|---|---|---|---|---|---|" + "---|" * len(MEDIANS_S),
    ]
    for number, phase in enumerate(next(iter(found.values()))):
        if phase.phase not in AS_NORMAL:
            lines += [_row(strategy, all_of[number]) for strategy, all_of in found.items()]
    return "\n".join(lines)


def _row(strategy: str, of: Figures) -> str:
    ratio = of.p99_s / of.best_p99_s
    waits = " | ".join(f"{value:.2f}" if value == value else "" for value in (of.p50_s, of.p95_s, of.p99_s, ratio))
    shares = " | ".join(f"{share:.0%}" for share in of.shares.values())
    lost = f"{of.lost:,} of {of.requests:,}"
    return f"| {of.phase} | `{strategy}` | {waits} | {lost} | {of.amplification:.2f} | {shares} |"


def draw(found: Mapping[Strategy, Sequence[World]], path: Path) -> None:
    """Waits over time, and where ``latency`` sent the calls."""
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "routing", "font.size": 9})
    figure, (waits, calls, shares) = pyplot.subplots(3, 1, figsize=(11, 9), sharex=True, layout="constrained")
    for strategy in SHOWN:
        worst, made = _over_time(found[strategy])
        waits.plot(*zip(*worst, strict=True), label=strategy)
        calls.plot(*zip(*made, strict=True), label=strategy)
    waits.set(yscale="log", ylabel="99th percentile, s", yticks=TICKS_S, yticklabels=[f"{tick:g}" for tick in TICKS_S])
    waits.minorticks_off()
    waits.set_title("Waits for the first byte, of each ten seconds", pad=16)
    calls.set(ylabel="calls of targets per call", title="Amplification")
    bins = _shares(found["latency"])
    shares.stackplot(list(bins), *([of[name] for of in bins.values()] for name in MEDIANS_S), labels=list(MEDIANS_S))
    shares.set(ylim=(0, 1), xlabel="s", ylabel="share of calls", title="Where latency sends its calls")
    start = 0.0
    for phase in found["latency"][0].course:
        for axes in (waits, calls, shares):
            axes.axvline(start, color="0.7", linewidth=0.7)
        waits.text(
            start + phase.seconds / 2, 1.01, phase.name, ha="center", fontsize=7, transform=waits.get_xaxis_transform()
        )
        start += phase.seconds
    for axes in (waits, calls, shares):
        axes.legend(loc="upper left", fontsize=8)
    figure.savefig(path, metadata={"Date": None})


_Line = list[tuple[float, float]]


def _over_time(worlds: Iterable[World]) -> tuple[_Line, _Line]:
    """The 99th percentile of waits, and the calls of targets per client call, of each bin."""
    waits: dict[int, list[float]] = {}
    clients: dict[int, int] = {}
    calls: dict[int, int] = {}
    for world in worlds:
        for client in world.clients:
            at = int(client.arrived_s / BIN_S)
            clients[at] = clients.get(at, 0) + 1
            if client.wait_s is not None:
                waits.setdefault(at, []).append(client.wait_s)
        for call in world.calls:
            at = int(call.at_s / BIN_S)
            calls[at] = calls.get(at, 0) + 1
    return (
        [(at * BIN_S, percentile(sorted(waits.get(at, ())), 0.99)) for at in sorted(clients)],
        [(at * BIN_S, calls.get(at, 0) / count) for at, count in sorted(clients.items())],
    )


def _shares(worlds: Iterable[World]) -> dict[float, dict[str, float]]:
    counts: dict[float, dict[str, float]] = {}
    for world in worlds:
        for call in world.calls:
            of = counts.setdefault(int(call.at_s / BIN_S) * BIN_S, dict.fromkeys(MEDIANS_S, 0.0))
            of[call.target] += 1
    return {at: {name: of[name] / sum(of.values()) for name in MEDIANS_S} for at, of in sorted(counts.items())}


def main() -> None:
    """Runs all strategies with all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, help="where to draw it")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--phase-seconds", type=float, default=300.0)
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second")
    parser.add_argument("--strategies", nargs="+", choices=get_args(Strategy), default=[*SHOWN, "priority", "sticky"])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    runs = list(product(options.strategies, range(1, options.seeds + 1)))
    course = phases(options.phase_seconds)
    with ProcessPoolExecutor(options.jobs) as pool:
        lives = [pool.submit(lived, strategy, seed, course, options.rate) for strategy, seed in runs]
        worlds: dict[Strategy, list[World]] = {}
        for (strategy, _), life in zip(runs, lives, strict=True):
            worlds.setdefault(strategy, []).append(life.result())
    print(table({strategy: figures(some) for strategy, some in worlds.items()}))
    if options.plot is not None:
        draw(worlds, options.plot)


if __name__ == "__main__":
    main()
