"""Station 6: targets are asked until one answers, within the request's deadline, its route's attempts and its budget.

In: a plan. Out: an answer of which nothing has left yet, be it the last refusal. Around each single call
(``providers.call``) one table decides what a failure means (:mod:`~tollway.proxy.routing.verdict`): asked again,
elsewhere, under another alias, or the client's own. It knows no provider's protocol: what calls and what reads an
answer's beginning are handed to it.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tollway.errors import GatewayError, InvalidRequest, UpstreamError, UpstreamUnavailable
from tollway.proxy.exchange import Attempted, Begun, Called, Dispatch, Planned, Progress, Tried
from tollway.proxy.routing import verdict
from tollway.proxy.routing.slots import Slot, Slots
from tollway.proxy.routing.verdict import Verdict

Call = Callable[[Dispatch, Progress], Awaitable[Called]]
Begin = Callable[[Called, Progress], Awaitable[Begun]]

TIMEOUT = b"x-tollway-timeout"
"""The client's own limit of a call, such as ``500ms`` or ``30s``; the route's total stays the upper bound."""

_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s)")


class Failure(msgspec.Struct, frozen=True):
    """A call that brought no answer: what it means, and what the client hears if nobody else can be asked."""

    verdict: Verdict
    error: GatewayError | None = None
    refusal: Attempted | None = None

    def told(self) -> Attempted:
        """The refusal, for the client.

        Raises:
            GatewayError: there is none, for this reason.
        """
        if self.refusal is not None:
            return self.refusal
        raise self.error or UpstreamUnavailable("No provider could be asked.")


class Asker:
    """Makes single calls and judges them."""

    def __init__(
        self,
        slots: Slots,
        call: Call,
        begin: Begin,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.slots = slots
        self.clock_ms = clock_ms
        self._call = call
        self._begin = begin

    async def ask(
        self,
        planned: Planned,
        index: int,
        slot: Slot,
        progress: Progress,
        task: "asyncio.Task[Any]",
        deadline: float,
        *,
        is_clients: bool,
    ) -> Attempted | Failure:
        """Makes one call, in ``task``, and notes it on the trail. Its slot is given back unless the answer is a good
        one.

        ``is_clients``: the deadline is the client's own wish, so that reaching it is nobody's failure.
        """
        route, access, timing = planned.route, slot.access, planned.arrival.timing
        target, began_ns = route.targets[index], timing.elapsed_ns()
        tried = Tried(route.alias, target.name, access.key_name, began_ns)
        progress.trail.tried.append(tried)
        dispatch = Dispatch(planned.arrival, planned.request, route, target, access, task, deadline, planned.guard)
        try:
            begun = await self._begin(await self._call(dispatch, progress), progress)
        except (UpstreamError, InvalidRequest) as error:
            tried.took_ns = timing.elapsed_ns() - began_ns
            tried.result = error.code
            return Failure(self._judged(verdict.of_error(error), dispatch, slot, None, is_clients=is_clients), error)
        except BaseException:
            tried.took_ns = timing.elapsed_ns() - began_ns
            tried.result = "abandoned"
            slot.end(None)
            raise
        tried.took_ns = timing.elapsed_ns() - began_ns
        tried.status = begun.called.answer.status
        fault = begun.fault
        if fault is None:
            tried.result = "ok"
            slot.heard(tried.took_ns // 1_000, stream=dispatch.request.stream)
            return Attempted(begun, slot, progress)
        tried.result = fault.cause.value
        found = self._judged(verdict.of_fault(fault), dispatch, slot, fault.retry_after_s, is_clients=is_clients)
        await begun.close()
        return Failure(found, refusal=Attempted(begun, slot, progress))

    def _judged(
        self, found: Verdict, dispatch: Dispatch, slot: Slot, retry_after_s: float | None, *, is_clients: bool
    ) -> Verdict:
        """Tells the board; what of the verdict holds for this very request."""
        was_hurried = is_clients and dispatch.task.get_loop().time() >= dispatch.deadline
        slot.failed(found, retry_after_s, counts=found.counts and not was_hurried)
        if was_hurried or not _may_repeat(dispatch, slot):
            return msgspec.structs.replace(found, again=False, elsewhere=False, fallback=None)
        if found.cools is not None and slot.has_other_keys:
            return msgspec.structs.replace(found, again=True)  # with another key
        return found


def limit_s(planned: Planned) -> tuple[float, bool]:
    """How long a request may take in all, in seconds, and whether that is the client's own wish.

    Raises:
        InvalidRequest: the client's header is no duration.
    """
    total_s = planned.route.timeouts.total_s
    asked = planned.arrival.headers.get(TIMEOUT)
    if asked is None:
        return total_s, False
    found = _DURATION.fullmatch(asked.decode("latin-1"))
    if found is None or float(found[1]) == 0:
        name = TIMEOUT.decode()
        raise InvalidRequest(f"The header {name} should be a duration such as 500ms or 30s.", param=name)
    wished_s = float(found[1]) / (1000 if found[2] == "ms" else 1)
    return (wished_s, True) if wished_s < total_s else (total_s, False)


def _may_repeat(dispatch: Dispatch, slot: Slot) -> bool:
    """Whether the request may be sent again: a form that has begun to leave is gone, and a response in the background
    may be running though no answer came."""
    arrival = dispatch.arrival
    is_background = arrival.operation == "responses" and b'"background"' in dispatch.request.body
    return not (slot.has_left and (arrival.connection.upload is not None or is_background))
