"""How well the topics that come with Tollway are found, and how fast texts are matched: tables for the documentation.

python -m benches.guardrails.content ../shared/data/guardrails
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tollway._native.content import TOPICS, Matcher

HARMFUL = ("crime", "drugs", "hate", "self_harm", "sexual", "violence", "weapons")
"""The topics that are harmful in themselves; the others are what an operator's service may not want to talk about."""

PROSE_BYTES = 1 << 20
RUNS = 5


def report(data: Path) -> str:
    """The tables as Markdown."""
    harmful, all_topics = Matcher(topics=HARMFUL), Matcher(topics=TOPICS)
    policy = _rows(data / "policy.dev.jsonl")
    ordinary = _ordinary(data, policy)
    groups = {
        "XSTest, asks for something harmful: found": [row["text"] for row in policy if row["label"]],
        "XSTest, harmless and looks alike: alarms": [
            row["text"] for row in policy if row["suite"] == "xstest" and not row["label"]
        ],
        "ordinary prompts: alarms": ordinary,
    }
    lines = ["| topics | harmful ones | all |", "| --- | --- | --- |"]
    lines += [f"| {name} | {_met(harmful, texts)} | {_met(all_topics, texts)} |" for name, texts in groups.items()]
    prose = " ".join(ordinary)
    prose = prose * (1 + PROSE_BYTES // len(prose.encode()))
    lines += ["", "| matching prose | MB/s | µs for 1 KB |", "| --- | --- | --- |"]
    for name, matcher in _matchers(all_topics).items():
        rate, kilobyte = _megabytes_per_second(matcher, prose), _seconds(matcher, [prose[:1024]] * 200) * 1e6 / 200
        lines.append(f"| {name} | {rate:.0f} | {kilobyte:.1f} |")
    return "\n".join(lines)


def _matchers(all_topics: Matcher) -> dict[str, Matcher]:
    patterns = [r"\bPROJ-\d{3,6}\b", r"(?i)top secret.*", r"\b[A-Z]{2}\d{6}[A-D]\b"]
    return {
        "3 phrases": Matcher(deny=["project bluebird", "acme corp", "internal only"]),
        "3 patterns": Matcher(patterns=patterns),
        f"{len(TOPICS)} topics": all_topics,
    }


def _met(matcher: Matcher, texts: Sequence[str]) -> str:
    met = sum(bool(matcher.scan(text)) for text in texts)
    return f"{met} of {len(texts):,} ({100 * met / len(texts):.1f} %)"


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _ordinary(data: Path, policy: list[dict[str, Any]]) -> list[str]:
    texts = {row["text"] for row in policy if row["kind"] in ("plain", "overdefence")}
    texts |= {row["text"] for row in _rows(data / "pii.dev.jsonl") if row["suite"] == "natural-negative"}
    kinds = ("plain", "overdefence", "code", "tool-output", "long")
    rows = _rows(data / "injection.dev.jsonl")
    texts |= {row["text"] for row in rows if not row["label"] and row["suite"] != "xstest" and row["kind"] in kinds}
    return sorted(texts)


def _seconds(matcher: Matcher, texts: Sequence[str]) -> float:
    def once() -> float:
        begun = time.perf_counter()
        for text in texts:
            matcher.scan(text)
        return time.perf_counter() - begun

    return min(once() for _ in range(RUNS))


def _megabytes_per_second(matcher: Matcher, text: str) -> float:
    return len(text.encode()) / _seconds(matcher, [text]) / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    print(report(parser.parse_args().data))
