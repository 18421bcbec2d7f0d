"""A worker's answers: kept, told to others, and forgotten for good, whatever order things arrive in."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.cached import body_of, entry, key_of
from tests.fakes.redis_server import RedisServer
from tests.fakes.telemetry import Recording

from tollway._native.questions import Question
from tollway.contract.cache import CacheSpace, Selection
from tollway.proxy.cache.answers import KnownAnswers, open_answers
from tollway.proxy.cache.entry import Entry
from tollway.storage.cache.sealing import Sealing
from tollway.storage.cache.siblings import SiblingAnswers

SPACE = CacheSpace(max_entries=1_000)
Start = Callable[[int], contextlib.AbstractAsyncContextManager[KnownAnswers]]


class Nobody:
    """Nobody to have anything in common with."""

    def __init__(self, *, holds_bodies: bool = False) -> None:
        self.holds_bodies = holds_bodies
        self.filled: list[tuple[Entry, bytes]] = []
        self.removed: list[Selection] = []
        self.gone: list[Entry] = []

    def fill(self, answer: Entry, body: bytes, begun_ns: int) -> None:
        self.filled.append((answer, body))

    async def body(self, answer: Entry) -> bytes | None:
        return b"theirs"

    def evicted(self, answers: Sequence[Entry]) -> None:
        self.gone += answers

    async def remove(self, selection: Selection, removed: Sequence[Entry]) -> bool:
        self.removed.append(selection)
        return True

    async def run(self) -> None:
        await asyncio.Event().wait()


def alone(commons: Nobody | None = None, space: CacheSpace = SPACE) -> KnownAnswers:
    return KnownAnswers(space, lambda _: commons or Nobody())


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path / "log")
    yield recording
    recording.close()


@pytest.fixture(params=["redis", "siblings"])
def start(request: pytest.FixtureRequest, tmp_path: Path, recording: Recording) -> Iterator[Start]:
    """Starts workers that have something in common: of hosts with one Redis, or of one host without."""
    with contextlib.ExitStack() as running:
        url = running.enter_context(RedisServer()).url if request.param == "redis" else None
        sealing = Sealing()
        sealing.learn(b"s" * 32)

        @contextlib.asynccontextmanager
        async def begin(index: int) -> AsyncIterator[KnownAnswers]:
            (tmp_path / "run").mkdir(exist_ok=True)
            answers = open_answers(SPACE, url, tmp_path, index, sealing, recording.log)
            task = asyncio.create_task(answers.run())
            try:
                await asyncio.sleep(0)
                await until(lambda: is_up(answers, index))
                await asyncio.sleep(0.005)  # of a call that began before it was up it tells nobody
                yield answers
                assert not task.done()
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    async with asyncio.timeout(20):
                        await task

        yield begin


def is_up(answers: KnownAnswers, others: int) -> bool:
    commons = answers._commons
    if isinstance(commons, SiblingAnswers):
        return int(commons.connected) >= others and commons._posts._opened is not None
    return bool(getattr(commons, "connected", True))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another process's
            await asyncio.sleep(0.005)


async def had(answers: KnownAnswers, key: bytes) -> bytes | None:
    """What would be served; a body that does not come in time on a busy machine is asked for again."""
    for _ in range(20):
        found = answers.find(key)
        if found is None:
            return None
        body = await answers.body(found)
        if body is not None:
            return body
    return None


async def test_what_one_keeps_the_other_has(start: Start) -> None:
    async with start(0) as a, start(1) as b:
        await until(lambda: is_up(a, 1))
        arrived: list[bytes] = []
        b.arrived = arrived.append
        a.keep(entry("a"), None, body_of("a"))
        assert await had(a, key_of("a")) == body_of("a"), "at once where it was filled"
        await until(lambda: b.find(key_of("a")))
        assert await had(b, key_of("a")) == body_of("a")
        assert arrived == [key_of("a")]


async def test_a_similar_question_is_found_by_the_other_too(start: Start) -> None:
    text = "how do I bake a cake without eggs"
    async with start(0) as a, start(1) as b:
        await until(lambda: is_up(a, 1))
        a.keep(entry("a", namespace=b"n" * 32, question=text), Question(text), body_of("a"))
        await until(lambda: b.find(key_of("a")))
        (near,) = b.near(b"n" * 32, Question(text))
        assert near.entry.key == key_of("a")
        assert await b.body(near.entry) == body_of("a")
        assert not b.near(b"m" * 32, Question(text))


async def test_a_worker_that_starts_has_what_was_there_before(start: Start) -> None:
    async with start(0) as a:
        for index in range(300):
            a.keep(entry(str(index)), None, body_of(str(index)))
        async with start(1) as b:
            await until(lambda: b.stats().entries == 300)
            assert await had(b, key_of("7")) == body_of("7")


async def test_what_was_removed_anywhere_is_served_nowhere(start: Start) -> None:
    async with start(0) as a, start(1) as b:
        await until(lambda: is_up(a, 1))
        for round_ in range(5):
            a.keep(entry("a"), None, body_of("a"))
            a.keep(entry("b", tenant_id="globex"), None, body_of("b"))
            await until(lambda: b.find(key_of("a")) and b.find(key_of("b", "globex")))
            late = entry("late")
            await asyncio.sleep(0.003)
            assert await b.remove(Selection(tenant_id="acme")), round_
            assert await had(a, key_of("a")) is None
            assert await had(b, key_of("a")) is None
            b.keep(late, None, body_of("late"))
            assert b.find(late.key) is None, "its call began before"
            assert await had(a, key_of("b", "globex")) == body_of("b")
            await asyncio.sleep(0.003)


async def test_an_older_fill_does_not_take_the_place_of_a_newer_one() -> None:
    answers = alone()
    newer = entry("a", cost_picousd=2)
    answers.keep(newer, None, body_of("a"))
    answers.filled(entry("a", filled_at_ms=newer.filled_at_ms - 1), b"older")
    assert answers.find(key_of("a")) is newer


async def test_a_fill_is_told_with_what_had_to_go_for_it() -> None:
    commons = Nobody()
    answers = alone(commons, CacheSpace(max_entries=1))
    answers.keep(entry("a"), None, body_of("a"))
    answers.keep(entry("b"), None, body_of("b"))
    assert [answer.key for answer, _ in commons.filled] == [key_of("a"), key_of("b")]
    assert [answer.key for answer in commons.gone] == [key_of("a")]


async def test_what_is_not_kept_here_is_told_to_nobody() -> None:
    commons = Nobody()
    alone(commons, CacheSpace(max_bytes=1)).keep(entry("a"), None, body_of("a"))
    assert commons.filled == []


async def test_a_body_that_is_gone_takes_its_entry_along_and_no_newer_one() -> None:
    answers = alone()
    answers.keep(entry("a"), None, body_of("a"))
    answers.gone(entry("a", filled_at_ms=5))
    assert answers.find(key_of("a")) is not None
    known = answers.find(key_of("a"))
    assert known is not None
    answers.gone(known)
    assert answers.find(key_of("a")) is None


async def test_a_question_that_makes_no_sense_here_is_found_by_its_key() -> None:
    answers = alone()
    answers.filled(entry("a", namespace=b"n" * 32, question="x" * 1_000_000), body_of("a"))
    assert answers.find(key_of("a")) is not None
    assert answers.stats().questions == 0


async def test_what_was_kept_on_a_disk_obeys_removals_since() -> None:
    answers = alone()
    filled_at_ms = time.time_ns() // 1_000_000 - 60_000
    answers.forget(Selection(tenant_id="acme"), filled_at_ms + 1_000, 59_000)
    answers.restore(entry("a", filled_at_ms=filled_at_ms), body_of("a"))
    answers.restore(entry("b", filled_at_ms=filled_at_ms + 10_000), body_of("b"))
    answers.restore(entry("c", tenant_id="globex", filled_at_ms=filled_at_ms), body_of("c"))
    assert answers.find(key_of("a")) is None
    assert answers.find(key_of("b")) is not None
    assert answers.find(key_of("c", "globex")) is not None


async def test_a_removal_that_is_heard_again_by_another_way_spares_what_was_filled_since() -> None:
    answers = alone()
    said_ms, said_ns = time.time_ns() // 1_000_000, time.monotonic_ns()
    await asyncio.sleep(0.003)
    await answers.remove(Selection(tenant_id="acme"))
    await asyncio.sleep(0.003)
    answers.keep(entry("a"), None, body_of("a"))
    answers.forget(Selection(tenant_id="acme"), said_ms, (time.monotonic_ns() - said_ns) // 1_000_000)
    assert answers.find(key_of("a")) is not None
    answers.forget(Selection(tenant_id="acme"), time.time_ns() // 1_000_000, 0)
    assert answers.find(key_of("a")) is None


async def test_a_clock_that_was_set_back_lets_nothing_by() -> None:
    answers = alone()
    await answers.remove(Selection(model="m"))
    answers.keep(entry("a", filled_at_ms=1 << 45, expires_at_ms=1 << 46), None, body_of("a"))
    assert answers.find(key_of("a")) is None


async def test_bodies_that_lie_with_everybody_are_not_held_here() -> None:
    answers = alone(Nobody(holds_bodies=True))
    answers.keep(entry("a"), None, body_of("a"))
    assert await answers.body(entry("a")) == b"theirs"
    assert [each async for each in answers.all()] == []


async def test_a_worker_that_was_restarted_without_others_has_its_answers_again(
    tmp_path: Path, recording: Recording
) -> None:
    (tmp_path / "run").mkdir()
    sealing = Sealing()
    sealing.learn(b"s" * 32)

    @contextlib.asynccontextmanager
    async def running() -> AsyncIterator[KnownAnswers]:
        answers = open_answers(SPACE, None, tmp_path, 0, sealing, recording.log)
        task = asyncio.create_task(answers.run())
        yield answers
        task.cancel()
        await asyncio.wait({task})
        await answers.close()

    async with running() as answers:
        await until(lambda: answers._snapshots is not None and answers._snapshots._has_read)
        answers.keep(entry("a"), None, body_of("a"))
        answers.keep(entry("b", tenant_id="globex"), None, body_of("b"))
    async with running() as answers:
        await until(lambda: answers.stats().entries == 2)
        assert await had(answers, key_of("a")) == body_of("a")
        await answers.remove(Selection(tenant_id="acme"))
    async with running() as answers:
        await until(lambda: answers.find(key_of("b", "globex")))
        assert answers.find(key_of("a")) is None


def test_an_address_that_is_no_redis_is_refused_without_showing_it(tmp_path: Path, recording: Recording) -> None:
    with pytest.raises(ValueError, match="begins with") as refused:
        open_answers(SPACE, "http://canary@x", tmp_path, 0, Sealing(), recording.log)
    assert "canary" not in str(refused.value)


# What workers of one host tell each other, lost, late, repeated and in any order.


@dataclass
class World:
    """Workers whose messages are held until somebody lets them through."""

    workers: list[KnownAnswers] = field(default_factory=list)
    parts: list[SiblingAnswers[Entry]] = field(default_factory=list)
    posts: list[tuple[int, bytes]] = field(default_factory=list)
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    under_way: list[tuple[int, Entry]] = field(default_factory=list)
    removals: list[tuple[Selection, int]] = field(default_factory=list)
    made: int = 0

    def add(self, directory: Path, recording: Recording) -> None:
        decode, index = msgspec.msgpack.Decoder(Entry).decode, len(self.workers)

        def opened(answers: KnownAnswers) -> SiblingAnswers[Entry]:
            part: SiblingAnswers[Entry] = SiblingAnswers(
                directory, index, SPACE, answers.forgotten, decode, answers.filled, answers.removed, answers.all,
                recording.log,
            )  # fmt: skip
            part._posts.post = lambda payload: self.post(index, payload)  # type: ignore[method-assign]
            self.parts.append(part)
            return part

        self.workers.append(KnownAnswers(SPACE, opened))

    async def begin(self, one: int, two: int) -> None:
        """A call of a worker's. An entry's cost is its number."""
        self.made += 1
        tenant_id = "acme" if two < 3 else "globex"
        self.under_way.append((one, entry(str(two), tenant_id=tenant_id, cost_picousd=self.made)))

    async def end(self, one: int, _two: int) -> None:
        """A call has its answer."""
        if self.under_way:
            index, begun = self.under_way.pop(one % len(self.under_way))
            self.workers[index].keep(begun, None, body_of(str(begun.cost_picousd)))

    async def deliver(self, one: int, two: int) -> None:
        """A post arrives; perhaps once more later."""
        if self.posts:
            at = one % len(self.posts)
            index, payload = self.posts[at] if two else self.posts.pop(at)
            self.parts[index]._hear_fill(payload)

    async def lose(self, one: int, _two: int) -> None:
        """A post does not arrive."""
        if self.posts:
            self.posts.pop(one % len(self.posts))

    async def gift(self, one: int, two: int) -> None:
        """All that a worker has is on its way to another, and arrives after what happens next."""
        if one != two:
            self.sent += [(two, payload) async for payload in self.parts[one]._give()]

    async def remove(self, one: int, two: int) -> None:
        """A removal that all have taken when it is over."""
        selection = SELECTIONS[two]
        self.workers[one]._shelf.remove(selection)
        self.workers[one].forgotten.note(selection, at_ms=time.time_ns() // 1_000_000)
        for part in (self.parts[index] for index in range(3) if index != one):
            part._hear_removal(msgspec.msgpack.encode(selection))
        self.removals.append((selection, self.made))

    def holds(self) -> None:
        """Nobody finds what had begun before a removal that means it."""
        for known in (known for worker in self.workers for known in worker.entries(Selection(), 1_000)):
            for selection, made in self.removals:
                is_meant = selection.tenant_id in (None, known.tenant_id) and selection.key in (None, known.key)
                assert not (is_meant and (known.cost_picousd or 0) <= made)

    def post(self, index: int, payload: bytes) -> None:
        self.posts += [(other, payload) for other in range(len(self.parts)) if other != index]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("end"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("deliver"), st.integers(0, 30), st.booleans()),
        st.tuples(st.just("lose"), st.integers(0, 30), st.just(0)),
        st.tuples(st.just("gift"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("remove"), st.integers(0, 2), st.integers(0, 2)),
    ),
    min_size=4,
    max_size=40,
)
SELECTIONS = (Selection(), Selection(tenant_id="acme"), Selection(key=key_of("1")))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_nothing_that_was_removed_is_found_by_anybody_whatever_order_things_arrive_in(
    plan: list[tuple[str, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        recording = Recording(Path(directory) / "log")
        try:
            asyncio.run(play(plan, Path(directory), recording))
        finally:
            recording.close()


async def play(plan: list[tuple[str, int, int]], directory: Path, recording: Recording) -> None:
    world = World()
    for _ in range(3):
        world.add(directory, recording)
    for what, one, two in plan:
        await asyncio.sleep(0.0021)  # each in a millisecond of its own
        await getattr(world, what)(one, two)
        if what != "gift":
            for index, payload in world.sent:
                world.parts[index]._hear_gift(payload)
            world.sent.clear()
        world.holds()
