"""Station 6: the target is asked within its timeouts, and whether anything was sent is known afterwards."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
from tests.fakes.gateway import free_port
from tests.fakes.scripts import Script, completion, hang, status, whole
from tests.fakes.upstream import FakeUpstream
from tests.proxy.edge import Answer, Client, ask, dispatch, route, target

from tollway._native import chat
from tollway.contract.snapshot import Operation, ProviderAccess, Route, Timeouts
from tollway.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from tollway.proxy.exchange import Called, Progress, UpstreamAnswer
from tollway.proxy.providers.call import STREAM_FIRST_TOKEN_S, Caller, first_token_s
from tollway.proxy.providers.http import HttpTransport
from tollway.proxy.providers.openai.provider import OpenAIProvider
from tollway.proxy.providers.port import UpstreamCall
from tollway.wire.tool_names import stand_in


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport()
    yield made
    made.close()
    await asyncio.sleep(0)


def way_to(base_url: str, **timeouts: float) -> Route:
    access = ProviderAccess("fake", "openai", base_url, "sk-provider-canary-0123456789")
    return route("m", target("m-1", access=access), timeouts=Timeouts(**timeouts))


async def call(
    transport: HttpTransport,
    way: Route,
    progress: Progress,
    *,
    stream: bool = False,
    headers: dict[bytes, bytes] | None = None,
    client: Client | None = None,
) -> Called:
    access = way.targets[0].provider
    plan = dispatch(ask("m", stream=stream), way=way, headers=headers, client=client)
    try:
        return await Caller({(access.name, ""): OpenAIProvider(access, transport)}).call(plan, progress)
    finally:
        plan.arrival.connection.unwatch()


async def body_of(called: Called) -> bytes:
    body = b""
    while (piece := await called.answer.piece()) is not None:
        body += piece
    await called.answer.close()
    return body


@pytest.mark.parametrize(
    ("timeouts", "whole_s", "stream_s"),
    [
        (Timeouts(), 600.0, STREAM_FIRST_TOKEN_S),
        (Timeouts(total_s=10.0), 10.0, 10.0),
        (Timeouts(first_token_s=5.0), 5.0, 5.0),
        (Timeouts(first_token_s=90.0), 90.0, 90.0),
        (Timeouts(first_token_s=90.0, total_s=30.0), 30.0, 30.0),
    ],
)
def test_the_wait_for_the_first_byte(timeouts: Timeouts, whole_s: float, stream_s: float) -> None:
    assert first_token_s(timeouts, stream=False) == whole_s
    assert first_token_s(timeouts, stream=True) == stream_s


@pytest.mark.parametrize(("asked", "strict"), [(None, False), (b"false", False), (b"true", True)])
async def test_a_client_may_ask_that_nothing_is_dropped(asked: bytes | None, strict: bool) -> None:
    seen: list[UpstreamCall] = []

    class Deaf:
        speaks = frozenset[Operation]({"chat"})
        asks_usage = False

        async def send(self, call: UpstreamCall) -> UpstreamAnswer:
            seen.append(call)
            return Answer(b"{}")

    plan = dispatch(ask("m"), headers={} if asked is None else {b"x-tollway-strict": asked})
    await Caller({(plan.access.name, ""): Deaf()}).call(plan, Progress())
    plan.arrival.connection.unwatch()
    assert [call.strict for call in seen] == [strict]


async def test_an_answer_that_has_begun_is_handed_on_whole(transport: HttpTransport, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion("Hello there."))
    progress = Progress()
    called = await call(transport, way_to(upstream.base_url), progress)
    assert called.answer.status == progress.http_status == 200
    assert called.answer.header("content-type") == "application/json"
    assert b"Hello there." in await body_of(called)
    assert progress.dispatched_at_us is not None
    assert progress.target == called.target
    assert [span for span, _ in called.arrival.timing.spans] == ["call"]


async def test_an_answer_without_a_body_has_begun_as_well(transport: HttpTransport, upstream: FakeUpstream) -> None:
    upstream.default = Script(204, steps=())
    called = await call(transport, way_to(upstream.base_url), Progress())
    assert await body_of(called) == b""


async def test_the_model_is_the_targets_and_usage_is_asked_for_in_a_stream(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = whole(completion())
    for stream in (False, True):
        await body_of(await call(transport, way_to(upstream.base_url), Progress(), stream=stream))
    plain, streamed = upstream.requests
    assert plain.json["model"] == streamed.json["model"] == "m-1"
    assert "stream_options" not in plain.json
    assert streamed.json["stream_options"] == {"include_usage": True}


async def test_of_the_clients_headers_a_provider_sees_a_few_and_never_the_key(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = whole(completion())
    headers = {
        b"authorization": b"Bearer tw_live_secret",
        b"x-api-key": b"tw_live_secret",
        b"cookie": b"session=1",
        b"user-agent": b"curl",
        b"x-forwarded-for": b"10.0.0.1",
        b"host": b"gateway",
        b"traceparent": b"00-1",
        b"idempotency-key": "ü".encode("latin-1"),
        b"openai-beta": b"",
    }
    await body_of(await call(transport, way_to(upstream.base_url), Progress(), headers=headers))
    (seen,) = upstream.requests
    assert b"tw_live_secret" not in repr(seen.headers).encode()
    assert sorted(name for name, _ in seen.headers) == [
        *("accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "idempotency-key"),
        *("traceparent", "user-agent"),
    ]
    assert seen.header("idempotency-key") == "ü"


async def test_an_error_status_is_an_answer(transport: HttpTransport, upstream: FakeUpstream) -> None:
    upstream.default = status(503)
    progress = Progress()
    called = await call(transport, way_to(upstream.base_url), progress)
    assert called.answer.status == progress.http_status == 503
    assert b"scripted" in await body_of(called)


@pytest.mark.parametrize(
    "script", [hang(), Script(raw_head=b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", steps=(("hang",),))]
)
async def test_a_provider_that_does_not_begin_is_given_up_and_sees_it(
    transport: HttpTransport, upstream: FakeUpstream, script: Script
) -> None:
    upstream.default = script
    progress = Progress()
    with pytest.raises(UpstreamTimeout, match="did not begin"):
        await call(transport, way_to(upstream.base_url, first_token_s=0.1), progress)
    await upstream.until(lambda: len(upstream.aborts) == 1)
    assert progress.dispatched_at_us is not None, "it was sent, and may be billed"


async def test_a_provider_that_dies_before_its_first_byte_is_broken(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = Script(raw_head=b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", steps=(("fin",),))
    progress = Progress()
    with pytest.raises(UpstreamBroken):
        await call(transport, way_to(upstream.base_url), progress)
    assert progress.dispatched_at_us is not None
    await upstream.until(lambda: upstream.open_connections == 0)


async def test_a_call_that_is_refused_a_connection_was_never_sent(transport: HttpTransport) -> None:
    progress = Progress()
    with pytest.raises(UpstreamUnreachable):
        await call(transport, way_to(f"http://127.0.0.1:{free_port()}/v1"), progress)
    assert progress.dispatched_at_us is None


async def test_a_call_that_finds_no_connection_in_time_was_never_sent(transport: HttpTransport) -> None:
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # fill the queue of connections that nobody accepts
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        progress = Progress()
        with pytest.raises(UpstreamTimeout, match="reached in time"):
            await call(transport, way_to(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1", connect_s=0.1), progress)
    assert progress.dispatched_at_us is None


@pytest.mark.parametrize("how", ["the client hangs up", "the first token is late"])
async def test_a_call_that_ends_while_it_connects_was_never_sent(transport: HttpTransport, how: str) -> None:
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        progress, client = Progress(), Client()
        way = way_to(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1", connect_s=30.0, first_token_s=0.2)
        if how == "the client hangs up":
            client.hang_up()
        with pytest.raises(asyncio.CancelledError if client.untaken else UpstreamTimeout):
            await call(transport, way, progress, client=client)
    assert progress.dispatched_at_us is None


async def test_a_client_that_hangs_up_takes_the_call_with_it(transport: HttpTransport, upstream: FakeUpstream) -> None:
    upstream.default = hang()
    client = Client()
    calling = asyncio.create_task(call(transport, way_to(upstream.base_url), Progress(), client=client))
    await upstream.until(lambda: upstream.hits == 1)
    client.hang_up()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await upstream.until(lambda: len(upstream.aborts) == 1)


async def test_a_translated_answer_is_told_with_the_names_that_the_client_gave(
    upstream: FakeUpstream, transport: HttpTransport
) -> None:
    long = "mcp__a_server__" + "x" * 90
    asked = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [{"name": long, "input_schema": {"type": "object"}}],
    }
    told = stand_in(long)
    made = {"id": "c", "type": "function", "function": {"name": told, "arguments": "{}"}}
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": [made]}, "finish_reason": "tool_calls"}
    upstream.default = whole({"id": "a", "model": "m-1", "choices": [choice]})
    way = way_to(upstream.base_url)
    access = way.targets[0].provider
    request = chat.read_request(json.dumps(asked).encode(), "messages")
    plan = dispatch(request, way=way, operation="messages")
    try:
        called = await Caller({(access.name, ""): OpenAIProvider(access, transport)}).call(plan, Progress())
    finally:
        plan.arrival.connection.unwatch()
    body = await body_of(called)
    assert upstream.requests[0].json["tools"][0]["function"]["name"] == told
    assert called.writer is not None
    assert json.loads(called.writer.whole(body))["content"][0]["name"] == long
