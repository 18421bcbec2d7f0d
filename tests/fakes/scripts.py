"""Answers for the fake upstream to give: what goes on the wire, byte by byte, and how it ends."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Step = (
    tuple[Literal["send"], bytes]  # these bytes: one HTTP chunk when chunked
    | tuple[Literal["sleep"], float]  # seconds
    | tuple[Literal["end"]]  # the proper end of the answer; the last step unless another one ends it
    | tuple[Literal["fin"]]  # close without the proper end
    | tuple[Literal["rst"]]  # reset the connection
    | tuple[Literal["hang"]]  # silence, until the client leaves
)
Framing = Literal["chunked", "length", "close"]
Chunking = Literal["events", "lines", "one_byte", "merged", "crlf", "comments", "named", "unterminated"] | int
"""How a stream is cut into writes, and framed; a number is a size in bytes."""

CHUNKINGS: tuple[Chunking, ...] = (
    "events",  # an event a write
    "lines",  # a line a write, the blank ones too
    "one_byte",
    "merged",  # everything in one write
    "crlf",  # lines end in CRLF
    "comments",  # ``: ping`` before every event
    "named",  # ``event:`` and ``id:`` lines before every ``data:``
    "unterminated",  # the last event without its blank line
)

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class Script:
    """An answer. ``raw_head`` replaces the status line and all headers, for answers that are no HTTP."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    steps: tuple[Step, ...] = ()
    framing: Framing = "length"
    delay_s: float = 0.0
    raw_head: bytes | None = None

    def head(self) -> bytes:
        """The status line and the headers, with the one that the framing needs."""
        if self.raw_head is not None:
            return self.raw_head
        sent = sum(len(step[1]) for step in self.steps if step[0] == "send")
        framing = {"chunked": "transfer-encoding: chunked", "close": "connection: close"}
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Scripted')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append(framing.get(self.framing, f"content-length: {sent}"))
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def framed(self, data: bytes) -> bytes:
        """``data`` as it goes on the wire."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self.framing == "chunked" and data else data


def whole(answer: Any, *, status: int = 200, headers: Iterable[tuple[str, str]] = (), delay_s: float = 0.0) -> Script:
    """``answer`` as JSON (bytes as they are), with a content-length."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False).encode()
    sent = (("content-type", "application/json"), *headers)
    return Script(status, sent, (("send", body),), delay_s=delay_s)


def sse(
    events: Iterable[Any],
    chunking: Chunking = "events",
    *,
    done: bool = True,
    gap_s: float = 0.0,
    delay_s: float = 0.0,
    ending: tuple[Step, ...] = (),
    headers: Iterable[tuple[str, str]] = (),
) -> Script:
    """A stream of ``events`` (JSON values, or texts as they are), ``[DONE]`` unless told otherwise, then ``ending``."""
    payloads = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events]
    text = "".join(f"data: {payload}\n\n" for payload in [*payloads, *(["[DONE]"] if done else [])])
    return stream(text, chunking, gap_s=gap_s, delay_s=delay_s, ending=ending, headers=headers)


def stream(
    text: str,
    chunking: Chunking = "events",
    *,
    gap_s: float = 0.0,
    delay_s: float = 0.0,
    ending: tuple[Step, ...] = (),
    headers: Iterable[tuple[str, str]] = (),
) -> Script:
    """The text of a recorded stream, in other pieces or with other line ends that mean the same."""
    steps: list[Step] = []
    for piece in _pieces(text, chunking):
        if steps and gap_s:
            steps.append(("sleep", gap_s))
        steps.append(("send", piece))
    sent = (("content-type", "text/event-stream; charset=utf-8"), *headers)
    return Script(200, sent, (*steps, *ending), "chunked", delay_s)


def completion(text: str = "Hello there.", *, model: str = "scripted", prompt: int = 7, answer: int = 3) -> Any:
    """A small ``chat.completion`` with these token counts."""
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer},
    }


def deltas(*texts: str, model: str = "scripted", usage: tuple[int, int] | None = (7, 3)) -> list[Any]:
    """The chunks of a streamed answer: role, ``texts``, finish, and usage (prompt, completion) unless ``None``."""

    def chunk(choices: list[Any], **more: Any) -> Any:
        return {
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": model,
            "choices": choices,
            **more,
        }

    def choice(delta: dict[str, Any], finish: str | None = None) -> list[Any]:
        return [{"index": 0, "delta": delta, "finish_reason": finish}]

    told = [chunk(choice({"role": "assistant", "content": ""}))]
    told += [chunk(choice({"content": text})) for text in texts]
    told.append(chunk(choice({}, "stop")))
    if usage is not None:
        prompt, answer = usage
        counts = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
        told.append(chunk([], usage=counts))
    return told


def status(code: int, message: str = "scripted", *, headers: Iterable[tuple[str, str]] = ()) -> Script:
    """OpenAI's error envelope with this status."""
    error = {"message": message, "type": "scripted_error", "param": None, "code": "scripted"}
    return whole({"error": error}, status=code, headers=headers)


def hang() -> Script:
    """Not even a head, ever."""
    return Script(raw_head=b"", steps=(("hang",),))


def cut_after(count: int, *, gap_s: float = 0.0) -> Script:
    """A stream whose connection is closed after ``count`` deltas."""
    return _broken(count, (("fin",),), gap_s)


def rst_after(count: int, *, gap_s: float = 0.0) -> Script:
    """A stream whose connection is reset after ``count`` deltas; a moment later, so that they arrive before it."""
    return _broken(count, (("sleep", 0.05), ("rst",)), gap_s)


def hang_after(count: int, *, gap_s: float = 0.0) -> Script:
    """A stream that falls silent after ``count`` deltas."""
    return _broken(count, (("hang",),), gap_s)


def error_after(count: int, error: Any = None, *, gap_s: float = 0.0) -> Script:
    """A stream with a bare error event after ``count`` deltas, then ``[DONE]``, as OpenAI sends it."""
    said = error or {"message": "scripted", "type": "server_error", "param": None, "code": None}
    last = f"data: {json.dumps({'error': said})}\n\ndata: [DONE]\n\n".encode()
    return _broken(count, (("send", last),), gap_s)


def not_http() -> Script:
    """An answer that is no HTTP at all."""
    return Script(raw_head=b"\x00\x01 this is no HTTP\r\n\r\n", steps=(("fin",),))


def _broken(count: int, ending: tuple[Step, ...], gap_s: float) -> Script:
    texts = [f"word{number} " for number in range(count)]
    return sse(deltas(*texts, usage=None)[: count + 1], done=False, gap_s=gap_s, ending=ending)


def _pieces(text: str, chunking: Chunking) -> list[bytes]:
    text = text.replace("\r\n", "\n")
    if isinstance(chunking, int):
        wire = text.encode()
        return [wire[start : start + chunking] for start in range(0, len(wire), chunking)]
    match chunking:
        case "crlf":
            text = text.replace("\n", "\r\n")
            return [piece.encode() for piece in _after_each(text, "\r\n\r\n")]
        case "comments":
            return [f": ping\n\n{event}".encode() for event in _after_each(text, "\n\n")]
        case "named":
            events = enumerate(_after_each(text, "\n\n"))
            return [f"event: message\nid: {number}\n{event}".encode() for number, event in events]
        case "lines":
            return [line.encode() for line in _after_each(text, "\n")]
        case "one_byte":
            return [bytes([byte]) for byte in text.encode()]
        case "merged":
            return [text.encode()]
        case "unterminated":
            return [event.encode() for event in _after_each(text.rstrip("\n"), "\n\n")]
        case "events":
            return [event.encode() for event in _after_each(text, "\n\n")]


def _after_each(text: str, end: str) -> list[str]:
    """``text`` cut after every ``end``."""
    pieces = [f"{piece}{end}" for piece in text.split(end)]
    pieces[-1] = pieces[-1].removesuffix(end)
    return [piece for piece in pieces if piece]
