"""Server-sent events of a stream, relayed in whole events as they arrive (stations 7 to 9)."""

from typing import Literal, final

from tollway._native.chat import Usage
from tollway._native.guardrails import Session

__all__ = ["EventTooLarge", "Payloads", "Relay"]

class EventTooLarge(ValueError):
    """The upstream sent an event beyond the relay's bound. The stream has failed."""

@final
class Payloads:
    """The data of each event of a stream, in any dialect, however it is cut and framed.

    Comments, names, ids and retry times are dropped. `max_event_bytes` bounds an event.
    """

    def __new__(cls, max_event_bytes: int = ...) -> Payloads: ...
    def feed(self, chunk: bytes) -> list[bytes]:
        """The payloads of the events that `chunk` completes. Raises EventTooLarge."""

    def finish(self) -> list[bytes]:
        """The stream has ended: its last payload, if only the blank line behind it was missing; else nothing."""

@final
class Relay:
    """Relays one upstream's stream to one client, and learns on the way what settlement needs.

    Events leave as `data: <payload>` and a blank line, the payload's bytes as they were, however the upstream cut and
    framed them; in the dialects that name their events (`messages`, `responses`), `event: <type>` in front. One thing
    is put right, the `index` of a chat's tool calls: 0, 1, 2 in the order in which they began. Three things do not
    pass: the end (see `last`), which the caller sends once it has settled; with `hide_usage` a chat's chunk that holds
    nothing but usage; everything behind an error, and with `hold_error` the error itself.

    OpenAI's streams of images and audio are of the dialect `responses`, too, but for the names of their last events.

    With `guard`, what its session's policy says is done to every text that passes, the end and errors included: held
    until it is decided, rewritten, originals put back. What waits leaves in events of its own, at the latest in front
    of what ends its choice, block or item. What is counted stays what the upstream said.

    `keep_bytes` bounds the text kept for `count_completion`, `max_event_bytes` an event.
    """

    def __new__(
        cls,
        hide_usage: bool,
        keep_bytes: int = ...,
        max_event_bytes: int = ...,
        dialect: Literal["chat", "messages", "responses"] = "chat",
        hold_error: bool = False,
        guard: Session | None = None,
    ) -> Relay: ...
    def feed(self, chunk: bytes) -> bytes:
        """What may go to the client now; `chunk` itself when all of it may. Raises EventTooLarge."""

    def finish(self) -> bytes:
        """The upstream has ended: its last event, if only the blank line behind it was missing."""

    def feed_payloads(self, chunk: bytes) -> list[bytes]:
        """Instead of `feed`, for a caller who translates: the payloads of the events that may pass. Raises
        EventTooLarge."""

    def finish_payloads(self) -> list[bytes]:
        """Instead of `finish`, for a caller who translates."""

    @property
    def last(self) -> bytes:
        """The event that ends the stream, framed: of a chat always `[DONE]`; in the other dialects the upstream's own
        (`message_stop`; `response.completed`, `.incomplete` or `.failed`, and `[DONE]` if that came behind it), and
        empty until it has come."""

    @property
    def held_bytes(self) -> int:
        """How much is held of an event that is not whole yet."""

    @property
    def done(self) -> bool:
        """Whether the upstream's last event has come."""

    @property
    def blocked(self) -> bool:
        """Whether the guard has found something that nothing may follow, or could not look: nothing passes any more."""

    @property
    def has_said(self) -> bool:
        """Whether the guard has let something pass that was said in pieces."""

    @property
    def drops_tokens(self) -> bool:
        """Whether log probabilities were dropped, which repeat the text token by token."""

    @property
    def failed(self) -> bool:
        """Whether an error came in the stream, or an event too large."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: no error, and the last event or, in a chat, a finish reason for every choice
        seen. A stream that ends otherwise was cut."""

    @property
    def has_content(self) -> bool:
        """Whether a choice has said something beyond its role: the first token."""

    @property
    def events(self) -> int:
        """How many events have passed to the client."""

    @property
    def finish_reasons(self) -> list[str]:
        """In the dialect's words, as `ChatAnswer.finish_reasons`."""

    @property
    def error(self) -> bytes | None:
        """The payload of the event that told an error, be it held or not: `response.failed` is one, too."""

    @property
    def usage(self) -> Usage:
        """What was told so far: of each count the last word. Zeros behind an error tell nothing."""

    @property
    def said_bytes(self) -> int:
        """Bytes of all text that was said, escapes undone: costs nothing to know."""

    def count_completion(self, encoding: str) -> int:
        """The tokens of what was said: exact for the text kept, one for 4 bytes of what went beyond. Works without the
        interpreter; ValueError for an encoding other than `cl100k_base` and `o200k_base`."""
