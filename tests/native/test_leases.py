"""The host's part of limits that hosts share: what comes short, what is asked, and that no more than that is spent."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.fakes.scripted_grants import ScriptedGrants
from tests.native.twins.leases import SharedLog

from tollway._native.leases import Leases
from tollway._native.limits import Admission, Ledger, LimitSet, Refusal, Short
from tollway.proxy.limits.granting import Message
from tollway.proxy.limits.sharing import granted_of, message_of

NOON_MS = 1_800_000_000_000
WINDOW_MS = 10_000
LIMIT = 50


class Host:
    """A ledger, and a way to Redis that takes no time."""

    def __init__(self, path: Path, name: int) -> None:
        self.ledger = Ledger(path, 64)
        self.leases = Leases(self.ledger)
        self.leases.begin(f"{name:x}", 1_000)
        self.leases.connect(True)
        self.leases.remember(b"memory")

    def admit(self, limits: LimitSet, tokens: int, now_ms: int) -> Admission | Refusal | Short:
        return self.ledger.admit(limits, tokens, 0, NOON_MS + now_ms, steady_ms=now_ms)

    def ask(self, redis: ScriptedGrants, now_ms: int) -> bool:
        question = self.leases.question(now_ms)
        if question is None:
            return False
        messages: list[tuple[str, Message]] = [(told[0], message_of(told)) for told in question.messages]
        reply = redis.answer(NOON_MS + now_ms, question.host, question.memory, messages)
        if reply.memory.encode() != question.memory:
            self.leases.unanswered(question)
            self.leases.remember(reply.memory.encode())
        else:
            granted = granted_of(reply)
            self.leases.answered(question, reply.redis_ms, reply.hosts, reply.settling_ms, granted, now_ms)
        return True


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    made = [Host(tmp_path / str(number), number + 1) for number in range(2)]
    yield made
    for host in made:
        host.ledger.close()


def shared(limit: int = LIMIT) -> LimitSet:
    return LimitSet([("tenant:acme", "tokens", limit, WINDOW_MS)], shared=True)


def test_only_limits_that_are_shared_come_short(hosts: list[Host]) -> None:
    alone = LimitSet([("tenant:acme", "tokens", LIMIT, WINDOW_MS)])
    assert isinstance(hosts[0].admit(alone, 5, 1_100), Admission)
    assert isinstance(hosts[0].admit(shared(), 5, 1_100), Short)
    assert isinstance(hosts[0].admit(shared(), LIMIT + 1, 1_100), Refusal), "what can never pass is refused at once"


def test_a_call_that_came_short_knows_when_it_was_answered(hosts: list[Host]) -> None:
    redis = ScriptedGrants(b"memory", settling_for_ms=0)
    short = hosts[0].admit(shared(), 5, 1_100)
    assert isinstance(short, Short)
    assert not hosts[0].leases.is_answered(short)
    while hosts[0].ask(redis, 1_100):
        pass
    assert hosts[0].leases.is_answered(short)
    assert isinstance(hosts[0].admit(shared(), 5, 1_100), Admission)
    assert hosts[0].leases.reign(1_100) == ("leased", 1)


@pytest.mark.parametrize("seed", range(5))
def test_two_hosts_spend_no_more_than_the_plainest_log_allows(hosts: list[Host], seed: int) -> None:
    random, log, limits = Random(seed), SharedLog(WINDOW_MS), shared()
    redis, now_ms, most = ScriptedGrants(b"memory", settling_for_ms=0), 1_000, 0
    for _ in range(3_000):
        now_ms += random.randrange(30)
        host, tokens = random.choice(hosts), random.randint(1, 6)
        outcome = host.admit(limits, tokens, now_ms)
        if isinstance(outcome, Short):
            while host.ask(redis, now_ms):
                pass
            outcome = host.admit(limits, tokens, now_ms)
        if isinstance(outcome, Admission):
            log.add(now_ms, tokens)
        most = max(most, log.within(now_ms))
    assert LIMIT * 0.9 < most <= LIMIT


def test_a_name_is_given_once_and_bad_ones_are_refused(hosts: list[Host]) -> None:
    assert hosts[0].leases.begin("ff") == f"{1:032x}"
    with pytest.raises(ValueError, match="hexadecimal"):
        hosts[0].leases.begin("no number")
    for memory in (b"", b"x" * 33, b"a\0b"):
        with pytest.raises(ValueError, match="1 to 32 bytes"):
            hosts[0].leases.remember(memory)


def test_the_steady_clock_is_the_one_that_python_tells(hosts: list[Host]) -> None:
    assert isinstance(hosts[1].ledger.admit(shared(), 1, 0, NOON_MS), Short)
    waited_ms = time.monotonic_ns() // 1_000_000
    assert hosts[1].leases.reign(waited_ms)[0] == "leased"
    assert hosts[1].leases.reign(waited_ms + 800)[0] == "shared"
