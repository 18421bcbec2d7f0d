"""How fast each detector is: megabytes of plain prose a second, and microseconds for 1 KB of prompts.

One core, best of several rounds, so that what else the machine does counts little. Prose is English without digits;
the kilobytes are the development sets' prompts, cut to 1 KB each. A prompt of 1 MB is timed as a request, too: that is
how long the event loop would stand still, were it not screened on a thread.
"""

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from tollway._native import chat
from tollway._native.guardrails import Policy
from tollway._native.injection import Classifier
from tollway._native.pii import ENTITIES
from tollway._native.pii import Scanner as PiiScanner
from tollway._native.secrets import Scanner as SecretsScanner
from tollway.contract import guardrails

ROUNDS = 7
KILOBYTE = 1000
MEGABYTE = 1000 * KILOBYTE


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some rounds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def prose(data: Path) -> str:
    """A megabyte of letters, spaces and punctuation, as people write."""
    lines = (data / "injection.dev.jsonl").read_text(encoding="utf-8").strip().split("\n")
    rows = (row for row in map(json.loads, lines) if row["kind"] in {"plain", "long"} and row["label"] == 0)
    said = " ".join(row["text"] for row in rows)
    plain = "".join(letter for letter in said if letter.isalpha() or letter in " ,.;'?!\n")
    return (plain * (MEGABYTE // len(plain) + 1))[:MEGABYTE]


def kilobytes(data: Path) -> list[str]:
    """Prompts as they come, digits, code and all: 200 pieces of 1 KB."""
    rows = map(json.loads, (data / "pii.dev.jsonl").read_text(encoding="utf-8").strip().split("\n"))
    said = "\n".join(row["text"] for row in rows if row["tier"] == "prompt")
    return [said[at : at + KILOBYTE] for at in range(0, 200 * KILOBYTE, KILOBYTE)]


def report(data: Path) -> str:
    """A table: detector, MB/s of prose, microseconds a KB."""
    long, short = prose(data), kilobytes(data)
    scan_pii, scan_secrets = PiiScanner(ENTITIES).scan, SecretsScanner().scan
    score = Classifier().score
    detectors: list[tuple[str, Callable[[str], object], str]] = [
        ("pii", scan_pii, ""),
        ("secrets", scan_secrets, ""),
        ("pii and secrets", lambda text: (scan_pii(text), scan_secrets(text)), "200 MB/s, 15 µs"),
        ("injection", score, "50 µs"),
    ]
    lines = ["| detector | MB/s of prose | µs for 1 KB of prompts | bar |", "|---|---|---|---|"]
    for name, scan, bar in detectors:
        rate = 1 / best(partial(scan, long))
        each = best(partial(_each, scan, short)) / len(short) * 1e6
        lines.append(f"| {name} | {rate:.0f} | {each:.1f} | {bar} |")
    return "\n".join([*lines, "", _whole(long)])


def _each(scan: Callable[[str], object], texts: list[str]) -> None:
    for text in texts:
        scan(text)


def _whole(long: str) -> str:
    checks: tuple[guardrails.Check, ...] = (
        guardrails.PiiCheck(actions=dict.fromkeys(ENTITIES, "redact")),
        guardrails.SecretsCheck(action="block"),
        guardrails.InjectionCheck(action="block"),
    )
    policy = Policy(
        msgspec.json.encode(guardrails.Policy(name="all", version="1", input=checks)),
        b"a key for this bench alone, 32 b",
    )
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": long}]}).encode()
    request = chat.read_request(body)
    taken = best(lambda: policy.session("bench").request(request))
    return f"A request of 1 MB, all of these checks: {taken * 1e3:.1f} ms, on a thread, without the interpreter."
