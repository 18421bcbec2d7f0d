"""The dialect of OpenAI's Responses, for models of providers that speak chat or a dialect of their own.

Requests are read in ``request.py``, whole answers written in ``answer.py``, streams in
``stream.py``. Where a provider speaks Responses itself, bytes pass and none of this is used.
"""

from tollway.proxy.dialects.openai import OpenAIDialect
from tollway.proxy.dialects.port import DialectName, Hubbed, Refused, Writer
from tollway.proxy.dialects.responses.answer import Answering, whole
from tollway.proxy.dialects.responses.request import to_hub
from tollway.proxy.dialects.responses.stream import StreamWriter
from tollway.wire.openai_responses import error, framed


class ResponsesDialect:
    """See :class:`~tollway.proxy.dialects.port.Dialect`."""

    name: DialectName = "responses"
    answer_id_header = b"x-request-id"

    def __init__(self) -> None:
        self._chat = OpenAIDialect()

    def to_hub(self, body: bytes, model: str) -> Hubbed:
        """As the port says."""
        return to_hub(body, model)

    def writer(self, body: bytes, alias: str) -> Writer:
        """As the port says."""
        return ResponsesWriter(body, alias)

    def envelope(self, refused: Refused) -> bytes:
        """OpenAI's ``{"error": {message, type, param, code}}``, the same as chat's."""
        return self._chat.envelope(refused)

    def owns(self, body: bytes) -> bool:
        """As chat's."""
        return self._chat.owns(body)

    def fault_event(self, refused: Refused) -> bytes:
        """An ``error`` event. Where it stands in a stream that passed as bytes is not known: it is numbered 0."""
        return framed(error(refused.type, refused.code, refused.message, refused.param))


class ResponsesWriter:
    """Says one answer; see :class:`~tollway.proxy.dialects.port.Writer`."""

    def __init__(self, body: bytes, alias: str) -> None:
        self._answering = Answering(body, alias)
        self._stream = StreamWriter(self._answering)

    def whole(self, body: bytes) -> bytes:
        """As the port says."""
        return whole(self._answering, body)

    def event(self, payload: bytes) -> bytes:
        """As the port says; a stream of more than 8 MiB of text is none that ends well, and a ValueError, too."""
        return self._stream.event(payload)

    def end(self) -> bytes:
        """As the port says."""
        return self._stream.end()

    def fault(self, refused: Refused) -> bytes:
        """As the port says: ``error``, then ``response.failed`` with what was said."""
        return self._stream.fault(refused)
