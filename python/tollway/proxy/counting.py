"""``POST /v1/messages/count_tokens``: how many tokens a prompt has, without asking a model.

A provider that counts itself is asked; for any other the tokens are counted here, and ``x-tollway-warnings`` says so.
It is one request of the caller's limits and no tokens; it leaves no usage row, for providers bill nothing for it.
"""

import asyncio
import time

import msgspec

from tollway._native import tokens
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.exchange import Arrival, Planned, Progress, Relayed
from tollway.proxy.guardrails.screen import Screener
from tollway.proxy.ingress.receive import Receiver
from tollway.proxy.limits.admit import Admitter
from tollway.proxy.providers.call import Caller
from tollway.proxy.relay.relay import relay
from tollway.proxy.routing.plan import plan
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
        caller: Caller,
        vocabularies: Vocabularies,
    ) -> None:
        self._authenticator = authenticator
        self._receiver = receiver
        self._admitter = admitter
        self._screener = screener
        self._caller = caller
        self._vocabularies = vocabularies

    async def serve(self, arrival: Arrival) -> None:
        """Answers with the count.

        Raises:
            tollway.errors.GatewayError: the request is refused, or the provider is out of reach.
            tollway.proxy.boundary.ClientGone: the client left while its body was read.
        """
        identified = await self._authenticator.identify(arrival)
        received = await self._receiver.receive(identified)
        admitted = await self._admitter.admit(received)
        try:
            screened = await self._screener.screen(admitted)
            await self._answer(plan(screened))
        finally:
            if admitted.reservation is not None:
                admitted.reservation.release()
                admitted.reservation.settle(0, time.time_ns() // 1_000_000)

    async def _answer(self, planned: Planned) -> None:
        arrival, connection = planned.arrival, planned.arrival.connection
        if self._caller.passes(planned):
            progress = Progress()
            relayed: Relayed = await relay(await self._caller.call(planned, progress), progress)
            connection.unwatch()
            headers, status, body = relayed.headers or [], relayed.status, relayed.body
        else:
            told = await self._caller.count(planned)
            body, status = msgspec.json.encode(_Count(await self._count(planned) if told is None else told)), 200
            headers = [
                (b"content-type", b"application/json"),
                (b"x-request-id", arrival.request_id.encode("ascii")),
                (arrival.dialect.answer_id_header, arrival.request_id.encode("ascii")),
                *connection.answer_headers,
            ]
            if told is None:
                headers.append((b"x-tollway-warnings", COUNTED_HERE))
        await connection.start(status, [*headers, (b"content-length", str(len(body)).encode())])
        await connection.end(body)

    async def _count(self, planned: Planned) -> int:
        encoding = tokens.encoding_of(planned.target.model)
        if not self._vocabularies.has(encoding):
            await asyncio.to_thread(self._vocabularies.load, encoding)
        return await asyncio.to_thread(planned.request.count_prompt, encoding)
