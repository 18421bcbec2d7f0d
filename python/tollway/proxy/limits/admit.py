"""Station 2, admit: requests, tokens and a concurrency slot are reserved, all or nothing, or the call is refused.

In: a request of a known caller. Out: the same with its reservation, in the ledger that all workers of this host
share. A refused call consumes nothing. It never talks to a database, and waits for a Redis only where this host has
used up its slice of a limit that hosts share (``sharing.py``).
"""

import asyncio
import time

from tollway._native import tokens
from tollway._native.limits import Admission, Ledger, LedgerError, LimitSet, Refusal, Short
from tollway.errors import DependencyUnavailable, RateLimited
from tollway.proxy.exchange import Admitted, Received
from tollway.proxy.limits.book import Held, LimitBook
from tollway.proxy.limits.expected import Expectations, Expected
from tollway.proxy.limits.growth import Growth
from tollway.proxy.limits.queue import Queue
from tollway.proxy.limits.sharing import Lessee, Sole
from tollway.proxy.limits.standing import refused, tightest, told
from tollway.proxy.vocabularies import Vocabularies
from tollway.telemetry.metrics import Metrics

INLINE_COUNT_BYTES = 16 * 1024
"""An exact count of more text than this (about 80 µs per KB) is made off the event loop."""

_INPUT_KINDS = ("tokens", "input_tokens")
"""What a prompt is held by."""

_OUTPUT_KINDS = ("tokens", "output_tokens")
"""What an answer is held by."""


class Admitter:
    """Reserves in one host's ledger."""

    def __init__(
        self,
        ledger: Ledger,
        book: LimitBook,
        expectations: Expectations,
        vocabularies: Vocabularies,
        metrics: Metrics,
        queue: Queue | None = None,
        lessee: Lessee | None = None,
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._expectations = expectations
        self._vocabularies = vocabularies
        self._metrics = metrics
        self._queue = queue
        self._lessee = lessee or Sole()

    async def admit(self, received: Received) -> Admitted:
        """Lets the call pass, or not.

        The prompt is reserved by a cheap bound from above; only where that bound alone would refuse are its tokens
        counted. The answer is reserved as the request bounds it, else by a guess; it grows while it flows, and is made
        true when it ends.

        Raises:
            RateLimited: a limit is used up; ``retry_after_s`` says until when.
            RequestTooLargeForLimit: the request alone is larger than its limit.
            DependencyUnavailable: the ledger has no room for another scope.
        """
        arrival, request = received.arrival, received.request
        held, expected = self._book.held(received), self._expectations.expect(request)
        limits, growth = held.limits, None
        reservation: Admission | None = None
        if limits is not None:
            asking = _Asking(self, received, limits, expected)
            outcome = await self._outcome(received, held, asking)
            headers = arrival.connection.answer_headers
            if isinstance(outcome, Refusal):
                self._metrics.limited(outcome.kind)
                headers.extend(told(tightest(self._ledger.status(limits, _now_ms()))))
                raise refused(outcome)
            reservation = outcome
            headers.extend(told(outcome.levels()))
            if request.stream:  # else nobody could stop it
                growth = Growth(self._ledger, held, outcome, asking.input_tokens, asking.output_tokens)
        arrival.timing.mark("admit")
        return Admitted(arrival, received.principal, request, reservation, growth, expected.tokens)

    async def _outcome(self, received: Received, held: Held, asking: "_Asking") -> Admission | Refusal:
        """What the limits say; where there is a queue, after the call has waited in it if that helps."""
        queue, refusal = self._queue, None
        if queue is None or queue.is_empty:
            outcome = await asking.once()
            if queue is None or not isinstance(outcome, Refusal) or not queue.may_help(outcome):
                return outcome
            refusal = outcome
        connection = received.arrival.connection
        if connection.upload is None:
            connection.watch()  # who hangs up leaves the queue
        tokens = asking.input_tokens + asking.output_tokens
        return await queue.wait(received.principal.record, tokens, held.shared, asking.once, refusal)

    async def ask(self, limits: LimitSet, input_tokens: int, output_tokens: int) -> Admission | Refusal:
        """Asks the ledger; where it lacks units that hosts share, it waits for some.

        Raises:
            RateLimited: whether there are units can't be told now.
            DependencyUnavailable: the ledger has no room for another scope, or can't be used.
        """
        outcome = self._try(limits, input_tokens, output_tokens)
        if isinstance(outcome, Short):
            outcome = await self._lessee.decide(outcome, lambda: self._try(limits, input_tokens, output_tokens))
        if isinstance(outcome, Short):
            message = "Rate limit: whether this call is within it can't be told now. Try again in 1.0 s."
            raise RateLimited(message, retry_after_s=1.0)
        return outcome

    def _try(self, limits: LimitSet, input_tokens: int, output_tokens: int) -> Admission | Refusal | Short:
        try:
            return self._ledger.admit(limits, input_tokens, output_tokens, _now_ms())
        except LedgerError as error:
            message = "This gateway can't keep count of another caller now. Try again shortly."
            raise DependencyUnavailable(message, inside=str(error), retry_after_s=1.0) from error

    async def count(self, received: Received) -> int:
        """The prompt's tokens."""
        request = received.request
        encoding = tokens.encoding_of(request.model)
        if not self._vocabularies.has(encoding):
            await asyncio.to_thread(self._vocabularies.load, encoding)
        if request.text_bytes <= INLINE_COUNT_BYTES:
            return request.count_prompt(encoding)
        return await asyncio.to_thread(request.count_prompt, encoding)


class _Asking:
    """What one call asks of its limits. It may be asked again."""

    __slots__ = ("_admitter", "_is_counted", "_is_guess", "_limits", "_received", "input_tokens", "output_tokens")

    def __init__(self, admitter: Admitter, received: Received, limits: LimitSet, expected: Expected) -> None:
        self._admitter = admitter
        self._received = received
        self._limits = limits
        self._is_counted = False
        self._is_guess = expected.is_guess
        self.input_tokens = received.request.prompt_upper_bound()
        self.output_tokens = expected.tokens

    async def once(self) -> Admission | Refusal:
        """Asks for what is bounded, and where that is refused for what is known.

        Raises:
            DependencyUnavailable: the ledger has no room for another scope, or can't be used.
        """
        while True:
            outcome = await self._admitter.ask(self._limits, self.input_tokens, self.output_tokens)
            if not isinstance(outcome, Refusal):
                return outcome
            if outcome.kind in _INPUT_KINDS and not self._is_counted:
                self.input_tokens, self._is_counted = await self._admitter.count(self._received), True
            elif outcome.too_large and outcome.kind in _OUTPUT_KINDS and self._is_guess and self.output_tokens:
                self.output_tokens = 0  # a guess that no limit could hold is no reason to refuse
            else:
                return outcome


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
