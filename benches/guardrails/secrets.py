"""How well and how fast secrets are found: tables for the documentation, with the figures of other detectors beside.

python -m benches.guardrails.secrets ../shared/data/guardrails
"""

import argparse
import base64
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tollway._native.secrets import Scanner

ENOUGH_OVERLAP = 0.5
PROSE_BYTES = 1 << 20
RUNS = 5
PEERS = (
    "| detect-secrets | 0.937 | 0.557 | 0.66 | 0.22 | 0.32 | | 8,000 |",
    "| classifinder | 0.914 | 0.272 | 0.32 | 0.37 | 0.05 | | 1,500 |",
)
"""What others reach on the held-out part of the same sets, as the sets' README says it."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One text, where its secrets are in code points, and what kind of row it is."""

    text: str
    spans: list[tuple[int, int]]
    tier: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> "Labelled":
        """A row of the development set."""
        in_prose = row["suite"] == "secrets-in-prose"
        spans = [(entity["start"], entity["end"]) for entity in row["entities"]] if row["label"] else []
        return cls(base64.b64decode(row["text_b64"]).decode(), spans, "prose" if in_prose else row["tier"])


def overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Intersection over union."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(0, shared) / (max(one[1], other[1]) - min(one[0], other[0]))


def report(data: Path) -> str:
    """The tables as Markdown. A secret is found where a finding covers it with an intersection over union of 0.5."""
    scanner = Scanner()
    labelled = [Labelled.of(row) for row in _rows(data / "secrets.dev.jsonl")]
    hit: Counter[str] = Counter()
    total: Counter[str] = Counter()
    alarms = 0
    for one in labelled:
        spans = [(start, end) for _, start, end, _ in scanner.scan(one.text)]
        if not one.spans:
            alarms += bool(spans)
            continue
        found = any(overlap(span, label) >= ENOUGH_OVERLAP for span in spans for label in one.spans)
        hit[one.tier] += found
        total[one.tier] += 1
    ordinary = _ordinary(data)
    alarmed = sum(bool(scanner.scan(text)) for text in ordinary)
    found_in_all = hit.total()
    cells = [
        f"{found_in_all / (found_in_all + alarms):.3f}",
        f"{found_in_all / total.total():.3f}",
        *(f"{hit[tier] / total[tier]:.2f}" for tier in ("unique", "prose", "contextual")),
        f"{alarmed} of {len(ordinary):,}",
        f"{_microseconds_per_kilobyte(scanner, [one.text for one in labelled]):.1f}",
    ]
    prose = " ".join(ordinary)
    prose = prose * (1 + PROSE_BYTES // len(prose.encode()))
    rate, kilobyte = _megabytes_per_second(scanner, prose), _microseconds_per_kilobyte(scanner, [prose[:1024]] * 200)
    lines = [
        "| secrets | precision | recall | own form | in prose | contextual | alarms in ordinary prompts | µs per KB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| Tollway | {' | '.join(cells)} |",
        *PEERS,
        "",
        f"Ordinary prompts at once: {rate:,.0f} MB/s. One of 1 KB: {kilobyte:.1f} µs.",
    ]
    return "\n".join(lines)


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _ordinary(data: Path) -> list[str]:
    """Prompts without a secret: those of the PII set that hold nothing, and those that are no attack."""
    natural = [row["text"] for row in _rows(data / "pii.dev.jsonl") if row["suite"] == "natural-negative"]
    return natural + [row["text"] for row in _rows(data / "injection.dev.jsonl") if not row["label"]]


def _seconds(scanner: Scanner, texts: list[str]) -> float:
    """The best of some runs: what the machine does besides is not the scanner's."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        for text in texts:
            scanner.scan(text)
        best = min(best, time.perf_counter() - start)
    return best


def _microseconds_per_kilobyte(scanner: Scanner, texts: list[str]) -> float:
    return _seconds(scanner, texts) * 1e6 / (sum(len(text.encode()) for text in texts) / 1024)


def _megabytes_per_second(scanner: Scanner, text: str) -> float:
    return len(text.encode()) / 1e6 / _seconds(scanner, [text])


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path, help="the folder of the development sets")
    print(report(parser.parse_args().data))


if __name__ == "__main__":
    main()
