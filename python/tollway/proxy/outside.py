"""The port of external checks: somebody else's judgement of texts, beside the native checks.

What judges is given texts and names nothing of them in errors or logs. It keeps its own time, and decides itself what
it means that nobody answered: a :class:`Judgement` is always a decision.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tollway._native.guardrails import Session
from tollway.contract.guardrails import Action, Check, Direction
from tollway.errors import InternalError

MOST_EDITS = 16 * 1024
"""What checks find at places of one request or answer, beyond which it is refused: nobody rewrites a text so often."""

Placed = tuple[int, int, int, str, str, str, bool]
"""An :class:`Edit` as a session carries it out."""


class Edit(msgspec.Struct, frozen=True):
    """Something found at a place, and what is done about it: which of the texts, and from where to where in code
    points."""

    text: int
    start: int
    end: int
    kind: str
    action: Action


UNAVAILABLE = "unavailable"
"""The kind of the remark that nobody answered."""


class Remark(msgspec.Struct, frozen=True):
    """Something found that has no place."""

    kind: str
    action: Action


class Judgement(msgspec.Struct, frozen=True):
    """What a check says of texts; nothing, of those that may pass as they are."""

    edits: tuple[Edit, ...] = ()
    remarks: tuple[Remark, ...] = ()


class External(Protocol):
    """A check that asks somebody. One per check of a policy; it lives as long as the policy says the same."""

    @property
    def name(self) -> str:
        """As reports and metrics call it."""
        ...

    @property
    def restore(self) -> bool:
        """Whether a placeholder's original is put back into what the same client receives."""
        ...

    async def judge(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        """Judges texts within the check's time. It never raises but for cancellation: that nobody answers is a
        judgement, too (``on_error``)."""
        ...


OpenExternal = Callable[[Check], External]
"""Makes an external check. Called on a thread, when a policy is compiled."""


async def consult(
    checks: Sequence[External], texts: Sequence[str], direction: Direction, tenant: str, session: Session
) -> list[Placed]:
    """What all of ``checks`` find in ``texts``, asked at the same time. What has no place is noted in ``session``.

    Raises:
        InternalError: one of them is defective. What it raised may quote a text, so nobody is told more than its type.
    """
    asked = [check.judge(texts, direction, tenant) for check in checks]
    judgements = await asyncio.gather(*asked, return_exceptions=True)
    edits: list[Placed] = []
    for check, judgement in zip(checks, judgements, strict=True):
        if isinstance(judgement, BaseException):
            inside = f"{check.name}: {type(judgement).__name__}"
            raise InternalError("A guardrail is out of order.", inside=inside)
        for remark in judgement.remarks:
            session.note(direction, check.name, remark.kind, remark.action)
        edits += [
            (edit.text, edit.start, edit.end, check.name, edit.kind, edit.action, check.restore)
            for edit in judgement.edits
        ]
    return edits


def unknown(check: Check) -> External:
    """No check at all.

    Raises:
        ValueError: always, so that a policy which asks for one is none.
    """
    raise ValueError(f"the check {type(check).__name__} can't be made here")


class Monitored:
    """A check whose judgement is recorded and changes nothing."""

    def __init__(self, external: External) -> None:
        self._external = external
        self.name = external.name
        self.restore = False

    async def judge(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        """As the port says."""
        said = await self._external.judge(texts, direction, tenant)
        return Judgement(
            tuple(msgspec.structs.replace(edit, action=_watched(edit.action)) for edit in said.edits),
            tuple(msgspec.structs.replace(remark, action=_watched(remark.action)) for remark in said.remarks),
        )


def _watched(action: Action) -> Action:
    return "allow" if action == "allow" else "flag"
