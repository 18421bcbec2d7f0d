"""Receive: a known caller's body comes in, bounded, and is read once, natively.

In: an identified arrival. Out: a request as bytes with the few fields that the gateway needs. It builds no
objects of the messages; what it does not know passes through untouched.
"""

import asyncio

from tollway._native import chat
from tollway.errors import InvalidRequest
from tollway.proxy.exchange import Identified, Received
from tollway.proxy.ingress.intake import Intake

INLINE_BYTES = 128 * 1024
"""Larger bodies are read off the event loop: about 1 ms a megabyte, and nothing may hold the loop for 2 ms."""


class Receiver:
    """Reads bodies of up to ``max_body_bytes``."""

    def __init__(self, max_body_bytes: int, intake: Intake) -> None:
        self._max_body_bytes = max_body_bytes
        self._intake = intake

    async def receive(self, identified: Identified) -> Received:
        """The request behind the head.

        Raises:
            BodyTooLarge: the body is larger than the configured cap.
            RateLimited, ServerBusy: there is no room for bodies that are arriving, for this tenant or at all.
            RequestTimeout: it did not arrive in time.
            InvalidRequest: it is not a request for this operation.
            tollway.proxy.boundary.ClientGone: the client left.
        """
        arrival = identified.arrival
        with self._intake.room(identified.principal.record.tenant_id) as room:
            body = await arrival.connection.body(self._max_body_bytes, room.take)
        try:
            if len(body) < INLINE_BYTES:
                request = chat.read_request(body, arrival.operation)
            else:
                request = await asyncio.to_thread(chat.read_request, body, arrival.operation)
        except chat.InvalidRequest as error:
            raise InvalidRequest(str(error), param=error.param) from None
        arrival.timing.mark("receive")
        return Received(arrival, identified.principal, request)
