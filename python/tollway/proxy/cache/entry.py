"""One answer that may be served again, and how it was found."""

from typing import Literal, NamedTuple

import msgspec

from tollway._native.questions import Question
from tollway.contract.snapshot import Operation


class Call(NamedTuple):
    """A call whose answer may be kept, with what a removal goes by. ``filled_at_ms`` is when it began, Unix time."""

    key: bytes
    tenant_id: str
    key_id: str
    model: str
    filled_at_ms: int


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An answer without its body, as hosts tell each other of it (MessagePack: fields are only ever appended).

    ``key`` and ``namespace`` are 32 bytes of ``ChatRequest.cache_keys``; an empty ``namespace`` is an answer that is
    found by its key alone. ``key_id`` is the API key's whose call filled it. Times are Unix milliseconds.
    ``cost_picousd`` is what each hit saves, ``None`` where the model has no price. ``vectors`` are those of other
    embedders than the built-in one, by name: one signed byte a dimension, of which only the direction says anything.
    ``warnings`` are the fields of the request that the provider could not take. The body is the whole answer in the
    dialect of ``operation``, as a client that does not stream gets it.

    The collector need not walk a hundred thousand of these: nothing that one holds leads back to it.
    """

    key: bytes
    tenant_id: str
    key_id: str
    model: str
    operation: Operation
    provider: str
    provider_model: str
    filled_at_ms: int
    expires_at_ms: int
    body_bytes: int
    prompt_tokens: int
    completion_tokens: int
    cost_picousd: int | None
    namespace: bytes = b""
    question: str = ""
    vectors: dict[str, bytes] = {}
    warnings: tuple[str, ...] = ()


class Near(msgspec.Struct, frozen=True):
    """An entry of the same namespace, and the cosine of its question, -1 to 1, by the built-in embedder."""

    entry: Entry
    question: Question
    similarity: float


Level = Literal["exact", "semantic", "joined"]


class Found(msgspec.Struct, frozen=True):
    """An entry that serves a request. ``confidence`` is the verifier's, 1 where the question is the very same;
    ``region`` is where its threshold is learned, empty where there is none."""

    entry: Entry
    level: Level
    confidence: float = 1.0
    region: str = ""
