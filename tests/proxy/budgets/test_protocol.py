"""Hosts, their workers and the bank, in any order of calls, deaths, lost answers and outages: never more than there is.

The sequential model is one number: what all calls have cost and hold together.
"""

import asyncio
import os
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.fakes.bank import ScriptedBank
from tests.proxy.budgets.vault import PURSE, Clock

from tollway._native.limits import Ledger
from tollway._native.purses import Hold, Purses, PurseSet
from tollway.errors import DependencyUnavailable
from tollway.proxy.budgets.port import LEASE_S
from tollway.proxy.budgets.treasurer import Treasurer
from tollway.telemetry.logs import Log, open_log

HOSTS = 2
WORKERS = 2
AMOUNT = PURSE.budget.amount_picousd
TTL_MS = int(LEASE_S * 1000)


class Worker:
    """A process of a host."""

    def __init__(self, path: Path, bank: ScriptedBank, log: Log, clock: Clock) -> None:
        self.ledger = Ledger(path, 16)
        self.purses = Purses(self.ledger)
        self.treasurer = Treasurer(self.purses, bank, log, clock_ms=clock)
        self.holds: list[tuple[Hold, int]] = []


ROUNDS = 3
"""After a lease that has lapsed the first question gives back what it was for, the second asks anew."""


class Everybody(RuleBasedStateMachine):
    """Any order of events."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.bank = ScriptedBank(self.clock)
        self.descriptor = os.open(os.devnull, os.O_WRONLY)
        self.log = open_log("error", descriptor=self.descriptor)
        self.paths = [Path(f"/dev/shm/tollway-test-{os.getpid()}-{id(self)}-{host}.ledger") for host in range(HOSTS)]
        self.workers = [[self.new_worker(host) for _ in range(WORKERS)] for host in range(HOSTS)]
        self.spent = 0

    def teardown(self) -> None:
        for worker in self.everybody():
            worker.holds.clear()
            worker.ledger.close()
        for path in self.paths:
            path.unlink()
            Path(f"{path}.lock").unlink()
        self.log.close()
        os.close(self.descriptor)
        self.loop.close()

    def new_worker(self, host: int) -> Worker:
        return Worker(self.paths[host], self.bank, self.log, self.clock)

    def everybody(self) -> list[Worker]:
        return [worker for workers in self.workers for worker in workers]

    def ask(self, worker: Worker) -> bool:
        """Has the worker's treasurer ask; whether there was an answer."""
        self.clock.now_ms += 501  # it has had time to come back
        worker.treasurer.learn([PURSE])
        try:
            self.loop.run_until_complete(worker.treasurer.more())
        except DependencyUnavailable:
            return False
        finally:
            self.loop.run_until_complete(asyncio.sleep(0))  # the question itself ends after its answer is told
        return True

    @rule(host=st.integers(0, HOSTS - 1), of=st.integers(0, WORKERS - 1), picousd=st.integers(1, 60))
    def call(self, host: int, of: int, picousd: int) -> None:
        worker = self.workers[host][of]
        for _ in range(ROUNDS):  # as station 5's reserver does: again whenever the bank has answered
            outcome = worker.purses.reserve(PurseSet([PURSE.name]), picousd, self.clock(), 0)
            if isinstance(outcome, Hold):
                worker.holds.append((outcome, picousd))
                break
            if outcome.is_exhausted or not self.ask(worker):
                break
        del outcome

    @precondition(lambda self: any(worker.holds for worker in self.everybody()))
    @rule(data=st.data(), share=st.floats(0, 1))
    def settle(self, data: st.DataObject, share: float) -> None:
        busy = [worker for worker in self.everybody() if worker.holds]
        worker = busy[data.draw(st.integers(0, len(busy) - 1))]
        hold, picousd = worker.holds.pop(data.draw(st.integers(0, len(worker.holds) - 1)))
        cost = int(picousd * share)
        hold.settle(cost)
        self.spent += cost

    @rule(wait_ms=st.integers(0, 2_500))
    def wait(self, wait_ms: int) -> None:
        """Time passes, and who can renews. Hosts that are cut off for longer than their lease are another rule's."""
        self.clock.now_ms += wait_ms
        self.renew_all()

    def renew_all(self) -> None:
        for worker in self.everybody():
            self.ask(worker)

    @rule(host=st.integers(0, HOSTS - 1), of=st.integers(0, WORKERS - 1))
    def kill_a_worker(self, host: int, of: int) -> None:
        worker = self.workers[host][of]
        worker.ledger.close()
        worker.holds.clear()
        self.workers[host][of] = self.new_worker(host)

    @precondition(lambda self: not self.bank.down and not self.bank.deaf)
    @rule(
        host=st.integers(0, HOSTS - 1),
        away_ms=st.integers(0, 3 * TTL_MS),
        greed=st.integers(1, AMOUNT),
        then=st.integers(1, 60),
    )
    def kill_a_host(self, host: int, away_ms: int, greed: int, then: int) -> None:
        """All its workers die at once, and it is back after a while, in which another wants what it had. What it has
        told counts."""
        self.ask(self.workers[host][0])
        for worker in self.workers[host]:
            worker.ledger.close()
            worker.holds.clear()
        left_ms = away_ms
        while left_ms > 0:
            self.clock.now_ms += min(left_ms, 2_500)
            left_ms -= 2_500
            for other, workers in enumerate(self.workers):
                if other != host:
                    self.ask(workers[0])
        self.call(1 - host, 0, greed)
        self.workers[host] = [self.new_worker(host) for _ in range(WORKERS)]
        self.call(host, 0, then)

    @rule(away_ms=st.integers(0, 3 * TTL_MS))
    def outage(self, away_ms: int) -> None:
        """The bank is out of reach for everybody, with calls under way."""
        self.bank.down, self.bank.deaf = True, False
        self.clock.now_ms += away_ms
        self.renew_all()
        self.bank.outage_ends()
        self.renew_all()

    @rule(deaf=st.booleans())
    def answers_are_lost(self, deaf: bool) -> None:
        self.bank.deaf = deaf
        if not deaf:
            self.renew_all()

    @invariant()
    def never_more_than_there_is(self) -> None:
        held = sum(picousd for worker in self.everybody() for _, picousd in worker.holds)
        assert self.spent + held <= AMOUNT

    @precondition(lambda self: not self.bank.deaf)
    @rule()
    def all_that_is_left_can_be_spent_in_the_end(self) -> None:
        """Once every call has ended and every lease has lapsed or gone back, nothing has leaked."""
        for worker in self.everybody():
            while worker.holds:
                hold, picousd = worker.holds.pop()
                hold.settle(picousd)
                self.spent += picousd
        for _ in range(40):
            self.clock.now_ms += 2_000
            self.renew_all()
        assert self.bank.available(PURSE) == AMOUNT - self.spent
        left = AMOUNT - self.spent
        if left:
            self.call(0, 0, left)
            assert self.workers[0][0].holds


TestEverybody = Everybody.TestCase
TestEverybody.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
