"""Shadow copies: another model is asked what the caller asked, so that the operator can compare what it would cost.

In: a screened request and its plan. Out: nothing but a usage row of its own, and for the cache's sake an answer that is
compared with one from the cache. A copy never delays or fails the call
that it is of, takes nothing of the caller's limits, and goes on when the client leaves. What it costs is paid
from budgets that are the operator's own, and none of a tenant or a key.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import msgspec

from tollway._native.chat import ChatRequest
from tollway.contract.routing import Retries
from tollway.contract.snapshot import Target
from tollway.errors import GatewayError
from tollway.proxy.boundary import current_task
from tollway.proxy.connection import Unheard
from tollway.proxy.exchange import Admitted, Attempted, Planned, Progress, Relayed, Reserved, Screened, Timing
from tollway.proxy.usage.settle import Account
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

MOST = 64
"""Copies under way at one worker; more are dropped."""

MOST_BYTES = 64 * 1024 * 1024
"""Of requests that copies hold on to, in all, though the calls that they are of may be over."""

Hear = Callable[[int, bytes], Awaitable[None]]
"""Hears of a whole answer: its status and its body."""


class Shadowing:
    """One worker's copies. What they go through are the same stations, with a connection that nobody listens to.

    ``chance`` returns a number from 0 up to 1 for each call, by which its route's share is drawn. ``reserve`` holds the
    money that a copy can cost, where it is under budgets. ``plan`` is station 5, for what is asked of the call's own
    model.
    """

    def __init__(
        self,
        only: Callable[[Screened, Target], Planned],
        reserve: Callable[[Planned], Reserved | None],
        attempt: Callable[[Planned, Progress], Awaitable[Attempted]],
        relay: Callable[[Attempted], Awaitable[Relayed]],
        account: Callable[[Admitted], Account],
        new_id: Callable[[], str],
        log: Log,
        metrics: Metrics,
        *,
        plan: Callable[[Screened], Planned],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._only = only
        self._plan = plan
        self._reserve = reserve
        self._attempt = attempt
        self._relay = relay
        self._account = account
        self._new_id = new_id
        self._log = log
        self._metrics = metrics
        self._chance = chance
        self._copies: set[asyncio.Task[None]] = set()
        self._held_bytes = 0

    def copy(self, screened: Screened, planned: Planned) -> None:
        """Sends a copy on its way, if the route has a shadow and chance will have it. Forms are not copied: they are
        read once, while they are sent."""
        shadow = planned.route.shadow
        if shadow is None or screened.arrival.connection.upload is not None or self._chance() >= shadow.share:
            return
        self._send(screened, planned.route.alias, lambda copied: self._only(copied, shadow.target), None)

    def again(self, screened: Screened, request: ChatRequest, hear: Hear) -> None:
        """Asks the call's own model beside the call; its whole answer goes to ``hear``. ``request`` is what is asked:
        the call's, but never for a stream."""
        asked = Screened(screened.arrival, screened.principal, request)
        self._send(asked, request.model, self._plan, hear)

    def _send(self, screened: Screened, alias: str, plan: Callable[[Screened], Planned], hear: Hear | None) -> None:
        size_bytes = len(screened.request.body)
        if len(self._copies) >= MOST or self._held_bytes + size_bytes > MOST_BYTES:
            self._metrics.shadowed(alias, "dropped")
            return
        self._held_bytes += size_bytes
        task = asyncio.get_running_loop().create_task(self._run(screened, alias, plan, hear))
        self._copies.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, size_bytes))

    def _ended(self, task: "asyncio.Task[None]", size_bytes: int) -> None:
        self._copies.discard(task)
        self._held_bytes -= size_bytes

    async def _run(
        self, screened: Screened, alias: str, plan: Callable[[Screened], Planned], hear: Hear | None
    ) -> None:
        result = "failed"
        try:
            relayed = await self._ask(screened, plan)
            result = "answered"
            if hear is not None and relayed.outcome == "ok":
                await hear(relayed.status, relayed.body)
        except GatewayError as error:
            request_id = self._log.shown(screened.arrival.request_id)
            self._log.info("shadow_failed", code=error.code, cause=error.inside, request_id=request_id)
        except Exception as error:  # noqa: BLE001 -- a task of its own, so nobody else would tell of a defect
            self._log.error("defect", error=error, request_id=screened.arrival.request_id)
        finally:
            self._metrics.shadowed(alias, result)

    async def _ask(self, screened: Screened, plan: Callable[[Screened], Planned]) -> Relayed:
        """The way of the hallway, from where the plan is made to the row.

        Raises:
            GatewayError: there is no answer, and why.
        """
        arrival = msgspec.structs.replace(
            screened.arrival,
            id=self._new_id(),
            connection=Unheard(screened.arrival.headers, current_task()),
            timing=Timing(),
        )
        copied = Screened(arrival, screened.principal, screened.request)
        try:
            with self._account(Admitted(arrival, copied.principal, copied.request, None)) as account:
                planned = _once(plan(copied))
                account.reserved = self._reserve(planned)
                attempted = await self._attempt(planned, account.progress)
                account.progress = attempted.progress
                relayed = await self._relay(attempted)
                await account.settle(relayed)
                return relayed
        finally:
            arrival.connection.close()

    async def close(self) -> None:
        """Cuts all that is under way; rows of what had left are written by then."""
        for task in self._copies:
            task.cancel()
        await asyncio.gather(*self._copies, return_exceptions=True)


def _once(planned: Planned) -> Planned:
    """The same, asked once and of nobody else: a copy is no reason for more calls."""
    route = msgspec.structs.replace(planned.route, retries=Retries(attempts=1), fallbacks={}, hedge=None, shadow=None)
    return msgspec.structs.replace(planned, route=route)
