"""Distils the built-in embedder from MiniLM and writes `rust/core/src/questions/words.bin`; the same bytes every time.

python -m benches.cache.train_embedder [--sentences 30000]

Each piece of MiniLM's vocabulary starts with what MiniLM makes of it alone, in 256 main directions, common ones
weighing less (as Model2Vec does it, https://github.com/MinishLab/model2vec). Then the sums of a sentence's vectors are
taught to lie to each other as MiniLM's own vectors of whole sentences do. No pair of questions is seen. Beside the
vectors the file holds what `vocabulary.py` knows of each word. Needs the group `training` and Debian's `wordnet-base`.
"""

import argparse
import os
import struct
from pathlib import Path

import numpy as np
from benches.cache.sentences import sentences
from benches.cache.teacher import Teacher
from benches.cache.vocabulary import Vocabulary, compile_vocabulary, read_wordnet
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

TARGET = Path("rust/core/src/questions/words.bin")
DIMENSIONS = 256
SLOTS = 1 << 16
COMMON = 3e-4
STEPS, BATCH, RATE = 2400, 768, 2e-3

Matrix = NDArray[np.float32]


def first_vectors(states: Matrix) -> Matrix:
    """The main directions of what the teacher makes of each piece, weighed by how common it is (Zipf)."""
    centred = states - states.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    share = 1 / np.arange(1, len(states) + 1)
    share /= share.sum()
    vectors = centred @ directions[:DIMENSIONS].T * (COMMON / (COMMON + share))[:, None]
    scaled: Matrix = (vectors / np.sqrt((vectors**2).sum(1).mean())).astype(np.float32)
    return scaled


def bags(texts: list[str], teacher: Teacher, pieces: list[str]) -> csr_matrix:
    """How often each piece is in each text."""
    place = {piece: number for number, piece in enumerate(pieces)}
    rows, columns = [], []
    for row, text in enumerate(texts):
        for token in teacher.tokenizer.encode(text, add_special_tokens=False).tokens:
            if token in place:
                rows.append(row)
                columns.append(place[token])
    return csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(texts), len(pieces)))


def taught(first: Matrix, bag: csr_matrix, wanted: Matrix) -> Matrix:
    """Vectors whose sums lie to each other as is wanted (Adam on the squares of what cosines differ by). Every other
    batch is of neighbours, since the near ones are what a cache decides about."""
    chosen = np.random.default_rng(0)
    centres = wanted[chosen.choice(len(wanted), len(wanted) // 64, replace=False)]
    nearest = np.concatenate([(wanted[at : at + 4096] @ centres.T).argmax(1) for at in range(0, len(wanted), 4096)])
    order = np.argsort(nearest, kind="stable")
    ends = np.searchsorted(nearest[order], np.arange(len(centres) + 1))
    vectors, mean, square = first.copy(), np.zeros_like(first), np.zeros_like(first)
    for step in range(STEPS):
        if step % 2:
            rows = chosen.choice(len(wanted), BATCH, replace=False)
        else:
            parts: list[NDArray[np.int64]] = []
            while sum(map(len, parts)) < BATCH:
                centre = int(chosen.integers(len(centres)))
                parts.append(order[ends[centre] : ends[centre + 1]][:128])
            rows = np.unique(np.concatenate(parts)[:BATCH])
        columns, slope = _slope(vectors, bag[rows], wanted[rows])
        slope += 1e-5 * (vectors[columns] - first[columns])
        mean[columns] = 0.9 * mean[columns] + 0.1 * slope
        square[columns] = 0.99 * square[columns] + 0.01 * slope**2
        rate = RATE * min(1.0, 2 * (STEPS - step) / STEPS)
        vectors[columns] -= rate * mean[columns] / (np.sqrt(square[columns]) + 1e-6)
    return vectors


def _slope(vectors: Matrix, bag: csr_matrix, wanted: Matrix) -> tuple[NDArray[np.int64], Matrix]:
    """Of the pieces in a batch, and which they are."""
    sums = bag @ vectors
    sizes = np.linalg.norm(sums, axis=1, keepdims=True) + 1e-6
    units = sums / sizes
    goal = wanted @ wanted.T
    off = units @ units.T - goal
    np.fill_diagonal(off, 0)
    turned = (4 * off * (0.3 + 2 * np.abs(goal)) / len(wanted)) @ units
    along = (turned - (turned * units).sum(1, keepdims=True) * units) / sizes
    columns = np.unique(bag.indices)
    return columns, bag[:, columns].T @ along


def turned_to_main(vectors: Matrix) -> Matrix:
    """The same vectors, their main directions first, so that the first dimensions alone say most."""
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    main: Matrix = vectors @ directions.T
    return main


def packed(vocabulary: Vocabulary, vectors: Matrix) -> bytes:
    """The file as the core reads it."""
    pieces = vocabulary.pieces
    table = np.zeros(SLOTS, "<u2")
    for number, piece in enumerate(pieces):
        slot = _hash(piece) % SLOTS
        while table[slot]:
            slot = (slot + 1) % SLOTS
        table[slot] = number + 1
    letters = "".join(pieces).encode()
    offsets = np.cumsum([0, *map(len, pieces)]).astype("<u4")
    largest = np.abs(vectors).max(1) + 1e-12
    values = np.round(vectors / largest[:, None] * 127).astype(np.int8)
    relations = [
        np.array(sorted(one << 16 | other for one, other in pairs), "<u4")
        for pairs in (vocabulary.opposites, vocabulary.synonyms)
    ]
    counts = (len(pieces), DIMENSIONS, SLOTS, *map(len, relations), len(letters))
    columns = (
        table,
        offsets,
        np.frombuffer(letters, np.uint8),
        (largest / 127).astype("<f4"),
        vocabulary.lemmas.astype("<u2"),
        vocabulary.weights,
        vocabulary.classes,
        vocabulary.files,
        *relations,
        values,
    )
    return b"TWQ1" + struct.pack("<6I", *counts) + b"".join(column.tobytes() for column in columns)


def _hash(text: str) -> int:
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return (value ^ value >> 32) & 0xFFFFFFFF


def main() -> None:
    """Teaches and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sentences", type=int, default=30_000)
    parser.add_argument("--target", type=Path, default=TARGET)
    asked = parser.parse_args()
    teacher = Teacher(os.cpu_count() or 1)
    pieces = teacher.pieces()
    wordnet = read_wordnet()
    texts = sentences(wordnet, asked.sentences)
    vectors = taught(first_vectors(teacher.states(pieces)), bags(texts, teacher, pieces), teacher.embed(texts))
    written = packed(compile_vocabulary(pieces, wordnet), turned_to_main(vectors))
    asked.target.write_bytes(written)
    print(f"{asked.target}: {len(pieces)} pieces, {len(texts)} sentences, {len(written)} bytes")


if __name__ == "__main__":
    main()
