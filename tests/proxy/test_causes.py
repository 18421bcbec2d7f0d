"""The table of causes: complete, and never a status that a client must not see."""

import pytest

from tollway.proxy.causes import Cause, Fault, cause_of


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_status_that_clients_may_see(cause: Cause) -> None:
    assert 400 <= cause.effect.status < 600
    assert cause.effect.status not in (402, 408, 422, 500, 529)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, Cause.INVALID),
        (401, Cause.BAD_KEY),
        (402, Cause.QUOTA),
        (404, Cause.NOT_FOUND),
        (418, Cause.INVALID),
        (422, Cause.INVALID),
        (429, Cause.RATE_LIMIT),
        (500, Cause.SERVER),
        (502, Cause.SERVER),
        (529, Cause.OVERLOADED),
    ],
)
def test_a_status_alone_says_something(status: int, cause: Cause) -> None:
    assert cause_of(status) is cause


def test_what_is_worth_a_retry_at_the_same_place() -> None:
    worth = {cause for cause in Cause if Fault(cause, "").should_retry}
    assert worth == {Cause.CONFLICT, Cause.RATE_LIMIT, Cause.TIMEOUT, Cause.OVERLOADED, Cause.SERVER}
