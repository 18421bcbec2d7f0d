"""OpenAI's own dialects but for Responses: chat, whose bytes are the hub's, and all that shares its envelope."""

from tollway.proxy.dialects.port import DialectName, Hubbed, Refused, Writer
from tollway.wire.error_envelope import written
from tollway.wire.openai_chat import DONE


class OpenAIDialect:
    """See :class:`~tollway.proxy.dialects.port.Dialect`."""

    name: DialectName = "openai"

    def to_hub(self, body: bytes, model: str) -> Hubbed:
        """The body as it is. The native reader puts ``model`` in its place when it renders the request."""
        return Hubbed(body, ())

    def writer(self, body: bytes, alias: str) -> Writer:
        """As the port says."""
        return ChatWriter()

    def envelope(self, refused: Refused) -> bytes:
        """OpenAI's ``{"error": {message, type, param, code}}``."""
        return written(refused.message, refused.type, refused.param, refused.code)

    def fault_event(self, refused: Refused) -> bytes:
        """The envelope as an event without a name: OpenAI's SDKs raise at it."""
        return b"data: " + self.envelope(refused) + b"\n\n"


class ChatWriter:
    """Says the hub's answer as it is; see :class:`~tollway.proxy.dialects.port.Writer`."""

    def whole(self, body: bytes) -> bytes:
        """The same."""
        return body

    def event(self, payload: bytes) -> bytes:
        """The same, framed."""
        return b"data: " + payload + b"\n\n"

    def end(self) -> bytes:
        """``[DONE]``."""
        return DONE

    def fault(self, refused: Refused) -> bytes:
        """As :meth:`OpenAIDialect.fault_event`."""
        return OpenAIDialect().fault_event(refused)
