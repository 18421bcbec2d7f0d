"""The shelf against a naive one: whatever is put, asked, served and removed, both say the same."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.proxy.cache.building import AtOnce, OneByOne

from tollway._native.questions import Question
from tollway.contract.cache import CacheSpace, Selection
from tollway.proxy.cache.entry import Entry
from tollway.proxy.cache.shelf import Shelf

HOUR_MS = 3_600_000
SPACE = CacheSpace(max_entries=12, max_bytes=3_000)
WORDS = "what is the price of milk bread in town today not two 2 weather why".split()


def entry(
    number: int = 0,
    *,
    tenant: str = "t1",
    key_id: str = "k1",
    model: str = "m1",
    namespace: bytes = b"",
    question: str = "",
    filled_at_ms: int = 0,
    ttl_ms: int = HOUR_MS,
    body_bytes: int = 10,
    cost: int | None = 1_000_000,
) -> Entry:
    return Entry(
        key=sha256(b"%d" % number).digest(),
        tenant_id=tenant,
        key_id=key_id,
        model=model,
        operation="chat",
        provider="p",
        provider_model="pm",
        filled_at_ms=filled_at_ms,
        expires_at_ms=filled_at_ms + ttl_ms,
        body_bytes=body_bytes,
        prompt_tokens=5,
        completion_tokens=7,
        cost_picousd=cost,
        namespace=namespace,
        question=question,
    )


def put(shelf: Shelf, one: Entry) -> list[Entry]:
    return shelf.put(one, Question(one.question) if one.question else None, b"." * one.body_bytes)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shelf(clock: Clock) -> Shelf:
    return Shelf(SPACE, holds_bodies=True, now_ms=clock)


def test_what_was_put_is_found_with_its_body_until_it_expires(shelf: Shelf, clock: Clock) -> None:
    kept = entry(1, ttl_ms=5_000)
    assert shelf.put(kept, None, b"answer") == []
    assert shelf.find(kept.key) is kept
    assert shelf.body(kept) == b"answer"
    clock.now_ms = 5_000
    assert shelf.find(kept.key) is None


def test_a_question_is_never_found_in_another_namespace(shelf: Shelf) -> None:
    for number in range(6):
        put(shelf, entry(number, namespace=b"a" * 32 if number < 3 else b"b" * 32, question="why is the sky blue"))
    asked = Question("why is the sky blue")
    assert {near.entry.namespace for near in shelf.near(b"a" * 32, asked)} == {b"a" * 32}
    assert len(shelf.near(b"b" * 32, asked)) == 3
    assert shelf.near(b"c" * 32, asked) == []
    assert shelf.near(b"", asked) == []


def test_what_is_asked_for_dear_and_small_outlives_what_is_not(shelf: Shelf) -> None:
    dear, cheap, asked = entry(1, cost=10**9), entry(2, cost=10), entry(3, cost=10)
    for one in (cheap, asked, dear):
        put(shelf, one)
    for _ in range(50):
        shelf.served(asked)
    evicted = [gone for number in range(4, 15) for gone in put(shelf, entry(number, cost=100))]
    assert evicted[0] is cheap
    assert shelf.find(dear.key) is dear
    assert shelf.find(asked.key) is asked


def test_what_nobody_asks_for_goes_in_the_end_however_dear(shelf: Shelf) -> None:
    dear = entry(0, cost=10**6)
    put(shelf, dear)
    number = 0
    while shelf.find(dear.key) is not None and number < 10_000:
        number += 1
        put(shelf, entry(number, cost=10**5))
    assert shelf.find(dear.key) is None


def test_a_tenant_that_is_removed_is_served_nothing_at_once(shelf: Shelf) -> None:
    for number in range(8):
        tenant = "t1" if number % 2 else "t2"
        put(shelf, entry(number, tenant=tenant, namespace=b"n" * 32 if number % 2 else b"m" * 32, question="why so"))
    removed = shelf.remove(Selection(tenant_id="t1"))
    assert {gone.key for gone in removed} == {entry(number).key for number in (1, 3, 5, 7)}
    assert shelf.near(b"n" * 32, Question("why so")) == []
    assert len(shelf.near(b"m" * 32, Question("why so"))) == 4
    assert len(shelf) == 4


def test_a_later_answer_replaces_an_earlier_one_whichever_comes_first(shelf: Shelf) -> None:
    earlier, later = entry(1, filled_at_ms=1), entry(1, filled_at_ms=2)
    shelf.put(later, None, b"later")
    shelf.put(earlier, None, b"earlier")
    assert shelf.find(later.key) is later
    assert shelf.body(earlier) is None


def test_it_says_how_much_it_holds(shelf: Shelf) -> None:
    put(shelf, entry(1, body_bytes=100))
    put(shelf, entry(2, body_bytes=50, namespace=b"n" * 32, question="why"))
    told = shelf.stats()
    assert (told.entries, told.bytes, told.questions, told.namespaces) == (2, 156, 1, 1)


def test_what_needs_more_room_than_can_be_made_at_once_finds_it_the_next_time(clock: Clock) -> None:
    shelf = Shelf(CacheSpace(max_entries=1_000, max_bytes=5_000), holds_bodies=True, now_ms=clock)
    for number in range(500):
        put(shelf, entry(number, body_bytes=10))
    large = entry(1_000, body_bytes=4_900)
    assert len(put(shelf, large)) == 256
    assert shelf.find(large.key) is None
    assert len(put(shelf, large)) == 500 - 256 - 10
    assert shelf.find(large.key) is large


def test_bodies_that_lie_elsewhere_count_and_are_not_held(clock: Clock) -> None:
    shelf = Shelf(CacheSpace(max_bytes=100), holds_bodies=False, now_ms=clock)
    put(shelf, entry(1, body_bytes=60))
    assert shelf.body(entry(1)) is None
    assert shelf.stats().bytes == 60
    assert [gone.key for gone in put(shelf, entry(2, body_bytes=60))] == [entry(1).key]


def test_a_smaller_space_is_held_after_a_few_sweeps(shelf: Shelf) -> None:
    for number in range(12):
        put(shelf, entry(number))
    shelf.resize(CacheSpace(max_entries=3, max_bytes=3_000))
    while shelf.sweep():
        pass
    assert len(shelf) == 3


def test_what_has_expired_is_swept_away_without_being_asked_for(shelf: Shelf, clock: Clock) -> None:
    for number in range(10):
        put(shelf, entry(number, ttl_ms=5_000 if number < 6 else HOUR_MS))
    clock.now_ms = 6_000
    for _ in range(256):
        shelf.sweep()
    assert (len(shelf), shelf.stats().expired) == (4, 6)


class Naive:
    """Lists, walked through."""

    def __init__(self) -> None:
        self.kept: list[Entry] = []

    def live(self, now_ms: int) -> list[Entry]:
        return [one for one in self.kept if one.expires_at_ms > now_ms]

    def meant(self, selection: Selection) -> list[Entry]:
        return [
            one
            for one in self.kept
            if (selection.tenant_id is None or selection.tenant_id == one.tenant_id)
            and (selection.key_id is None or selection.key_id == one.key_id)
            and (selection.model is None or selection.model == one.model)
            and (selection.key is None or selection.key == one.key)
            and (selection.before_ms is None or one.filled_at_ms < selection.before_ms)
        ]

    def forget(self, gone: Sequence[Entry]) -> None:
        self.kept = [one for one in self.kept if not any(one is other for other in gone)]


FEWER = settings(max_examples=30, stateful_step_count=30, deadline=None)
NUMBERS = st.integers(0, 20)
NAMESPACES = st.sampled_from([b"", b"a" * 32, b"b" * 32])
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)


class AgainstANaiveShelf(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.shelf = self.made()
        self.naive = Naive()

    def made(self) -> Shelf:
        return Shelf(SPACE, holds_bodies=True, now_ms=self.clock)

    @rule(
        number=NUMBERS,
        tenant=st.sampled_from(["t1", "t2", "t3"]),
        model=st.sampled_from(["m1", "m2"]),
        namespace=NAMESPACES,
        text=TEXTS,
        ttl_ms=st.integers(0, 20_000),
        body_bytes=st.integers(0, 1_500),
        age_ms=st.integers(0, 900),
    )
    def put(
        self,
        number: int,
        tenant: str,
        model: str,
        namespace: bytes,
        text: str,
        ttl_ms: int,
        body_bytes: int,
        age_ms: int,
    ) -> None:
        now_ms = self.clock.now_ms
        new = entry(
            number,
            tenant=tenant,
            key_id=f"{tenant}-{number % 2}",
            model=model,
            namespace=namespace,
            question=text if namespace else "",
            filled_at_ms=now_ms - age_ms,
            ttl_ms=ttl_ms,
            body_bytes=body_bytes,
        )
        evicted = put(self.shelf, new)
        self.naive.forget(evicted)
        known = [one for one in self.naive.kept if one.key == new.key]
        if self.shelf.find(new.key) is new:
            self.naive.forget(known)
            self.naive.kept.append(new)
        else:
            is_late = any(one.filled_at_ms > new.filled_at_ms for one in known)
            assert is_late or new.expires_at_ms <= now_ms

    @rule(number=NUMBERS)
    def served(self, number: int) -> None:
        found = self.shelf.find(entry(number).key)
        if found is not None:
            self.shelf.served(found)

    @rule(
        tenant=st.none() | st.sampled_from(["t1", "t2"]),
        key_id=st.none() | st.just("t1-1"),
        model=st.none() | st.just("m1"),
        number=st.none() | NUMBERS,
        back_ms=st.none() | st.integers(0, 5_000),
    )
    def remove(
        self, tenant: str | None, key_id: str | None, model: str | None, number: int | None, back_ms: int | None
    ) -> None:
        selection = Selection(
            tenant_id=tenant,
            key_id=key_id,
            model=model,
            key=None if number is None else entry(number).key,
            before_ms=None if back_ms is None else self.clock.now_ms - back_ms,
        )
        meant = self.naive.meant(selection)
        swept = [one for one in meant if one.expires_at_ms <= self.clock.now_ms]
        removed = self.shelf.remove(selection)
        assert {one.key for one in removed} >= {one.key for one in meant} - {one.key for one in swept}
        assert {id(one) for one in removed} <= {id(one) for one in meant}
        self.naive.forget(meant)

    @rule(ms=st.integers(1, 8_000))
    def time_passes(self, ms: int) -> None:
        self.clock.now_ms += ms

    @rule(slices=st.integers(1, 300))
    def sweep(self, slices: int) -> None:
        for _ in range(slices):
            self.shelf.sweep()

    @rule(namespace=NAMESPACES, text=TEXTS, most=st.integers(1, 10))
    def near(self, namespace: bytes, text: str, most: int) -> None:
        asked = Question(text)
        live = [one for one in self.naive.live(self.clock.now_ms) if namespace and one.namespace == namespace]
        cosines = sorted((asked.similarity(Question(one.question)) for one in live), reverse=True)[:most]
        found = self.shelf.near(namespace, asked, most)
        told = [near.similarity for near in found]
        assert told == cosines if self.is_complete() else told == sorted(told, reverse=True)
        assert len({near.entry.key for near in found}) == len(found) <= most
        assert {id(near.entry) for near in found} <= {id(one) for one in live}
        assert all(near.question.text == near.entry.question for near in found)

    def is_complete(self) -> bool:
        """Whether what is near must be found: nothing is yet to be taken in."""
        return True

    @invariant()
    def both_find_the_same(self) -> None:
        live = {one.key: one for one in self.naive.live(self.clock.now_ms)}
        for number in range(21):
            key = entry(number).key
            assert self.shelf.find(key) is live.get(key)
        for one in live.values():
            assert self.shelf.body(one) == b"." * one.body_bytes
        listed = self.shelf.entries(Selection(), 100)
        assert [one.key for one in listed] == sorted(live)
        assert [one.key for one in self.shelf.entries(Selection(), 2, listed[0].key if listed else b"")] == sorted(
            live
        )[1:3]

    @invariant()
    def the_bounds_hold(self) -> None:
        told = self.shelf.stats()
        assert told.entries == len(self.shelf) <= SPACE.max_entries
        assert told.bytes <= SPACE.max_bytes
        live = self.naive.live(self.clock.now_ms)
        assert len(live) <= told.entries
        assert sum(one.body_bytes for one in live) <= told.bytes


class WithGraphs(AgainstANaiveShelf):
    """More than two questions are searched by a graph, which is built at once."""

    def made(self) -> Shelf:
        return Shelf(SPACE, holds_bodies=True, now_ms=self.clock, building=AtOnce(), few=2)


class WithGraphsThatAreBuiltMeanwhile(AgainstANaiveShelf):
    """The thread does its pieces whenever it likes, and the loop hears of them later."""

    def made(self) -> Shelf:
        self.building = OneByOne()
        return Shelf(SPACE, holds_bodies=True, now_ms=self.clock, building=self.building, few=2)

    @rule()
    def thread_works(self) -> None:
        self.building.work()

    @rule()
    def loop_hears(self) -> None:
        self.building.hear()

    @rule()
    def all_is_built(self) -> None:
        self.building.finish()

    def is_complete(self) -> bool:
        return not self.building.is_at_work


TestAgainstANaiveShelf = AgainstANaiveShelf.TestCase
TestWithGraphs = WithGraphs.TestCase
TestWithGraphsThatAreBuiltMeanwhile = WithGraphsThatAreBuiltMeanwhile.TestCase
TestAgainstANaiveShelf.settings = FEWER
TestWithGraphs.settings = FEWER
TestWithGraphsThatAreBuiltMeanwhile.settings = FEWER
