"""``POST /v1/messages/count_tokens``: how many tokens a prompt has, without asking a model.

A provider that counts itself is asked; for any other the tokens are counted here, and ``x-tollway-warnings`` says so.
It is one request of the caller's limits and no tokens, and nothing of its budgets; it leaves no usage row, for
providers bill nothing for it.
"""

import asyncio
import time

import msgspec

from tollway._native import tokens
from tollway._native.chat import ChatRequest
from tollway.contract.snapshot import ProviderAccess, Target
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.exchange import ATTEMPTS, Arrival, Attempted, Dispatch, Planned, Progress
from tollway.proxy.guardrails.screen import Screener
from tollway.proxy.ingress.receive import Receiver
from tollway.proxy.limits.admit import Admitter
from tollway.proxy.providers.call import Caller
from tollway.proxy.relay.relay import relay
from tollway.proxy.routing.attempts import Asker, Failure, limit_s
from tollway.proxy.routing.plan import Planner
from tollway.proxy.vocabularies import Vocabularies

COUNTED_HERE = b"counted-here"
"""The warning of a count that is not the provider's own: its vocabulary may differ."""


class _Count(msgspec.Struct):
    input_tokens: int


class Counting:
    """The way of a request that is only to be counted."""

    def __init__(
        self,
        authenticator: Authenticator,
        receiver: Receiver,
        admitter: Admitter,
        screener: Screener,
        planner: Planner,
        asker: Asker,
        caller: Caller,
        vocabularies: Vocabularies,
    ) -> None:
        self._authenticator = authenticator
        self._receiver = receiver
        self._admitter = admitter
        self._screener = screener
        self._planner = planner
        self._asker = asker
        self._caller = caller
        self._vocabularies = vocabularies

    async def serve(self, arrival: Arrival) -> None:
        """Answers with the count.

        Raises:
            tollway.errors.GatewayError: the request is refused, or the provider is out of reach.
            tollway.proxy.connection.ClientGone: the client left while its body was read.
        """
        identified = await self._authenticator.identify(arrival)
        received = await self._receiver.receive(identified)
        admitted = await self._admitter.admit(received)
        try:
            screened = await self._screener.screen(admitted)
            await self._answer(self._planner.plan(screened))
        finally:
            if admitted.reservation is not None:
                admitted.reservation.release()
                admitted.reservation.settle(0, 0, time.time_ns() // 1_000_000)

    async def _answer(self, planned: Planned) -> None:
        progress = Progress()
        refusal: Attempted | None = None
        deadline = planned.arrival.connection.task.get_loop().time() + limit_s(planned)[0]
        for index in self._asker.slots.order(planned):
            target = planned.route.targets[index]
            if not self._caller.passes(planned.arrival, target):
                told = await self._caller.count(_dispatch(planned, target, _access(target), deadline))
                if told is not None:
                    return await _say(planned, told, attempts=len(progress.trail.tried) + 1)
                continue
            result = await self._asked(planned, index, progress, deadline)
            if isinstance(result, Attempted):
                return await _pass_on(planned, result)
            if result is not None:
                refusal = result.refusal or refusal
                if not result.verdict.elsewhere:
                    break
        if refusal is not None:
            return await _pass_on(planned, refusal)
        model = planned.route.targets[planned.ranking.order[0] if planned.ranking.order else 0].model
        count = await self._count(planned.request, model)
        await _say(planned, count, attempts=len(progress.trail.tried), warning=COUNTED_HERE)

    async def _asked(
        self, planned: Planned, index: int, progress: Progress, deadline: float
    ) -> Attempted | Failure | None:
        """Asks a provider in the client's own words; ``None`` when it may not be asked now."""
        slot = self._asker.slots.take(planned, index, progress, is_first=not progress.trail.tried)
        if slot is None:
            return None
        task, is_clients = planned.arrival.connection.task, limit_s(planned)[1]
        return await self._asker.ask(planned, index, slot, progress, task, deadline, is_clients=is_clients)

    async def _count(self, request: ChatRequest, model: str) -> int:
        encoding = tokens.encoding_of(model)
        if not self._vocabularies.has(encoding):
            await asyncio.to_thread(self._vocabularies.load, encoding)
        return await asyncio.to_thread(request.count_prompt, encoding)


def _dispatch(planned: Planned, target: Target, access: ProviderAccess, deadline: float) -> Dispatch:
    task = planned.arrival.connection.task
    return Dispatch(planned.arrival, planned.request, planned.route, target, access, task, deadline)


def _access(target: Target) -> ProviderAccess:
    return target.keys[0].access if target.keys else target.provider


async def _pass_on(planned: Planned, attempted: Attempted) -> None:
    relayed, connection = await relay(attempted), planned.arrival.connection
    connection.unwatch()
    attempts = (ATTEMPTS, str(len(attempted.progress.trail.tried)).encode())
    length = (b"content-length", str(len(relayed.body)).encode())
    await connection.start(relayed.status, [*(relayed.headers or []), attempts, length])
    await connection.end(relayed.body)


async def _say(planned: Planned, tokens: int, *, attempts: int, warning: bytes | None = None) -> None:
    arrival, connection = planned.arrival, planned.arrival.connection
    body = msgspec.json.encode(_Count(tokens))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", arrival.request_id.encode("ascii")),
        (arrival.dialect.answer_id_header, arrival.request_id.encode("ascii")),
        (ATTEMPTS, str(attempts).encode()),
        *connection.answer_headers,
    ]
    if warning is not None:
        headers.append((b"x-tollway-warnings", warning))
    connection.unwatch()
    await connection.start(200, headers)
    await connection.end(body)
