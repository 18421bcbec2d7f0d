"""What the semantic cache takes: memory, the time of a look-up, and how long an insertion holds the event loop.

    python benches/cache/size.py [--count 100000] [--pairs ../shared/data/semantic-cache/pairs.dev.jsonl]

Each kind of namespaces in a process of its own, with bodies outside. Questions are those of the pairs, with one to
three words changed. Look-ups are of other questions of the same kind. Times are told more than one way, because
machines are shared: as the clock has them; the best of seven in a row; and the loop's gaps with and without insertions.
"""

import argparse
import asyncio
import gc
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from statistics import median

from tollway._native.questions import Block, Question
from tollway.contract.cache import CacheSpace
from tollway.proxy.cache.building import BuildingThread
from tollway.proxy.cache.entry import Entry
from tollway.proxy.cache.shelf import Shelf

KINDS = {"one namespace": 1, "48 namespaces": 48, "a namespace each": 0}
LOOK_UPS = 400
INSERTED = 10_000
BODY_BYTES = 2_000


def texts(pairs: Path | None, seed: int) -> Iterator[str]:
    """Questions without an end, hardly any of them twice."""
    drawn = random.Random(seed)  # noqa: S311 - to be the same each time
    if pairs is not None and pairs.is_file():
        lines = [json.loads(line) for line in pairs.read_text().splitlines()]
        known = sorted({line[side] for line in lines for side in ("a", "b")})
    else:
        known = [
            f"what is the {noun} of a {thing}" for noun in ("price", "weight", "colour") for thing in ("car", "cat")
        ]
    words = sorted({word for text in known for word in text.split()})
    while True:
        text = drawn.choice(known).split()
        for _ in range(drawn.randint(1, 3)):
            text[drawn.randrange(len(text))] = drawn.choice(words)
        yield " ".join(text)


def entries(questions: Iterator[str], namespaces: int) -> Iterator[tuple[Entry, Question]]:
    """As fills come: every object its own, as from a request or from Redis."""
    now_ms = time.time_ns() // 1_000_000
    for number in itertools.count():
        text = next(questions)
        try:
            question = Question(text)
        except ValueError:
            continue
        of = number % namespaces if namespaces else number
        yield (
            Entry(
                key=sha256(b"%d" % number).digest(),
                tenant_id="01890a5d-ac96-774b-bcce-b302099a8057",
                key_id="01890a5d-ac96-774b-bcce-b302099a8058",
                model="gpt-4o-mini",
                operation="chat",
                provider="openai",
                provider_model="gpt-4o-mini-2024-07-18",
                filled_at_ms=now_ms + number,
                expires_at_ms=now_ms + 10**9 + number,
                body_bytes=BODY_BYTES,
                prompt_tokens=1_000 + number,
                completion_tokens=2_000 + number,
                cost_picousd=10**9 + number,
                namespace=sha256(b"namespace %d" % of).digest(),
                question=text,
            ),
            question,
        )


def resident_mb() -> float:
    """Of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def percentile(times: list[float], share: float) -> float:
    """In microseconds."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))] * 1e6


async def built(building: BuildingThread) -> None:
    """When the thread has nothing more to do."""
    while building.is_at_work:  # noqa: ASYNC110 - a bench may ask again and again
        await asyncio.sleep(0.05)


async def gaps(until: asyncio.Event) -> list[float]:
    """How long the loop was away, each time it had nothing else to do."""
    found = []
    while not until.is_set():
        begun = time.perf_counter()
        await asyncio.sleep(0)
        found.append(time.perf_counter() - begun)
    return found


async def look_up(shelf: Shelf, kept: list[tuple[Entry, Question]], questions: Iterator[str]) -> dict[str, float]:
    """Times of look-ups in the namespace of the first entry, and how many of the eight nearest are found."""
    namespace = kept[0][0].namespace
    block = Block()
    for entry, question in kept:
        if entry.namespace == namespace:
            block.append(question.vector)
    asked = [Question(next(questions)) for _ in range(LOOK_UPS)]
    once, best, found, found_near, wanted, wanted_near = [], [], 0, 0, 0, 0
    for question in asked:
        taken = []
        for _ in range(7):
            begun = time.perf_counter()
            shelf.near(namespace, question)
            taken.append(time.perf_counter() - begun)
        once.append(taken[0])
        best.append(min(taken))
        await asyncio.sleep(0)
    for question in asked:  # by itself: it goes through all the memory that the look-ups need
        exact = [cosine for _, cosine in block.nearest(question.vector, 8)]
        cosines = [each.similarity for each in shelf.near(namespace, question)]
        found += sum(cosine >= exact[-1] - 1e-6 for cosine in cosines)
        wanted += len(exact)
        close = [cosine for cosine in exact if cosine >= 0.7]
        wanted_near += len(close)
        found_near += sum(cosine >= close[-1] - 1e-6 for cosine in cosines) if close else 0
    return {
        "near us p50": median(once) * 1e6,
        "p99": percentile(once, 0.99),
        "best of 7 p50": median(best) * 1e6,
        "best p99": percentile(best, 0.99),
        "recall@8": found / wanted,
        "of cosine >= 0.7": found_near / max(1, wanted_near),
    }


async def measure(count: int, namespaces: int, pairs: Path | None) -> dict[str, float]:
    """One kind."""
    building = BuildingThread()
    space = CacheSpace(max_entries=count + INSERTED, max_bytes=2**40)
    shelf = Shelf(space, holds_bodies=False, now_ms=lambda: time.time_ns() // 1_000_000, building=building)
    coming = entries(texts(pairs, 1), namespaces)
    first = next(coming)
    before_mb = resident_mb()
    kept = [first]
    shelf.put(*first, None)
    for number in range(1, count):
        one = next(coming)
        shelf.put(*one, None)
        if number % 50 == 0:
            await asyncio.sleep(0)
        if number % 1_000 == 0:
            await built(building)
        kept.append(one)
    await built(building)
    told = {"MB": resident_mb() - before_mb - sys.getsizeof(kept) / 1e6}
    told |= await look_up(shelf, kept, texts(pairs, 2))
    fresh = [next(coming) for _ in range(INSERTED)]
    for name, inserting in (("without", False), ("inserting", True)):
        over = asyncio.Event()
        watching = asyncio.ensure_future(gaps(over))
        held = []
        for number, one in enumerate(fresh):
            begun = time.thread_time()
            if inserting:
                shelf.put(*one, None)
            held.append(time.thread_time() - begun)
            await asyncio.sleep(0.001 if number % 4 == 0 else 0)
        over.set()
        found = await watching
        told[f"gap ms {name} p99.9"] = percentile(found, 0.999) / 1e3
        told[f"longest {name}"] = max(found) * 1e3
        told[f"put us longest {name}"] = max(held) * 1e6
    shelf.close()
    return told


def main() -> None:
    """Prints a line of figures for each kind."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--pairs", type=Path, default=Path("../shared/data/semantic-cache/pairs.dev.jsonl"))
    parser.add_argument("--kind", choices=KINDS)
    asked = parser.parse_args()
    if asked.kind is None:
        for kind in KINDS:
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--kind", kind], check=True)
        return
    sys.setswitchinterval(0.0005)  # as a worker does, and the next as well
    gc.set_threshold(10_000, 20, 50)
    told = asyncio.run(measure(asked.count, KINDS[asked.kind], asked.pairs))
    print(f"{asked.kind}: " + ", ".join(f"{name} {figure:.4g}" for name, figure in told.items()), flush=True)


if __name__ == "__main__":
    main()
