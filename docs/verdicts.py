"""What a provider may do wrong, and what follows: the rows of ``docs/routing.md``, read off the code that decides.

``tests/e2e/test_causes_table.py`` holds a running gateway to every one of them.
"""

from typing import NamedTuple

from tollway.errors import GatewayError, UpstreamBroken, UpstreamTimeout
from tollway.proxy.causes import Cause, Fault, cause_of, seen_as
from tollway.proxy.routing.verdict import LIMITED_S, Verdict, of_error, of_fault

STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
QUOTA = "429, the account is empty"
RESET, TIMEOUT, TRUNCATED, STALE = "reset", "timeout", "truncated body", "stale keep-alive"


class Row(NamedTuple):
    """One kind of failure. ``verdict`` is ``None`` for one that never becomes a failed call: it is mended below them;
    ``status`` is what the client gets when it gets the failure."""

    what: str
    verdict: Verdict | None
    status: int


def _of_status(status: int) -> Row:
    return Row(str(status), of_fault(Fault(cause_of(status), "")), seen_as(status))


def _of_error(what: str, error: type[GatewayError]) -> Row:
    return Row(what, of_error(error("")), error.status)


ROWS = (
    *(_of_status(status) for status in STATUSES),
    Row(QUOTA, of_fault(Fault(Cause.QUOTA, "")), Cause.QUOTA.effect.status),
    _of_error(RESET, UpstreamBroken),
    _of_error(TIMEOUT, UpstreamTimeout),
    _of_error(TRUNCATED, UpstreamBroken),
    Row(STALE, None, 200),
)

HEADINGS = ("the provider", "retry", "fail over", "cool", "counts", "return")
_NONE = "\N{EN DASH}"


def cells(row: Row) -> tuple[str, ...]:
    """A row as the page has it."""
    if row.verdict is None:
        return row.what, "on a new connection, as the same call", _NONE, _NONE, _NONE, _NONE
    verdict = row.verdict
    when = "when nobody else can be asked" if verdict.elsewhere else "at once"
    return (
        row.what,
        "yes" if verdict.again else _NONE,
        "yes" if verdict.elsewhere else _NONE,
        _cooled(verdict),
        "yes" if verdict.counts else _NONE,
        f"{row.status} {when}",
    )


def _cooled(verdict: Verdict) -> str:
    if verdict.cools is None:
        return _NONE
    told = "as long as Retry-After says"
    if verdict.cool_s is None:
        return f"the {verdict.cools}, {told}"
    longer = ", longer each time in a row" if verdict.cool_s == LIMITED_S else ""
    return f"the {verdict.cools}, {told}; else asked last for {verdict.cool_s:g} s{longer}"
