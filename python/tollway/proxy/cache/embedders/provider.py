"""Any model of ours that serves embeddings: asked through the gateway's own providers.

In: a text. Out: its vector, of an answer of OpenAI's /v1/embeddings
(https://platform.openai.com/docs/api-reference/embeddings/create): ``data``, one for each text, with ``embedding``, a
list of numbers. An alias may have targets of several models, whose vectors have nothing in common: only those of its
first target's model are asked, and it is part of the name.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from tollway.contract.keys import KeyRecord
from tollway.proxy.cache.embedders.source import NotThis
from tollway.proxy.cache.embedders.vectors import quantised
from tollway.proxy.cache.port import EmbedderDown

ANSWER_BYTES_MAX = 256 * 1024
"""A longer answer is none: 4,096 numbers of full precision take 90 KB."""

INLINE_BYTES = 32 * 1024
"""More than this is read in a thread: the event loop may not be held for 2 ms."""

_ITS_OWN = frozenset({400, 413, 422})
"""A refusal of this very text, such as one that is too long: the model is not to be left out for it."""


class Models(Protocol):
    """Asks a model of ours for embeddings."""

    def model(self, alias: str) -> str | None:
        """The model behind the alias that is asked; ``None`` where nobody serves embeddings for it."""
        ...

    async def embed(self, alias: str, body: bytes, limit_bytes: int, record: KeyRecord) -> tuple[int, bytes]:
        """Status and body of what a target of :meth:`model` says to ``body``, OpenAI's request without a model.

        Raises:
            tollway.errors.GatewayError: none of them can be reached or may be asked, or it says more than
                ``limit_bytes``.
        """
        ...


class _Vector(msgspec.Struct):
    embedding: list[float]


class _Said(msgspec.Struct):
    data: list[_Vector]


class ByAlias:
    """The embedder behind an alias; all of its vectors have as many dimensions as the first."""

    def __init__(self, alias: str, model: str, models: Models) -> None:
        self.name = f"{alias}/{model}"
        self._alias = alias
        self._models = models
        self._dimensions: int | None = None

    async def vector(self, text: str, record: KeyRecord) -> bytes:
        """As :class:`~tollway.proxy.cache.embedders.source.Source` says."""
        body = msgspec.json.encode({"input": text})
        status, answer = await self._models.embed(self._alias, body, ANSWER_BYTES_MAX, record)
        if status in _ITS_OWN:
            raise NotThis(f"status {status}")
        if not 200 <= status < 300:
            raise EmbedderDown(f"status {status}")
        try:
            if len(answer) <= INLINE_BYTES:
                vector = _read(answer)
            else:
                vector = await asyncio.to_thread(_read, answer)
        except (ValueError, RecursionError):  # what msgspec raises, also of bytes that are no UTF-8, is a ValueError
            raise EmbedderDown("bad answer") from None
        if self._dimensions is None:
            self._dimensions = len(vector)
        elif len(vector) != self._dimensions:
            raise EmbedderDown("another number of dimensions")
        return vector

    async def prepare(self) -> None:
        """Nothing is to be loaded."""

    async def close(self) -> None:
        """Nothing is its own."""


def _read(answer: bytes) -> bytes:
    said: Sequence[_Vector] = msgspec.json.decode(answer, type=_Said).data
    if len(said) != 1:
        raise ValueError("not one vector")
    return quantised(said[0].embedding)
