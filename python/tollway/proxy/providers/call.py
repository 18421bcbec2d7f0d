"""Station 6, call: one target is asked, with one key, within the route's timeouts; ``routing.attempts`` decides which.

In: a dispatch. Out: an answer that has begun: its head and its first piece are in. The call counts as having reached
a provider once its first byte has left. A client that hangs up cancels the call, and the provider sees it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from tollway.contract.snapshot import Operation, ProviderAccess, Target, Timeouts
from tollway.errors import InvalidRequest, UpstreamError, UpstreamTimeout
from tollway.proxy.causes import Fault
from tollway.proxy.deadline import Deadline
from tollway.proxy.dialects.port import Renaming, Writer
from tollway.proxy.exchange import STRICT, Arrival, Called, Dispatch, Progress, UpstreamAnswer
from tollway.proxy.pieces import Streamed
from tollway.proxy.providers.capabilities import Takes, takes_of
from tollway.proxy.providers.openai.presets import PRESETS
from tollway.proxy.providers.port import Provider, TokenCounter, UpstreamCall

STREAM_FIRST_TOKEN_S = 120.0
"""How long a stream's first piece may take where the route does not say."""

INLINE_BYTES = 128 * 1024
"""Larger bodies are copied off the event loop."""

PASSED_ON = (
    b"openai-beta",
    b"anthropic-beta",
    b"anthropic-version",
    b"idempotency-key",
    b"traceparent",
    b"tracestate",
)
"""The client's headers that a provider gets to see, if it knows them; all others end here, its key first of all."""


class Caller:
    """Calls providers by their configured names, with the keys that a dispatch names."""

    def __init__(self, providers: Mapping[tuple[str, str], Provider]) -> None:
        self._providers = providers

    def passes(self, arrival: Arrival, target: Target) -> bool:
        """Whether the target takes the client's own bytes."""
        return arrival.operation in self._provider(target.provider).speaks

    async def call(self, dispatch: Dispatch, progress: Progress) -> Called:
        """Sends the request.

        Raises:
            UpstreamError: no answer has begun, and why.
            InvalidRequest: it can't be said in the provider's terms; nothing was sent.
        """
        arrival, request, task = dispatch.arrival, dispatch.request, dispatch.task
        provider, timeouts = self._provider(dispatch.access), dispatch.route.timeouts
        strict = arrival.headers.get(STRICT) == b"true"
        asked = await self._asked(dispatch, provider, strict=strict)
        outgoing = self._outgoing(dispatch, asked, progress.sent, strict=strict)
        now = task.get_loop().time()
        upload = arrival.connection.upload
        if upload is None or upload.is_read:  # else whoever reads the body sees the client leave
            arrival.connection.watch()
        progress.planned(dispatch.route, dispatch.target)
        try:
            # Of a form the client's own pace is a part, so all of its call has the total time alone.
            wait_s = first_token_s(timeouts, stream=request.stream) if upload is None else timeouts.total_s
            with Deadline(task, min(now + wait_s, dispatch.deadline), arrival.connection.limits):
                answer = await self._begin(provider, outgoing, progress)
        except TimeoutError:
            message = "The provider did not begin to answer in time."
            raise UpstreamTimeout(message, inside=f"{dispatch.access.name}: no first byte") from None
        if upload is not None and not upload.is_read:  # it was answered before all of it was in
            arrival.connection.watch()
        arrival.timing.mark("call")
        return Called(
            arrival,
            request,
            dispatch.route,
            dispatch.target,
            answer,
            dispatch.deadline,
            task,
            asked.operation,
            asked.writer,
            asked.warnings,
            dispatch.guard,
        )

    def _provider(self, access: ProviderAccess) -> Provider:
        return self._providers[access.name, access.key_name]

    async def _asked(self, dispatch: Dispatch, provider: Provider, *, strict: bool) -> "_Asked":
        """The request as the provider is to get it: the client's bytes, or the hub's."""
        arrival, request, model = dispatch.arrival, dispatch.request, dispatch.target.model
        is_small = len(request.body) < INLINE_BYTES
        if arrival.connection.upload is not None:
            return _Asked(b"", arrival.operation, None, (), arrival.connection.upload.streamed(request, model))
        if arrival.operation in provider.speaks:
            ask_usage = provider.asks_usage
            body = (
                request.render(model, ask_usage)
                if is_small
                else await asyncio.to_thread(request.render, model, ask_usage)
            )
            return _Asked(body, arrival.operation, None, ())
        dialect = arrival.dialect
        hubbed = (
            dialect.to_hub(request.body, model)
            if is_small
            else await asyncio.to_thread(dialect.to_hub, request.body, model)
        )
        if strict and hubbed.warnings:
            field = hubbed.warnings[0]
            raise InvalidRequest(f"The provider does not take '{field}'.", param=field)
        writer = dialect.writer(request.body, dispatch.route.alias)
        if writer is not None and hubbed.names:
            writer = Renaming(writer, hubbed.names)
        return _Asked(hubbed.body, "chat", writer, hubbed.warnings)

    async def count(self, dispatch: Dispatch) -> int | None:
        """How many tokens the prompt has, by the provider's own count; ``None`` where it has none, or none now.

        Raises:
            InvalidRequest: it can't be said in the provider's terms; nothing was sent.
        """
        provider = self._provider(dispatch.access)
        if not isinstance(provider, TokenCounter):
            return None
        asked = await self._asked(dispatch, provider, strict=False)
        try:
            return await provider.count_tokens(self._outgoing(dispatch, asked, lambda: None, strict=False))
        except UpstreamError:
            return None  # a count of our own is better than none, and says that it is one

    def _outgoing(self, dispatch: Dispatch, asked: "_Asked", sent: Callable[[], None], *, strict: bool) -> UpstreamCall:
        headers = dispatch.arrival.headers
        passed = [] if headers.keys().isdisjoint(PASSED_ON) else _passed_on(headers)
        return UpstreamCall(
            dispatch.target.model,
            asked.body,
            passed,
            dispatch.route.timeouts.connect_s,
            sent,
            strict=strict,
            operation=asked.operation,
            is_translated=asked.writer is not None,
            takes=self._takes(dispatch.target, asked),
            upload=asked.upload,
        )

    def _takes(self, target: Target, asked: "_Asked") -> Takes | None:
        """What a request is held to: nothing, where an OpenAI-like provider gets the client's own chat."""
        return None if asked.writer is None and target.provider.kind in PRESETS else takes_of(target)

    async def _begin(self, provider: Provider, outgoing: UpstreamCall, progress: Progress) -> "BegunAnswer":
        answer = await provider.send(outgoing)
        progress.http_status = answer.status
        try:
            first = await answer.piece()
        except (UpstreamError, asyncio.CancelledError):
            await answer.close()
            raise
        progress.http_status = answer.status  # a stream may turn out to be a refusal
        return BegunAnswer(answer, first)


def _passed_on(headers: Mapping[bytes, bytes]) -> list[tuple[str, str]]:
    return [(name.decode(), text.decode("latin-1")) for name in PASSED_ON if (text := headers.get(name))]


class _Asked(msgspec.Struct, frozen=True):
    """What a provider is asked, and who says its answer to the client (``None``: it passes as it is)."""

    body: bytes
    operation: Operation
    writer: Writer | None
    warnings: tuple[str, ...]
    upload: Streamed | None = None
    """Goes in the place of ``body``."""


def first_token_s(timeouts: Timeouts, *, stream: bool) -> float:
    """The wait for an answer's first byte.

    A whole answer is generated before its first byte comes, so it has its total time unless the route sets
    ``first_token`` itself.
    """
    if timeouts.first_token_s is not None:
        return min(timeouts.first_token_s, timeouts.total_s)
    return min(STREAM_FIRST_TOKEN_S, timeouts.total_s) if stream else timeouts.total_s


class BegunAnswer:
    """An answer whose first piece has been read already, to know that it has begun.

    ``piece`` hands it out, and is the answer's own from then on; ``header`` always is.
    """

    __slots__ = ("_answer", "_first", "header", "piece", "secrets", "status", "warnings")

    def __init__(self, answer: UpstreamAnswer, first: bytes | None) -> None:
        self._answer = answer
        self._first = first
        self.piece: Callable[[], Coroutine[Any, Any, bytes | None]] = self._first_piece
        self.header = answer.header
        self.status = answer.status
        self.warnings = answer.warnings
        self.secrets = answer.secrets

    @property
    def ended(self) -> bool:
        """As the answer's own, once the first piece is handed out."""
        return self._first is None and self._answer.ended

    async def _first_piece(self) -> bytes | None:
        first, self._first = self._first, None
        self.piece = self._answer.piece
        return first if first is not None else await self._answer.piece()

    def fault(self, body: bytes) -> Fault:
        """As the answer's own."""
        return self._answer.fault(body)

    def event_fault(self, payload: bytes) -> Fault:
        """As the answer's own."""
        return self._answer.event_fault(payload)

    async def close(self) -> None:
        """As the answer's own."""
        await self._answer.close()
