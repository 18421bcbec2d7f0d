"""Receive: a known caller's body comes in, bounded, and is read once, natively.

In: an identified arrival. Out: a request as bytes with the few fields that the gateway needs. It builds no
objects of the messages; what it does not know passes through untouched.
"""

import asyncio
from pathlib import Path

from tollway._native import chat
from tollway.contract.snapshot import Operation
from tollway.errors import InvalidRequest
from tollway.proxy.exchange import Identified, Received
from tollway.proxy.ingress.form import Forms
from tollway.proxy.ingress.intake import Intake
from tollway.proxy.ingress.multipart import boundary_of

INLINE_BYTES = 128 * 1024
"""Larger bodies are read off the event loop: about 1 ms a megabyte, and nothing may hold the loop for 2 ms."""


FORMS = frozenset[Operation]({"image_edits", "transcriptions", "translations"})
"""What is asked for in a form; with a body of JSON it is read as anything else."""


class Receiver:
    """Reads bodies of up to ``max_body_bytes``; forms that must wait on disk do so in ``spool_directory``."""

    def __init__(self, max_body_bytes: int, intake: Intake, spool_directory: Path | None = None) -> None:
        self._max_body_bytes = max_body_bytes
        self._intake = intake
        self._forms = Forms(max_body_bytes, spool_directory)

    async def receive(self, identified: Identified) -> Received:
        """The request behind the head.

        Raises:
            BodyTooLarge: the body is larger than the configured cap.
            RateLimited, ServerBusy: there is no room for bodies that are arriving, for this tenant or at all.
            RequestTimeout: it did not arrive in time.
            InvalidRequest: it is not a request for this operation.
            tollway.proxy.connection.ClientGone: the client left.
        """
        arrival = identified.arrival
        if arrival.operation in FORMS:
            boundary = boundary_of(arrival.headers.get(b"content-type", b""))
            if boundary is not None:
                with self._intake.room(identified.principal.record.tenant_id) as room:
                    request = await self._forms.receive(identified, boundary, room.take)
                arrival.timing.mark("receive")
                return Received(arrival, identified.principal, request)
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
