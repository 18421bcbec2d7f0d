"""Exact request, token and concurrency limits, in a ledger that all worker processes of one host share.

Times are Unix milliseconds, passed in: the module has no clock. Windows slide: never more than the limit is admitted
in any window, and what was admitted is forgotten at most a 32nd of the window late.
"""

import os
from collections.abc import Sequence
from typing import Literal, final

_Kind = Literal["requests", "tokens", "input_tokens", "output_tokens", "concurrency"]

__all__ = ["Admission", "Ledger", "LedgerError", "LedgerFull", "LimitSet", "Refusal", "Short"]

class LedgerError(Exception):
    """The ledger cannot be opened or used: the disk is full, the file is another's or in use with other settings,
    64 workers have joined already, the lock is held by a stopped process, or the ledger is closed.
    """

class LedgerFull(LedgerError):
    """No counter is free for one of the rules. Nothing was charged; refuse the request and raise the capacity."""

@final
class LimitSet:
    """The limits that one principal is under, ready for admission. Immutable; build it once, not for each request."""

    def __new__(cls, rules: Sequence[tuple[str, str, int, int]], /, *, shared: bool = False) -> LimitSet:
        """Each rule is ``(scope, kind, limit, window_ms)``: a scope such as ``tenant:acme``; a kind (``tokens`` are
        those of prompt and answer together); the most that is admitted; the window's length, 0 for concurrency and
        only for it.

        A counter is named by scope, kind and window: a changed limit keeps what was counted. ``shared`` rules are held
        together with other hosts, where this one has begun to (``leases.Leases.begin``); others by this host alone.

        Raises ``ValueError`` for an unknown kind, a negative number, a window that does not fit the kind, the same
        counter twice, or more than 32 rules.
        """

@final
class Admission:
    """A request that may pass, charged to every rule.

    Settle it with the tokens truly used, and release it when it ends; or cancel it, when it never reached a provider.
    Each may be called again, also after another. Dropped without a release it gives its concurrency slots back.
    """

    def levels(self) -> list[tuple[_Kind, int, int, int]]:
        """``(kind, limit, remaining, reset_ms)`` of each kind that is counted in windows, as of admission, by the rule
        of that kind with the least left; ``reset_ms`` is until all that is counted has been forgotten.
        """

    def settle(self, input_tokens: int, output_tokens: int, now_ms: int) -> None:
        """Corrects the reservation to these tokens, down or up (even above the limit), in the part of the window where
        it was made; when that has left the window, nothing changes. The last call holds.
        """

    def grow(self, output_tokens: int, now_ms: int) -> bool:
        """Raises what is reserved for the answer to this much, if every rule lets it; else changes nothing, and is
        False.

        It counts where the reservation was made: a rule whose window has left that behind holds nothing back. True,
        too, when as much is reserved already, and once the admission was released or cancelled: nothing changes then.
        """

    def release(self) -> None:
        """Gives the concurrency slots back."""

    def cancel(self, now_ms: int) -> None:
        """Takes everything back: requests, tokens and slots."""

@final
class Refusal:
    """A request that may not pass; nothing was charged. Of several rules that refuse, the one that does so longest."""

    @property
    def scope(self) -> str: ...
    @property
    def kind(self) -> _Kind: ...
    @property
    def limit(self) -> int: ...
    @property
    def window_ms(self) -> int: ...
    @property
    def remaining(self) -> int:
        """What a smaller request could still ask of that rule."""

    @property
    def retry_after_ms(self) -> int:
        """When the same request would be admitted if nobody else asks; 1000 for concurrency; 0 when ``too_large``."""

    @property
    def too_large(self) -> bool:
        """The request alone exceeds the limit: no waiting helps."""

@final
class Short:
    """A request that this host lacks leased units for; nothing was charged. Redis is to be asked, then it may be tried
    again: see ``leases.Leases.is_answered``. Only limits that are ``shared`` come short."""

@final
class Ledger:
    """One host's counters in a memory-mapped file, shared by every process that opens it. Safe for threads and fork."""

    def __new__(cls, path: str | os.PathLike[str], capacity: int = 65536) -> Ledger:
        """Opens the ledger, or makes it for ``capacity`` counters of a third of a KiB: one per scope, kind and window.

        Counters that no longer hold anything are reused. A ledger of another capacity or version, or one cut short, is
        made anew if no process has it open. Raises ``LedgerError``.
        """

    def join(self) -> int:
        """Takes a seat for this process and frees what dead workers held; the seat's number, below 64.

        The first admission does so too; joining early keeps its few milliseconds out of a request.
        Raises ``LedgerError``.
        """

    def admit(
        self, limits: LimitSet, input_tokens: int, output_tokens: int, now_ms: int, *, steady_ms: int | None = None
    ) -> Admission | Refusal | Short:
        """Charges one request, its tokens and a concurrency slot to every rule, or nothing to any.

        ``steady_ms`` is the time that leases go by, ``time.monotonic`` in milliseconds; left out it is read here.

        Raises ``LedgerFull`` or ``LedgerError``: then nothing was charged, and the request must not pass.
        """

    def status(self, limits: LimitSet, now_ms: int) -> list[tuple[_Kind, int, int, int]]:
        """``(kind, limit, remaining, reset_ms)`` of each rule, in order. Changes nothing."""

    def sweep(self) -> int:
        """Frees what dead workers held; how many had died. May take milliseconds: call it off the event loop.

        A refusal for concurrency does the urgent part by itself, at most once a second.
        """

    def in_flight(self) -> int:
        """Admissions of all live workers that were neither released nor cancelled."""

    def full_refusals(self) -> int:
        """How many admissions found no free counter since the ledger was made."""

    def close(self) -> None:
        """Leaves the ledger, freeing this process's slots; its admissions have no further effect."""
