"""An answer that outgrows what was reserved for it: more is asked of its limits while it flows.

In: how much a stream has said. Out: nothing while its limits let it, or while they let it finish all the same; else
the error that it ends with. It estimates, for speed; what is true is known at the answer's end.
"""

import time

from tollway._native.limits import Admission, Ledger, LedgerError
from tollway.errors import RateLimited
from tollway.proxy.limits.book import Held

STEP_TOKENS = 256
"""So many more are asked for at once."""

BYTES_PER_TOKEN = 4
"""Of English. Other languages have fewer, so this takes a stream to be shorter than it is, never to be longer."""

_OUTPUT_KINDS = ("tokens", "output_tokens")


class Growth:
    """One call's. Once ``next_bytes`` of text have been said, :meth:`reach` must hear of it."""

    __slots__ = ("_admission", "_held", "_input_tokens", "_ledger", "_reserved", "is_over", "next_bytes")

    def __init__(self, ledger: Ledger, held: Held, admission: Admission, input_tokens: int, output_tokens: int) -> None:
        self._ledger = ledger
        self._held = held
        self._admission = admission
        self._input_tokens = input_tokens
        self._reserved = output_tokens
        self.next_bytes = output_tokens * BYTES_PER_TOKEN
        self.is_over = False
        """Whether the answer was ended here."""

    def reach(self, said_bytes: int) -> None:
        """So many bytes of text have been said.

        Raises:
            RateLimited: a limit has nothing left, and its rule says that answers end there.
        """
        tokens = -(-said_bytes // BYTES_PER_TOKEN)
        wanted = max(tokens, self._reserved + STEP_TOKENS)
        now_ms = time.time_ns() // 1_000_000
        try:
            if self._admission.grow(wanted, now_ms):
                self._reserve(wanted)
            elif self._admission.grow(tokens, now_ms):
                self._reserve(tokens)  # near its end a limit is given out as it is used
            else:
                self._exceed(tokens, wanted, now_ms)
        except LedgerError:
            # The ledger is out of reach for a while: the answer goes on, and its settlement makes the count true.
            self.next_bytes = wanted * BYTES_PER_TOKEN

    def _exceed(self, tokens: int, wanted: int, now_ms: int) -> None:
        missing = tokens - self._reserved
        if self._held.limits is not None and self._held.cutting:
            standing = self._ledger.status(self._held.limits, now_ms)
            for at in self._held.cutting:
                kind, _, remaining, reset_ms = standing[at]
                if kind in _OUTPUT_KINDS and remaining < missing:
                    self.is_over = True
                    message = "The answer has outgrown what its rate limit has left, and ends here."
                    raise RateLimited(message, retry_after_s=reset_ms / 1000)
        # Above the limit: whoever comes next waits until it is paid off.
        self._admission.settle(self._input_tokens, wanted, now_ms)
        self._reserve(wanted)

    def _reserve(self, tokens: int) -> None:
        self._reserved = max(self._reserved, tokens)
        self.next_bytes = self._reserved * BYTES_PER_TOKEN + 1
