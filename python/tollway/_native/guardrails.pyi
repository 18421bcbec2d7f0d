"""Guardrail policies compiled, and the guards of calls: what they find, what they put in its place, what they refuse.

A policy is the JSON of a `tollway.contract.guardrails.Policy`; its checks that ask somebody else are left to the
caller, who hands what they found to `Session.edit` or `Session.note`. Directions are `input` and `output`; actions
`allow`, `flag`, `redact`, `mask`, `hash`, `block`. Another raises ValueError.
"""

from collections.abc import Sequence
from typing import Literal, final

from tollway._native.chat import ChatRequest

__all__ = ["Blocked", "Policy", "Screen", "Segments", "Session"]

@final
class Policy:
    """Compiled; raises ValueError that says what is wrong with which check. `secret` keys digests and placeholders.

    Compiling works without the interpreter, and may take milliseconds."""

    def __new__(cls, spec: bytes, secret: bytes) -> Policy: ...
    @property
    def inspects_input(self) -> bool:
        """Whether there are native checks of requests."""

    @property
    def inspects_output(self) -> bool:
        """Whether there are native checks of answers."""

    def beside(self, other: Policy) -> Policy:
        """Both, as one that reads each text once; the other's checks come second. The secret is this one's."""

    def session(self, tenant: str) -> Session:
        """The guard of one call of that tenant."""

    def examine(
        self, text: str, direction: str, tenant: str
    ) -> tuple[str, list[tuple[str, str, int, int, float, str]]]:
        """What a text becomes, and what the native checks find in it: check, kind, start and end in code points,
        confidence from 0 to 1, action. Works without the interpreter."""

@final
class Blocked:
    """Why nothing of a call may pass: the first reason."""

    @property
    def direction(self) -> Literal["input", "output"]: ...
    @property
    def check(self) -> str: ...
    @property
    def kind(self) -> str: ...

@final
class Session:
    """The guard of one call. Knows the originals of its placeholders and counts what was found, in memory only.

    From 16 KiB on it works on a request without the interpreter: then call it from a thread. Calls wait for each
    other."""

    @property
    def blocked(self) -> Blocked | None:
        """Set as soon as a check with `block` has found something."""

    @property
    def has_originals(self) -> bool:
        """Whether there are values that may have to be put back into an answer."""

    def request(self, request: ChatRequest) -> ChatRequest:
        """The request as the native checks of the input let it pass; the very same when nothing changes. Whether it may
        pass at all is for `blocked` to say.

        JSON stays JSON, also inside tool arguments, where a bare number becomes a quoted text. A model's own signed
        thoughts stay as they are, but for values that are restored in answers: those get their placeholder back."""

    def texts(self, request: ChatRequest) -> list[tuple[Literal["system", "user", "assistant", "tool", "other"], str]]:
        """Every text a model reads, for external checks, and who says it; those that came as files included."""

    def edit(self, request: ChatRequest, edits: Sequence[tuple[int, int, int, str, str, str, bool]]) -> ChatRequest:
        """The request with what external checks found in its `texts`: text, start and end in code points, check, kind,
        action, and whether a placeholder's original is put back into answers. All at once: `texts` of the result are
        others."""

    def fork(self) -> Session:
        """The guard of one of several answers to this call, of which one will count: knows the same originals, has
        found nothing yet. See `tollway._native.sse.Relay`, which screens a stream on behalf of one."""

    def adopt(self, fork: Session) -> None:
        """That answer counts: what its guard has found is counted here, and there no more."""

    def stream(self, dialect: Literal["chat", "messages", "responses"]) -> Screen:
        """Screens a stream on behalf of this guard where no relay does."""

    def answer(self, body: bytes, operation: str) -> tuple[bytes, bool] | None:
        """A whole answer as the native checks of the output let it pass, with the originals put back, and whether log
        probabilities were dropped, which repeat the text token by token; None where it may not pass at all, or could
        not be looked at. What is no JSON is a plain text or subtitles. `body` itself when nothing changes.

        From 16 KiB on it works without the interpreter: then call it from a thread. ValueError for an operation that is
        none."""

    @staticmethod
    def answer_texts(body: bytes, operation: str) -> list[str]:
        """Every text of a whole answer, for external checks. Works without the interpreter."""

    def edit_answer(
        self, body: bytes, operation: str, edits: Sequence[tuple[int, int, int, str, str, str, bool]]
    ) -> bytes | None:
        """The answer with what external checks found in its `answer_texts`, as in `edit`; None where it may not pass.
        JSON stays JSON: a text that would not is hidden whole."""

    def note(self, direction: str, check: str, kind: str, action: str) -> None:
        """Counts what an external check found in no certain place; `block` blocks the call."""

    def found(self) -> list[tuple[Literal["input", "output"], str, str, str, int]]:
        """Direction, check, kind, action and how often, of all that was found so far, in that order."""

@final
class Screen:
    """Screens the events of one stream."""

    def event(self, payload: bytes) -> list[bytes] | None:
        """The payloads that go on of an event, and of events before; None where nothing may pass any more."""

    def finish(self) -> list[bytes] | None:
        """The stream has ended, or is about to: the payloads of what has waited."""

@final
class Segments:
    """A stream that external checks judge piece by piece: its events, framed for the client, are held until then.

    A piece is 2 KiB of text at most, or ends with a sentence. `max_event_bytes` bounds an event."""

    def __new__(cls, dialect: Literal["chat", "messages", "responses"], max_event_bytes: int = ...) -> Segments: ...
    def take(self, events: bytes) -> bool:
        """Holds whole events; whether they are to be released now. Raises tollway._native.sse.EventTooLarge."""

    def texts(self) -> list[str]:
        """What is to be judged before the release: of each text what was said since the last."""

    def release(self, session: Session, edits: Sequence[tuple[int, int, int, str, str, str, bool]]) -> bytes | None:
        """The events that were held, all but the stream's last, with what was found in `texts`, as in `Session.edit`;
        what was rewritten once is rewritten whenever it is said again. None where nothing may pass any more."""

    @property
    def last(self) -> bytes:
        """The stream's last event, once it is released; of a chat always `[DONE]`."""
