"""The host's board: against its slow twin, between real processes, and after kill -9."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.native.twins.routing import Call, Policy, Target

from tollway._native.limits import Ledger, LedgerError
from tollway._native.routing import Board, BreakerPolicy, Change, Lease, Names, Pool
from tollway.contract.routing import FOR_GOOD_MS, TargetStatus

NOON_MS = 1_800_000_000_000
CAPACITY = 256


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path, CAPACITY)
    yield ledger
    ledger.close()


@pytest.fixture
def board(ledger: Ledger) -> Board:
    return Board(ledger)


POLICY = Policy()


def breaker(policy: Policy = POLICY) -> BreakerPolicy:
    return BreakerPolicy(**asdict(policy))


def pool(strategy: str, weights: Sequence[int] = (1, 1, 1), tiers: Sequence[int] = (), route: str = "chat") -> Pool:
    tiers = tiers or [0] * len(weights)
    targets = [
        (f"provider/{index}", weight, tier, None, None, breaker())
        for index, (weight, tier) in enumerate(zip(weights, tiers, strict=True))
    ]
    return Pool(route, strategy, targets)


def begun(lease: Lease | None) -> Lease:
    assert lease is not None
    return lease


def standing(board: Board, name: str, now_ms: int = NOON_MS) -> TargetStatus:
    [row] = board.status(Names([name]), now_ms)
    return msgspec.convert(dict(zip(TargetStatus.__struct_fields__, row, strict=True)), TargetStatus)


def broken(board: Board, targets: Pool, index: int, now_ms: int = NOON_MS) -> Change:
    """Opens a breaker by failures in a row."""
    for _ in range(20):
        if change := begun(board.begin(targets, index, now_ms)).end("failed", now_ms):
            return change
    pytest.fail(f"{targets.names[index]} does not open")


def state_of(change: Change | None) -> str | None:
    return change and change.state


# Arguments


@pytest.mark.parametrize(
    "wrong",
    [
        {"consecutive": 0},
        {"failure_permille": 0},
        {"failure_permille": 1_001},
        {"minimum_calls": 0},
        {"window_ms": 0},
        {"cooldown_ms": 0},
        {"max_cooldown_ms": 1},
        {"probes": 0},
    ],
)
def test_a_breaker_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} of a breaker"):
        BreakerPolicy(**{**asdict(POLICY), **wrong})


def test_a_pool_holds_up_to_64_targets_and_knows_its_strategies() -> None:
    assert pool("sticky", [1] * 64).names == [f"provider/{index}" for index in range(64)]
    assert pool("sticky", []).names == []
    with pytest.raises(ValueError, match="at most 64 targets"):
        pool("sticky", [1] * 65)
    with pytest.raises(ValueError, match='unknown strategy "cheapest"'):
        pool("cheapest")
    with pytest.raises(OverflowError):
        pool("weighted", [-1])


def test_what_does_not_exist_cannot_be_called(board: Board) -> None:
    with pytest.raises(ValueError, match="no target 3 among 3"):
        board.begin(pool("weighted"), 3, NOON_MS)
    with pytest.raises(ValueError, match="no target 9"):
        board.p95_us(pool("weighted"), 9, True)
    lease = begun(board.begin(pool("weighted"), 0, NOON_MS))
    with pytest.raises(ValueError, match="unknown outcome"):
        lease.end("fine", NOON_MS)  # type: ignore[arg-type]
    assert board.rank(pool("weighted"), 0, NOON_MS, 1).order == b""
    assert board.rank(pool("round_robin", []), 2**64 - 1, NOON_MS, 1).order == b""


# Rankings


def test_a_ranking_tells_whom_to_ask_and_why_not_the_others(board: Board) -> None:
    targets = pool("least_busy", [1, 2, 1, 1])
    begun(board.begin(targets, 1, NOON_MS)).end("ok", NOON_MS, 4_000, True)
    leases = [begun(board.begin(targets, 1, NOON_MS)) for _ in range(3)]
    change = broken(board, targets, 0)
    assert (change.state, change.until_ms, change.name) == ("open", NOON_MS + 500, "provider/0")
    board.cool("provider/3", NOON_MS + 300, NOON_MS, limited=True)
    ranking = board.rank(targets, 0b1011, NOON_MS, 7, stream=True)
    assert (ranking.order, ranking.retry_at_ms, ranking.limited) == (b"\1", NOON_MS + 300, False)
    assert ranking.states() == [
        (0, "open", 0.0, 0, None, NOON_MS + 500),
        (1, "closed", 1.5, 3, 4_000, 0),
        (3, "cooling", 0.0, 0, None, NOON_MS + 300),
    ]
    assert board.rank(targets, 0b1010, NOON_MS, 7).limited
    assert board.rank(targets, 0b0001, NOON_MS + 500, 7).states()[0][1] == "half_open"
    del leases
    assert standing(board, "provider/1").in_flight == 0


def test_chance_decides_by_weight_and_the_hash_always_alike(board: Board) -> None:
    chances = random.Random(17)
    weighted, sticky = pool("weighted", [8, 1, 1]), pool("sticky", [8, 1, 1])
    firsts = Counter(board.rank(weighted, 7, NOON_MS, chances.getrandbits(64)).order[0] for _ in range(2_000))
    assert 1_500 < firsts[0] < 1_700
    orders = {board.rank(sticky, 7, NOON_MS, chances.getrandbits(64), sticky=99).order for _ in range(50)}
    assert len(orders) == 1


def test_what_something_costs_depends_on_the_request(board: Board) -> None:
    priced = [
        ("p/in", 1, 0, 1, 100, breaker()),
        ("p/out", 1, 0, 10, 10, breaker()),
        ("p/?", 1, 0, None, None, breaker()),
    ]
    targets = Pool("chat", "cost", priced)
    assert board.rank(targets, 7, NOON_MS, 1, prompt_tokens=1_000, output_tokens=10).order == b"\0\1\2"
    assert board.rank(targets, 7, NOON_MS, 1, prompt_tokens=10, output_tokens=1_000).order == b"\1\0\2"


def test_a_percentile_needs_twenty_samples_of_its_kind(board: Board) -> None:
    targets = pool("latency")
    for latency_ms in range(1, 101):
        assert (board.p95_us(targets, 0, True) is None) == (latency_ms <= 20)
        begun(board.begin(targets, 0, NOON_MS)).heard(latency_ms * 1_000, True, NOON_MS)
    assert 76_000 < (board.p95_us(targets, 0, True) or 0) < 114_000
    assert board.p95_us(targets, 0, False) is None
    assert board.p95_us(targets, 1, True) is None


def test_a_target_that_lets_its_callers_wait_is_left_alone_before_any_of_them_has_come_back(board: Board) -> None:
    targets = pool("latency")
    for index in range(3):
        begun(board.begin(targets, index, NOON_MS)).end("ok", NOON_MS, 100_000, True)
    waiting = begun(board.begin(targets, 1, NOON_MS, stream=True))
    ranking = board.rank(targets, 7, NOON_MS + 301, 1, stream=True)
    assert (ranking.order[2], ranking.states()[1][2]) == (1, 602_000.0)
    waiting.end("neutral", NOON_MS + 301)
    assert board.rank(targets, 7, NOON_MS + 301, 1, stream=True).states()[1][2] == 100_000.0


# What is heard from elsewhere


def test_a_target_opened_by_hand_stays_so_until_it_is_closed_by_hand(board: Board) -> None:
    targets = pool("priority", tiers=[0, 1, 2])
    assert board.open("provider/0", FOR_GOOD_MS, NOON_MS)
    assert not board.open("provider/0", NOON_MS + 5, NOON_MS)
    far_ms = NOON_MS + 10**11
    assert board.begin(targets, 0, far_ms) is None
    assert board.rank(targets, 1, far_ms, 1).retry_at_ms == 0
    assert standing(board, "provider/0", far_ms) == TargetStatus(name="provider/0", state="open", until_ms=FOR_GOOD_MS)
    assert board.close("provider/0", far_ms, 1_000)
    assert not board.close("provider/0", far_ms, 1_000)
    assert not board.close("provider/unheard", far_ms, 1_000)
    assert standing(board, "provider/0", far_ms).ramp == pytest.approx(0.1)
    assert board.rank(targets, 7, far_ms + 1_000, 1).order == b"\0\1\2"


def test_whoever_is_told_to_wait_for_grants_does_and_others_need_not(board: Board, ledger: Ledger) -> None:
    waiting, names = Board(ledger), Names(["provider/0", "provider/1"])
    assert waiting.grants_itself
    waiting.grants_itself = False
    targets = pool("weighted")
    broken(board, targets, 0)
    due_ms = NOON_MS + 500
    assert (waiting.due(names, due_ms - 1), waiting.due(names, due_ms)) == ([], ["provider/0"])
    assert waiting.begin(targets, 0, due_ms) is None
    waiting.grant("provider/0", 1, due_ms + 1_000, due_ms)
    waiting.grant("provider/1", 1, due_ms + 1_000, due_ms)
    assert waiting.due(names, due_ms) == []
    probe = begun(waiting.begin(targets, 0, due_ms))
    assert probe.is_probe
    assert (waiting.begin(targets, 0, due_ms), board.begin(targets, 0, due_ms)) == (None, None)
    probe.end("neutral", due_ms)
    assert state_of(begun(board.begin(targets, 0, due_ms)).end("ok", due_ms, 5, False)) == "closed"
    assert standing(board, "provider/1").state == "closed"


def test_a_key_cools_like_a_target(board: Board) -> None:
    assert board.cool("openai#second", NOON_MS + 60_000, NOON_MS, limited=False)
    assert standing(board, "openai#second").state == "cooling"
    assert standing(board, "openai#first").state == "closed"


# Against the twin


class AgainstTheTwin(RuleBasedStateMachine):
    """One target under any calls, and what is heard of it from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name) / "ledger", 16)
        self.board = Board(self.ledger)
        self.pool = pool("weighted", [1])
        self.names = Names(self.pool.names)
        self.twin = Target(Policy())
        self.now_ms = NOON_MS
        self.leases: list[tuple[Lease, Call]] = []

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    @rule(wait_ms=st.one_of(st.integers(0, 120), st.integers(0, 3_000), st.just(31_000)))
    def wait(self, wait_ms: int) -> None:
        self.now_ms += wait_ms

    @rule()
    def begin(self) -> None:
        order = self.board.rank(self.pool, 1, self.now_ms, 0).order
        lease, call = self.board.begin(self.pool, 0, self.now_ms), self.twin.begin(self.now_ms)
        assert (lease is None) == (call is None) == (order == b"")
        if lease is not None and call is not None:
            assert lease.is_probe == (call.half_open is not None)
            self.leases.append((lease, call))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def heard(self, data: st.DataObject) -> None:
        lease, call = data.draw(st.sampled_from(self.leases))
        assert state_of(lease.heard(1_000, True, self.now_ms)) == self.twin.heard(call, self.now_ms)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), outcome=st.sampled_from(["ok", "failed", "failed", "neutral"]))
    def end(self, data: st.DataObject, outcome: str) -> None:
        index = data.draw(st.integers(0, len(self.leases) - 1))
        lease, call = self.leases.pop(index)
        change = lease.end(outcome, self.now_ms)  # type: ignore[arg-type]
        assert state_of(change) == self.twin.end(call, outcome, self.now_ms)
        assert lease.end("failed", self.now_ms) is None

    @rule(for_ms=st.integers(-100, 1_000))
    def cool(self, for_ms: int) -> None:
        until_ms = self.now_ms + for_ms
        later = self.board.cool("provider/0", until_ms, self.now_ms, limited=True)
        assert later == self.twin.cool(until_ms, self.now_ms)

    @rule(for_ms=st.integers(-100, 1_000))
    def open(self, for_ms: int) -> None:
        until_ms = self.now_ms + for_ms
        assert self.board.open("provider/0", until_ms, self.now_ms) == self.twin.open(until_ms, self.now_ms)

    @rule()
    def close(self) -> None:
        assert self.board.close("provider/0", self.now_ms, 1_000) == self.twin.close(self.now_ms)

    @rule(ok=st.booleans())
    def probed(self, ok: bool) -> None:
        change = self.board.probed("provider/0", breaker(), ok, self.now_ms)
        assert state_of(change) == self.twin.probed(ok, self.now_ms)

    @invariant()
    def they_agree(self) -> None:
        [(_, state, until_ms, in_flight, _, _, failures, _)] = self.board.status(self.names, self.now_ms)
        assert in_flight == self.twin.in_flight()
        if self.twin.state == "closed":
            assert failures == self.twin.failures()
        if state in ("open", "half_open"):
            assert until_ms == self.twin.until_ms
            assert self.twin.state == state or self.twin.until_ms <= self.now_ms


TestAgainstTheTwin = AgainstTheTwin.TestCase
TestAgainstTheTwin.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


# Leases


def test_a_lease_that_is_dropped_gives_its_place_to_another(board: Board) -> None:
    targets = pool("weighted", [1])
    broken(board, targets, 0)
    probes = [begun(board.begin(targets, 0, NOON_MS + 500)) for _ in range(POLICY.probes)]
    assert board.begin(targets, 0, NOON_MS + 500) is None
    probes.pop()
    assert begun(board.begin(targets, 0, NOON_MS + 500)).is_probe


def test_a_closed_ledger_ends_all_its_calls_and_begins_none(path: Path, board: Board) -> None:
    other_ledger = Ledger(path, CAPACITY)
    other, targets = Board(other_ledger), pool("weighted")
    lease = begun(other.begin(targets, 0, NOON_MS))
    other_ledger.close()
    assert standing(board, "provider/0").in_flight == 0
    assert lease.end("failed", NOON_MS) is None
    assert standing(board, "provider/0").consecutive_failures == 0
    with pytest.raises(LedgerError, match="closed"):
        other.begin(targets, 0, NOON_MS)


def test_a_forked_child_cannot_end_its_parents_calls(ledger: Ledger, board: Board) -> None:
    targets = pool("weighted")
    lease = begun(board.begin(targets, 0, NOON_MS))
    child = os.fork()
    if child == 0:
        lease.heard(1_000, True, NOON_MS)
        lease.end("failed", NOON_MS)
        _own = board.begin(targets, 0, NOON_MS)
        os._exit(standing(board, "provider/0").in_flight)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 2
    assert ledger.sweep() == 1
    now = standing(board, "provider/0")
    assert (now.in_flight, now.consecutive_failures, now.stream_latency_us) == (1, 0, None)
    lease.end("ok", NOON_MS)
    assert standing(board, "provider/0").in_flight == 0


def test_threads_share_their_process_lane(board: Board) -> None:
    targets = pool("weighted")

    def call() -> None:
        for _ in range(500):
            begun(board.begin(targets, 0, NOON_MS)).end("ok", NOON_MS, 1_000)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert standing(board, "provider/0").in_flight == 0


# Processes

PREAMBLE = f"""
import os, random, signal, sys, time
from tollway._native.limits import Ledger
from tollway._native.routing import Board, BreakerPolicy, Pool
NOW = {NOON_MS}
ledger = Ledger(sys.argv[1], {CAPACITY})
board = Board(ledger)
policy = BreakerPolicy(**{asdict(POLICY)!r})
def pool(strategy, *names):
    return Pool("chat", strategy, [(name, 1, 0, None, None, policy) for name in names])
def say(word):
    print(word, flush=True)
def await_word():
    sys.stdin.readline()
ledger.join()
"""

TAKE_TURNS = """
targets = pool("round_robin", "provider/0", "provider/1", "provider/2")
say("ready")
await_word()
firsts = [board.rank(targets, 7, NOW, 1).order[0] for _ in range(300)]
say(" ".join(str(firsts.count(index)) for index in range(3)))
"""

STAMPEDE = """
targets = pool("weighted", "provider/0")
say("ready")
await_word()
leases = [board.begin(targets, 0, NOW + 500) for _ in range(500)]
say(sum(lease is not None for lease in leases))
await_word()
"""

SPEND = """
targets = pool("weighted", "provider/0")
say("ready")
await_word()
granted = 0
for _ in range(250):
    board.begin(targets, 0, NOW).end("neutral", NOW)
    granted += sum(board.retry(targets, 200, 3, NOW) for _ in range(3))
say(granted)
"""

HOLD = """
targets = pool("weighted", "provider/0", "provider/1")
held = [board.begin(targets, 0, NOW + 500)] + [board.begin(targets, 1, NOW) for _ in range(7)]
say(held[0].is_probe)
await_word()
"""

KILL_MANY = """
targets = pool("latency", "provider/0", "provider/1")
def hammer():
    now = NOW
    while True:
        now += random.randrange(3)
        order = board.rank(targets, 3, now, random.getrandbits(64), stream=True).order
        lease = order and board.begin(targets, order[0], now)
        if lease:
            if random.random() < 0.5:
                lease.heard(random.randrange(9000), True, now)
            lease.end(random.choice(["ok", "failed", "neutral"]), now)
        board.retry(targets, 100, 1, now)
for _ in range(int(sys.argv[2])):
    victim = os.fork()
    if victim == 0:
        hammer()
    time.sleep(random.uniform(0.0005, 0.01))
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
say("done")
"""


class Worker:
    """A process that runs one of the scripts above."""

    def __init__(self, script: str, *arguments: object) -> None:
        command = [sys.executable, "-c", PREAMBLE + script, *map(str, arguments)]
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


def together(path: Path, script: str) -> Iterator[str]:
    """What four processes say that do the same at the same time."""
    workers = [Worker(script, path) for _ in range(4)]
    with working(*workers):
        assert [worker.hear() for worker in workers] == ["ready"] * 4
        for worker in workers:
            worker.go()
        yield from [worker.hear() for worker in workers]


def test_four_processes_take_turns_evenly(ledger: Ledger, path: Path) -> None:
    counts = [list(map(int, said.split())) for said in together(path, TAKE_TURNS)]
    assert [sum(column) for column in zip(*counts, strict=True)] == [400, 400, 400]


def test_two_thousand_callers_in_four_processes_get_the_two_probes(board: Board, path: Path) -> None:
    broken(board, pool("weighted", [1]), 0)
    assert sum(map(int, together(path, STAMPEDE))) == POLICY.probes


def test_four_processes_have_one_budget(ledger: Ledger, path: Path) -> None:
    assert sum(map(int, together(path, SPEND))) == 203


def test_what_a_killed_worker_had_under_way_counts_no_more_and_its_probe_is_given_up(
    board: Board, ledger: Ledger, path: Path
) -> None:
    targets = pool("weighted", [1, 1])
    broken(board, targets, 0)
    due_ms = NOON_MS + 500
    holder = Worker(HOLD, path)
    with working(holder):
        assert holder.hear() == "True"
        assert (standing(board, "provider/0").in_flight, standing(board, "provider/1").in_flight) == (1, 7)
        holder.process.send_signal(signal.SIGKILL)
        holder.process.wait()
        assert ledger.sweep() == 1
    assert (standing(board, "provider/0").in_flight, standing(board, "provider/1").in_flight) == (0, 0)
    # One place is still the dead one's.
    own = begun(board.begin(targets, 0, due_ms))
    assert board.begin(targets, 0, due_ms) is None
    own.end("neutral", due_ms)
    later_ms = due_ms + 30_000
    probes = [begun(board.begin(targets, 0, later_ms)) for _ in range(POLICY.probes)]
    assert board.begin(targets, 0, later_ms) is None
    assert [state_of(probe.heard(1_000, True, later_ms)) for probe in probes] == [None, "closed"]


def test_workers_killed_in_the_middle_leave_a_board_that_works(board: Board, ledger: Ledger, path: Path) -> None:
    killer = Worker(KILL_MANY, path, 100)
    with working(killer):
        assert killer.hear() == "done"
    ledger.sweep()
    targets = pool("latency", [1, 1])
    for index, name in enumerate(targets.names):
        assert standing(board, name).in_flight == 0
        later_ms = NOON_MS + 10_000_000
        for _ in range(POLICY.probes):
            begun(board.begin(targets, index, later_ms)).end("ok", later_ms, 1_000)
        assert state_of(broken(board, targets, index, later_ms)) == "open"
