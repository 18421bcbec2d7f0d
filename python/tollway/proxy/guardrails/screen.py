"""Station 3, screen input: personal data is found in every text of a request, and redacted or refused.

In: an admitted request. Out: one that may leave the house. Texts are content, parts, names, tool arguments and
tool results, of every role; the native scanner walks the body's bytes and builds nothing when it finds nothing.
Findings are kept as types and counts, never as values.
"""

import asyncio
from functools import partial

import msgspec

from tollway._native import chat, pii
from tollway._native.chat import ChatRequest
from tollway.contract.snapshot import PiiCheck, Policy, Snapshot
from tollway.errors import ContentBlocked, InternalError
from tollway.proxy.exchange import Admitted, Screened
from tollway.telemetry.metrics import Metrics

DEFAULT_POLICY = "default"
INLINE_BYTES = 16 * 1024
"""Larger bodies are scanned off the event loop, which nothing may hold for 2 ms: 1 KiB of findings takes 70 µs."""

_INPUTS = {"chat": "messages", "messages": "messages", "count_tokens": "messages", "rerank": "documents"}
_INPUTS |= dict.fromkeys(("embeddings", "responses", "moderations", "speech"), "input")
"""The field that holds what a model reads, by operation; ``prompt`` in all others."""


class _Field(msgspec.Struct):
    prompt: str


class Screener:
    """The compiled policies of one snapshot."""

    def __init__(self, snapshot: Snapshot, metrics: Metrics) -> None:
        self._policies = {name: _compile(policy) for name, policy in snapshot.policies.items()}
        self._metrics = metrics

    async def screen(self, admitted: Admitted) -> Screened:
        """Applies the caller's policy (its own, else ``default``, else none).

        Raises:
            ContentBlocked: a check with ``action: block`` found something, or the texts came as token numbers.
        """
        request = admitted.request
        checks = self._checks(admitted.principal.record.policy)
        if checks and request.numbered:
            raise ContentBlocked("Token numbers can't be screened, as this key's policy asks. Send text.")
        for check, scanner in checks:
            if len(request.body) < INLINE_BYTES:
                request = self._apply(check, scanner, request)
            else:
                request = await asyncio.to_thread(self._apply, check, scanner, request)
        upload = admitted.arrival.connection.upload
        if upload is not None and checks:
            await upload.screen(partial(self._text, checks))
        admitted.arrival.timing.mark("screen")
        return Screened(admitted.arrival, admitted.principal, request)

    def _checks(self, name: str | None) -> list[tuple[PiiCheck, pii.Scanner]]:
        if name is None:
            return self._policies.get(DEFAULT_POLICY, [])
        checks = self._policies.get(name)
        if checks is None:  # closed: a policy that is gone must not let texts through unscreened
            raise InternalError("This key's guardrail policy is not known here.", inside=f"unknown policy {name!r}")
        return checks

    def _text(self, checks: list[tuple[PiiCheck, pii.Scanner]], name: str, text: str) -> str:
        """A field of a form as it may leave.

        Raises:
            ContentBlocked: a check with ``action: block`` found something in it.
        """
        request = chat.read_request(msgspec.json.encode({"model": name, "prompt": text}), "translations")
        try:
            for check, scanner in checks:
                request = self._apply(check, scanner, request)
        except ContentBlocked as error:
            raise ContentBlocked(error.outside, param=name) from None
        return msgspec.json.decode(request.body, type=_Field).prompt

    def _apply(self, check: PiiCheck, scanner: pii.Scanner, request: ChatRequest) -> ChatRequest:
        if check.action == "redact":
            passed, found = request.redacted(scanner)
        else:
            passed, found = request, request.screen(scanner)
        for entity, count in found.items():
            self._metrics.found(entity, check.action, count)
        if found and check.action == "block":
            kinds = ", ".join(sorted(found))
            message = f"The request holds personal data that may not be sent: {kinds}."
            raise ContentBlocked(message, param=_INPUTS.get(request.operation, "prompt"))
        return passed


def _compile(policy: Policy) -> list[tuple[PiiCheck, pii.Scanner]]:
    return [(check, pii.Scanner(check.entities)) for check in policy.input]
