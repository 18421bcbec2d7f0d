"""Identical calls at the same time: one asks, the others hear it, and nobody waits for longer than it was told."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import virtual_time

from tollway._native.claims import Claims as NativeClaims
from tollway._native.limits import Ledger, LedgerError
from tollway.errors import UpstreamBroken
from tollway.proxy.cache import flights as module
from tollway.proxy.cache import tape
from tollway.proxy.cache.flights import Flights, Landed, Leading
from tollway.proxy.cache.tape import Following, Source

KEY = b"k" * 32
JOIN_S = 30.0


class Host:
    """Claims that several workers share, as the ledger has them; of workers that die."""

    def __init__(self) -> None:
        self.claims: dict[bytes, tuple[int, int]] = {}
        self.dead: set[int] = set()
        self.is_broken = False

    @staticmethod
    def now_ms() -> int:
        return int(asyncio.get_running_loop().time() * 1_000)


class Claims:
    """Those of one worker."""

    def __init__(self, host: Host, worker: int) -> None:
        self._host = host
        self._worker = worker

    def take(self, key: bytes, now_ms: int, for_ms: int) -> bool:
        if self._host.is_broken:
            raise LedgerError
        owner, until = self._host.claims.get(key, (-1, 0))
        if until > now_ms and owner not in self._host.dead:
            return False
        self._host.claims[key] = (self._worker, now_ms + for_ms)
        return True

    def drop(self, key: bytes) -> None:
        if self._host.is_broken:
            raise LedgerError
        if self._host.claims.get(key, (-1, 0))[0] == self._worker:
            del self._host.claims[key]


class Client:
    """A leader's connection."""

    def __init__(self) -> None:
        self.needed: Callable[[], bool] | None = None
        self.forsaken = 0

    def outlive(self, needed: Callable[[], bool]) -> None:
        self.needed = needed

    def forsake(self) -> None:
        self.forsaken += 1


def worker(host: Host | None = None, number: int = 0) -> Flights:
    host = host or Host()
    return Flights(Claims(host, number), JOIN_S, host.now_ms)


async def leader(flights: Flights, form: bytes | None = None) -> Leading:
    boarded = await flights.board(KEY, form)
    assert isinstance(boarded, Leading)
    return boarded


async def settle() -> None:
    """Lets everybody come to rest."""
    for _ in range(5):
        await asyncio.sleep(0)


def boarding(flights: Flights, form: bytes | None = None) -> "asyncio.Task[Any]":
    return asyncio.create_task(flights.board(KEY, form))


async def heard(following: Following) -> bytes:
    said = b""
    while (piece := await following.piece()) is not None:
        said += piece
    return said


def run(main: Coroutine[Any, Any, None]) -> None:
    """In virtual time; what a timer raises counts, too."""
    faults: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        await main

    virtual_time.run(watched())
    assert not faults


def test_of_two_hundred_identical_calls_one_asks_and_the_others_look_the_answer_up() -> None:
    async def main() -> None:
        flights = worker()
        calls = [boarding(flights) for _ in range(200)]
        await settle()
        (leading,) = [call.result() for call in calls if call.done()]
        assert leading.follower_count == 199
        flights.arrived(KEY)
        leading.land(is_kept=True)
        others = [await call for call in calls]
        assert others.count(Landed.LANDED) == 199
        assert len(flights) == 0

    run(main())


def test_of_two_hundred_identical_streams_one_asks_and_the_others_hear_it_as_it_comes() -> None:
    async def main() -> None:
        flights = worker()
        leading = await leader(flights, b"s")
        calls = [boarding(flights, b"s") for _ in range(199)]
        await settle()
        assert not any(call.done() for call in calls)
        leading.tell(Source("openai", "gpt-4o"))
        leading.say(b"one ")
        await settle()
        followings = [call.result() for call in calls]
        assert {await following.piece() for following in followings} == {b"one "}
        leading.say(b"two ")
        leading.say(b"three")
        late = await flights.board(KEY, b"s")
        leading.finish(17)
        assert isinstance(late, Following)
        assert await heard(late) == b"one two three"
        assert (late.source, late.cost_picousd) == (Source("openai", "gpt-4o"), 17)
        assert {await heard(following) for following in followings} == {b"two three"}
        assert all(following.ended for following in followings)
        leading.land(is_kept=True)
        assert len(flights) == 0

    run(main())


def test_who_asked_for_another_form_waits_for_the_kept_answer() -> None:
    async def main() -> None:
        flights = worker()
        leading = await leader(flights, b"with usage")
        others = [boarding(flights, form) for form in (None, b"without")]
        leading.say(b"piece")
        leading.finish()
        await settle()
        assert not any(other.done() for other in others)
        flights.arrived(KEY)
        assert [await other for other in others] == [Landed.LANDED] * 2

    run(main())


def test_an_answer_that_is_not_kept_sends_everybody_to_ask() -> None:
    async def main() -> None:
        flights = worker()
        leading = await leader(flights)
        others = [boarding(flights) for _ in range(3)]
        await settle()
        leading.land()
        assert [await other for other in others] == [None] * 3
        assert isinstance(await flights.board(KEY), Leading)

    run(main())


def test_nobody_waits_for_longer_than_it_was_told() -> None:
    async def main() -> None:
        flights = worker()
        leading = await leader(flights)
        began = asyncio.get_running_loop().time()
        assert await flights.board(KEY) is None
        assert asyncio.get_running_loop().time() - began == pytest.approx(JOIN_S)
        assert not leading.has_followers

    run(main())


def test_an_answer_whose_keeping_nobody_reports_holds_nobody_for_long() -> None:
    async def main() -> None:
        flights = worker()
        with await leader(flights) as leading:
            other = boarding(flights)
            await settle()
            leading.finish()
        began = asyncio.get_running_loop().time()
        assert await other is None
        assert asyncio.get_running_loop().time() - began == pytest.approx(module.FILL_S)
        assert len(flights) == 0

    run(main())


def test_when_the_leader_fails_who_has_waited_longest_asks_and_the_others_follow_it() -> None:
    async def main() -> None:
        flights = worker()
        others = []
        with await leader(flights, b"s"):
            for _ in range(3):
                others.append(boarding(flights, b"s"))
                await settle()
        heir = await others[0]
        assert isinstance(heir, Leading)
        assert heir.has_waited
        assert heir.follower_count == 2
        heir.say(b"a")
        heir.finish()
        assert [await heard(await other) for other in others[1:]] == [b"a", b"a"]

    run(main())


def test_a_stream_that_breaks_breaks_for_those_who_heard_it_and_for_nobody_else() -> None:
    async def main() -> None:
        flights = worker()
        leading = await leader(flights, b"s")
        whole = boarding(flights)
        leading.say(b"half")
        following = await flights.board(KEY, b"s")
        assert isinstance(following, Following)
        leading.fail()
        assert await following.piece() == b"half"
        assert not following.ended
        with pytest.raises(UpstreamBroken):
            await following.piece()
        assert isinstance(await whole, Leading)

    run(main())


def test_a_follower_that_leaves_leaves_nothing_behind() -> None:
    async def main() -> None:
        flights = worker()
        leading = await leader(flights, b"s")
        waiting = boarding(flights)
        leading.say(b"a")
        following = await flights.board(KEY, b"s")
        assert isinstance(following, Following)
        await settle()
        assert leading.follower_count == 2
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert leading.follower_count == 1
        following.close()
        following.close()
        assert not leading.has_followers
        leading.fail()
        assert len(flights) == 0

    run(main())


def test_an_heir_that_hangs_up_at_that_moment_passes_it_on() -> None:
    async def main() -> None:
        flights = worker()
        leading = await leader(flights)
        first, second = boarding(flights), boarding(flights)
        await settle()
        leading.fail()
        first.cancel()
        assert isinstance(await second, Leading)
        assert first.cancelled()

    run(main())


def test_a_leader_s_client_may_leave_while_others_listen_and_the_call_ends_with_the_last_of_them() -> None:
    async def main() -> None:
        flights, client = worker(), Client()
        leading = await leader(flights, b"s")
        leading.carry(client)
        assert client.needed is not None
        assert not client.needed()
        waiting = boarding(flights)
        leading.say(b"a")
        following = await flights.board(KEY, b"s")
        await settle()
        assert client.needed()
        assert isinstance(following, Following)
        following.close()
        assert client.forsaken == 0
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert client.forsaken == 1
        assert not client.needed()

    run(main())


def test_an_answer_that_is_complete_is_no_longer_cut_for_want_of_followers() -> None:
    async def main() -> None:
        flights, client = worker(), Client()
        leading = await leader(flights)
        leading.carry(client)
        other = boarding(flights)
        await settle()
        leading.finish()
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
        assert client.forsaken == 0

    run(main())


def test_a_call_that_nobody_hears_ends_when_its_answer_came_from_elsewhere() -> None:
    async def main() -> None:
        flights, client = worker(), Client()
        leading = await leader(flights)
        leading.carry(client)
        other = boarding(flights)
        await settle()
        flights.arrived(KEY)
        assert await other is Landed.LANDED
        assert client.forsaken == 1
        leading.fail()
        assert len(flights) == 0

    run(main())


def test_more_followers_than_there_is_room_for_ask_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FOLLOWERS", 2)

    async def main() -> None:
        flights = worker()
        leading = await leader(flights)
        others = [boarding(flights) for _ in range(2)]
        await settle()
        assert await flights.board(KEY) is None
        leading.land()
        assert [await other for other in others] == [None, None]

    run(main())


def test_a_long_answer_takes_nobody_in_the_middle_and_cuts_off_who_is_too_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tape, "MOST_BYTES", 8)

    async def main() -> None:
        flights = worker()
        leading = await leader(flights, b"s")
        leading.say(b"1234")
        quick, slow = [await flights.board(KEY, b"s") for _ in range(2)]
        assert isinstance(quick, Following)
        assert isinstance(slow, Following)
        assert await quick.piece() == b"1234"
        for said in (b"5678", b"9012", b"3456"):
            leading.say(said)
            assert await quick.piece() == said
        assert len(leading.tape.pieces) * 4 <= 8 + 4
        late = boarding(flights, b"s")
        await settle()
        assert not late.done()
        with pytest.raises(UpstreamBroken):
            await slow.piece()
        leading.finish()
        leading.land()
        assert await quick.piece() is None
        assert await late is None

    run(main())


def test_where_much_is_on_its_way_nothing_more_is_held_for_those_who_may_come() -> None:
    async def main() -> None:
        flights = worker()
        flights.room.most_bytes = 8
        leading = await leader(flights, b"s")
        leading.say(b"1234")
        following = await flights.board(KEY, b"s")
        assert isinstance(following, Following)
        leading.say(b"567890")
        late = boarding(flights, b"s")
        await settle()
        assert await following.piece() == b"1234567890"
        leading.say(b"more")
        assert await following.piece() == b"more"
        assert flights.room.held_bytes == 4, "what was heard last goes with the next word, or the end"
        assert not late.done()
        leading.finish()
        leading.land()
        assert await following.piece() is None
        following.close()
        assert flights.room.held_bytes == 0
        assert await late is None

    run(main())


def test_between_two_workers_one_asks_and_the_kept_answer_tells_the_other() -> None:
    async def main() -> None:
        host = Host()
        first, second = worker(host, 1), worker(host, 2)
        leading = await leader(first, b"s")
        others = [boarding(second, b"s") for _ in range(100)]
        await asyncio.sleep(1)
        leading.say(b"not for other workers")
        leading.finish()
        await asyncio.sleep(1)
        assert not any(other.done() for other in others)
        first.arrived(KEY)
        leading.land(is_kept=True)
        await asyncio.sleep(1)
        assert not any(other.done() for other in others), "the news is on its way"
        second.arrived(KEY)
        assert [await other for other in others] == [Landed.LANDED] * 100
        assert (len(first), len(second)) == (0, 0)

    run(main())


def test_a_worker_does_not_wait_for_its_own_news() -> None:
    async def main() -> None:
        host = Host()
        flights, other = worker(host, 1), worker(host, 2)
        (await leader(flights)).land(is_kept=True)
        elsewhere = boarding(other)
        await settle()
        assert not elsewhere.done()
        began = asyncio.get_running_loop().time()
        again = await leader(flights)  # the entry has been removed, say
        assert asyncio.get_running_loop().time() == began
        again.fail()
        assert isinstance(await elsewhere, Leading)

    run(main())


def test_a_call_that_is_outdated_is_not_followed_and_the_next_one_is() -> None:
    async def main() -> None:
        flights = worker()
        began = time.monotonic_ns()
        first = await leader(flights)
        removed = time.monotonic_ns()
        asked: list[int] = []

        def is_outdated(begun_ns: int) -> bool:
            asked.append(begun_ns)
            return begun_ns <= removed

        assert await flights.board(KEY, None, is_outdated) is None
        assert began <= asked[0] <= removed
        first.fail()
        second = await leader(flights)
        waiting = asyncio.create_task(flights.board(KEY, None, is_outdated))
        await settle()
        second.land(is_kept=True)
        assert await waiting is Landed.LANDED

    run(main())


def test_news_that_are_old_are_forgotten() -> None:
    async def main() -> None:
        host = Host()
        flights = worker(host, 1)
        for number in range(100):
            boarded = await flights.board(bytes([number]) * 32)
            assert isinstance(boarded, Leading)
            boarded.land(is_kept=True)
            await asyncio.sleep(0.1)
        assert len(flights._news) <= module.NEWS_MS / 100 + 1

    run(main())


@pytest.mark.parametrize("how", ["fails", "dies", "is not kept"])
def test_when_another_worker_gives_up_one_of_those_who_wait_here_asks(how: str) -> None:
    async def main() -> None:
        host = Host()
        first, second = worker(host, 1), worker(host, 2)
        leading = await leader(first)
        others = [boarding(second) for _ in range(3)]
        await asyncio.sleep(1)
        if how == "fails":
            leading.fail()
        elif how == "dies":
            host.dead.add(1)
        else:
            leading.land()
        await asyncio.sleep(module.LOOK_S * 2)
        heir = await others[0]
        assert isinstance(heir, Leading)
        assert heir.has_waited
        second.arrived(KEY)
        heir.land(is_kept=True)
        assert [await other for other in others[1:]] == [Landed.LANDED] * 2

    run(main())


def test_nobody_looks_at_a_claim_that_nobody_waits_for() -> None:
    async def main() -> None:
        host = Host()
        first, second = worker(host, 1), worker(host, 2)
        await leader(first)
        other = boarding(second)
        await settle()
        other.cancel()
        await asyncio.sleep(module.LOOK_S * 2)
        assert len(second) == 0

    run(main())


def test_without_the_ledger_every_worker_asks_for_itself() -> None:
    async def main() -> None:
        host = Host()
        host.is_broken = True
        first, second = worker(host, 1), worker(host, 2)
        leading = await leader(first)
        await leader(second)
        leading.land(is_kept=True)
        assert len(first) == 0

    run(main())


def test_workers_with_a_real_ledger_wait_for_each_other(tmp_path: Path) -> None:
    ledgers = [Ledger(tmp_path / "ledger", 16) for _ in range(2)]

    async def main() -> None:
        first, second = [Flights(NativeClaims(ledger), JOIN_S, Host.now_ms) for ledger in ledgers]
        leading = await leader(first)
        other = boarding(second)
        await asyncio.sleep(1)
        assert not other.done()
        leading.fail()
        heir = await other
        assert isinstance(heir, Leading)
        ledgers[1].close()
        heir.fail()
        assert (len(first), len(second)) == (0, 0)

    run(main())
    for ledger in ledgers:
        ledger.close()


class Crowd:
    """Calls of one question on two workers, that come, go, ask and fail in any order; and what must hold of them."""

    def __init__(self) -> None:
        self.host = Host()
        self.workers = [worker(self.host, number) for number in range(2)]
        self.calls: list[asyncio.Task[None]] = []
        self.asking = [0, 0]
        self.most_asking = [0, 0]
        self.heard: list[bytes] = []
        self.leaders: list[asyncio.Event] = []

    def come(self, number: int, form: bytes | None, fate: str) -> None:
        self.calls.append(asyncio.create_task(self._call(number, form, fate)))

    async def _call(self, number: int, form: bytes | None, fate: str) -> None:
        boarded = await self.workers[number].board(KEY, form)
        if isinstance(boarded, Following):
            try:
                said = await heard(boarded)
                assert said == b"abc"
                self.heard.append(said)
            except UpstreamBroken:
                pass
            finally:
                boarded.close()
        elif isinstance(boarded, Leading):
            self.asking[number] += 1
            self.most_asking[number] = max(self.most_asking)
            try:
                with boarded:
                    await self._ask(self.workers[number], boarded, fate)
            finally:
                self.asking[number] -= 1

    async def _ask(self, flights: Flights, leading: Leading, fate: str) -> None:
        assert sum(self.asking) == 1, "somebody else asks at the same time"
        for piece in (b"a", b"b", b"c"):
            await asyncio.sleep(0.3)
            if fate == "fails" or (fate == "breaks" and piece == b"b"):
                return
            leading.say(piece)
        leading.finish()
        if fate == "kept":
            for each in self.workers:
                each.arrived(KEY)
        leading.land(is_kept=fate == "kept")


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["come", "come", "wait", "leave"]),
        st.integers(0, 1),
        st.sampled_from([None, b"s", b"t"]),
        st.sampled_from(["kept", "fails", "breaks", "not kept"]),
        st.integers(0, 20),
    ),
    max_size=30,
)


@given(EVENTS)
def test_in_any_order_at_most_one_asks_and_everybody_comes_to_an_end(
    events: list[tuple[str, int, bytes | None, str, int]],
) -> None:
    async def main() -> None:
        crowd = Crowd()
        for event, number, form, fate, amount in events:
            if event == "come":
                crowd.come(number, form, fate)
            elif event == "leave" and crowd.calls:
                crowd.calls[amount % len(crowd.calls)].cancel()
            else:
                await asyncio.sleep(amount / 40)
        results = await asyncio.gather(*crowd.calls, return_exceptions=True)
        faults = [result for result in results if isinstance(result, Exception)]
        assert not faults
        assert crowd.asking == [0, 0]
        await asyncio.sleep(module.FILL_S + 2 * module.LOOK_S)
        assert [(len(each), each.room.held_bytes) for each in crowd.workers] == [(0, 0)] * 2

    run(main())
