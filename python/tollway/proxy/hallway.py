"""The hallway: one request meets every station, in order. To know Tollway, read :func:`serve`.

::

    request ─▶ 1 authenticate   key → principal                                  auth/identify.py
               · receive        the body, bounded, read once                     ingress/receive.py
               2 admit          requests, tokens, concurrency: reserve           limits/admit.py
               3 screen input   personal data: redact or refuse                  guardrails/screen.py
               5 plan           alias → target, by weight                        routing/plan.py
               6 call           send, wait within the route's timeouts           providers/call.py
               · relay          pass on what arrives, but for the end            relay/relay.py
               8 settle         tokens, cost, reservation, journal, metrics      usage/settle.py
    answer ◀── 9 respond        the end of the answer, with its headers          relay/respond.py

The numbers are the design's; stations that are not here yet (4 look up, 7 screen output) come in between.
"""

from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.exchange import Arrival
from tollway.proxy.guardrails.screen import Screener
from tollway.proxy.ingress.receive import Receiver
from tollway.proxy.limits.admit import Admitter
from tollway.proxy.providers.call import Caller
from tollway.proxy.relay.relay import relay
from tollway.proxy.relay.respond import respond
from tollway.proxy.routing.plan import plan
from tollway.proxy.usage.settle import Bookkeeper


class Hallway:
    """The stations of one worker, and the way through them."""

    def __init__(
        self,
        authenticator: Authenticator,
        receiver: Receiver,
        admitter: Admitter,
        screener: Screener,
        caller: Caller,
        bookkeeper: Bookkeeper,
    ) -> None:
        self._authenticator = authenticator
        self._receiver = receiver
        self._admitter = admitter
        self._screener = screener
        self._caller = caller
        self._bookkeeper = bookkeeper

    async def serve(self, arrival: Arrival) -> None:
        """Answers one request.

        Raises:
            tollway.errors.GatewayError: the request is refused or failed before anything was sent.
            tollway.proxy.boundary.ClientGone: the client left while its body was read.
        """
        identified = await self._authenticator.identify(arrival)
        received = await self._receiver.receive(identified)
        admitted = await self._admitter.admit(received)
        with self._bookkeeper.account(admitted) as account:  # settles on every exit path
            screened = await self._screener.screen(admitted)
            planned = plan(screened)
            called = await self._caller.call(planned, account.progress)
            relayed = await relay(called, account.progress)
            settled = await account.settle(relayed)
            await respond(settled)
