"""Anthropic's Messages as a dialect of clients: what ``/v1/messages`` speaks when the provider does not.

The files beside it hold its parts: ``request`` and ``content`` (a request becomes the hub's),
``answer`` and ``stream`` (the hub's answer becomes a message), ``usage`` and
``signatures``.
"""

from typing import Literal

import msgspec

from tollway.proxy.dialects.anthropic.answer import error_of, message_of
from tollway.proxy.dialects.anthropic.request import hub_of
from tollway.proxy.dialects.anthropic.stream import MessageEvents
from tollway.proxy.dialects.port import DialectName, Hubbed, Refused, Writer
from tollway.wire.anthropic_messages import event


class MessagesDialect:
    """See :class:`~tollway.proxy.dialects.port.Dialect`."""

    name: DialectName = "anthropic"
    answer_id_header = b"request-id"

    def to_hub(self, body: bytes, model: str) -> Hubbed:
        """The request as the hub has it.

        Raises:
            InvalidRequest: a field is malformed; ``param`` names it, as in ``messages.0.content.1.type``.
        """
        return hub_of(body, model)

    def writer(self, body: bytes, alias: str) -> Writer:
        """What says the answer; the request decides nothing of it."""
        return MessagesWriter(alias)

    def envelope(self, refused: Refused) -> bytes:
        """``{"type": "error", "error": {type, message}, "request_id"}``."""
        return msgspec.json.encode(error_of(_worded(refused)))

    def owns(self, body: bytes) -> bool:
        """Whether it is such an envelope, ``request_id`` or not."""
        try:
            msgspec.json.decode(body, type=_Envelope)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return False
        return True

    def fault_event(self, refused: Refused) -> bytes:
        """The same as ``event: error``."""
        return event(error_of(_worded(refused)))


def _worded(refused: Refused) -> Refused:
    """Anthropic's envelope has no place for the field at fault: its text begins with it."""
    if refused.param is None or refused.param in refused.message:
        return refused
    return msgspec.structs.replace(refused, message=f"{refused.param}: {refused.message}")


class _Error(msgspec.Struct):
    type: str
    message: str


class _Envelope(msgspec.Struct):
    type: Literal["error"]
    error: _Error


class MessagesWriter(MessageEvents):
    """Says one answer; see :class:`~tollway.proxy.dialects.port.Writer`."""

    def whole(self, body: bytes) -> bytes:
        """The whole message."""
        return msgspec.json.encode(message_of(body, self._alias))
