"""What guards one call, from station 3 to its row."""

from typing import Literal

import msgspec

from tollway._native.guardrails import Session
from tollway.contract.guardrails import Found
from tollway.proxy.outside import External


class Guard(msgspec.Struct, frozen=True):
    """A call's session, and what is still to be done with its answer.

    ``inspects_output``: there are native checks of the answer, or originals to be put back into it. ``outside`` are the
    external checks of the answer. ``on_block`` says what the client hears: an error, or the dialect's own refusal where
    there is one.
    """

    session: Session
    tenant: str
    on_block: Literal["error", "refusal"] = "error"
    inspects_output: bool = False
    outside: tuple[External, ...] = ()

    @property
    def sees_answers(self) -> bool:
        """Whether anything is still to be done with its answer."""
        return self.inspects_output or bool(self.outside)

    def found(self) -> tuple[Found, ...]:
        """What was found so far, in both directions: kinds and counts."""
        return msgspec.convert(self.session.found(), tuple[Found, ...])
