import fcntl
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tollway.telemetry.lines import LineWriter

PIPE_HOLDS = 4096  # the smallest pipe there is; set, so that a reader that does not read is noticed soon


class Pipe:
    """A pipe whose reading end the test holds."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, PIPE_HOLDS)

    def read_lines(self, lines: int) -> list[bytes]:
        """Read until there are so many lines."""
        text = b""
        while text.count(b"\n") < lines:
            chunk = os.read(self.reading, 65536)
            if not chunk:
                break
            text += chunk
        return text.splitlines()

    def close_reading(self) -> None:
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close_reading()
    os.close(made.writing)


def notice(lines: int) -> bytes:
    return b"dropped %d\n" % lines


def test_lines_come_out_whole_and_in_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, dropped_notice=notice)
    sent = [b"line %d %s" % (number, b"x" * (number % 300)) for number in range(2000)]
    for line in sent:
        writer.put(line + b"\n")
    assert pipe.read_lines(2000) == sent
    writer.close()
    assert writer.dropped_lines == 0


def test_a_line_longer_than_a_pipe_takes_at_once_comes_out_whole(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, dropped_notice=notice)
    writer.put(b"x" * 100_000 + b"\n")
    assert pipe.read_lines(1) == [b"x" * 100_000]
    writer.close()


def test_when_nobody_reads_lines_are_dropped_counted_and_told_later(pipe: Pipe) -> None:
    drops: list[int] = []
    writer = LineWriter(pipe.writing, most_lines=10, dropped_notice=notice, on_drop=drops.append)
    for number in range(500):  # the pipe holds some, the writer's hand some, the queue ten
        writer.put(b"%-1000d\n" % number)
    dropped = writer.dropped_lines
    assert 0 < dropped < 500
    assert sum(drops) == dropped
    lines = [line.strip() for line in pipe.read_lines(500 - dropped + 1)]
    assert b"dropped %d" % dropped in lines
    numbers = [int(line) for line in lines if not line.startswith(b"dropped")]
    assert numbers == sorted(numbers)
    assert len(numbers) == 500 - dropped
    writer.close()


def test_the_bound_in_bytes_counts_what_is_being_written(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, most_bytes=50_000, dropped_notice=notice)
    for _ in range(200):
        writer.put(b"y" * 999 + b"\n")
    kept = 200 - writer.dropped_lines
    assert kept * 1000 <= 50_000 + PIPE_HOLDS + 4096
    pipe.read_lines(kept)
    writer.put(b"z\n")
    assert writer.dropped_lines == 200 - kept
    writer.close()


def test_a_reader_that_went_away_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, dropped_notice=notice)
    pipe.close_reading()
    for _ in range(10):
        writer.put(b"into the void\n")
    writer.close()
    assert writer.dropped_lines == 10


def test_a_pipe_made_non_blocking_by_others_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    writer = LineWriter(pipe.writing, dropped_notice=notice)
    for number in range(50):
        writer.put(b"%-1000d\n" % number)
    assert [int(line) for line in pipe.read_lines(50)] == list(range(50))
    writer.close()


def test_closing_writes_what_is_queued(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, dropped_notice=notice)
    writer.put(b"last words\n")
    writer.close()
    assert select.select([pipe.reading], [], [], 0)[0]
    assert pipe.read_lines(1) == [b"last words"]
    writer.close()


def test_many_threads_lose_nothing(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, dropped_notice=notice)

    def log(name: int) -> None:
        for number in range(500):
            writer.put(b"%d %d\n" % (name, number))

    threads = [threading.Thread(target=log, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    lines = [tuple(map(int, line.split())) for line in pipe.read_lines(2000)]
    for thread in threads:
        thread.join()
    writer.close()
    for name in range(4):
        assert [number for who, number in lines if who == name] == list(range(500))


PROGRAM = """
import sys
from tollway.telemetry.lines import LineWriter
writer = LineWriter(1, dropped_notice=lambda lines: b"")
for number in range(int(sys.argv[1])):
    writer.put(b"%-999d\\n" % number)
"""


def test_a_program_that_ends_without_closing_still_writes_its_lines() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "100"], capture_output=True, check=True, timeout=60)
    assert [int(line) for line in done.stdout.splitlines()] == list(range(100))


def test_a_program_whose_reader_never_reads_still_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "5000"], stdout=subprocess.PIPE) as process:
        assert process.wait(timeout=60) == 0
