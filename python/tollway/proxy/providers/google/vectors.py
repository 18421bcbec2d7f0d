"""Google's three ways to ask for vectors: their requests and their answers.

In: texts. Out: a body for ``batchEmbedContents``, ``embedContent`` or ``predict``, and the vectors in its answer.
Sources: ai.google.dev, "Embeddings" (REST, ``batchEmbedContents``); cloud.google.com, "Text embeddings API" and
"publishers.models.embedContent"; the request types of google-genai 3.6.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec


class Embedding(msgspec.Struct, frozen=True):
    """A request that was read. ``dimensions`` is ``None`` for the model's own number of them."""

    model: str
    texts: tuple[str, ...]
    dimensions: int | None
    in_base64: bool
    warnings: tuple[str, ...]


class Vectors(msgspec.Struct, frozen=True):
    """What one call brought: vectors in the order of the texts, and the tokens of the texts where they are told."""

    values: list[list[float]]
    tokens: int | None


class Shape(msgspec.Struct, frozen=True):
    """How one of Google's methods is asked for vectors: its name, how many texts it takes, and its two mappings.

    ``read`` raises ``ValueError`` (``msgspec.ValidationError`` is one) for anything but its own answers.
    """

    method: str
    most_texts: int
    write: Callable[[Embedding, Sequence[str]], dict[str, Any]]
    read: Callable[[bytes], Vectors]


def gemini_shape(model: str) -> Shape:
    """The Gemini API: one method for any number. ``model`` is ``models/…``, for each text names it again."""

    def write(asked: Embedding, texts: Sequence[str]) -> dict[str, Any]:
        more = {} if asked.dimensions is None else {"outputDimensionality": asked.dimensions}
        return {"requests": [{"model": model, "content": _content(text)} | more for text in texts]}

    return Shape("batchEmbedContents", 100, write, _read_batch)


def vertex_shape(model: str, texts: int) -> Shape:
    """Vertex AI: Gemini's models in the Gemini API's fashion, with a method for one text; older ones by ``predict``."""
    if "gemini" not in model.rpartition("/")[2]:
        return Shape("predict", 250, _write_instances, _read_predictions)
    if texts == 1:
        return Shape("embedContent", 1, _write_one, _read_one)
    return Shape("batchEmbedContents", 100, _write_batch, _read_batch)


def _content(text: str) -> dict[str, Any]:
    return {"parts": [{"text": text}]}


def _configured(asked: Embedding) -> dict[str, Any]:
    return {} if asked.dimensions is None else {"embedContentConfig": {"outputDimensionality": asked.dimensions}}


def _write_batch(asked: Embedding, texts: Sequence[str]) -> dict[str, Any]:
    return {"requests": [{"content": _content(text)} | _configured(asked) for text in texts]}


def _write_one(asked: Embedding, texts: Sequence[str]) -> dict[str, Any]:
    return {"content": _content(texts[0])} | _configured(asked)


def _write_instances(asked: Embedding, texts: Sequence[str]) -> dict[str, Any]:
    more = {} if asked.dimensions is None else {"parameters": {"outputDimensionality": asked.dimensions}}
    return {"instances": [{"content": text} for text in texts]} | more


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None


class _Values(msgspec.Struct):
    values: list[float]


class _Batch(msgspec.Struct, rename="camel"):
    embeddings: list[_Values]
    usage_metadata: _Usage | None = None


class _One(msgspec.Struct, rename="camel"):
    embedding: _Values
    usage_metadata: _Usage | None = None


class _Statistics(msgspec.Struct):
    token_count: int | float | None = None


class _Predicted(msgspec.Struct):
    values: list[float]
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct):
    embeddings: _Predicted


class _Predictions(msgspec.Struct):
    predictions: list[_Prediction]


def _read_batch(body: bytes) -> Vectors:
    told = msgspec.json.decode(body, type=_Batch)
    return Vectors([each.values for each in told.embeddings], _tokens(told.usage_metadata))


def _read_one(body: bytes) -> Vectors:
    told = msgspec.json.decode(body, type=_One)
    return Vectors([told.embedding.values], _tokens(told.usage_metadata))


def _read_predictions(body: bytes) -> Vectors:
    told = [prediction.embeddings for prediction in msgspec.json.decode(body, type=_Predictions).predictions]
    counts = [each.statistics.token_count if each.statistics else None for each in told]
    known = [int(count) for count in counts if count is not None]
    return Vectors([each.values for each in told], sum(known) if len(known) == len(told) else None)


def _tokens(usage: _Usage | None) -> int | None:
    return None if usage is None else usage.prompt_token_count
