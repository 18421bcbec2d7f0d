"""The script in Redis, on a real one, against the same done plainly in Python."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from redis import Redis
from tests.fakes.redis_server import RedisServer
from tests.fakes.scripted_grants import ScriptedGrants

from tollway.proxy.limits.granting import COUNTER, GRANT, HOST_MS, HOSTS, SEEN_EVERY_MS, Message, Reply
from tollway.storage.commands import MEMORY

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with RedisServer() as server, contextlib.closing(Redis.from_url(server.url, protocol=2)) as client:
        yield client


def ask(
    redis: Redis, host: str, messages: list[tuple[str, Message]], memory: bytes = b"memory", settling_ms: int = 0
) -> Reply:
    keys = [MEMORY, HOSTS, *(COUNTER + key for key, _ in messages)]
    packed = msgspec.msgpack.encode([message for _, message in messages])
    answer = redis.eval(
        GRANT,
        len(keys),
        *keys,
        host,
        memory,
        settling_ms,
        SEEN_EVERY_MS,
        HOST_MS,
        packed,
    )
    return msgspec.msgpack.decode(answer, type=Reply, strict=False)


def remembering(redis: Redis) -> ScriptedGrants:
    redis.flushall()
    redis.set(MEMORY, b"memory")
    return ScriptedGrants(b"memory", settling_for_ms=0)


def units(asked: int, need: int, *told: int, want: int = 0, limit: int = 10, bucket: int = 0) -> Message:
    return Message(HOUR_MS, 112_500, 34, limit, asked, bucket, need, max(want, need), list(told))


@dataclass(frozen=True)
class Drawn:
    """A message that is yet to be dated."""

    host: str
    key: str
    is_slots: bool
    width_ms: int
    limit: int
    asked: int
    back: int
    need: int
    more: int
    told: list[tuple[int, int]]

    def message(self, now_ms: int) -> tuple[str, Message]:
        if self.is_slots:
            held = [0, self.told[0][1]] if self.told else []
            return f"{self.key}s", Message(0, 0, 0, self.limit, self.asked, 0, self.need, self.need + self.more, held)
        bucket = now_ms // self.width_ms
        told = [value for at, amount in self.told for value in (bucket + at, amount)]
        rest = (self.limit, self.asked, bucket - self.back, self.need, self.need + self.more, told)
        return f"{self.key}{self.width_ms}", Message(self.width_ms * 32, self.width_ms, 34, *rest)


amounts = some.integers(0, 30)
drawn = some.builds(
    Drawn,
    host=some.sampled_from("abc"),
    key=some.sampled_from("xy"),
    is_slots=some.booleans(),
    width_ms=some.sampled_from([3, 20, 60_000]),
    limit=some.sampled_from([0, 1, 12, 100]),
    asked=some.integers(1, 40),
    back=some.integers(0, 3),
    need=amounts,
    more=amounts,
    told=some.lists(some.tuples(some.integers(-40, 1), amounts), max_size=5, unique_by=lambda pair: pair[0]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.lists(drawn, max_size=20))
def test_the_script_answers_as_its_plain_twin(redis: Redis, messages: list[Drawn]) -> None:
    twin = remembering(redis)
    for each in messages:
        asked = [each.message(time.time_ns() // 1_000_000)]
        reply = ask(redis, each.host, asked)
        assert twin.answer(reply.redis_ms, each.host, b"memory", asked) == reply


def test_another_memory_is_told_and_nothing_is_counted(redis: Redis) -> None:
    remembering(redis)
    assert ask(redis, "a", [("k", units(1, 5))], memory=b"older") == Reply("memory")
    redis.delete(MEMORY)
    assert ask(redis, "a", [("k", units(1, 5))]) == Reply("")
    assert redis.keys(COUNTER + "*") == []


def test_nothing_is_granted_while_hosts_tell_what_they_had_spent(redis: Redis) -> None:
    remembering(redis)
    reply = ask(redis, "a", [("k", units(1, 5))], settling_ms=60_000)
    assert (reply.settling_ms > 0, reply.granted[0].granted, reply.granted[0].met) == (True, 0, 0)


def test_a_host_gets_what_would_do_while_there_is_plenty_and_what_it_needs_when_there_is_not(redis: Redis) -> None:
    remembering(redis)
    ask(redis, "b", [])
    plenty = ask(redis, "a", [("k", units(1, 1, want=20, limit=100))])
    assert (plenty.hosts, plenty.granted[0].granted, plenty.granted[0].tight, plenty.granted[0].free) == (2, 20, 0, 80)
    scarce = ask(redis, "b", [("k", units(1, 1, want=21, limit=100))])
    assert (scarce.granted[0].granted, scarce.granted[0].tight, scarce.granted[0].free) == (1, 1, 79)


def test_an_old_question_is_not_heeded_and_a_lost_grant_comes_back(redis: Redis) -> None:
    remembering(redis)
    first = ask(redis, "a", [("k", units(1, 6))])
    bucket = first.granted[0].bucket
    second = ask(redis, "a", [("k", units(2, 10, bucket=bucket - 1))])  # the answer to the first never came
    assert (second.granted[0].granted, second.granted[0].free) == (10, 0)
    assert ask(redis, "a", [("k", units(1, 6))]).granted[0].heeded == 0
    assert ask(redis, "b", [("k", units(1, 1))]).granted[0].met == 0


def test_a_refusal_tells_when_so_much_comes_free(redis: Redis) -> None:
    remembering(redis)
    granted = ask(redis, "a", [("k", units(1, 10))]).granted[0]
    reply = ask(redis, "b", [("k", units(1, 4))])
    assert reply.granted[0].retry_ms == (granted.bucket + 35) * 112_500 - reply.redis_ms


def test_keys_of_idle_counters_and_hosts_end_by_themselves(redis: Redis) -> None:
    remembering(redis)
    ask(redis, "a", [("k", units(1, 1)), ("s", Message(0, 0, 0, 2, 1, 0, 1, 1, []))])
    left = {key.decode(): redis.pttl(key) for key in redis.keys(COUNTER + "*")}  # type: ignore[union-attr]
    assert set(left) == {HOSTS, COUNTER + "k", COUNTER + "s"}
    assert all(0 < for_ms for for_ms in left.values())
    assert left[COUNTER + "s"] <= 2 * HOST_MS
