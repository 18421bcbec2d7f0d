"""Webhooks: somebody's own service is asked what it thinks of texts. ``docs/webhook-check.md`` is its manual.

In: the texts of a request or an answer. Out: whether they may pass, or what of them is to be replaced. Nothing is sent
but what the page says, and nothing of the answer is kept but kinds and places.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from typing import Literal
from uuid import uuid4

import msgspec

from tollway.contract.guardrails import Action, Direction
from tollway.proxy.guardrails.external.asking import ANSWER_BYTES_MAX, INLINE_BYTES, Asker, Unanswered, read, written
from tollway.proxy.guardrails.external.kinds import Kinds
from tollway.proxy.outside import Edit, Judgement, Remark

TIMESTAMP = "x-tollway-timestamp"
"""When the question was asked, in seconds since 1970: an old one that is sent again is told by it."""

SIGNATURE = "x-tollway-signature"
"""``v1=`` and the HMAC-SHA256, in hex, of the timestamp, a dot and the body."""

BLOCKED = "blocked"
"""The kind of a block without a reason."""


class _Finding(msgspec.Struct):
    text: int
    start: int
    end: int
    kind: str = "webhook"
    action: Literal["flag", "redact", "mask", "hash"] | None = None


class _Said(msgspec.Struct):
    action: Literal["allow", "block", "redact"]
    reason: str = BLOCKED
    findings: list[_Finding] = []


class Webhook:
    """Asks ``url``. ``clock`` is the time since 1970 in seconds."""

    def __init__(
        self, name: str, url: str, secret: str | None, asker: Asker, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._name = name
        self._url = url
        self._secret = secret.encode() if secret else None
        self._asker = asker
        self._clock = clock

    async def ask(self, texts: Sequence[str], direction: Direction, tenant: str) -> Judgement:
        """As :class:`~.steady.Judge` says."""
        question = {"id": uuid4().hex, "check": self._name, "direction": direction, "tenant": tenant, "texts": texts}
        body = await written(question, texts)
        headers = [("content-type", "application/json"), *await self._signed(body)]
        answer = await self._asker.ask(self._url, headers, body, ANSWER_BYTES_MAX)
        return _judgement(await read(answer, _Said), texts)

    async def _signed(self, body: bytes) -> list[tuple[str, str]]:
        if self._secret is None:
            return []
        timestamp = str(int(self._clock()))
        if len(body) <= INLINE_BYTES:
            signed = signature(self._secret, timestamp, body)
        else:
            signed = await asyncio.to_thread(signature, self._secret, timestamp, body)
        return [(TIMESTAMP, timestamp), (SIGNATURE, signed)]


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """What :data:`SIGNATURE` holds."""
    digest = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def _judgement(said: _Said, texts: Sequence[str]) -> Judgement:
    kinds = Kinds()
    if said.action == "redact" and not said.findings:
        raise Unanswered("redact without findings")
    usual: Action = "redact" if said.action == "redact" else "flag"
    edits = []
    for finding in said.findings:
        if not 0 <= finding.text < len(texts) or not 0 <= finding.start < finding.end <= len(texts[finding.text]):
            raise Unanswered("a finding outside the texts")
        action = usual if finding.action is None or said.action != "redact" else finding.action
        edits.append(Edit(finding.text, finding.start, finding.end, kinds.plain(finding.kind), action))
    remarks = (Remark(kinds.plain(said.reason), "block"),) if said.action == "block" else ()
    return Judgement(tuple(edits), remarks)
