"""Vectors: a request of ``/v1/embeddings``, asked of Google, and answered in OpenAI's shape.

In: the client's request. Out: ``{"object": "list", "data": […]}``. Google takes fewer texts at once than OpenAI, so a
request may become several calls, one after the other; and it takes texts, never numbers of tokens, since those are of
a vocabulary that it does not have. What the calls look like is in ``vectors.py``.
"""

import asyncio
import base64
import struct
from typing import Any

import msgspec

from tollway.errors import InvalidRequest, UpstreamBroken
from tollway.proxy.causes import Fault
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.pieces import read_all
from tollway.proxy.providers.google.api import GoogleApi
from tollway.proxy.providers.google.faults import fault_of
from tollway.proxy.providers.google.vectors import Embedding, Shape
from tollway.proxy.providers.port import UpstreamCall
from tollway.proxy.providers.translated import TranslatedAnswer

MAX_TEXTS = 2_048
"""OpenAI's bound on the texts of one request."""

_TAKEN = frozenset({"model", "input", "dimensions", "encoding_format"})


async def embed(api: GoogleApi, call: UpstreamCall, asked: Embedding) -> UpstreamAnswer:
    """Asks for all vectors; the first refusal is the answer.

    Raises:
        tollway.errors.UpstreamError: as :class:`~tollway.proxy.providers.port.Provider` says.
    """
    shape = api.embedding(call.model, len(asked.texts))
    url = api.url(call.model, shape.method)
    reader = _Reader(asked, shape)
    starts = range(0, len(asked.texts), shape.most_texts)
    for start in starts:
        texts = asked.texts[start : start + shape.most_texts]
        answer = await api.post(call, url, _written(shape.write(asked, texts)))
        if answer.status == 200 and start != starts[-1]:
            await _take(reader, answer)
            continue
        return await TranslatedAnswer.begin(answer, reader, stream=False, warnings=asked.warnings)
    raise InvalidRequest("'input' is empty.", param="input")


def _written(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except ValueError:  # half a character
        raise InvalidRequest("'input' is not text.", param="input") from None


async def _take(reader: "_Reader", answer: UpstreamAnswer) -> None:
    """What all calls but the last bring."""
    try:
        await asyncio.to_thread(reader.add, await read_all(answer.piece))
    except (ValueError, RecursionError) as error:
        message = "The provider's answer could not be understood."
        raise UpstreamBroken(message, inside=type(error).__name__) from None
    finally:
        await answer.close()


def read_embedding(body: dict[str, Any], model: str) -> Embedding:
    """Reads the request.

    Raises:
        InvalidRequest: it is malformed, or its input is not text.
    """
    texts = body.get("input")
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts:
        raise InvalidRequest("'input' is to be text, or a list of texts.", param="input")
    if len(texts) > MAX_TEXTS:
        raise InvalidRequest(f"'input' may hold {MAX_TEXTS} texts.", param="input")
    if not all(isinstance(text, str) for text in texts):
        message = "The provider takes texts only: tokens are numbers of a vocabulary that it does not have."
        raise InvalidRequest(message, param="input")
    dimensions = body.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or not 1 <= dimensions <= 100_000):
        raise InvalidRequest("'dimensions' is to be a whole number above nought.", param="dimensions")
    encoding = body.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise InvalidRequest("'encoding_format' is 'float' or 'base64'.", param="encoding_format")
    dropped = tuple(name for name, value in body.items() if name not in _TAKEN and value is not None)
    return Embedding(model, tuple(texts), dimensions, encoding == "base64", dropped)


class _Reader:
    """Puts the vectors of all calls together; the last one's answer is read by :meth:`whole`."""

    def __init__(self, asked: Embedding, shape: Shape) -> None:
        self._asked = asked
        self._read = shape.read
        self._values: list[list[float]] = []
        self._tokens: int | None = 0

    def add(self, body: bytes) -> None:
        """Takes what one call brought.

        Raises:
            ValueError: it brought no vectors.
        """
        brought = self._read(body)
        self._values += brought.values
        self._tokens = None if self._tokens is None or brought.tokens is None else self._tokens + brought.tokens

    def whole(self, body: bytes) -> bytes:
        """As the port says. Without a count of tokens, ``usage`` is null: the gateway counts for itself."""
        self.add(body)
        if len(self._values) != len(self._asked.texts):
            raise ValueError("not a vector a text")
        said = _in_base64 if self._asked.in_base64 else _as_it_is
        data = [
            {"object": "embedding", "index": index, "embedding": said(values)}
            for index, values in enumerate(self._values)
        ]
        usage = None if self._tokens is None else {"prompt_tokens": self._tokens, "total_tokens": self._tokens}
        return msgspec.json.encode({"object": "list", "data": data, "model": self._asked.model, "usage": usage})

    def event(self, payload: bytes) -> bytes:
        """Vectors are not streamed."""
        raise ValueError("an event among vectors")

    def end(self) -> bytes:
        """Nothing is left to say."""
        return b""

    def fault(self, status: int, body: bytes) -> Fault:
        """As Google's refusals are read."""
        return fault_of(status, body)


def _as_it_is(values: list[float]) -> list[float]:
    return values


def _in_base64(values: list[float]) -> str:
    """As OpenAI has it: numbers of 32 bits, the low byte first."""
    try:
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    except OverflowError:
        raise ValueError("a number that 32 bits can't hold") from None
