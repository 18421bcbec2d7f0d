"""What follows from a failed call: who may be asked next, and who is left alone. The one table.

A provider's refusal is judged by its cause (``proxy/causes.py``), an error of the connection by its class. The page
``docs/routing.md`` shows this table.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tollway.contract.routing import FallbackCause
from tollway.errors import GatewayError, InvalidRequest, UpstreamError, UpstreamUnavailable
from tollway.proxy.causes import Cause, Fault

Cooled = Literal["target", "key"]


class Verdict(msgspec.Struct, frozen=True):
    """What may be done about one failed call.

    ``again``: the same target may be asked once more; ``elsewhere``: another may; ``counts``: a failure of the target,
    which its breaker counts; ``cools``: what is left alone for as long as the provider asks, or, if it does not say, is
    asked after all others for ``cool_s`` (``None``: only what it asks for holds); ``fallback``: of which cause a
    fallback may take over.
    """

    again: bool
    elsewhere: bool
    counts: bool = False
    cools: Cooled | None = None
    cool_s: float | None = None
    fallback: FallbackCause | None = None


SET_ASIDE_S = 60.0
"""How long a key is asked after all others that was refused, or whose account is empty: somebody has to mend it."""

LIMITED_S = 1.0
"""How long a target is asked after all others that said 429 without saying for how long; doubled each time in a
row."""

_FAILED = Verdict(again=True, elsewhere=True, counts=True, fallback="error")

VERDICTS: Mapping[Cause, Verdict] = {
    Cause.INVALID: Verdict(again=False, elsewhere=False),
    Cause.CONTEXT_WINDOW: Verdict(again=False, elsewhere=True, fallback="context_window"),
    Cause.CONTENT_POLICY: Verdict(again=False, elsewhere=True, fallback="content_policy"),
    Cause.BAD_GENERATION: Verdict(again=True, elsewhere=True, fallback="error"),
    Cause.BAD_KEY: Verdict(again=False, elsewhere=True, cools="key", cool_s=SET_ASIDE_S, fallback="error"),
    Cause.FORBIDDEN: Verdict(again=False, elsewhere=True, fallback="error"),
    Cause.NOT_FOUND: Verdict(again=False, elsewhere=True, fallback="error"),
    Cause.CONFLICT: Verdict(again=True, elsewhere=True, fallback="error"),
    Cause.TOO_LARGE: Verdict(again=False, elsewhere=False),
    Cause.RATE_LIMIT: Verdict(again=False, elsewhere=True, cools="target", cool_s=LIMITED_S, fallback="rate_limit"),
    Cause.TOO_LARGE_FOR_LIMIT: Verdict(again=False, elsewhere=True, fallback="rate_limit"),
    Cause.QUOTA: Verdict(again=False, elsewhere=True, cools="key", cool_s=SET_ASIDE_S, fallback="rate_limit"),
    Cause.TIMEOUT: _FAILED,
    Cause.OVERLOADED: Verdict(again=True, elsewhere=True, counts=True, cools="target", fallback="error"),
    Cause.SERVER: _FAILED,
}


def of_fault(fault: Fault) -> Verdict:
    """What follows from a refusal. A provider that says itself that the same call will fail is not asked it again."""
    verdict = VERDICTS[fault.cause]
    return msgspec.structs.replace(verdict, again=False) if fault.is_lasting and verdict.again else verdict


def of_error(error: GatewayError) -> Verdict:
    """What follows from a call without an answer: the connection could not be made or died, or time was up.

    A request that one provider can't be asked may be one for another.
    """
    if isinstance(error, UpstreamUnavailable):  # it was not even asked: its identity service refuses us
        return msgspec.structs.replace(_FAILED, again=False)
    if isinstance(error, UpstreamError):
        return _FAILED
    return Verdict(again=False, elsewhere=isinstance(error, InvalidRequest))
