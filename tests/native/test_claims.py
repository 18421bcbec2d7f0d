"""Who of a host asks what several want to know: against a slow twin with workers that die, and between processes."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.native.twins.claims import MOST_MS, Board

from tollway._native.claims import Claims
from tollway._native.limits import Ledger, LedgerError

NOON_MS = 1_800_000_000_000
CAPACITY = 16


def key(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claims.ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path, CAPACITY)
    yield ledger
    ledger.close()


def test_a_key_is_one_worker_s_until_it_drops_it_or_its_time_is_over(path: Path, ledger: Ledger) -> None:
    other = Ledger(path, CAPACITY)
    mine, theirs = Claims(ledger), Claims(other)
    assert mine.take(key(1), NOON_MS, 1_000)
    assert not mine.take(key(1), NOON_MS, 1_000)
    assert not theirs.take(key(1), NOON_MS + 999, 1_000)
    assert theirs.take(key(2), NOON_MS, 1_000)
    theirs.drop(key(1))
    assert not theirs.take(key(1), NOON_MS, 1_000)
    assert theirs.take(key(1), NOON_MS + 1_000, 1_000)
    theirs.drop(key(1))
    assert mine.take(key(1), NOON_MS + 1_000, 1_000)
    other.close()


def test_a_claim_lasts_ten_minutes_at_most(ledger: Ledger) -> None:
    claims = Claims(ledger)
    assert claims.take(key(1), NOON_MS, 2**62)
    assert not claims.take(key(1), NOON_MS + MOST_MS - 1, 1)
    assert claims.take(key(1), NOON_MS + MOST_MS, 1)


@pytest.mark.parametrize("wrong", [b"", b"k", b"k" * 31, b"k" * 33])
def test_a_key_of_another_length_is_refused(ledger: Ledger, wrong: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Claims(ledger).take(wrong, NOON_MS, 1)
    with pytest.raises(ValueError, match="32 bytes"):
        Claims(ledger).drop(wrong)


def test_where_there_is_no_room_for_a_claim_everybody_may_ask(ledger: Ledger) -> None:
    claims = Claims(ledger)
    crowd = [number.to_bytes(8, "big") + b"same place" + b" " * 14 for number in range(20)]
    assert all(claims.take(each, NOON_MS, 1_000) for each in crowd)
    assert [claims.take(each, NOON_MS, 1_000) for each in crowd] == [False] * 16 + [True] * 4
    for each in crowd[:4]:
        claims.drop(each)
    assert [claims.take(each, NOON_MS, 1_000) for each in crowd[16:]] == [True] * 4
    assert [claims.take(each, NOON_MS, 1_000) for each in crowd[16:]] == [False] * 4


def test_a_full_host_has_room_for_thousands(ledger: Ledger) -> None:
    claims = Claims(ledger)
    taken = [key(number) for number in range(2_000)]
    assert all(claims.take(each, NOON_MS, 1_000) for each in taken)
    assert sum(not claims.take(each, NOON_MS, 1_000) for each in taken) > 1_950


def test_a_closed_ledger_claims_nothing(ledger: Ledger) -> None:
    claims = Claims(ledger)
    assert claims.take(key(1), NOON_MS, 1_000)
    ledger.close()
    claims.drop(key(1))
    with pytest.raises(LedgerError):
        claims.take(key(1), NOON_MS, 1_000)


def test_a_killed_worker_s_claim_ends_with_it(path: Path, ledger: Ledger) -> None:
    script = (
        "import sys, time\n"
        "from tollway._native.claims import Claims\n"
        "from tollway._native.limits import Ledger\n"
        f"claims = Claims(Ledger(sys.argv[1], {CAPACITY}))\n"
        f"print(claims.take(bytes.fromhex(sys.argv[2]), {NOON_MS}, 600_000), flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(path), key(1).hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "True\n"
        claims = Claims(ledger)
        assert not claims.take(key(1), NOON_MS, 1_000)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert claims.take(key(1), NOON_MS + 5_000, 1_000), "who has to wait looks for the dead, once a second"


class ClaimsAndTwin(RuleBasedStateMachine):
    """Three workers of a host."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(f"/dev/shm/tollway-test-claims-{os.getpid()}-{id(self)}.ledger")
        self.twin = Board()
        self.ledgers = [Ledger(self.path, CAPACITY) for _ in range(3)]
        self.now_ms = NOON_MS

    workers = st.integers(0, 2)
    numbers = st.integers(0, 3)

    @rule(worker=workers, number=numbers, for_ms=st.integers(0, 2_000))
    def take(self, worker: int, number: int, for_ms: int) -> None:
        expected = self.twin.take(worker, key(number), self.now_ms, for_ms)
        assert Claims(self.ledgers[worker]).take(key(number), self.now_ms, for_ms) == expected

    @rule(worker=workers, number=numbers)
    def drop(self, worker: int, number: int) -> None:
        self.twin.drop(worker, key(number))
        Claims(self.ledgers[worker]).drop(key(number))

    @rule(worker=workers)
    def die(self, worker: int) -> None:
        self.twin.die(worker)
        self.ledgers[worker].close()
        self.ledgers[worker] = Ledger(self.path, CAPACITY)

    @rule(ms=st.integers(1, 1_500))
    def wait(self, ms: int) -> None:
        self.now_ms += ms

    def teardown(self) -> None:
        for ledger in self.ledgers:
            ledger.close()
        for name in (self.path, Path(f"{self.path}.lock")):
            name.unlink()


TestClaimsAndTwin = ClaimsAndTwin.TestCase
