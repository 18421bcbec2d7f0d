"""OpenAI's own dialects: chat is the hub, and what passes as bytes beside it shares chat's envelope."""

import msgspec

from tollway.proxy.dialects.port import DialectName, Hubbed, Refused, Writer
from tollway.wire.error_envelope import written


class OpenAIDialect:
    """Chat, completions, embeddings and the rest of OpenAI's paths but ``responses``."""

    name: DialectName = "openai"
    answer_id_header = b"x-request-id"

    def to_hub(self, body: bytes, model: str) -> Hubbed:
        """The body itself: only chat is ever asked for it, and chat is the hub."""
        return Hubbed(body, ())

    def writer(self, body: bytes, alias: str) -> Writer | None:
        """Nothing: the hub's answer is the client's."""
        return None

    def envelope(self, refused: Refused) -> bytes:
        """``{"error": {message, type, param, code}}``."""
        return written(refused.message, refused.type, refused.param, refused.code)

    def owns(self, body: bytes) -> bool:
        """Whether it holds ``error.message``."""
        return isinstance(_message(body), str)

    def fault_event(self, refused: Refused) -> bytes:
        """The envelope as an event's data."""
        return b"data: " + self.envelope(refused) + b"\n\n"


class _Error(msgspec.Struct):
    message: str


class _Envelope(msgspec.Struct):
    error: _Error


def _message(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Envelope).error.message
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
