"""How well the PII scanner finds what people marked: precision and recall on the labelled texts, peers beside it.

    python benches/guardrails/pii.py DATA [--misses]

DATA is the folder with `pii.dev.jsonl`. A line is `{"suite", "tier", "text", "entities": [{"type", "start", "end",
"weak"?}]}` with offsets in characters. A finding counts when it has the right type and covers the label with an
intersection over union of at least 0.5. Labels marked `weak` are right either way. Where the source gives no positions,
`expect_type` and `count` say how many there are. Texts of the recognizers' own tests may hold several things at once:
there a finding is an alarm only where `negative_for` names its type. All entities are looked for.
"""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tollway._native.pii import ENTITIES, Scanner

ENTITY_OF_LABEL = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    **{entity.upper(): entity for entity in ENTITIES},
}
ENOUGH_OVERLAP = 0.5
FILE = "pii.dev.jsonl"
DATES = "DATE_TIME"
"""A date of birth is marked as any other date: finding it is right, missing other dates is not our loss."""

PEERS = (
    ("Presidio, default recognizers, 0.35", "0.919 / 0.815", "0.969", "0.017", "42 of 356", "10,800"),
    ("Presidio, all countries' recognizers", "0.919 / 0.815", "0.987", "0.923", "42 of 356", "17,600"),
    ("presidio-rs, 0.35", "0.888 / 0.826", "0.800", "0.139", "96 of 356", "19,100"),
    ("datafog", "0.831 / 0.413", "0.247", "0", "69 of 356", "330"),
)
"""Measured on the held-out part of the same sets (see the data's README)."""

Span = tuple[str, int, int]


def overlap(one: Span, other: Span) -> float:
    """Intersection over union; zero for different entities."""
    shared = min(one[2], other[2]) - max(one[1], other[1])
    if one[0] != other[0] or shared <= 0:
        return 0.0
    return shared / (one[2] - one[1] + other[2] - other[1] - shared)


def labels(row: dict[str, Any], weak: bool) -> list[Span]:
    """The labels of our entities, either the firm ones or the weak ones."""
    firm = [
        (ENTITY_OF_LABEL[label["type"]], label["start"], label["end"])
        for label in row["entities"]
        if label["type"] in ENTITY_OF_LABEL and bool(label.get("weak")) == weak
    ]
    dates = [
        ("date_of_birth", label["start"], label["end"]) for label in row["entities"] if weak and label["type"] == DATES
    ]
    return firm + dates


def judge(row: dict[str, Any], findings: list[Span]) -> Iterator[tuple[str, Span]]:
    """Each label as `hit` or `miss`, each finding that is none as `alarm`."""
    if "expect_type" in row:
        entity = ENTITY_OF_LABEL[row["expect_type"]]
        hits = min(row["count"], sum(finding[0] == entity for finding in findings))
        for place in range(row["count"]):
            yield ("hit" if place < hits else "miss"), (entity, 0, len(row["text"]))
        return
    firm = labels(row, weak=False)
    for label in firm:
        hit = any(overlap(label, finding) >= ENOUGH_OVERLAP for finding in findings)
        yield ("hit" if hit else "miss"), label
    at_stake = {ENTITY_OF_LABEL.get(name) for name in row.get("negative_for", ())}
    for finding in findings:
        known = any(overlap(label, finding) >= ENOUGH_OVERLAP for label in firm + labels(row, weak=True))
        if not known and (row["suite"] != "presidio-tests" or finding[0] in at_stake):
            yield "alarm", finding


def section(row: dict[str, Any]) -> str:
    """Which figure of the table a text counts for."""
    return str(row["tier"]) if row["suite"] == "presidio-tests" else "prompts"


def share(part: int, rest: int) -> str:
    """Three digits of a ratio; a dash where nothing was counted."""
    return f"{part / (part + rest):.3f}" if part + rest else "-"


def measure(rows: list[dict[str, Any]]) -> tuple[list[list[Span]], float]:
    """The findings in each text, and the microseconds that a kilobyte took."""
    scanner = Scanner(ENTITIES)
    start = time.perf_counter()
    scans = [scanner.scan(row["text"]) for row in rows]
    seconds = time.perf_counter() - start
    return scans, seconds * 1e6 * 1024 / sum(len(row["text"].encode()) for row in rows)


def read(data: Path) -> list[dict[str, Any]]:
    """The labelled texts."""
    return [json.loads(line) for line in (data / FILE).read_text(encoding="utf-8").splitlines()]


def report(data: Path) -> str:
    """The table, in Markdown: ours over the development set, the peers' figures, then each entity of the prompts."""
    rows = read(data)
    scans, us_per_kb = measure(rows)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    entities: defaultdict[str, Counter[str]] = defaultdict(Counter)
    alarmed = hard = 0
    for row, findings in zip(rows, scans, strict=True):
        for verdict, (entity, *_) in judge(row, findings):
            counts[section(row)][verdict] += 1
            if section(row) == "prompts":
                entities[entity][verdict] += 1
        hard += row["suite"] == "hard-negative"
        alarmed += row["suite"] == "hard-negative" and bool(findings)
    prompts, core, national = counts["prompts"], counts["core"], counts["national"]
    ours = (
        "Tollway, all entities",
        f"{share(prompts['hit'], prompts['alarm'])} / {share(prompts['hit'], prompts['miss'])}",
        share(core["hit"], core["miss"]),
        share(national["hit"], national["miss"]),
        f"{alarmed} of {hard}",
        f"{us_per_kb:.0f}",
    )
    return "\n".join(
        (
            "| PII | precision / recall (prompts and negatives) | core cases: recall | national ids: recall "
            "| hard negatives with an alarm | µs per KB |",
            "|---|---|---|---|---|---|",
            *(f"| {' | '.join(line)} |" for line in (ours, *PEERS)),
            "",
            "| entity (prompts) | hit | miss | alarm | precision | recall |",
            "|---|---|---|---|---|---|",
            *(
                f"| {name} | {of['hit']} | {of['miss']} | {of['alarm']} | {share(of['hit'], of['alarm'])} "
                f"| {share(of['hit'], of['miss'])} |"
                for name, of in sorted(entities.items())
            ),
        )
    )


def main() -> None:
    """Prints the table, and on request what was missed and what was a false alarm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--misses", action="store_true", help="print what was missed and what was a false alarm")
    arguments = parser.parse_args()
    print(report(arguments.data))
    if arguments.misses:
        rows = read(arguments.data)
        for row, findings in zip(rows, measure(rows)[0], strict=True):
            for verdict, (entity, first, last) in judge(row, findings):
                if verdict != "hit":
                    print(verdict, entity, repr(row["text"][max(0, first - 40) : last + 20]))


if __name__ == "__main__":
    main()
