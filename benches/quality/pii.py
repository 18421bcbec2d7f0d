"""How well the PII scanner finds what people marked: precision and recall on a file of labelled texts.

    python benches/quality/pii.py LABELLED.jsonl [--misses]

A line is `{"suite", "tier", "text", "entities": [{"type", "start", "end", "weak"?}]}` with offsets in characters. A
finding counts when it has the right type and covers the label with an intersection over union of at least 0.5. Labels
marked `weak` are right either way. Texts about national identity numbers count only where one of our six types is at
stake; texts of the negative suites hold nothing to find, so every finding there is an alarm.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tollway._native.pii import ENTITIES, Scanner

ENTITY_OF_LABEL = {
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "credit_card",
    "US_SSN": "us_ssn",
    "PHONE_NUMBER": "phone",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
}
ENOUGH_OVERLAP = 0.5

Span = tuple[str, int, int]


def overlap(one: Span, other: Span) -> float:
    """Intersection over union; zero for different entities."""
    shared = min(one[2], other[2]) - max(one[1], other[1])
    if one[0] != other[0] or shared <= 0:
        return 0.0
    return shared / (one[2] - one[1] + other[2] - other[1] - shared)


def labels(row: dict[str, Any], weak: bool) -> list[Span]:
    """The labels of our entities, either the firm ones or the weak ones."""
    return [
        (ENTITY_OF_LABEL[label["type"]], label["start"], label["end"])
        for label in row["entities"]
        if label["type"] in ENTITY_OF_LABEL and bool(label.get("weak")) == weak
    ]


def judge(row: dict[str, Any], findings: list[Span]) -> Iterator[tuple[str, Span]]:
    """Each label as `hit` or `miss`, each finding without a label as `alarm`."""
    firm = labels(row, weak=False)
    for label in firm:
        hit = any(overlap(label, finding) >= ENOUGH_OVERLAP for finding in findings)
        yield ("hit" if hit else "miss"), label
    at_stake = {ENTITY_OF_LABEL.get(name) for name in row.get("negative_for", ())} | {label[0] for label in firm}
    for finding in findings:
        known = any(overlap(label, finding) >= ENOUGH_OVERLAP for label in firm + labels(row, weak=True))
        if not known and (row.get("tier") != "national" or finding[0] in at_stake):
            yield "alarm", finding


def line(name: str, counts: Counter[str]) -> str:
    """One line of the table: counts, precision, recall."""
    hit, miss, alarm = counts["hit"], counts["miss"], counts["alarm"]
    precision = f"{hit / (hit + alarm):.3f}" if hit + alarm else "-"
    recall = f"{hit / (hit + miss):.3f}" if hit + miss else "-"
    return f"{name:36}{hit:6}{miss:6}{alarm:7}{precision:>11}{recall:>8}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--misses", action="store_true", help="print what was missed and what was a false alarm")
    arguments = parser.parse_args()
    rows = [json.loads(text) for text in arguments.labelled.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if "expect_type" not in row]
    scanner = Scanner(ENTITIES)

    start = time.perf_counter()
    scans = [scanner.scan(row["text"]) for row in rows]
    seconds = time.perf_counter() - start

    by_name: dict[str, Counter[str]] = {}
    alarmed = 0
    for row, findings in zip(rows, scans, strict=True):
        prompt = row["suite"] != "presidio-tests"
        for verdict, (entity, first, last) in judge(row, findings):
            for name in (f"{row['suite']}/{row.get('tier')}", entity if prompt else "", "prompts" if prompt else ""):
                by_name.setdefault(name, Counter())[verdict] += 1
            if arguments.misses and verdict != "hit":
                print(verdict, entity, repr(row["text"][max(0, first - 40) : last + 20]))
        alarmed += bool(findings) and row["suite"].endswith("negative")
    by_name.pop("", None)

    print(f"{'':36}{'hit':>6}{'miss':>6}{'alarm':>7}{'precision':>11}{'recall':>8}")
    for name in sorted(by_name, key=lambda name: ("/" not in name, name == "prompts", name)):
        print(line(name, by_name[name]))
    negatives = sum(row["suite"].endswith("negative") for row in rows)
    kilobytes = sum(len(row["text"].encode()) for row in rows) / 1024
    print(f"texts of the negative suites with an alarm: {alarmed} of {negatives}")
    print(f"{seconds * 1e6 / kilobytes:.1f} µs per KB over {kilobytes:.0f} KB")


if __name__ == "__main__":
    main()
