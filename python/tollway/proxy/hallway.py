"""The hallway: one request meets every station, in order. To know Tollway, read :func:`serve`.

::

    request ─▶ 1 authenticate   key → principal                                  auth/identify.py
               · receive        the body, bounded, read once                     ingress/receive.py
               2 admit          requests, tokens, concurrency: reserve           limits/admit.py
               3 screen input   the policies' checks: redact or refuse           guardrails/screen.py
               4 look up        an answer that was given before                  cache/look_up.py
               5 plan           alias → targets, best first                      routing/plan.py
               · reserve        the money that it can cost, of its budgets       budgets/reserve.py
               6 call           ask, retry, fail over, until one answers         routing/walk.py
               · relay          pass on what arrives, but for the end            relay/relay.py
               7 screen output  within the relay: held, rewritten, stopped       relay/screening.py
               8 settle         tokens, cost, reservation, journal, metrics      usage/settle.py
    answer ◀── 9 respond        the end of the answer, with its headers          relay/respond.py
               · keep           the answer, for others, if it may be             cache/fill.py

The numbers are the design's. What station 4 has in hand skips 5 and 6.
"""

import msgspec

from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.budgets.growing import Spending
from tollway.proxy.budgets.reserve import Reserver
from tollway.proxy.cache.look_up import LookUp
from tollway.proxy.exchange import Admitted, Arrival, Attempted, Screened
from tollway.proxy.guardrails.screen import Screener
from tollway.proxy.ingress.receive import Receiver
from tollway.proxy.limits.admit import Admitter
from tollway.proxy.relay.relay import relay
from tollway.proxy.relay.respond import decline, respond, show
from tollway.proxy.routing.explain import decision
from tollway.proxy.routing.plan import Planner
from tollway.proxy.routing.walk import Attempts
from tollway.proxy.shadowing import Shadowing
from tollway.proxy.usage.settle import Account, Bookkeeper


class Hallway:
    """The stations of one worker, and the way through them."""

    def __init__(
        self,
        authenticator: Authenticator,
        receiver: Receiver,
        admitter: Admitter,
        screener: Screener,
        look_up: LookUp,
        planner: Planner,
        reserver: Reserver,
        shadowing: Shadowing,
        attempts: Attempts,
        bookkeeper: Bookkeeper,
    ) -> None:
        self._authenticator = authenticator
        self._receiver = receiver
        self._admitter = admitter
        self._screener = screener
        self._look_up = look_up
        self._planner = planner
        self._reserver = reserver
        self._shadowing = shadowing
        self._attempts = attempts
        self._bookkeeper = bookkeeper

    async def serve(self, arrival: Arrival) -> None:
        """Answers one request.

        Raises:
            tollway.errors.GatewayError: the request is refused or failed before anything was sent.
            tollway.proxy.connection.ClientGone: the client left while its body was read.
        """
        identified = await self._authenticator.identify(arrival)
        received = await self._receiver.receive(identified)
        admitted = await self._admitter.admit(received)
        with self._bookkeeper.account(admitted) as account:  # settles on every exit path
            screened = await self._screener.screen(admitted)
            if screened.guard is not None:
                account.findings = screened.guard.found
            if screened.refusal is not None:
                return await decline(screened)
            looked_up = await self._look_up.look_up(screened, account.progress)
            with looked_up.filling as filling:
                attempted = looked_up.recalled or await self._ask(admitted, screened, account)
                if attempted is None:
                    return  # the client only wanted to know where its call would go
                account.progress = attempted.progress
                filling.hear(attempted)
                relayed = await relay(attempted)
                settled = await account.settle(relayed)
                await respond(settled)
                filling.keep(settled)

    async def _ask(self, admitted: Admitted, screened: Screened, account: Account) -> Attempted | None:
        """Stations 5 and 6: the answer of a provider. ``None``: it was a dry run, and is answered."""
        planned = self._planner.plan(screened)
        if planned.is_dry_run:
            await show(planned.arrival, msgspec.json.encode(decision(planned)))
            return None
        if purses := self._reserver.purses_of(planned):
            account.reserved = await self._reserver.reserve(planned, purses)
            account.progress.trail.growth = Spending(account.reserved, admitted.growth)
        self._shadowing.copy(screened, planned)
        return await self._attempts.run(planned, account.progress)
