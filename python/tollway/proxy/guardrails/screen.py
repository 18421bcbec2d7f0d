"""Station 3, screen input: every text of a request is judged by the policies that hold for its caller and its model.

In: an admitted request. Out: one that may leave the house, and the guard that goes with it. Texts are content, parts,
names, tool arguments and tool results, of every role and in every dialect; the native session walks the body's bytes
once and builds nothing when it finds nothing. External checks see what the native ones have left, all at the same
time. Findings are kept as kinds and counts, never as values.
"""

import asyncio
from collections import Counter

import msgspec

from tollway._native import chat
from tollway._native.chat import ChatRequest
from tollway._native.guardrails import Session
from tollway.contract.snapshot import Snapshot
from tollway.errors import ContentBlocked
from tollway.proxy.exchange import DRY_RUN, Admitted, Screened
from tollway.proxy.guard import Guard
from tollway.proxy.guardrails.policies import Compiled, Policies
from tollway.proxy.outside import MOST_EDITS, UNAVAILABLE, External, OpenExternal, consult, unknown
from tollway.proxy.refusal import REFUSABLE
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

INLINE_BYTES = 8 * 1024
"""Larger bodies are judged off the event loop, which nothing may hold for 2 ms."""

_INPUTS = {"chat": "messages", "messages": "messages", "count_tokens": "messages", "rerank": "documents"}
_INPUTS |= dict.fromkeys(("embeddings", "responses", "moderations", "speech"), "input")
"""The field that holds what a model reads, by operation; ``prompt`` in all others."""

_WORDS = {
    "pii": "personal data that may not be sent",
    "secrets": "secrets that may not be sent",
    "injection": "an attack on the model's instructions",
}
"""What a check finds, for the client; of any other check its name."""


class _Field(msgspec.Struct):
    prompt: str


class Screener:
    """Applies the policies of one worker's snapshot."""

    def __init__(self, snapshot: Snapshot, metrics: Metrics, log: Log, open_external: OpenExternal = unknown) -> None:
        self._metrics = metrics
        self._policies = Policies(snapshot, open_external, broken=_Broken(log))

    def follow(self, snapshot: Snapshot) -> None:
        """The policies of another snapshot hold from now on. Compiling takes its time: this may run on a thread."""
        self._policies.follow(snapshot)

    async def screen(self, admitted: Admitted) -> Screened:
        """Applies the caller's policy (its own, else its tenant's, else ``default``, else none), and the model's.

        Raises:
            ContentBlocked: a check with ``action: block`` found something, or the texts came as token numbers.
            DependencyUnavailable: the database has not told yet which policies there are.
            InternalError: a policy that should hold is not known here.
        """
        record, request = admitted.principal.record, admitted.request
        policy = self._policies.of(record.policy, request.model)
        if policy is None:
            admitted.arrival.timing.mark("screen")
            return Screened(admitted.arrival, admitted.principal, request)
        if request.numbered and policy.is_strict:
            raise ContentBlocked("Token numbers can't be screened, as this key's policy asks. Send text.")
        session = policy.native.session(record.tenant_id)
        judging = _Judging(session, policy, record.tenant_id, self._metrics)
        connection, refusal = admitted.arrival.connection, None
        if policy.input and connection.upload is None:  # nobody is asked on behalf of a client that has left
            connection.watch()
        try:
            request = await judging.request(request)
            if connection.upload is not None and policy.inspects_input:
                await connection.upload.screen(judging.field)
        except ContentBlocked as error:
            if not _may_refuse(admitted, policy):
                raise
            refusal = error.outside
        finally:
            admitted.arrival.timing.mark("screen")
        alters_answers = policy.native.inspects_output or session.has_originals
        guard = Guard(session, record.tenant_id, policy.on_block, alters_answers, policy.output)
        return Screened(admitted.arrival, admitted.principal, request, guard, refusal)


def _may_refuse(admitted: Admitted, policy: Compiled) -> bool:
    """Whether a block is told as an answer. A dry run shows what is in the way."""
    arrival = admitted.arrival
    return policy.on_block == "refusal" and arrival.operation in REFUSABLE and DRY_RUN not in arrival.headers


class _Broken:
    """Tells of policies that can't be compiled: the log may be read by more people than the policies."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, name: str, fault: str) -> None:
        self._log.error("guardrail_policy_broken", policy=name, cause=fault)


class _Judging:
    """One call's texts on their way through the checks of its policy."""

    def __init__(self, session: Session, policy: Compiled, tenant: str, metrics: Metrics) -> None:
        self._session = session
        self._policy = policy
        self._tenant = tenant
        self._metrics = metrics
        self._counted: Counter[tuple[str, str, str, str]] = Counter()
        self._seen_bytes = 0

    async def request(self, request: ChatRequest) -> ChatRequest:
        """The request as it may leave.

        Raises:
            ContentBlocked: it may not.
        """
        return await self._judge(request, _INPUTS.get(request.operation, "prompt"))

    async def field(self, name: str, text: str) -> str:
        """A field of a form as it may leave; of many small ones the later are judged off the event loop, too.

        Raises:
            ContentBlocked: it may not.
        """
        request = chat.read_request(msgspec.json.encode({"model": name, "prompt": text}), "translations")
        request = await self._judge(request, name)
        return msgspec.json.decode(request.body, type=_Field).prompt

    async def _judge(self, request: ChatRequest, param: str) -> ChatRequest:
        self._seen_bytes += len(request.body)
        is_inline = self._seen_bytes < INLINE_BYTES
        try:
            if self._policy.native.inspects_input:
                request = (
                    self._session.request(request)
                    if is_inline
                    else await asyncio.to_thread(self._session.request, request)
                )
                self._check(param)
            if self._policy.input:
                request = await self._ask(request, self._policy.input, is_inline=is_inline)
                self._check(param)
        finally:
            self._count()
        return request

    async def _ask(self, request: ChatRequest, checks: tuple[External, ...], *, is_inline: bool) -> ChatRequest:
        """Asks all external checks at the same time; their findings are carried out together."""
        session = self._session
        told = session.texts(request) if is_inline else await asyncio.to_thread(session.texts, request)
        texts = [text for _, text in told]
        if not texts:
            return request
        edits = await consult(checks, texts, "input", self._tenant, session)
        if len(edits) > MOST_EDITS:
            raise ContentBlocked("The request holds more that may not be sent than can be taken out of it.")
        if not edits:
            return request
        return session.edit(request, edits) if is_inline else await asyncio.to_thread(session.edit, request, edits)

    def _check(self, param: str) -> None:
        blocked = self._session.blocked
        if blocked is None or blocked.direction != "input":
            return
        kinds = {
            kind
            for direction, check, kind, action, _ in self._session.found()
            if (direction, check, action) == ("input", blocked.check, "block")
        }
        self._metrics.blocked("input", blocked.check)
        if blocked.kind == UNAVAILABLE:
            raise ContentBlocked(f"The check {blocked.check} can't be asked at the moment. Try again.", param=param)
        what = _WORDS.get(blocked.check, f"what the check {blocked.check} does not allow")
        raise ContentBlocked(f"The request holds {what}: {', '.join(sorted(kinds))}.", param=param)

    def _count(self) -> None:
        """Tells the metrics of what was found since the last time. A refused call has no row that would."""
        for direction, check, kind, action, count in self._session.found():
            found = (direction, check, kind, action)
            if direction == "input" and count > self._counted[found]:
                self._metrics.found(*found, count - self._counted[found])
                self._counted[found] = count
