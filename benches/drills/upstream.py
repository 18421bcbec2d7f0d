"""The drills' scripted provider, as a process of its own: ``python -m benches.drills.upstream`` prints its port.

What it answers is spelt in the name of the model, so that a configuration alone says what a drill will meet:
``answer?words=50&gap=0.25``. The parts, all optional: ``status``; ``delay`` before the head and ``gap`` between two
words, in seconds; ``words``, of one token each; ``in`` and ``out``, the tokens it tells, unless ``told=0``; ``then``,
how a stream ends: ``done``, ``cut``, ``reset``, ``hang``, ``error``. ``hang`` alone never answers. A ``traceparent``
with a small number asks for that line of the golden sheet. ``GET /seen`` tells the calls that came since the last time
it was asked.

Times are of CLOCK_MONOTONIC, which all processes of a machine share.
"""

import re
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import httpx2
import msgspec
from tests.e2e.test_golden_usage import SHEET
from tests.fakes.scripts import (
    Script,
    Step,
    completion,
    deltas,
    hang,
    sse,
    status,
    whole,
)
from tests.fakes.upstream import FakeUpstream, Seen

WORD = " so"
"""One token in the vocabularies of OpenAI's models, alone and in a row."""

_ENDINGS: dict[str, tuple[Step, ...]] = {
    "done": (),
    "cut": (("fin",),),
    "reset": (("sleep", 0.05), ("rst",)),
    "hang": (("hang",),),
    "error": (("send", b'data: {"error": {"message": "scripted", "type": "server_error", "code": null}}\n\n'),),
}
_PARTS = {"status", "delay", "gap", "words", "in", "out", "told"}
_CALL = re.compile(rb"call ([0-9a-z-]+)")


class Hit(msgspec.Struct, frozen=True):
    """One call that reached the provider. ``call`` is what the load named it; times are seconds, the last two ``None``
    while it is under way."""

    call: str
    model: str
    arrived_s: float
    answered_s: float | None
    aborted_s: float | None


def script_of(model: str, *, streamed: bool) -> Script:
    """What a model's name asks for.

    Raises:
        ValueError: it is no such name, or a part of it is none.
    """
    name, _, told = model.partition("?")
    parts = dict(parse_qsl(told, strict_parsing=True)) if told else {}
    if name == "hang":
        return hang()
    if name != "answer":
        raise ValueError(f"{model!r} is no script")
    then = parts.pop("then", "done")
    if then not in _ENDINGS or not parts.keys() <= _PARTS:
        raise ValueError(f"{model!r} is no script")
    numbers = {part: float(value) for part, value in parts.items()}
    delay_s = numbers.get("delay", 0.0)
    if (code := int(numbers.get("status", 200))) != 200:
        return whole(b'{"error": {"message": "scripted", "type": "scripted_error"}}', status=code, delay_s=delay_s)
    words = int(numbers.get("words", 3))
    prompt, answer = int(numbers.get("in", 10)), int(numbers.get("out", words))
    is_told = bool(numbers.get("told", 1))
    if not streamed:
        said = completion(WORD * words, prompt=prompt, answer=answer)
        if not is_told:
            del said["usage"]
        return whole(said, delay_s=delay_s)
    events = deltas(*[WORD] * words, usage=(prompt, answer) if is_told else None)
    told_events = events if then == "done" else events[: words + 1]
    return sse(told_events, done=then == "done", gap_s=numbers.get("gap", 0.0), delay_s=delay_s, ending=_ENDINGS[then])


class _Scripted:
    """Chooses scripts, and tells what was seen."""

    def __init__(self) -> None:
        self.upstream = FakeUpstream(default=self.choose)
        self._calls: dict[int, Seen] = {}

    def choose(self, seen: Seen) -> Script:
        """The answer to one request."""
        if seen.method == "GET":
            return whole(self._told())
        self._calls[id(seen)] = seen
        trace = seen.header("traceparent")
        if trace is not None and (line := int(trace[3:35], 16)) <= len(SHEET):
            return SHEET[line - 1].script
        try:
            return script_of(seen.model or "", streamed=bool(seen.json.get("stream")))
        except ValueError as error:
            return status(404, str(error))

    def _told(self) -> bytes:
        """All calls since the last time; those under way are told again when they are over."""
        told = [
            Hit(_call(seen.body), seen.model or "", seen.arrived_at, seen.answered_at, seen.aborted_at)
            for seen in self._calls.values()
        ]
        self._calls = {
            key: seen for key, seen in self._calls.items() if seen.answered_at is None and seen.aborted_at is None
        }
        return msgspec.json.encode(told)


def _call(body: bytes) -> str:
    found = _CALL.search(body)
    return found[1].decode() if found else ""


class Upstream:
    """The process, seen from a drill: ``with Upstream() as upstream`` starts it, and ends it."""

    def __init__(self) -> None:
        self._hits: dict[tuple[str, float], Hit] = {}
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes."""
        return f"http://127.0.0.1:{self._port}/v1"

    def hits(self) -> list[Hit]:
        """Every call so far, as it stands now, in the order of arrival."""
        answer = httpx2.get(f"http://127.0.0.1:{self._port}/seen", timeout=30)
        for hit in msgspec.json.decode(answer.content, type=list[Hit]):
            self._hits[hit.call, hit.arrived_s] = hit
        return sorted(self._hits.values(), key=lambda hit: hit.arrived_s)

    def settled(self, timeout_s: float = 20.0) -> list[Hit]:
        """:meth:`hits` once none is under way, or after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.hits()
            under_way = [hit for hit in found if hit.answered_s is None and hit.aborted_s is None]
            if not under_way or time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benches.drills.upstream"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=20)


def main() -> None:
    """Serves until SIGTERM."""
    over: list[Any] = []
    signal.signal(signal.SIGTERM, lambda *received: over.append(received))
    with _Scripted().upstream as running:
        print(running.port, flush=True)
        while not over:
            signal.pause()


if __name__ == "__main__":
    main()
