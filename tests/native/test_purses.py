"""The host's purses: against their slow twin with workers that die, between real processes, and after kill -9."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.native.twins.purses import Books, Held

from tollway._native.limits import Ledger, LedgerError
from tollway._native.purses import Hold, Purses, PurseSet, Shortage

NOW_MS = 5_000_000
NOON_MS = 1_800_000_000_000
TTL_MS = 10_000
CAPACITY = 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "purses.ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path, CAPACITY)
    yield ledger
    ledger.close()


@pytest.fixture
def purses(ledger: Ledger) -> Purses:
    return Purses(ledger)


def held(outcome: Hold | Shortage) -> Hold:
    assert isinstance(outcome, Hold)
    return outcome


def short(outcome: Hold | Shortage) -> Shortage:
    assert isinstance(outcome, Shortage)
    return outcome


def reserve(purses: Purses, name: str, picousd: int, now_ms: int = NOW_MS) -> Hold | Shortage:
    return purses.reserve(PurseSet([name]), picousd, now_ms, NOON_MS)


def grant(purses: Purses, name: str, picousd: int, now_ms: int = NOW_MS) -> None:
    reserve(purses, name, 2**62, now_ms)
    turn = purses.turn(now_ms, 100)
    assert turn is not None
    assert purses.grant(turn, name, picousd, now_ms + TTL_MS, 0)
    purses.end_turn(turn)


def standing(purses: Purses, name: str) -> tuple[int, int, int]:
    """Granted, spent and held."""
    (found,) = purses.standings([name], NOW_MS)
    assert found is not None
    return found[:3]


@pytest.mark.parametrize("names", [["a", "b", "a"], [str(number) for number in range(17)]])
def test_sets_that_make_no_sense_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        PurseSet(names)


def test_a_set_knows_its_names() -> None:
    assert PurseSet(["b", "a"]).names == ["b", "a"]


def test_a_call_holds_what_is_granted_and_settles_at_what_it_cost(purses: Purses) -> None:
    assert short(reserve(purses, "a", 30)).missing_picousd == 30
    grant(purses, "a", 100)
    hold = held(reserve(purses, "a", 60))
    assert (hold.held_picousd, standing(purses, "a")) == (60, (100, 0, 60))
    shortage = short(reserve(purses, "a", 41))
    assert (shortage.name, shortage.missing_picousd, shortage.is_exhausted) == ("a", 1, False)
    hold.settle(25)
    assert (hold.held_picousd, standing(purses, "a")) == (0, (100, 25, 0))
    hold.settle(70)
    hold.cancel()
    assert standing(purses, "a") == (100, 0, 0)


def test_a_hold_grows_as_far_as_there_is_something(purses: Purses) -> None:
    grant(purses, "a", 100)
    hold = held(reserve(purses, "a", 60))
    assert hold.grow(100, NOW_MS)
    assert not hold.grow(101, NOW_MS)
    assert standing(purses, "a") == (100, 0, 100)
    hold.settle(100)
    assert hold.grow(10**9, NOW_MS), "what is settled needs nothing more"


def test_a_dropped_hold_gives_back_and_a_settled_one_does_not(purses: Purses) -> None:
    grant(purses, "a", 100)
    hold = held(reserve(purses, "a", 60))
    del hold
    assert standing(purses, "a") == (100, 0, 0)
    hold = held(reserve(purses, "a", 60))
    hold.settle(50)
    del hold
    assert standing(purses, "a") == (100, 50, 0)


def test_negative_amounts_are_refused_and_hold_nothing(purses: Purses) -> None:
    grant(purses, "a", 100)
    hold = held(reserve(purses, "a", 10))
    for wrong in (
        lambda: reserve(purses, "a", -1),
        lambda: hold.settle(-1),
        lambda: hold.grow(-1, NOW_MS),
    ):
        with pytest.raises(ValueError, match="negative"):
            wrong()
    assert standing(purses, "a") == (100, 0, 10)


def test_the_largest_amounts_do_not_wrap(purses: Purses) -> None:
    grant(purses, "a", 9 * 10**18)
    first = held(reserve(purses, "a", 9 * 10**18))
    assert short(reserve(purses, "a", 2**63 - 1)).missing_picousd == 2**63 - 1
    first.settle(2**63 - 1)
    assert standing(purses, "a") == (9 * 10**18, 2**63 - 1, 0)


def test_a_host_is_known_by_one_name_as_long_as_its_file_lives(path: Path) -> None:
    ledger, other = Ledger(path, CAPACITY), Ledger(path, CAPACITY)
    name = Purses(ledger).host_id
    assert len(name) == 32
    assert Purses(other).host_id == name
    ledger.close()
    other.close()
    del ledger, other
    again = Ledger(path, CAPACITY)
    assert Purses(again).host_id == name
    again.close()
    del again
    path.unlink()
    assert Purses(Ledger(path, CAPACITY)).host_id != name


def test_a_closed_ledger_says_so_and_its_holds_have_no_effect(path: Path) -> None:
    ledger, other = Ledger(path, CAPACITY), Ledger(path, CAPACITY)
    purses, others = Purses(ledger), Purses(other)
    grant(others, "a", 100)
    hold = held(reserve(purses, "a", 60))
    ledger.close()
    assert standing(others, "a") == (100, 0, 0)
    hold.settle(60)
    assert not hold.grow(70, NOW_MS)
    assert standing(others, "a") == (100, 0, 0)
    with pytest.raises(LedgerError, match="closed"):
        reserve(purses, "a", 1)


def test_who_asks_gives_back_what_nobody_needs(purses: Purses) -> None:
    grant(purses, "a", 100)
    held(reserve(purses, "a", 30)).settle(10)
    turn = purses.turn(NOW_MS, 100)
    assert turn is not None
    assert purses.turn(NOW_MS + 99, 100) is None
    found = purses.trim(turn, "a", 5, NOW_MS)
    assert found is not None
    assert found[:3] == (15, 10, 0)
    assert purses.trim(turn, "unknown", 5, NOW_MS) is None
    late, now = turn, purses.turn(NOW_MS + 100, 100)
    assert now is not None
    assert not purses.grant(late, "a", 10**9, NOW_MS + TTL_MS, 0)


def test_a_purse_without_a_hold_can_be_forgotten(purses: Purses) -> None:
    grant(purses, "a", 100)
    hold = held(reserve(purses, "a", 30))
    assert not purses.forget("a")
    hold.settle(1)
    assert purses.forget("a")
    assert purses.standings(["a"], NOW_MS) == [None]


NAMES = ("a", "b", "c")
WORKERS = 3


class AgainstTheTwin(RuleBasedStateMachine):
    """Any order of calls of three workers that die now and then, and of the bank's answers."""

    def __init__(self) -> None:
        super().__init__()
        # Not tmp_path, which is one directory for all examples of the machine.
        self.path = Path(f"/dev/shm/tollway-test-purses-{os.getpid()}-{id(self)}.ledger")
        self.ledgers = [Ledger(self.path, CAPACITY) for _ in range(WORKERS)]
        self.now_ms = NOW_MS
        self.books = Books()
        self.holds: list[tuple[int, Hold, Held]] = []
        self.reserve_of(0, frozenset(NAMES), 1)

    def teardown(self) -> None:
        self.holds.clear()
        for ledger in self.ledgers:
            ledger.close()
        for name in (self.path, Path(f"{self.path}.lock")):
            name.unlink()

    def reserve_of(self, worker: int, names: frozenset[str], picousd: int) -> None:
        chosen = sorted(names)
        outcome = Purses(self.ledgers[worker]).reserve(PurseSet(chosen), picousd, self.now_ms, NOON_MS)
        call = self.books.reserve(worker, chosen, picousd, self.now_ms)
        assert isinstance(outcome, Hold) == (call is not None)
        if isinstance(outcome, Hold) and call is not None:
            self.holds.append((worker, outcome, call))
        elif isinstance(outcome, Shortage):
            missing = picousd - self.books.available(outcome.name, self.now_ms)
            assert outcome.missing_picousd == missing > 0
            exhausted = self.books.accounts[outcome.name].exhausted_until_ms > self.now_ms
            assert outcome.is_exhausted == exhausted

    @rule(wait_ms=st.integers(0, TTL_MS))
    def wait(self, wait_ms: int) -> None:
        self.now_ms += wait_ms

    @rule(
        worker=st.integers(0, WORKERS - 1),
        names=st.frozensets(st.sampled_from(NAMES), min_size=1),
        picousd=st.integers(0, 60),
    )
    def reserve(self, worker: int, names: frozenset[str], picousd: int) -> None:
        self.reserve_of(worker, names, picousd)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), picousd=st.integers(0, 90))
    def settle(self, data: st.DataObject, picousd: int) -> None:
        _, hold, call = self.holds[data.draw(st.integers(0, len(self.holds) - 1))]
        hold.settle(picousd)
        self.books.settle(call, picousd)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), picousd=st.integers(0, 90))
    def grow(self, data: st.DataObject, picousd: int) -> None:
        _, hold, call = self.holds[data.draw(st.integers(0, len(self.holds) - 1))]
        assert hold.grow(picousd, self.now_ms) == self.books.grow(call, picousd, self.now_ms)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.holds) - 1))
        _, hold, call = self.holds.pop(index)
        del hold
        if not call.is_settled:
            self.books.settle(call, 0)

    @rule(
        worker=st.integers(0, WORKERS - 1),
        name=st.sampled_from(NAMES),
        more=st.integers(0, 150),
        nothing_ms=st.sampled_from([0, 500]),
    )
    def grant(self, worker: int, name: str, more: int, nothing_ms: int) -> None:
        purses = Purses(self.ledgers[worker])
        turn = purses.turn(self.now_ms, 100)
        assert turn is not None
        answer = (self.books.accounts[name].granted + more, self.now_ms + TTL_MS, self.now_ms + nothing_ms)
        assert purses.grant(turn, name, *answer)
        self.books.grant(name, *answer)
        purses.end_turn(turn)

    @rule(worker=st.integers(0, WORKERS - 1), name=st.sampled_from(NAMES), keep=st.integers(0, 40))
    def trim(self, worker: int, name: str, keep: int) -> None:
        purses = Purses(self.ledgers[worker])
        turn = purses.turn(self.now_ms, 100)
        assert turn is not None
        assert purses.trim(turn, name, keep, self.now_ms) is not None
        self.books.trim(name, keep)
        purses.end_turn(turn)

    @rule(worker=st.integers(0, WORKERS - 1), asks=st.booleans())
    def die(self, worker: int, asks: bool) -> None:
        if asks:
            Purses(self.ledgers[worker]).turn(self.now_ms, 10**6)
        self.ledgers[worker].close()
        self.books.die(worker)
        self.holds = [(of, hold, call) for of, hold, call in self.holds if of != worker]
        self.ledgers[worker] = Ledger(self.path, CAPACITY)

    @invariant()
    def nothing_is_leaked_and_nothing_is_lost(self) -> None:
        for name, found in zip(NAMES, Purses(self.ledgers[0]).standings(NAMES, self.now_ms), strict=True):
            account = self.books.accounts[name]
            assert found is not None
            granted, spent, now_held, _, missing, until_ms, nothing_ms, _, told = found
            assert (granted, spent, now_held) == (account.granted, self.books.spent(name), self.books.held(name))
            assert (missing, until_ms, nothing_ms) == (account.short, account.until_ms, account.exhausted_until_ms)
            assert told == account.told


TestAgainstTheTwin = AgainstTheTwin.TestCase
TestAgainstTheTwin.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


PREAMBLE = f"""
import os, random, sys
from tollway._native.limits import Ledger
from tollway._native.purses import Hold, Purses, PurseSet
ledger = Ledger(sys.argv[1], {CAPACITY})
purses, both = Purses(ledger), PurseSet(["a", "b"])
def reserve(picousd):
    return purses.reserve(both, picousd, {NOW_MS}, {NOON_MS})
def say(word):
    print(word, flush=True)
"""

HOLD = PREAMBLE + 'held = [reserve(30) for _ in range(2)]\nsay("ready")\nsys.stdin.readline()\n'

ALL_THERE_IS = (
    PREAMBLE
    + """
ledger.join()
say("ready")
sys.stdin.readline()
held = [outcome for _ in range(40) if isinstance(outcome := reserve(7), Hold)]
say(len(held))
sys.stdin.readline()
"""
)

# Always three of both: whatever is killed, the two purses agree to the last pico-dollar.
HAMMER = (
    PREAMBLE
    + """
ledger.join()
say("ready")
while True:
    hold = reserve(5)
    if isinstance(hold, Hold):
        hold.grow(9, 5_000_000)
        hold.settle(3)
"""
)


class Worker:
    """A process that runs one of the scripts above."""

    def __init__(self, script: str, path: Path) -> None:
        command = [sys.executable, "-c", script, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()


@contextmanager
def working(*workers: Worker) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.communicate()


def test_three_processes_together_hold_what_is_granted_and_no_more(purses: Purses, path: Path) -> None:
    grant(purses, "a", 10**6)
    grant(purses, "b", 7 * 50 + 6)
    workers = [Worker(ALL_THERE_IS, path) for _ in range(3)]
    with working(*workers):
        assert [worker.hear() for worker in workers] == ["ready"] * 3
        for worker in workers:
            worker.go()
        assert sum(int(worker.hear()) for worker in workers) == 50
        assert standing(purses, "b") == (356, 0, 350)


def test_what_a_killed_worker_held_comes_back_by_itself(purses: Purses, path: Path) -> None:
    grant(purses, "a", 100)
    grant(purses, "b", 100)
    holder = Worker(HOLD, path)
    with working(holder):
        assert holder.hear() == "ready"
        assert short(reserve(purses, "a", 100)).missing_picousd == 60
        # Not reaped meanwhile: a zombie holds nothing either.
        holder.process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, holder.process.pid, os.WEXITED | os.WNOWAIT)
        one_look_later = NOON_MS + 1_000
        held(purses.reserve(PurseSet(["a"]), 100, NOW_MS, one_look_later)).cancel()
    assert standing(purses, "a") == standing(purses, "b") == (100, 0, 0)


def test_kill_9_at_any_moment_leaves_purses_that_agree(ledger: Ledger, purses: Purses, path: Path) -> None:
    grant(purses, "a", 10**15)
    grant(purses, "b", 10**15)
    for _ in range(8):
        hammers = [Worker(HAMMER, path) for _ in range(2)]
        with working(*hammers):
            assert [hammer.hear() for hammer in hammers] == ["ready"] * 2
            before = standing(purses, "a")[1]
            while standing(purses, "a")[1] < before + 300:
                pass
        ledger.sweep()
        first, second = standing(purses, "a"), standing(purses, "b")
        assert first == second
        assert (first[1] % 3, first[2]) == (0, 0)


def test_threads_together_hold_what_is_granted_and_no_more(purses: Purses) -> None:
    grant(purses, "a", 500)
    outcomes: list[Hold | Shortage] = []

    def ask() -> None:
        outcomes.extend([reserve(purses, "a", 1) for _ in range(300)])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(outcome, Hold) for outcome in outcomes) == 500


def test_a_forked_child_cannot_settle_for_its_parent(purses: Purses) -> None:
    grant(purses, "a", 100)
    hold = held(reserve(purses, "a", 60))
    child = os.fork()
    if child == 0:
        hold.settle(60)
        hold.cancel()
        os._exit(0)
    os.waitpid(child, 0)
    assert standing(purses, "a") == (100, 0, 60)
    hold.cancel()
