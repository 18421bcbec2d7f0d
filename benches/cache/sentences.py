"""Sentences to teach the built-in embedder with, of free sources: WordNet's glosses and examples, questions made of its
words, and the descriptions of Amazon's interfaces that botocore brings (Apache-2.0)."""

import gzip
import importlib.resources
import random
import re
from collections.abc import Iterator
from pathlib import Path

from benches.cache.vocabulary import WordNet

MOST_LETTERS = 90
FRAMES = """
What is {a} {n}?|How do I {v} a {n}?|How can I {v} my {n}?|What is the best {n} for a {m}?|Why does my {n} {v}?
Is it safe to {v} a {n}?|How long does it take to {v} the {n}?|What is the difference between {n} and {m}?
Can a {n} {v} a {m}?|My {n} does not {v}, what should I do?|I want to {v} the {n} of my {m}|Write a {a} {n} about {m}
Explain {n} to a {m}|Where can I find a {a} {n}?|Should I {v} or {w} the {n}?|What are the symptoms of {n}?
Who invented the {n}?|How much does a {n} cost?|Which {n} is the most {a}?|Summarize the {n} of {m}|Does {n} cause {m}?
Is {n} {a}?|What happens if I {v} {n}?|Give me a list of {a} {n}|Translate {n} into {m}|When was the {n} made?
How to {v} {n} in {m}|Please {v} this {n} and {w} the {m}|Are there any {a} {n} that {v}?|Tell me about {n}
"""


def sentences(wordnet: WordNet, count: int, seed: int = 7) -> list[str]:
    """So many at most, the same ones every time, none of them long."""
    chosen = random.Random(seed)  # noqa: S311
    parts = [_glosses(wordnet), _examples(wordnet), _described(), list(asked_of(wordnet, count, chosen))]
    found: list[str] = []
    for part, share in zip(parts, (0.3, 0.3, 0.1, 0.3), strict=True):
        short = sorted({text for text in part if 8 < len(text) < MOST_LETTERS})
        chosen.shuffle(short)
        found += short[: int(count * share)]
    return found


def _glosses(wordnet: WordNet) -> list[str]:
    return [
        part.strip() for sense in wordnet.senses.values() for part in re.sub(r'"[^"]*"', "", sense.gloss).split(";")
    ]


def _examples(wordnet: WordNet) -> list[str]:
    return [part for sense in wordnet.senses.values() for part in re.findall(r'"([^"]*)"', sense.gloss)]


def _described() -> list[str]:
    folder = Path(str(importlib.resources.files("botocore"))) / "data"
    found: list[str] = []
    for path in sorted(folder.glob("*/*/service-2.json*"))[::10]:
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        for told in re.findall(r'"documentation":"((?:[^"\\]|\\.)*)"', text)[:400]:
            plain = " ".join(re.sub(r"<[^>]+>", " ", told).replace('\\"', '"').replace("\\n", " ").split())
            found.append(re.split(r"(?<=[.?!])\s+", plain)[0])
    return found


def asked_of(wordnet: WordNet, count: int, chosen: random.Random) -> Iterator[str]:
    """Questions of common words that mean nothing much."""
    frames = [frame for frame in FRAMES.replace("\n", "|").split("|") if frame]
    known = {
        part: sorted({word.replace("_", " ") for (word, of) in wordnet.of if of == part and wordnet.counts[word]})
        for part in "nva"
    }
    for _ in range(count):
        yield chosen.choice(frames).format(
            a=chosen.choice(known["a"]),
            n=chosen.choice(known["n"]),
            m=chosen.choice(known["n"]),
            v=chosen.choice(known["v"]),
            w=chosen.choice(known["v"]),
        )
