"""How the simulator behaves: its pace, and how it fails. Set by the server's options, or by a single request.

A request sets its own behaviour by words in the model's name, or, under any other name, in ``metadata.simulate``::

    model    = "simulator" { "-" word }              simulator-delay-500ms-cut-3
    simulate = word { "-" word }                     {"metadata": {"simulate": "status-429"}}

    status-429      answer with this error (400 to 599)
    delay-500ms     wait before answering; also gap-20ms between two deltas; ms or s
    chunks-20       stream the text in this many deltas
    hang            never answer; hang-3 falls silent after 3 deltas
    cut-3           drop the connection after 3 deltas
    error-3         send an error event after 3 deltas, then end the stream

A whole answer has no deltas: hang-N is then hang, cut-N drops the connection in the middle of the body, and error-N is
status-500. Other names than ``simulator…`` are answered like ``simulator``.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tollway.simulation.refusals import invalid, unknown_model

EXAMPLE_MODELS = (
    "simulator",
    "simulator-delay-500ms",
    "simulator-status-429",
    "simulator-hang",
    "simulator-cut-3",
    "simulator-error-3",
)
"""What ``GET /v1/models`` lists."""

_HINT = "The simulator's words are status-N, delay-Nms, gap-Nms, chunks-N, hang, hang-N, cut-N and error-N."
_WORD = re.compile(
    r"(?:(?P<counted>status|chunks|hang|cut|error)-(?P<count>\d{1,6})"
    r"|(?P<timed>delay|gap)-(?P<duration>\d{1,7}(?:\.\d{1,3})?m?s)"
    r"|(?P<bare>hang))(?:-|$)"
)
_DURATION = re.compile(r"(?P<amount>\d{1,7}(?:\.\d{1,3})?)(?P<unit>ms|s)")


class Behaviour(msgspec.Struct, frozen=True):
    """Pace and failures.

    ``delay_s`` passes before the first byte, ``gap_s`` between two deltas. ``chunks`` is the number of deltas a text
    is streamed in; ``None`` is one a token. ``status`` refuses every call; ``fail_rate`` (0 to 1) refuses that share
    of them, with ``fail_status``. ``hang`` never answers; ``hang_after``, ``cut_after`` and ``error_after`` count
    the deltas that are sent before the stream falls silent, is cut, or says an error.
    """

    delay_s: float = 0.0
    gap_s: float = 0.0
    chunks: int | None = None
    status: int | None = None
    fail_rate: float = 0.0
    fail_status: int = 503
    hang: bool = False
    hang_after: int | None = None
    cut_after: int | None = None
    error_after: int | None = None

    def for_request(self, model: str, metadata: Mapping[str, Any] | None) -> "Behaviour":
        """This behaviour, changed by what the request asks for.

        Raises:
            Refusal: 404 for a model ``simulator-…`` with unknown words, 400 for unknown words in the metadata.
        """
        asked = self
        if model.startswith("simulator-"):
            changes = _changes(model.removeprefix("simulator-"))
            if changes is None:
                raise unknown_model(model, _HINT)
            asked = msgspec.structs.replace(asked, **changes)
        simulate = metadata.get("simulate") if metadata else None
        if simulate is not None:
            changes = _changes(simulate) if isinstance(simulate, str) else None
            if changes is None:
                raise invalid(f"Invalid value for 'metadata.simulate'. {_HINT}", param="metadata", code="invalid_value")
            asked = msgspec.structs.replace(asked, **changes)
        return asked


def duration_s(text: str) -> float:
    """Seconds in ``"200ms"``, ``"1.5s"`` or ``"0"``.

    Raises:
        ValueError: it is none of these.
    """
    if text == "0":
        return 0.0
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration: write 200ms or 1.5s")
    return float(found["amount"]) / (1000 if found["unit"] == "ms" else 1)


def _changes(words: str) -> dict[str, Any] | None:
    """The fields that the words set; ``None`` when one is unknown."""
    changes: dict[str, Any] = {}
    at = 0
    while at < len(words):
        found = _WORD.match(words, at)
        if found is None:
            return None
        field, value = _setting(found)
        if field == "status" and not 400 <= value <= 599:
            return None
        changes[field] = value
        at = found.end()
    return changes if changes and not words.endswith("-") else None


def _setting(word: re.Match[str]) -> tuple[str, Any]:
    if word["bare"]:
        return "hang", True
    if word["timed"]:
        return f"{word['timed']}_s", duration_s(word["duration"])
    name, count = word["counted"], int(word["count"])
    return (name, count) if name in ("status", "chunks") else (f"{name}_after", count)
