"""What a policy of all personal data makes of a request."""

from typing import Any

import msgspec

from tollway._native import guardrails, pii
from tollway._native.chat import ChatRequest
from tollway.contract.guardrails import Action, Check, PiiCheck, Policy

SECRET = b"a secret of the tests"


def compiled(*checks: Check, action: Action = "redact", **more: Any) -> guardrails.Policy:
    """A policy of these checks of the input, or of one that does the same about every entity."""
    held = checks or (PiiCheck(dict.fromkeys(pii.ENTITIES, action)),)
    return guardrails.Policy(msgspec.json.encode(Policy("p", "1", held, **more)), SECRET)


REDACTING, FLAGGING = compiled(), compiled(action="flag")


def redacted(request: ChatRequest, policy: guardrails.Policy = REDACTING) -> tuple[ChatRequest, dict[str, int]]:
    """The request with placeholders, and how many there are of each kind."""
    session = policy.session("tenant")
    changed = session.request(request)
    return changed, {kind: count for _, _, kind, action, count in session.found() if action == "redact"}


def screened(request: ChatRequest) -> dict[str, int]:
    """What is found in a request that stays as it is."""
    session = FLAGGING.session("tenant")
    assert session.request(request) is request
    return {kind: count for _, _, kind, _, count in session.found()}
