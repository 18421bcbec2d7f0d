import json
import math
import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tollway.contract.snapshot import ProviderAccess
from tollway.telemetry.logs import Level, Log, open_log

Lines = list[dict[str, Any]]


class Recording:
    """A log that writes into a file, read back as parsed lines once it is closed."""

    def __init__(self, path: Path, level: Level = "info", secrets: tuple[str, ...] = ()) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.log = open_log(level, secrets=secrets, descriptor=self._descriptor)

    def lines(self) -> Lines:
        self.log.close()
        os.close(self._descriptor)
        return [json.loads(line) for line in self._path.read_bytes().splitlines()]


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording(tmp_path / "log")


def test_a_line_is_an_object_with_time_level_event_and_fields(recording: Recording) -> None:
    recording.log.info("request", status=200, model="gpt-4o", added_ms=0.25, streamed=True, user=None)
    (line,) = recording.lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("at"))
    assert line == {
        "level": "info",
        "event": "request",
        "status": 200,
        "model": "gpt-4o",
        "added_ms": 0.25,
        "streamed": True,
        "user": None,
    }


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(tmp_path: Path, level: Level, seen: list[str]) -> None:
    recording = Recording(tmp_path / "log", level)
    for write in (recording.log.debug, recording.log.info, recording.log.warning, recording.log.error):
        write("event")
    assert [line["level"] for line in recording.lines()] == seen


def test_bound_fields_stand_on_every_line_of_the_derived_log_only(recording: Recording) -> None:
    worker = recording.log.bind(worker=1)
    request = worker.bind(request_id="r1", api_key="plain")
    request.info("a", worker=2)
    worker.info("b")
    recording.log.info("c")
    first, second, third = recording.lines()
    assert (first["worker"], first["request_id"], first["api_key"]) == (2, "r1", "[secret]")
    assert second["worker"] == 1
    assert "request_id" not in second
    assert "worker" not in third


def test_secrets_never_appear_wherever_they_hide(tmp_path: Path) -> None:
    canary = "cAnArY/sEcReT+1"
    recording = Recording(tmp_path / "log", secrets=(canary,))
    log = recording.log
    log.info("text", message=f"calling with {canary}")
    log.info("nested", request={"headers": [("x", f"={canary}"), {canary: 1}], "authorization": "plain-canary"})
    log.info("object", provider=ProviderAccess("openai", "openai", "https://host", canary))
    log.info("bytes", body=canary.encode())
    log.info("long", message="x" * 1995 + canary + "y" * 100)
    log.error("error", error=ValueError(f"bad key {canary}"))
    log.bind(upstream=canary).info("bound")
    recording.lines()
    written = (tmp_path / "log").read_text()
    assert "cAnArY" not in written
    assert "plain-canary" not in written


def test_a_secret_learnt_later_is_scrubbed_in_derived_logs_too(recording: Recording) -> None:
    derived = recording.log.bind(worker=1)
    recording.log.learn(["learnt-by-reload"])
    derived.info("event", message="learnt-by-reload")
    assert recording.lines()[0]["message"] == "[secret]"


def test_numbers_are_shown_under_any_name(recording: Recording) -> None:
    recording.log.info("event", keys=3, first_token=0.5)
    (line,) = recording.lines()
    assert (line["keys"], line["first_token"]) == (3, 0.5)


def test_long_texts_are_cut_and_say_so(recording: Recording) -> None:
    recording.log.info("event", message="é" * 5000)
    message = recording.lines()[0]["message"]
    assert message.startswith("é" * 2000 + "…")
    assert message.endswith("(3000 more characters)")


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Endless:
    def __repr__(self) -> str:
        return "z" * 10_000


def endless() -> list[object]:
    ring: list[object] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: Decimal("0.10"), "0.10"),
        (lambda: UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (lambda: b"\x00\x01", "<2 bytes>"),
        (lambda: (1, [2, "three"]), [1, [2, "three"]]),
        (lambda: {1: {"a": None}}, {"1": {"a": None}}),
        (lambda: "lone \ud800 surrogate", "lone \\ud800 surrogate"),
        (lambda: ["\udfff"], ["\\udfff"]),
        (lambda: 2**70, 2**70),
        (lambda: -1, -1),
        (lambda: math.nan, None),
        (Broken, "<Broken: its repr raised RuntimeError>"),
        (lambda: "line\nbreak\x00\u2028", "line\nbreak\x00\u2028"),
    ],
)
def test_any_value_makes_one_valid_line(recording: Recording, make: Callable[[], object], shown: object) -> None:
    recording.log.info("event", value=make())
    (line,) = recording.lines()
    assert line["value"] == shown


def test_deep_and_endless_values_are_cut(recording: Recording) -> None:
    recording.log.info("event", ring=endless(), text=Endless())
    (line,) = recording.lines()
    assert line["ring"] == [[[["[[...]]"]]]]
    assert len(line["text"]) < 2100


def test_errors_are_shown_with_type_message_and_frames_but_no_values(recording: Recording) -> None:
    def fail(prompt: str) -> None:
        raise LookupError("nothing there")

    try:
        fail("what the client wrote")
    except LookupError as error:
        recording.log.error("failed", error=error, request_id="r1")
    (line,) = recording.lines()
    assert line["error"]["type"] == "LookupError"
    assert line["error"]["message"] == "nothing there"
    assert re.fullmatch(r"tests/telemetry/test_logs\.py:\d+ \S+fail", line["error"]["frames"][-1])
    assert "what the client wrote" not in json.dumps(line)


def test_the_number_of_dropped_lines_is_known() -> None:
    reading, writing = os.pipe()
    drops: list[int] = []
    log: Log = open_log(descriptor=writing, on_drop=drops.append)
    for _ in range(11_000):
        log.info("event", text="x" * 2000)
    assert log.dropped_lines == sum(drops) > 0
    os.close(reading)
    log.close()
    os.close(writing)
