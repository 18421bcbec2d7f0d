"""The log: one JSON object a line, with a time, a level, an event's name and fields.

What comes in: events and fields from any part. What goes out: encoded lines, to a
:class:`~tollway.telemetry.lines.LineWriter`. It never waits, never raises into the caller, and never lets a secret
by: fields are hidden by name, texts are scrubbed, an object is shown by its ``repr`` alone. Payloads are the
caller's to leave out.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Literal, get_args
from uuid import UUID

import msgspec

from tollway.telemetry.described import LONGEST_TEXT, cut, described
from tollway.telemetry.lines import LineWriter
from tollway.telemetry.scrubber import SECRET, Scrubber

Level = Literal["debug", "info", "warning", "error"]

Fact = str | int | bool | None | Mapping[str, object]
STDOUT = 1

_LEVELS: tuple[str, ...] = get_args(Level)
_PLAIN = frozenset((int, float, bool, type(None)))
_WITH_TEXT = (Decimal, date, UUID)
_DEPTH = 4
_MILLISECONDS = tuple(f".{ms:03d}Z" for ms in range(1000))


class Log:
    """Writes events. Built once by the composition root, see :func:`open_log`, and handed around; :meth:`bind` derives.

    A field's value may be text, a number, a bool, ``None``, a mapping, a list, or an exception (by convention
    the field ``error``), which is shown as type, message and frames; anything else is shown by its ``repr``.
    Names ``at``, ``level`` and ``event`` are the log's own. ``bound`` is what :meth:`bind` made: already scrubbed.
    """

    def __init__(
        self, writer: LineWriter, scrubber: Scrubber, level: Level = "info", bound: Mapping[str, object] | None = None
    ) -> None:
        self._writer = writer
        self._scrubber = scrubber
        self._level: Level = level
        self._threshold = _LEVELS.index(level)
        self._bound: dict[str, object] = dict(bound or {})
        self._encoder = msgspec.json.Encoder()
        self._second = 0
        self._second_text = ""

    def bind(self, **fields: object) -> "Log":
        """The same log, with these fields on every line; they are frozen and scrubbed now, not line by line."""
        bound = dict(self._bound)
        self._add(bound, fields)
        return Log(self._writer, self._scrubber, self._level, bound)

    def debug(self, event: str, **fields: object) -> None:
        """What only a developer wants to know."""
        if self._threshold <= 0:
            self._put("debug", event, fields)

    def facts(self, event: str, facts: Mapping[str, Fact]) -> None:
        """As :meth:`info`, at half its cost: nothing is scrubbed.

        Only for numbers, and for names out of the configuration and ids that are ours: never for a client's text.
        """
        if self._threshold <= 1:
            line = {"at": self._now(), "level": "info", "event": event, **self._bound, **facts}
            self._writer.put(self._encoder.encode(line) + b"\n")

    def info(self, event: str, **fields: object) -> None:
        """What happened."""
        if self._threshold <= 1:
            self._put("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """What works, but not as it should."""
        if self._threshold <= 2:
            self._put("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """What failed and needs someone: ``log.error("journal_write_failed", error=exc)``."""
        self._put("error", event, fields)

    def shown(self, text: str) -> str:
        """A client's text as the log may show it: scrubbed and cut."""
        return cut(self._scrubber.scrub(text))

    def learn(self, secrets: Iterable[str]) -> None:
        """Scrub these too, from now on: the keys of a configuration that was just loaded."""
        self._scrubber.learn(secrets)

    @property
    def dropped_lines(self) -> int:
        """How many lines were lost because nobody read them in time."""
        return self._writer.dropped_lines

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout_s``."""
        self._writer.close(timeout_s)

    def _put(self, level: Level, event: str, fields: Mapping[str, object]) -> None:
        line: dict[str, object] = {"at": self._now(), "level": level, "event": event}
        if self._bound:
            line.update(self._bound)
        self._add(line, fields)
        try:
            encoded = self._encoder.encode(line)
        except UnicodeEncodeError:  # a lone surrogate: too rare to look for in every text
            encoded = self._encoder.encode(_encodable(line))
        self._writer.put(encoded + b"\n")

    def _add(self, line: dict[str, object], fields: Mapping[str, object]) -> None:
        for name, value in fields.items():
            if type(value) in _PLAIN:
                line[name] = value
            elif isinstance(value, str):
                text = self._scrubber.field(name, value)
                line[name] = cut(text) if len(text) > LONGEST_TEXT else text
            elif self._scrubber.hides(name):
                line[name] = SECRET
            else:
                line[name] = self._shown(value, _DEPTH)

    def _shown(self, value: object, depth: int) -> object:
        """A value as JSON can hold it: scrubbed, cut, and without the inside of objects we don't know."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return cut(self._scrubber.scrub(value))
        if isinstance(value, BaseException):
            return self._shown(described(value), _DEPTH + depth)
        if isinstance(value, _WITH_TEXT):
            return str(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value)} bytes>"
        if depth and isinstance(value, Mapping):
            inside: dict[str, object] = {}
            for name, item in value.items():
                text = self._scrubber.scrub(str(name))
                inside[text] = SECRET if self._scrubber.hides(text) else self._shown(item, depth - 1)
            return inside
        if depth and isinstance(value, list | tuple | set | frozenset):
            return [self._shown(item, depth - 1) for item in value]
        return cut(self._scrubber.scrub(_repr(value)))

    def _now(self) -> str:
        """RFC 3339, UTC, milliseconds. The text of the second is kept: formatting it costs more than all the rest."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return self._second_text + _MILLISECONDS[int((now - second) * 1000)]


def open_log(
    level: Level = "info",
    *,
    secrets: Iterable[str] = (),
    descriptor: int = STDOUT,
    on_drop: Callable[[int], None] | None = None,
) -> Log:
    """A log that writes to ``descriptor`` from a thread of its own.

    ``secrets`` never appear in it; ``on_drop`` is told of lines lost, for the metrics. Close it at the end.
    """

    def dropped_notice(lines: int) -> bytes:
        at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        return msgspec.json.encode({"at": at, "level": "warning", "event": "log_lines_dropped", "lines": lines}) + b"\n"

    return Log(LineWriter(descriptor, dropped_notice=dropped_notice, on_drop=on_drop), Scrubber(secrets), level)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  a broken __repr__ must not break the call that is being logged
        return f"<{type(value).__name__}: its repr raised {type(error).__name__}>"


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(name): _encodable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value
