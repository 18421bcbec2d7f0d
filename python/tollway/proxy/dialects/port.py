"""The port of client dialects: what a client's request becomes, and how it hears its answer.

A dialect is bytes in, bytes out; it holds no connection and knows no station. Chat needs none of this: its bytes
are the hub's. See ``hub.py`` for the hub, ``proxy/providers/port.py`` for the other side.
"""

from typing import Literal, Protocol

import msgspec

from tollway.errors import GatewayError
from tollway.proxy.causes import Fault
from tollway.wire.tool_names import NONE, Names

DialectName = Literal["openai", "anthropic", "responses"]
"""Whose envelope an error comes in, and whose events a stream has. ``openai`` serves chat, completions, embeddings,
moderations, rerank, images and audio: they share one envelope."""


class Refused(msgspec.Struct, frozen=True):
    """An error as a dialect says it. ``code`` and ``type`` are OpenAI's words (``causes.Effect``); a dialect with
    others maps from ``status`` and ``code``. ``request_id`` is ours, for dialects that repeat it in the body."""

    status: int
    type: str
    code: str | None
    message: str
    param: str | None
    request_id: str


class Hubbed(msgspec.Struct, frozen=True):
    """A request as the hub has it, and the fields that found no place there (``x-tollway-warnings``).

    ``names`` are those of tools that chat does not take and that have others there.
    """

    body: bytes
    warnings: tuple[str, ...]
    names: Names = NONE


class Writer(Protocol):
    """Says one answer of the hub in the client's dialect. One per call: a stream's state lives in it.

    A stream is a walk: ``event`` for each payload of the hub, then exactly one of ``end`` (it was complete) and
    ``fault``. What ``end`` and ``fault`` return leaves after settlement.
    """

    def whole(self, body: bytes) -> bytes:
        """The client's whole answer, of a ``chat.completion``.

        Raises:
            ValueError: it is none.
        """
        ...

    def event(self, payload: bytes) -> bytes:
        """The events that a ``chat.completion.chunk`` becomes, framed; often none.

        Raises:
            ValueError: it is none.
        """
        ...

    def end(self) -> bytes:
        """The last events: finish, usage, terminator. They are held until here, since usage may come last.

        It never raises: what can't be said has been refused by ``event``.
        """
        ...

    def fault(self, refused: Refused) -> bytes:
        """The event that ends a stream which has begun and can't go on. Never a finish reason."""
        ...


class Dialect(Protocol):
    """One dialect of clients."""

    name: DialectName
    answer_id_header: bytes
    """The header in which this dialect's SDKs look for the request's id; ``x-request-id`` is there in any case."""

    def to_hub(self, body: bytes, model: str) -> Hubbed:
        """The request for ``model`` as the hub has it. ``body`` has been read by the native reader and screened.

        Raises:
            tollway.errors.InvalidRequest: a field is malformed, or chat can't say it and dropping it would change
                what is asked (``previous_response_id``, a stored ``conversation``).
        """
        ...

    def writer(self, body: bytes, alias: str) -> Writer | None:
        """What says the answer to this request; ``alias`` is the model's name as the client knows it.

        ``None`` where the hub's answer is the client's already.
        """
        ...

    def envelope(self, refused: Refused) -> bytes:
        """An error as a body of its own."""
        ...

    def owns(self, body: bytes) -> bool:
        """Whether a provider's error body is one of this dialect's own, and may pass as it is."""
        ...

    def fault_event(self, refused: Refused) -> bytes:
        """The framed event that ends a stream which has begun and passed on as bytes. Never a finish reason."""
        ...


class Renaming:
    """A writer that hears of tools by the names that the client gave them; see :class:`Writer`."""

    def __init__(self, writer: Writer, names: Names) -> None:
        self._writer = writer
        self._names = names

    def whole(self, body: bytes) -> bytes:
        """As the port says."""
        return self._writer.whole(self._names.restored(body))

    def event(self, payload: bytes) -> bytes:
        """As the port says."""
        return self._writer.event(self._names.restored(payload))

    def end(self) -> bytes:
        """As the port says."""
        return self._writer.end()

    def fault(self, refused: Refused) -> bytes:
        """As the port says."""
        return self._writer.fault(refused)


def refused(error: GatewayError, request_id: str) -> Refused:
    """Our own errors, for :meth:`Dialect.envelope`."""
    return Refused(error.status, error.type, error.code, error.outside, error.param, request_id)


def refused_by(fault: Fault, request_id: str) -> Refused:
    """A provider's refusal, for the same."""
    effect = fault.cause.effect
    return Refused(effect.status, effect.type, effect.code, fault.message, fault.param, request_id)
