"""Identical calls at the same time: the first asks the provider, the others hear its answer.

In: a request's cache key. Out: who asks (:class:`Leading`), an answer that is heard as it comes (:class:`Following`),
the word that the answer is kept by now (:class:`Landed`), or ``None``: ask yourself. Within a worker the others hear
the first one; between the workers of a host a claim says that somebody asks, and the kept answer tells the rest; each
host asks for itself. It never keeps an answer, never looks into one, and never lets anybody wait for longer than it
was told: at worst a call is made that a cache would have spared.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from tollway._native.limits import LedgerError
from tollway.proxy.cache.tape import Following, Room, Source, Tape

MOST_FOLLOWERS = 1_000
"""Who would be one more asks for itself."""

HELD_BYTES = 64 * 2**20
"""Of all answers on their way at a worker, so much is held for calls that may still come."""

LOOK_S = 0.05
"""The pause between two looks at another worker's claim."""

FILL_S = 5.0
"""How long after the end of an answer its followers wait for the word that it is kept, or is not."""

NEWS_MS = 1_500
"""How long a claim goes on when its answer is kept: until then other workers have heard of it."""


class Claiming(Protocol):
    """Who of a host asks: :class:`tollway._native.claims.Claims`."""

    def take(self, key: bytes, now_ms: int, for_ms: int) -> bool:
        """Whether it is this worker's to ask."""
        ...

    def drop(self, key: bytes) -> None:
        """It has asked."""
        ...


class Outliving(Protocol):
    """A client's connection, as far as a call is to outlive it: :class:`tollway.proxy.connection.Connection`."""

    def outlive(self, needed: Callable[[], bool]) -> None:
        """A hang-up no longer ends the call while it is ``needed``."""
        ...

    def forsake(self) -> None:
        """Nobody needs the call any more: it ends, if its client has hung up."""
        ...


class Landed(Enum):
    """The answer has been kept meanwhile: look it up. If it can't be had, ask yourself."""

    LANDED = "landed"


class Leading:
    """The one call that asks. Either :meth:`land` or :meth:`fail` comes last. A context that ends before anything was
    finished or landed has failed.

    ``has_waited``: it followed before, so that the answer may be there by now.
    """

    def __init__(self, flight: "_Flight", tape: Tape, *, has_waited: bool) -> None:
        self._flight = flight
        self.tape = tape
        self.has_waited = has_waited
        self._connection: Outliving | None = None
        self._is_open = True
        self._filling: asyncio.TimerHandle | None = None

    @property
    def has_followers(self) -> bool:
        """Whether anybody waits for this answer or hears it, on this worker."""
        return self._is_open and self._flight.follower_count > 0

    @property
    def follower_count(self) -> int:
        """How many."""
        return self._flight.follower_count if self._is_open else 0

    def carry(self, connection: Outliving) -> None:
        """Its client may hang up: the call goes on while it has followers, and ends when the last one leaves."""
        self._connection = connection
        connection.outlive(lambda: self.has_followers)

    def tell(self, source: Source) -> None:
        """Whose answer it is: before anything is said."""
        self.tape.source = source

    def say(self, piece: bytes) -> None:
        """What its client is sent, in the form that it asked for: an answer's own bytes, never an error."""
        if self._is_open and not self.tape.is_over:
            self._flight.say(piece)

    def finish(self, cost_picousd: int | None = None) -> None:
        """The answer is complete, and what it cost is known. Whether it is kept, :meth:`land` will tell, within
        ``FILL_S``."""
        if self._is_open and not self.tape.is_over:
            self.tape.cost_picousd = cost_picousd
            self.tape.finish(is_broken=False)
            self._connection = None
            self._filling = asyncio.get_running_loop().call_later(FILL_S, self.land)

    def land(self, *, is_kept: bool = False) -> None:
        """It is over. Who still waits asks for itself; where the answer ``is_kept``, it looks it up."""
        if self._end():
            self.tape.finish(is_broken=False)
            self.tape.close()
            self._flight.landed(is_kept=is_kept)

    def fail(self) -> None:
        """There is no answer, or not all of it: one of those who wait asks next."""
        if self._end():
            self.tape.finish(is_broken=True)
            self.tape.close()
            self._flight.failed()

    close = fail

    def _end(self) -> bool:
        was_open, self._is_open = self._is_open, False
        self._connection = None
        if self._filling is not None:
            self._filling.cancel()
        return was_open

    def alone(self) -> None:
        """The last follower has left."""
        if self._connection is not None:
            self._connection.forsake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.tape.is_over:
            self.fail()


Boarded: TypeAlias = Leading | Following | Landed | None


class _Waiter:
    """One call that waits."""

    def __init__(self, form: bytes | None, answer: "asyncio.Future[Boarded]") -> None:
        self.form = form
        self.answer = answer

    def tell(self, boarded: Boarded) -> None:
        """The first word counts."""
        if not self.answer.done():
            self.answer.set_result(boarded)


class _Flight:
    """All calls of one key on one worker. Without ``leading``, another worker asks."""

    def __init__(self, flights: "Flights", key: bytes) -> None:
        self._flights = flights
        self.key = key
        self.leading: Leading | None = None
        self.begun_ns = time.monotonic_ns()
        self._waiting: dict[_Waiter, None] = {}

    @property
    def follower_count(self) -> int:
        """Who waits, and who hears."""
        return len(self._waiting) + (0 if self.leading is None else len(self.leading.tape.readers))

    @property
    def is_forsaken(self) -> bool:
        """Whether nobody asks here and nobody waits."""
        return self.leading is None and not self._waiting

    def lead(self, form: bytes | None, *, has_waited: bool) -> Leading:
        """Somebody here asks from now on."""
        self.begun_ns = time.monotonic_ns()
        self.leading = Leading(self, Tape(form, self._flights.room), has_waited=has_waited)
        return self.leading

    def follow(self, form: bytes | None) -> Following | None:
        """Listens to what is said, if something is, in that form, and from its first word on."""
        tape = None if self.leading is None else self.leading.tape
        if tape is None or form is None or tape.form != form or not (tape.has_begun and tape.has_room):
            return None
        return Following(tape, self.left)

    @contextmanager
    def waiter(self, form: bytes | None) -> Iterator[_Waiter]:
        """One that waits meanwhile."""
        waiter = _Waiter(form, asyncio.get_running_loop().create_future())
        self._waiting[waiter] = None
        try:
            yield waiter
        finally:
            if self._waiting.pop(waiter, waiter) is None:
                self.left()

    def say(self, piece: bytes) -> None:
        """The leader's; who waits for its form hears it from here on."""
        leading = self.leading
        if leading is None:
            return
        is_first = not leading.tape.has_begun
        leading.tape.say(piece)
        if is_first:
            for waiter in [waiter for waiter in self._waiting if waiter.form is not None]:
                if not waiter.answer.done() and (following := self.follow(waiter.form)) is not None:
                    del self._waiting[waiter]
                    waiter.tell(following)

    def left(self) -> None:
        """A follower has left."""
        if self.leading is not None and self.follower_count == 0:
            self.leading.alone()

    def arrived(self) -> None:
        """The answer is kept."""
        self._tell_all(Landed.LANDED)

    def landed(self, *, is_kept: bool) -> None:
        """The leader is done."""
        self.leading = None
        self._flights.forget(self, is_kept=is_kept)
        self._tell_all(Landed.LANDED if is_kept else None)

    def failed(self) -> None:
        """The leader has failed: the next one is who has waited longest."""
        self.leading = None
        if not self.promote():
            self._flights.forget(self, is_kept=False)

    def promote(self) -> bool:
        """Whether one of those who wait asks now."""
        for waiter in list(self._waiting):
            if not waiter.answer.done():
                del self._waiting[waiter]
                waiter.tell(self.lead(waiter.form, has_waited=True))
                return True
        return False

    def _tell_all(self, boarded: Boarded) -> None:
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            waiter.tell(boarded)
        if waiting:
            self.left()


def _never(_begun_ns: int) -> bool:
    return False


class Flights:
    """One worker's. Who waits does so for ``join_s`` seconds at most; ``now_ms`` is Unix time in milliseconds."""

    def __init__(self, claims: Claiming, join_s: float, now_ms: Callable[[], int]) -> None:
        self._claims = claims
        self._join_s = join_s
        self._now_ms = now_ms
        self._flights: dict[bytes, _Flight] = {}
        self._news: dict[bytes, int] = {}
        """Claims of this worker that only go on until others have heard of the answer, and until when."""
        self.room = Room(HELD_BYTES)

    def __len__(self) -> int:
        """Keys that are asked for now, here or by another worker that somebody here waits for."""
        return len(self._flights)

    async def board(
        self, key: bytes, form: bytes | None = None, is_outdated: Callable[[int], bool] = _never
    ) -> Boarded:
        """Who asks: this call, or another that it waits for, unless that ``is_outdated``, which is told when the other
        began, by ``time.monotonic_ns()``.

        ``form`` is what the bytes of two answers have in common beyond the key (a stream, and whether it tells usage);
        ``None``: only the kept answer will do. Who is cancelled leaves nothing behind.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(self, key)
            if self._claimed(key):
                return flight.lead(form, has_waited=False)
            self._look_soon(flight)
        if flight.follower_count >= MOST_FOLLOWERS or is_outdated(flight.begun_ns):
            return None
        return flight.follow(form) or await self._wait(flight, form)

    def arrived(self, key: bytes) -> None:
        """An entry of that key can be found here from now on, whoever has filled it."""
        flight = self._flights.get(key)
        if flight is not None:
            flight.arrived()
            if flight.is_forsaken:
                self._flights.pop(key, None)

    def forget(self, flight: _Flight, *, is_kept: bool) -> None:
        """Nobody asks here any more; of a kept answer the other workers will hear in a moment."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        if self._drop(flight.key) and is_kept:
            self._take(flight.key, NEWS_MS)
            self._spread(flight.key)

    async def _wait(self, flight: _Flight, form: bytes | None) -> Boarded:
        with flight.waiter(form) as waiter:
            patience = asyncio.get_running_loop().call_later(self._join_s, waiter.tell, None)
            try:
                return await waiter.answer
            except asyncio.CancelledError:
                if waiter.answer.done() and not waiter.answer.cancelled():
                    given = waiter.answer.result()
                    if isinstance(given, Leading | Following):
                        given.close()
                raise
            finally:
                patience.cancel()

    def _spread(self, key: bytes) -> None:
        """Remembers that a claim only stands for the news."""
        now_ms = self._now_ms()
        while self._news and (oldest := next(iter(self._news.items())))[1] <= now_ms:
            del self._news[oldest[0]]
        self._news[key] = now_ms + NEWS_MS

    def _claimed(self, key: bytes) -> bool:
        """Whether it is this worker's to ask. It need not wait for its own news: it would have found the answer."""
        if self._news.pop(key, None) is not None:
            self._drop(key)
        return self._take(key, int(self._join_s * 1_000))

    def _drop(self, key: bytes) -> bool:
        try:
            self._claims.drop(key)
        except LedgerError:
            return False  # it ends by itself
        return True

    def _take(self, key: bytes, for_ms: int) -> bool:
        try:
            return self._claims.take(key, self._now_ms(), for_ms)
        except LedgerError:
            return True  # without the ledger every worker asks for itself

    def _look_soon(self, flight: _Flight) -> None:
        asyncio.get_running_loop().call_later(LOOK_S, self._look, flight)

    def _look(self, flight: _Flight) -> None:
        """Whether another worker still asks: it may have died, or its call failed."""
        if flight.leading is not None or self._flights.get(flight.key) is not flight:
            return
        if flight.is_forsaken:
            del self._flights[flight.key]
        elif not self._take(flight.key, int(self._join_s * 1_000)):
            self._look_soon(flight)
        elif not flight.promote():
            self.forget(flight, is_kept=False)
