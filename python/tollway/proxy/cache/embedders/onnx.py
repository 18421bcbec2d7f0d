"""A sentence embedder of MiniLM's make, run by onnxruntime.

In: a text, of which the first 256 tokens count. Out: its vector, as sentence-transformers makes it: the mean of the
last layer over the attention mask, whose length says nothing here (sentence-transformers/all-MiniLM-L6-v2,
``1_Pooling/config.json`` and ``sentence_bert_config.json``). It loads numpy, onnxruntime and tokenizers, so it is only
loaded by who is to use them, and on a thread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from tollway.proxy.cache.embedders.source import NotThis

MOST_TOKENS = 256
"""Of a text; what stands behind them does not count. The model was trained on no more."""

MOST_CHARACTERS = 16 * 1024
"""Of a text that is cut into tokens."""


class _Named(Protocol):
    name: str


class _Session(Protocol):
    """``onnxruntime.InferenceSession``, as much of it as is used."""

    def get_inputs(self) -> Sequence[_Named]:
        """What the model is given."""
        ...

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """All outputs, of which the first is the last layer: one row a token."""
        ...


class Sentences:
    """A model that is loaded. It is for one thread at a time, and takes about 0.2 s and 200 MB.

    Raises whatever onnxruntime and tokenizers raise of files that are none.
    """

    def __init__(self, model: Path, tokenizer: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # texts are of many lengths: a plan for each would only take memory
        options.log_severity_level = 3
        self._session: _Session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._wants = {given.name for given in self._session.get_inputs()}
        self._cutter = Tokenizer.from_file(str(tokenizer))
        self._cutter.enable_truncation(MOST_TOKENS)
        self._cutter.no_padding()

    def vector(self, text: str) -> bytes:
        """A signed byte a dimension.

        Raises:
            NotThis: the model makes nothing of it.
        """
        # A batch of one: it leaves the interpreter to others meanwhile, which `encode` does not.
        [cut] = self._cutter.encode_batch([text[:MOST_CHARACTERS]])
        ids = np.array([cut.ids], dtype=np.int64)
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}  # one text, so nothing is padded
        if "token_type_ids" in self._wants:
            feeds["token_type_ids"] = np.zeros_like(ids)
        layer = self._session.run(None, feeds)[0][0]
        mean = layer.mean(axis=0)
        largest = float(np.abs(mean).max()) if layer.ndim == 2 else 0.0
        if not 0.0 < largest < float("inf"):
            raise NotThis("no vector")
        made: bytes = np.rint(mean / largest * 127).astype(np.int8).tobytes()
        return made
