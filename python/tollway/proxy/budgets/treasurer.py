"""The treasurer: sees to it that the host's purses are filled before calls need them.

In: which purses calls are paid from. Out: questions to the bank, one at a time on the whole host, each about many.
Leases are renewed when a third of their time is over, and more is asked for before what is there runs out; a call
waits only where that was not enough. What nobody uses is given back. It decides nothing about a call.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from tollway._native.limits import LedgerError
from tollway._native.purses import Purses
from tollway.contract.budgets import Ask, Purse
from tollway.errors import DependencyUnavailable
from tollway.proxy.budgets.port import ANSWER_S, LEASE_S, Bank
from tollway.telemetry.logs import Log

LOOK_S: Final = 0.25
"""How often it looks whether a lease is to be renewed or a purse runs low."""

MOST_KNOWN: Final = 4_096
"""So many purses are seen to; of more, those that were used last."""

MOST_ASKED: Final = 256
"""So many purses go into one question."""

_MARGIN_MS: Final = 250
_LEASE_MS: Final = int(LEASE_S * 1000) - _MARGIN_MS
_RENEWED_MS: Final = _LEASE_MS * 2 // 3
"""With less than this left of it, a lease is renewed."""

_IDLE_MS: Final = 30_000
"""A purse that nobody has used for so long is given back."""

_EXHAUSTED_MS: Final = 1_000
"""The bank is asked so much later whether there is something again."""

_TURN_MS: Final = int(ANSWER_S * 1000) + 500
_TURN_PAUSE_S: Final = 0.002
_REST_S: Final = 0.5
"""A bank that can't be reached is asked again so much later; until then nobody waits for it."""


class Standing(NamedTuple):
    """How a purse stands on this host, in pico-dollars and milliseconds since boot: see ``_native.purses``."""

    granted: int
    spent: int
    held: int
    recent: int
    short: int
    until_ms: int
    exhausted_until_ms: int
    touched_ms: int
    told: int

    @property
    def available(self) -> int:
        """What is left of what was granted."""
        return max(0, self.granted - self.spent - self.held)

    def is_due(self, now_ms: int) -> bool:
        """Whether the bank is to be asked, or told, about it now."""
        left_ms = self.until_ms - now_ms
        if now_ms - self.touched_ms > _IDLE_MS and not self.held:
            return self.spent > self.told or (self.available > 0 and left_ms > 0)
        # Should this host die, what the bank does not know to be spent goes to others.
        if self.spent - self.told >= max(1, (self.granted - self.told) // 4):
            return True
        if now_ms >= self.exhausted_until_ms and (self.short or self.available < self.recent // 2):
            return True
        return left_ms < _RENEWED_MS

    def wanted(self, now_ms: int) -> int:
        """How much to ask for: what calls have missed, and what some seconds will need."""
        if now_ms >= self.until_ms:  # what is left counts again with the lease
            return max(0, self.short + self.recent - self.available)
        return self.short + max(0, self.recent - self.available)

    def kept(self, now_ms: int) -> int:
        """How much of what is left is not to be given back."""
        if now_ms - self.touched_ms > _IDLE_MS and not self.held:
            return 0
        return self.short + 2 * self.recent


class Treasurer:
    """One worker's part of the host's treasury. ``clock_ms`` tells milliseconds since boot."""

    def __init__(self, purses: Purses, bank: Bank, log: Log, *, clock_ms: Callable[[], int] | None = None) -> None:
        self._purses = purses
        self._bank = bank
        self._host = purses.host_id
        self._log = log
        self._clock_ms = clock_ms or boot_ms
        self._known: dict[str, Purse] = {}
        self._waiting: asyncio.Future[DependencyUnavailable | None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._down: DependencyUnavailable | None = None
        self._down_until_ms = 0

    def learn(self, purses: Iterable[Purse]) -> None:
        """Sees to these purses from now on."""
        for purse in purses:
            self._known.pop(purse.name, None)
            self._known[purse.name] = purse
        while len(self._known) > MOST_KNOWN:
            self._known.pop(next(iter(self._known)))

    async def more(self) -> None:
        """Waits until the bank has answered about what is missing now.

        Raises:
            DependencyUnavailable: it can't be reached.
        """
        if self._down is not None and self._clock_ms() < self._down_until_ms:
            raise _again(self._down)
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask_for_all())
        failure = await asyncio.shield(self._waiting)
        if failure is not None:
            raise _again(failure)

    async def run(self) -> None:
        """Looks after what it knows, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._known and self._is_anything_due():
                try:
                    await self.more()
                except DependencyUnavailable:
                    await asyncio.sleep(_REST_S)  # it is told of where it has failed

    async def close(self) -> None:
        """Gives up a question under way; the turn goes back."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    @property
    def is_asking(self) -> bool:
        """Whether a question is under way."""
        return self._asking is not None

    def _is_anything_due(self) -> bool:
        try:
            now_ms = self._clock_ms()
            return any(standing.is_due(now_ms) for _, standing in self._standings(now_ms))
        except LedgerError:
            return True  # the question fails for the same reason, and says so

    def _standings(self, now_ms: int) -> list[tuple[Purse, Standing]]:
        purses = list(self._known.values())
        rows = self._purses.standings([purse.name for purse in purses], now_ms)
        return [(purse, Standing(*row)) for purse, row in zip(purses, rows, strict=True) if row is not None]

    async def _ask_for_all(self) -> None:
        """Questions, as long as somebody waits: whoever comes while one is out waits for the next."""
        waiting: asyncio.Future[DependencyUnavailable | None] | None = None
        try:
            while (waiting := self._waiting) is not None:
                self._waiting = None
                waiting.set_result(await self._outcome())
        finally:
            self._asking = None
            for left in (waiting, self._waiting):
                if left is not None and not left.done():
                    left.set_result(DependencyUnavailable(_OUT_OF_REACH, inside="the worker is closing"))
            self._waiting = None

    async def _outcome(self) -> DependencyUnavailable | None:
        try:
            async with asyncio.timeout(ANSWER_S * 2):
                await self._ask()
        except DependencyUnavailable as error:
            return self._failed(error)
        except (TimeoutError, LedgerError) as error:
            inside = str(error) or "the bank did not answer in time"
            return self._failed(DependencyUnavailable(_OUT_OF_REACH, inside=inside, retry_after_s=1.0))
        except Exception as error:  # noqa: BLE001 -- whoever waits must hear of it, whatever it is
            self._log.error("defect", error=error)
            return self._failed(DependencyUnavailable(_OUT_OF_REACH, inside="a defect", retry_after_s=1.0))
        if self._down is not None:
            self._log.info("budgets_reached_again")
        self._down = None
        return None

    def _failed(self, error: DependencyUnavailable) -> DependencyUnavailable:
        if self._down is None:
            self._log.warning("budgets_out_of_reach", cause=error.inside)
        self._down, self._down_until_ms = error, self._clock_ms() + int(_REST_S * 1000)
        return error

    async def _ask(self) -> None:
        while (turn := self._purses.turn(self._clock_ms(), _TURN_MS)) is None:  # noqa: ASYNC110 -- another process has it
            await asyncio.sleep(_TURN_PAUSE_S)
        try:
            await self._ask_in(turn)
        finally:
            self._purses.end_turn(turn)

    async def _ask_in(self, turn: int) -> None:
        """Asks about what is due, which may have been answered meanwhile to another worker."""
        now_ms = self._clock_ms()
        due = [(purse, standing) for purse, standing in self._standings(now_ms) if standing.is_due(now_ms)]
        due.sort(key=lambda each: not each[1].short)  # somebody waits for these
        trimmed = [(purse, self._trimmed(turn, purse, standing, now_ms)) for purse, standing in due[:MOST_ASKED]]
        told = [(purse, standing) for purse, standing in trimmed if standing is not None]
        if not told:
            return
        asked = [Ask(purse, now.granted, now.spent, now.wanted(now_ms), turn, now.short) for purse, now in told]
        try:
            async with asyncio.timeout(ANSWER_S):
                answers = await self._bank.renew(self._host, asked)
        except BaseException:
            for purse, now in told:  # whoever missed something is told so, and is no demand any more
                self._purses.grant(turn, purse.name, now.granted, now.until_ms, now.exhausted_until_ms)
            raise
        for answer in answers:
            exhausted_until_ms = self._clock_ms() + _EXHAUSTED_MS if answer.exhausted else 0
            self._purses.grant(turn, answer.name, answer.granted, now_ms + _LEASE_MS, exhausted_until_ms)

    def _trimmed(self, turn: int, purse: Purse, standing: Standing, now_ms: int) -> Standing | None:
        """How a purse stands once what nobody needs of it is given back; ``None``: the turn is over, and what is known
        here may be old."""
        row = self._purses.trim(turn, purse.name, standing.kept(now_ms), now_ms)
        return None if row is None else Standing(*row)


_OUT_OF_REACH: Final = "What may still be spent can't be learned now. Try again shortly."


def boot_ms() -> int:
    """Milliseconds since boot, sleep included: no clock that is set makes a lease longer, and no sleep either."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _again(error: DependencyUnavailable) -> DependencyUnavailable:
    """The same, for one more who hears of it: an exception that is raised twice grows a trace."""
    return DependencyUnavailable(error.outside, inside=error.inside, retry_after_s=error.retry_after_s or 1.0)
