"""What the control plane asks of whoever screens texts in this process. The composition root fills it in."""

from typing import Protocol

import msgspec

from tollway.contract.guardrails import Action, Direction, Policy
from tollway.contract.snapshot import Operation


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A text to try a policy on, or the body of a request. ``external``: checks that ask somebody are made as well."""

    direction: Direction = "input"
    text: str | None = None
    request: bytes | None = None
    operation: Operation = "chat"
    external: bool = False


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found: where it can be said, from the character ``start`` to before ``end``, and how surely."""

    check: str
    kind: str
    action: Action
    count: int = 1
    start: int | None = None
    end: int | None = None
    confidence: float | None = None


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy makes of a trial. ``text`` or ``request`` is as it would pass; a block passes nothing.

    ``skipped`` are checks that were not asked, since they are somebody else's.
    """

    blocked: bool
    findings: tuple[Finding, ...]
    text: str | None = None
    request: msgspec.Raw | None = None
    skipped: tuple[str, ...] = ()


class GuardrailView(Protocol):
    """One worker's screening."""

    def policy(self, name: str) -> Policy | None:
        """The policy that holds under a name in this process."""
        ...

    async def examine(self, policy: Policy, trial: Trial) -> Examined:
        """What a policy finds in a trial, and what it makes of it. Nothing of the text is kept.

        Raises:
            tollway.errors.InvalidRequest: the policy, or the request, can't be used.
        """
        ...
