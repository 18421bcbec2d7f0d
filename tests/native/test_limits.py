"""The host's ledger: against its slow twin, between real processes, and after kill -9."""

import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.native.twins.limits import Charge, SlidingLog

from tollway._native.limits import Admission, Ledger, LedgerError, LedgerFull, LimitSet, Refusal, Short

NOON_MS = 1_800_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
CAPACITY = 256


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path, CAPACITY)
    yield ledger
    ledger.close()


def admitted(decision: Admission | Refusal | Short) -> Admission:
    assert isinstance(decision, Admission)
    return decision


def refused(decision: Admission | Refusal | Short) -> Refusal:
    assert isinstance(decision, Refusal)
    return decision


def remaining(ledger: Ledger, limits: LimitSet, now_ms: int = NOON_MS) -> list[int]:
    return [left for _, _, left, _ in ledger.status(limits, now_ms)]


def per_minute(requests: int, scope: str = "tenant:acme") -> LimitSet:
    return LimitSet([(scope, "requests", requests, MINUTE_MS)])


def at_once(calls: int, scope: str = "tenant:acme") -> LimitSet:
    return LimitSet([(scope, "concurrency", calls, 0)])


# Rules


@pytest.mark.parametrize(
    "rules",
    [
        [("a", "money", 1, 1000)],
        [("a", "requests", -1, 1000)],
        [("a", "requests", 1, -1000)],
        [("a", "requests", 1, 0)],
        [("a", "concurrency", 1, 1000)],
        [("a", "tokens", 1, 1000), ("a", "tokens", 2, 1000)],
        [(f"scope:{index}", "tokens", 1, 1000) for index in range(33)],
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: list[tuple[str, str, int, int]]) -> None:
    with pytest.raises(ValueError, match=r"."):
        LimitSet(rules)


def test_an_admission_tells_the_level_of_the_tightest_rule_of_each_kind(ledger: Ledger) -> None:
    limits = LimitSet(
        [
            ("tenant:acme", "requests", 100, MINUTE_MS),
            ("key:ci", "requests", 3, MINUTE_MS),
            ("tenant:acme", "tokens", 5_000, MINUTE_MS),
            ("key:ci", "concurrency", 2, 0),
        ]
    )
    admission = admitted(ledger.admit(limits, 1_200, 0, NOON_MS))
    (requests, tokens) = admission.levels()
    assert requests[:3] == ("requests", 3, 2)
    assert tokens[:3] == ("tokens", 5_000, 3_800)
    reset_ms = requests[3]
    assert reset_ms == tokens[3]
    assert MINUTE_MS <= reset_ms <= MINUTE_MS + MINUTE_MS // 32
    assert ledger.status(limits, NOON_MS) == [
        ("requests", 100, 99, reset_ms),
        ("requests", 3, 2, reset_ms),
        ("tokens", 5_000, 3_800, reset_ms),
        ("concurrency", 2, 1, 0),
    ]


def test_without_rules_every_request_passes_and_is_in_flight(ledger: Ledger) -> None:
    admission = admitted(ledger.admit(LimitSet([]), 10**12, 0, NOON_MS))
    assert admission.levels() == []
    assert ledger.in_flight() == 1


# Refusals


def test_a_refusal_names_its_rule_and_when_to_come_back(ledger: Ledger) -> None:
    limits = per_minute(2)
    admitted(ledger.admit(limits, 0, 0, NOON_MS))
    admitted(ledger.admit(limits, 0, 0, NOON_MS + 10_000))
    refusal = refused(ledger.admit(limits, 0, 0, NOON_MS + 20_000))
    assert (refusal.scope, refusal.kind, refusal.limit) == ("tenant:acme", "requests", 2)
    assert (refusal.remaining, refusal.too_large) == (0, False)
    then_ms = NOON_MS + 20_000 + refusal.retry_after_ms
    refused(ledger.admit(limits, 0, 0, then_ms - 1))
    admitted(ledger.admit(limits, 0, 0, then_ms))


def test_a_request_larger_than_its_limit_is_told_that_waiting_does_not_help(ledger: Ledger) -> None:
    limits = LimitSet([("tenant:acme", "tokens", 100, MINUTE_MS)])
    refusal = refused(ledger.admit(limits, 101, 0, NOON_MS))
    assert (refusal.too_large, refusal.retry_after_ms, refusal.remaining) == (True, 0, 100)


def test_a_refusal_by_one_rule_consumes_nothing_of_the_others(ledger: Ledger) -> None:
    limits = LimitSet(
        [
            ("tenant:acme", "requests", 10, MINUTE_MS),
            ("tenant:acme", "tokens", 100, MINUTE_MS),
            ("tenant:acme", "concurrency", 10, 0),
            ("key:ci", "requests", 1, MINUTE_MS),
        ]
    )
    admission = admitted(ledger.admit(limits, 10, 0, NOON_MS))
    for _ in range(50):
        refused(ledger.admit(limits, 10, 0, NOON_MS))
    assert remaining(ledger, limits) == [9, 90, 9, 0]
    assert ledger.in_flight() == 1
    admission.release()


# What follows an admission


def test_settling_corrects_the_reservation_up_and_down(ledger: Ledger) -> None:
    limits = LimitSet([("tenant:acme", "tokens", 1_000, MINUTE_MS)])
    admission = admitted(ledger.admit(limits, 600, 0, NOON_MS))
    for used, left in [(100, 900), (100, 900), (1_500, 0), (250, 750)]:
        admission.settle(used, 0, NOON_MS + 1)
        assert remaining(ledger, limits) == [left]


def test_tokens_used_beyond_the_limit_hold_back_whoever_comes_next(ledger: Ledger) -> None:
    limits = LimitSet([("tenant:acme", "tokens", 1_000, MINUTE_MS)])
    admitted(ledger.admit(limits, 10, 0, NOON_MS)).settle(5_000, 0, NOON_MS)
    refusal = refused(ledger.admit(limits, 1, 0, NOON_MS + 1))
    admitted(ledger.admit(limits, 1, 0, NOON_MS + 1 + refusal.retry_after_ms))


def test_tokens_of_prompts_and_answers_have_limits_of_their_own(ledger: Ledger) -> None:
    limits = LimitSet(
        [("a", "tokens", 100, MINUTE_MS), ("a", "input_tokens", 60, MINUTE_MS), ("a", "output_tokens", 50, 1000)]
    )
    admitted(ledger.admit(limits, 20, 30, NOON_MS))
    assert remaining(ledger, limits) == [50, 40, 20]
    assert refused(ledger.admit(limits, 41, 0, NOON_MS)).kind == "input_tokens"
    assert refused(ledger.admit(limits, 0, 21, NOON_MS)).kind == "output_tokens"
    assert refused(ledger.admit(limits, 35, 20, NOON_MS)).kind == "tokens"
    assert remaining(ledger, limits, NOON_MS + 2_000) == [50, 40, 50]


def test_an_answer_grows_until_a_rule_is_used_up(ledger: Ledger) -> None:
    limits = LimitSet([("a", "tokens", 100, MINUTE_MS), ("a", "output_tokens", 60, MINUTE_MS)])
    admission = admitted(ledger.admit(limits, 30, 10, NOON_MS))
    assert admission.grow(60, NOON_MS + 1)
    assert not admission.grow(61, NOON_MS + 2)
    assert admission.grow(20, NOON_MS + 3)
    assert remaining(ledger, limits) == [10, 0]
    admission.settle(30, 40, NOON_MS + 4)
    assert admission.grow(60, NOON_MS + 5)
    admission.settle(30, 500, NOON_MS + 6)
    assert remaining(ledger, limits) == [0, 0]


def test_release_gives_the_slot_back_once(ledger: Ledger) -> None:
    limits = at_once(2)
    first, second = (admitted(ledger.admit(limits, 0, 0, NOON_MS)) for _ in range(2))
    first.release()
    first.release()
    assert remaining(ledger, limits) == [1]
    second.release()
    assert (remaining(ledger, limits), ledger.in_flight()) == ([2], 0)


def test_cancel_returns_requests_tokens_and_slots_once(ledger: Ledger) -> None:
    limits = LimitSet(
        [("a", "requests", 5, MINUTE_MS), ("a", "tokens", 100, MINUTE_MS), ("a", "concurrency", 5, 0)],
    )
    kept = admitted(ledger.admit(limits, 10, 0, NOON_MS))
    cancelled = admitted(ledger.admit(limits, 20, 0, NOON_MS))
    cancelled.cancel(NOON_MS)
    cancelled.cancel(NOON_MS)
    cancelled.release()
    assert remaining(ledger, limits) == [4, 90, 4]
    kept.release()


def test_a_dropped_admission_gives_its_slot_back(ledger: Ledger) -> None:
    limits = LimitSet([("a", "requests", 5, MINUTE_MS), ("a", "concurrency", 1, 0)])
    admission = admitted(ledger.admit(limits, 0, 0, NOON_MS))
    del admission
    assert remaining(ledger, limits) == [4, 1]


def test_a_changed_limit_keeps_what_was_counted(ledger: Ledger) -> None:
    admitted(ledger.admit(per_minute(10), 0, 0, NOON_MS))
    assert remaining(ledger, per_minute(5)) == [4]


# Time


def test_time_that_goes_backwards_never_admits_more(ledger: Ledger) -> None:
    limits = per_minute(2)
    admitted(ledger.admit(limits, 0, 0, NOON_MS))
    admitted(ledger.admit(limits, 0, 0, NOON_MS - 50_000))
    refused(ledger.admit(limits, 0, 0, NOON_MS - 50_000))
    refused(ledger.admit(limits, 0, 0, NOON_MS - 365 * 24 * HOUR_MS))
    refused(ledger.admit(limits, 0, 0, 0))


def test_a_clock_that_was_a_year_ahead_does_not_hold_its_tenant_for_a_year(ledger: Ledger) -> None:
    limits = per_minute(1)
    admitted(ledger.admit(limits, 0, 0, NOON_MS + 365 * 24 * HOUR_MS))
    refusal = refused(ledger.admit(limits, 0, 0, NOON_MS))
    assert refusal.retry_after_ms <= MINUTE_MS * 33 // 32
    admitted(ledger.admit(limits, 0, 0, NOON_MS + 2 * MINUTE_MS))


@pytest.mark.parametrize("window_ms", [1, 7, 1_000, MINUTE_MS, HOUR_MS, 24 * HOUR_MS])
def test_windows_of_any_length_forget_after_their_length(ledger: Ledger, window_ms: int) -> None:
    limits = LimitSet([("a", "requests", 1, window_ms)])
    admitted(ledger.admit(limits, 0, 0, NOON_MS))
    refused(ledger.admit(limits, 0, 0, NOON_MS + window_ms - 1))
    admitted(ledger.admit(limits, 0, 0, NOON_MS + 33 * -(-window_ms // 32)))


class AgainstTheTwin(RuleBasedStateMachine):
    """Any order of calls: the ledger stays between the exact and the conservative log."""

    window_ms = 1_000

    def __init__(self) -> None:
        super().__init__()
        # Not tmp_path, which is one directory for all examples of the machine.
        self.path = Path(f"/dev/shm/tollway-test-{os.getpid()}-{id(self)}.ledger")
        self.ledger = Ledger(self.path, 16)
        most = {"requests": 6, "tokens": 200, "input_tokens": 150, "output_tokens": 120}
        windowed = [("a", kind, limit, self.window_ms) for kind, limit in most.items()]
        self.limits = LimitSet([*windowed, ("a", "concurrency", 4, 0)])
        self.twin = SlidingLog(most, concurrency=4, window_ms=self.window_ms)
        self.admissions: list[tuple[Admission, Charge]] = []
        self.now_ms = NOON_MS

    def teardown(self) -> None:
        self.admissions.clear()
        self.ledger.close()
        for name in (self.path, Path(f"{self.path}.lock")):
            name.unlink()

    @rule(wait_ms=st.integers(0, 400))
    def wait(self, wait_ms: int) -> None:
        self.now_ms += wait_ms

    @rule(input_tokens=st.integers(0, 160), output_tokens=st.integers(0, 130))
    def admit(self, input_tokens: int, output_tokens: int) -> None:
        before = remaining(self.ledger, self.limits, self.now_ms)
        decision = self.ledger.admit(self.limits, input_tokens, output_tokens, self.now_ms)
        charge = Charge(self.now_ms, 1, input_tokens, output_tokens)
        if isinstance(decision, Admission):
            assert not self.twin.must_refuse(charge, self.now_ms)
            self.twin.charges.append(charge)
            self.admissions.append((decision, charge))
        else:
            assert not self.twin.must_admit(charge, self.now_ms)
            assert remaining(self.ledger, self.limits, self.now_ms) == before
            assert refused(decision).too_large == self.twin.is_too_large(charge)

    @precondition(lambda self: self.admissions)
    @rule(data=st.data(), input_tokens=st.integers(0, 200), output_tokens=st.integers(0, 200))
    def settle(self, data: st.DataObject, input_tokens: int, output_tokens: int) -> None:
        admission, charge = data.draw(st.sampled_from(self.admissions))
        admission.settle(input_tokens, output_tokens, self.now_ms)
        charge.input_tokens, charge.output_tokens = input_tokens, output_tokens

    @precondition(lambda self: self.admissions)
    @rule(data=st.data(), output_tokens=st.integers(0, 200))
    def grow(self, data: st.DataObject, output_tokens: int) -> None:
        admission, charge = data.draw(st.sampled_from(self.admissions))
        before = remaining(self.ledger, self.limits, self.now_ms)
        if admission.grow(output_tokens, self.now_ms):
            assert not self.twin.must_not_grow(charge, output_tokens, self.now_ms)
            if charge.held:
                charge.output_tokens = max(charge.output_tokens, output_tokens)
        else:
            assert not self.twin.must_grow(charge, output_tokens, self.now_ms)
            assert remaining(self.ledger, self.limits, self.now_ms) == before

    @precondition(lambda self: self.admissions)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        admission, charge = data.draw(st.sampled_from(self.admissions))
        admission.release()
        charge.held = False

    @precondition(lambda self: self.admissions)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.admissions) - 1))
        admission, charge = self.admissions.pop(index)
        admission.cancel(self.now_ms)
        charge.requests, charge.input_tokens, charge.output_tokens, charge.held = 0, 0, 0, False

    @invariant()
    def slots_are_exact(self) -> None:
        assert remaining(self.ledger, self.limits, self.now_ms)[4] == 4 - self.twin.held()
        assert self.ledger.in_flight() == self.twin.held()


TestAgainstTheTwin = AgainstTheTwin.TestCase
TestAgainstTheTwin.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


# Room


def test_a_full_ledger_refuses_until_a_counter_is_idle(path: Path) -> None:
    ledger = Ledger(path, 16)
    for index in range(16):
        admitted(ledger.admit(per_minute(5, f"tenant:{index}"), 0, 0, NOON_MS))
    newcomer = LimitSet([("tenant:0", "requests", 5, MINUTE_MS), ("tenant:new", "requests", 5, MINUTE_MS)])
    with pytest.raises(LedgerFull, match="raise its capacity"):
        ledger.admit(newcomer, 0, 0, NOON_MS)
    assert (ledger.full_refusals(), remaining(ledger, newcomer)) == (1, [4, 5])
    admitted(ledger.admit(newcomer, 0, 0, NOON_MS + 2 * MINUTE_MS))
    ledger.close()


def test_tenants_that_come_and_go_never_fill_the_ledger(ledger: Ledger) -> None:
    for index in range(20 * CAPACITY):
        limits = LimitSet([(f"tenant:{index}", "requests", 5, 1_000), (f"tenant:{index}", "concurrency", 5, 0)])
        admitted(ledger.admit(limits, 0, 0, NOON_MS + 50 * index)).release()
    assert ledger.full_refusals() == 0


def test_only_sixty_four_workers_find_a_seat(path: Path) -> None:
    ledgers = [Ledger(path, CAPACITY) for _ in range(64)]
    assert sorted(ledger.join() for ledger in ledgers) == list(range(64))
    late = Ledger(path, CAPACITY)
    with pytest.raises(LedgerError, match="64 workers"):
        late.join()
    ledgers[17].close()
    assert late.join() == 17


# The file


def test_the_file_belongs_to_its_owner_alone(ledger: Ledger, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_closed_ledger_says_so_and_its_admissions_have_no_effect(path: Path) -> None:
    ledger, other = Ledger(path, CAPACITY), Ledger(path, CAPACITY)
    limits = LimitSet([("a", "tokens", 100, MINUTE_MS), ("a", "concurrency", 1, 0)])
    admission = admitted(ledger.admit(limits, 60, 0, NOON_MS))
    ledger.close()
    ledger.close()
    assert admission.grow(10, NOON_MS)
    assert remaining(other, limits) == [40, 1]
    _held = admitted(other.admit(limits, 10, 0, NOON_MS))
    admission.release()
    admission.settle(0, 0, NOON_MS)
    assert remaining(other, limits) == [30, 0]
    with pytest.raises(LedgerError, match="closed"):
        ledger.admit(limits, 0, 0, NOON_MS)


def test_another_capacity_is_refused_while_in_use_and_made_anew_after(path: Path) -> None:
    ledger = Ledger(path, CAPACITY)
    with pytest.raises(LedgerError, match=r"holds 256 counters.*stop them"):
        Ledger(path, 2 * CAPACITY)
    admitted(ledger.admit(per_minute(5), 0, 0, NOON_MS))
    ledger.close()
    del ledger
    assert remaining(Ledger(path, 2 * CAPACITY), per_minute(5)) == [5]


def test_a_file_that_is_something_else_is_never_overwritten(path: Path) -> None:
    path.write_text("my novel")
    with pytest.raises(LedgerError, match="not a Tollway ledger"):
        Ledger(path, CAPACITY)
    assert path.read_text() == "my novel"


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def cut_to_a_stub(content: bytes) -> bytes:
    return content[:9]


def of_another_version(content: bytes) -> bytes:
    return content[:8] + b"\xff" + content[9:]


def never_finished(content: bytes) -> bytes:
    return bytes(len(content))


@pytest.mark.parametrize("damage", [cut, cut_to_a_stub, of_another_version, never_finished])
def test_a_damaged_ledger_is_made_anew(path: Path, damage: Callable[[bytes], bytes]) -> None:
    Ledger(path, CAPACITY).close()
    path.write_bytes(damage(path.read_bytes()))
    ledger = Ledger(path, CAPACITY)
    admitted(ledger.admit(per_minute(5), 0, 0, NOON_MS))
    assert remaining(ledger, per_minute(5)) == [4]


def test_garbage_in_the_counters_does_no_harm_to_the_process(path: Path) -> None:
    Ledger(path, CAPACITY).close()
    content = path.read_bytes()
    path.write_bytes(content[:24] + os.urandom(len(content) - 24))
    ledger = Ledger(path, CAPACITY)
    for index in range(100):
        try:
            decision = ledger.admit(per_minute(5, f"tenant:{index}"), 0, 0, NOON_MS)
        except LedgerFull:
            continue
        assert isinstance(decision, Admission | Refusal)


def test_a_full_disk_is_an_error_and_not_a_crash(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(LedgerError, match="make room"):
            Ledger(path, CAPACITY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    Ledger(path, CAPACITY).close()


# Processes

PREAMBLE = f"""
import os, random, signal, sys, time
from tollway._native.limits import Admission, Ledger, LimitSet
NOW = {NOON_MS}
ledger = Ledger(sys.argv[1], {CAPACITY})
def say(word):
    print(word, flush=True)
"""

ADMIT_TEN = """
limits = LimitSet([("tenant:acme", sys.argv[2], 5, int(sys.argv[3]))])
ledger.join()
say("ready")
sys.stdin.readline()
decisions = [ledger.admit(limits, 0, 0, NOW) for _ in range(10)]
say(sum(isinstance(decision, Admission) for decision in decisions))
sys.stdin.readline()
"""

HOLD_TWO = """
limits = LimitSet([("tenant:acme", "concurrency", 2, 0), ("tenant:acme", "requests", 5, 60000)])
held = [ledger.admit(limits, 0, 0, NOW) for _ in range(2)]
say("ready")
sys.stdin.readline()
"""

# Seven tokens a request, also when cancelled: whatever is killed, the two counters must agree to the last token.
HAMMER = """
def hammer(scope, is_over):
    limits = LimitSet([("all", "requests", 10**9, 3600000), ("all", "tokens", 10**12, 3600000),
                       ("all", "concurrency", 10**6, 0), (scope, "requests", 10**9, 3600000)])
    kept = 0
    while not is_over():
        admission = ledger.admit(limits, 7, 0, NOW)
        if random.random() < 0.3:
            admission.cancel(NOW)
        else:
            kept += 1
            admission.release()
    return kept
"""

HAMMER_TO_THE_END = (
    HAMMER
    + """
import select
say("ready")
say(hammer(sys.argv[2], lambda: bool(select.select([sys.stdin], [], [], 0)[0])))
"""
)

KILL_MANY = (
    HAMMER
    + """
ledger.join()
for _ in range(int(sys.argv[2])):
    victim = os.fork()
    if victim == 0:
        hammer("victims", lambda: False)
    time.sleep(random.uniform(0.0005, 0.01))
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
say("done")
"""
)


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

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def working(*workers: Worker) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in workers:
            worker.end()


@pytest.mark.parametrize(("kind", "window_ms"), [("requests", MINUTE_MS), ("concurrency", 0)])
def test_four_processes_together_admit_exactly_the_limit(path: Path, kind: str, window_ms: int) -> None:
    workers = [Worker(ADMIT_TEN, path, kind, window_ms) for _ in range(4)]
    with working(*workers):
        assert [worker.hear() for worker in workers] == ["ready"] * 4
        for worker in workers:
            worker.go()
        assert sum(int(worker.hear()) for worker in workers) == 5


def test_four_threads_together_admit_exactly_the_limit(ledger: Ledger) -> None:
    decisions: list[Admission | Refusal | Short] = []
    limits = per_minute(500)

    def ask() -> None:
        decisions.extend([ledger.admit(limits, 0, 0, NOON_MS) for _ in range(300)])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(decision, Admission) for decision in decisions) == 500


def test_the_slots_of_a_killed_worker_come_back_by_themselves(ledger: Ledger, path: Path) -> None:
    limits = at_once(2)
    ledger.join()
    holder = Worker(HOLD_TWO, path)
    with working(holder):
        assert holder.hear() == "ready"
        refusal = refused(ledger.admit(limits, 0, 0, NOON_MS))
        assert (refusal.kind, refusal.retry_after_ms) == ("concurrency", 1_000)
        # Not reaped meanwhile: a zombie holds no slots either.
        holder.process.send_signal(signal.SIGKILL)
        now_ms = NOON_MS
        while not isinstance(first := ledger.admit(limits, 0, 0, now_ms), Admission):
            now_ms += refusal.retry_after_ms
            time.sleep(0.01)
        second = admitted(ledger.admit(limits, 0, 0, now_ms))
        refused(ledger.admit(limits, 0, 0, now_ms))
    assert ledger.in_flight() == 2
    first.release()
    second.release()


def test_refusals_look_for_dead_workers_once_a_second_and_a_sweep_at_once(ledger: Ledger, path: Path) -> None:
    limits = at_once(2)
    holder = Worker(HOLD_TWO, path)
    with working(holder):
        assert holder.hear() == "ready"
        refused(ledger.admit(limits, 0, 0, NOON_MS))
    refused(ledger.admit(limits, 0, 0, NOON_MS + 999))
    assert ledger.sweep() == 1
    admitted(ledger.admit(limits, 0, 0, NOON_MS + 999))


def test_workers_killed_in_the_middle_leave_nothing_half_done(ledger: Ledger, path: Path) -> None:
    survivors = [Worker(HAMMER_TO_THE_END, path, f"survivor:{index}") for index in range(3)]
    killer = Worker(KILL_MANY, path, 100)
    with working(*survivors, killer):
        assert [survivor.hear() for survivor in survivors] == ["ready"] * 3
        assert killer.hear() == "done"
        for survivor in survivors:
            survivor.go()
        kept = [int(survivor.hear()) for survivor in survivors]
    ledger.sweep()
    totals = LimitSet(
        [("all", "requests", 10**9, HOUR_MS), ("all", "tokens", 10**12, HOUR_MS), ("all", "concurrency", 10**6, 0)],
    )
    requests_left, tokens_left, slots_left = remaining(ledger, totals)
    victims = remaining(ledger, LimitSet([("victims", "requests", 10**9, HOUR_MS)]))[0]
    own = [remaining(ledger, LimitSet([(f"survivor:{index}", "requests", 10**9, HOUR_MS)]))[0] for index in range(3)]
    assert (slots_left, ledger.in_flight()) == (10**6, 0)
    assert 10**12 - tokens_left == 7 * (10**9 - requests_left)
    assert [10**9 - left for left in own] == kept
    assert 10**9 - requests_left == sum(kept) + 10**9 - victims
    assert victims < 10**9


def test_a_restart_of_everything_keeps_the_windows_and_frees_the_slots(path: Path) -> None:
    holder = Worker(HOLD_TWO, path)
    with working(holder):
        assert holder.hear() == "ready"
    limits = LimitSet([("tenant:acme", "concurrency", 2, 0), ("tenant:acme", "requests", 5, MINUTE_MS)])
    assert remaining(Ledger(path, CAPACITY), limits) == [2, 3]


def test_a_forked_child_has_a_seat_of_its_own_and_cannot_release_for_its_parent(ledger: Ledger) -> None:
    limits = at_once(3)
    column = ledger.join()
    admission = admitted(ledger.admit(limits, 0, 0, NOON_MS))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        admission.release()
        admission.cancel(NOON_MS)
        _own = ledger.admit(limits, 0, 0, NOON_MS)
        os.write(writing, f"{ledger.join()} {remaining(ledger, limits)[0]}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    childs_column, left = map(int, os.read(reading, 100).split())
    os.close(reading)
    os.close(writing)
    assert childs_column != column
    assert left == 1
    assert ledger.join() == column
    assert ledger.sweep() == 1
    assert remaining(ledger, limits) == [2]
    admission.release()
