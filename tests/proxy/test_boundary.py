"""Where ASGI ends: ids, bodies, hang-ups, and every fault an answer."""

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import Awaitable, Callable

import pytest
from tests.fakes.telemetry import Recording, counted
from tests.proxy.edge import Client, snapshot

from tollway._native.chat import ChatRequest
from tollway.errors import (
    ModelNotFound,
    RateLimited,
    Unauthenticated,
    UpstreamBroken,
)
from tollway.proxy.boundary import Boundary, Identities, InFlight, current_task, method_not_allowed
from tollway.proxy.connection import Lines
from tollway.proxy.dialects.table import dialects
from tollway.proxy.exchange import Arrival
from tollway.proxy.keep_alive import COMMENT
from tollway.proxy.pieces import Streamed
from tollway.telemetry.metrics import Metrics

Serve = Callable[[Arrival], Awaitable[None]]
Run = Callable[..., Awaitable[Client]]


@pytest.fixture
def in_flight() -> InFlight:
    return InFlight()


@pytest.fixture
def run(recording: Recording, metrics: Metrics, in_flight: InFlight) -> Run:
    """Serves one request of a client by a function."""

    async def begin(
        serve: Serve, client: Client | None = None, *, method: str = "POST", headers: dict[bytes, bytes] | None = None
    ) -> Client:
        client, known = client or Client(b""), snapshot()
        boundary = Boundary(
            serve,
            lambda: known,
            in_flight,
            Identities(),
            Lines.of(asyncio.get_running_loop()),
            methods=frozenset({"POST"}),
            dialect=dialects()["chat"],
            told={b"anthropic-version": dialects()["messages"]},
            log=recording.log,
            metrics=metrics,
        )
        scope = {"type": "http", "method": method, "path": "/", "headers": list((headers or {}).items())}
        await boundary(scope, client.receive, client.send)
        return client

    return begin


def unbounded(size_bytes: int) -> None:
    """Room for any body."""


async def test_a_header_tells_the_clients_dialect_where_several_share_a_path(run: Run) -> None:
    client = await run(failing(ModelNotFound("none")), headers={b"anthropic-version": b"2023-06-01"})
    assert json.loads(client.body)["error"] == {"type": "not_found_error", "message": "none"}
    assert dict(client.sent[0]["headers"])[b"request-id"]
    client = await run(failing(ModelNotFound("none")))
    assert json.loads(client.body)["error"]["code"] == "model_not_found"


def failing(error: BaseException) -> Serve:
    async def serve(arrival: Arrival) -> None:
        raise error

    return serve


async def test_ids_are_unique_uuids_of_version_7() -> None:
    identities = Identities()
    made = [identities.new() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    for text in made[:1000]:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


async def test_ids_stand_in_the_order_of_time() -> None:
    identities = Identities()
    marks: list[int] = []
    for _ in range(200):
        before = time.time_ns() // 1_000_000
        marks += [before, uuid.UUID(identities.new()).int >> 80, time.time_ns() // 1_000_000]
    assert all(earlier <= later for earlier, later in itertools.pairwise(marks))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"abc", True),
        (b"A-1.2:3_x", True),
        (b"x" * 128, True),
        (b"x" * 129, False),
        (b"", False),
        (b"a b", False),
        (b"a\r\nset-cookie: x", False),
        (b"a\n", False),
        (b"\xc3\xbc", False),
        (b"<script>", False),
        (None, False),
    ],
)
async def test_a_request_id_of_the_clients_own_is_kept_if_it_is_harmless(
    run: Run, sent: bytes | None, kept: bool
) -> None:
    seen: list[Arrival] = []

    async def serve(arrival: Arrival) -> None:
        seen.append(arrival)

    await run(serve, headers={} if sent is None else {b"x-request-id": sent})
    (arrival,) = seen
    assert arrival.request_id == (sent.decode() if kept and sent else arrival.id)
    assert uuid.UUID(arrival.id).version == 7, "a row's id is ours whatever the client sends"


async def test_a_body_that_ends_too_soon_is_refused_should_anyone_still_listen(run: Run, metrics: Metrics) -> None:
    gone: list[bool] = []

    async def serve(arrival: Arrival) -> None:
        try:
            await arrival.connection.body(10, unbounded)
        finally:
            gone.append(arrival.connection.gone)

    client = Client(b"x", complete=False)
    client.hang_up()
    await run(serve, client)
    assert client.sent[0]["status"] == 400
    assert gone == [True]
    assert counted(metrics, "tollway_requests_total") == {("invalid_request", "none", "refused", "none"): 1.0}


async def watched_forever(arrival: Arrival) -> None:
    arrival.connection.watch(after_s=0.0)
    await asyncio.Event().wait()


async def test_a_hang_up_cancels_the_call_and_nothing_is_sent(run: Run, in_flight: InFlight) -> None:
    client = Client()
    client.hang_up()
    await run(watched_forever, client)
    assert client.sent == []
    assert in_flight.count == 0
    assert current_task().cancelling() == 0


async def test_what_a_client_says_beyond_its_request_is_no_hang_up(run: Run) -> None:
    client = Client(b"more", b"and more")

    async def serve(arrival: Arrival) -> None:
        arrival.connection.watch(after_s=0.0)
        await asyncio.sleep(0.02)
        assert client.untaken == 0
        await arrival.connection.start(200, [])
        await arrival.connection.end(b"done")

    await run(serve, client)
    assert client.body == b"done"


async def test_a_hang_up_after_the_watch_has_ended_disturbs_nothing(run: Run) -> None:
    client = Client()

    async def serve(arrival: Arrival) -> None:
        arrival.connection.watch(after_s=0.0)
        await asyncio.sleep(0.01)
        arrival.connection.unwatch()
        client.hang_up()
        await asyncio.sleep(0.01)
        await arrival.connection.end(b"done")

    await run(serve, client)
    assert client.body == b"done"


async def test_a_hang_up_while_a_refusal_is_being_sent_raises_nothing(run: Run, in_flight: InFlight) -> None:
    client = Client()
    client.reads.clear()

    async def serve(arrival: Arrival) -> None:
        arrival.connection.watch(after_s=0.0)
        await asyncio.sleep(0.01)
        raise UpstreamBroken("The provider's answer was cut.")

    serving = asyncio.ensure_future(run(serve, client))
    await asyncio.sleep(0.05)
    client.hang_up()
    await asyncio.sleep(0.05)
    client.reads.set()
    await serving
    assert in_flight.count == 0


async def test_a_call_that_a_shutdown_cuts_is_told_so(run: Run, in_flight: InFlight) -> None:
    serving = asyncio.ensure_future(run(watched_forever))
    await asyncio.sleep(0)
    in_flight.cancel_all()
    client = await serving
    assert client.status == 503
    assert client.error["code"] == "server_draining"
    assert in_flight.count == 0


async def test_an_error_is_rendered_once_with_the_headers_that_stations_added(run: Run, metrics: Metrics) -> None:
    async def serve(arrival: Arrival) -> None:
        arrival.connection.answer_headers.append((b"x-ratelimit-limit-requests", b"5"))
        raise RateLimited("Rate limit reached.", retry_after_s=2.5)

    client = await run(serve, headers={b"x-request-id": b"mine"})
    assert client.status == 429
    assert client.headers[b"x-ratelimit-limit-requests"] == b"5"
    assert client.headers[b"retry-after"] == b"3"
    assert client.headers[b"x-request-id"] == b"mine"
    assert client.error["code"] == "rate_limit_exceeded"
    assert client.ends == 1
    assert counted(metrics, "tollway_requests_total") == {("rate_limit_exceeded", "none", "refused", "none"): 1.0}


async def test_an_error_after_the_head_is_an_event_and_no_second_status(run: Run) -> None:
    async def serve(arrival: Arrival) -> None:
        await arrival.connection.start(200, [])
        await arrival.connection.piece(b"partial")
        raise UpstreamBroken("cut")

    client = await run(serve)
    assert client.status == 200
    assert client.body.startswith(b'partialdata: {"error":')
    assert b"upstream_broken" in client.body
    assert client.ends == 1


async def test_an_error_after_a_comment_that_took_the_head_with_it_is_an_event(run: Run) -> None:
    client = Client()

    async def serve(arrival: Arrival) -> None:
        arrival.connection.keep_alive(0.01, lambda: [(b"content-type", b"text/event-stream")])
        await client.has_body.wait()
        raise UpstreamBroken("cut")

    await run(serve, client)
    assert client.status == 200
    assert client.body.startswith(COMMENT + b'data: {"error":')
    assert client.ends == 1


async def test_a_call_that_was_settled_is_not_counted_again_when_it_fails_later(run: Run, metrics: Metrics) -> None:
    async def serve(arrival: Arrival) -> None:
        arrival.connection.settled = True
        raise UpstreamBroken("cut")

    await run(serve)
    assert counted(metrics, "tollway_requests_total") == {}


async def test_a_defect_is_a_500_that_tells_nothing_and_a_log_line_that_does(run: Run, recording: Recording) -> None:
    client = await run(failing(ValueError("the inner secret 4711")), headers={b"x-request-id": b"mine"})
    assert client.status == 500
    assert client.error["code"] == "internal_error"
    assert "mine" in client.error["message"]
    assert b"4711" not in client.body
    (line,) = recording.lines()
    assert (line["level"], line["event"], line["request_id"]) == ("error", "defect", "mine")
    assert line["error"]["type"] == "ValueError"


class Panic(BaseException):
    """What a panic of native code is here."""


async def test_a_panic_is_a_500_and_its_words_are_nobodys(run: Run, recording: Recording) -> None:
    client = await run(failing(Panic("inside of `a text`")))
    assert (client.status, client.error["code"]) == (500, "internal_error")
    (line,) = recording.lines()
    assert (line["event"], line["cause"]) == ("failed", "Panic")
    assert "a text" not in json.dumps(line) + client.body.decode()


async def test_a_failure_of_ours_is_logged_with_its_inside_and_a_clients_fault_is_not(
    run: Run, recording: Recording
) -> None:
    await run(failing(UpstreamBroken("The provider's answer was cut.", inside="connection lost: EOF")))
    await run(failing(Unauthenticated("There is no API key.")))
    (line,) = recording.lines()
    assert (line["event"], line["code"], line["cause"]) == ("failed", "upstream_broken", "connection lost: EOF")


async def test_another_method_is_refused_before_anything_is_served(run: Run) -> None:
    client = await run(failing(AssertionError("served")), method="GET")
    assert client.status == 405
    assert client.error["message"] == "GET is not allowed here; use POST."


@pytest.mark.parametrize(
    ("method", "shown"), [("PATCH", "PATCH"), ("<b>", "This method"), ("X" * 17, "This method"), ("", "This method")]
)
def test_a_method_is_named_only_if_it_looks_like_one(method: str, shown: str) -> None:
    error = method_not_allowed(method, frozenset({"POST", "GET"}))
    assert error.outside == f"{shown} is not allowed here; use GET or POST."


async def test_requests_under_way_are_counted_and_waited_for(run: Run, in_flight: InFlight) -> None:
    await in_flight.idle()
    may_end = asyncio.Event()

    async def serve(arrival: Arrival) -> None:
        await may_end.wait()

    serving = [asyncio.ensure_future(run(serve)) for _ in range(3)]
    await asyncio.sleep(0)
    assert in_flight.count == 3
    idle = asyncio.create_task(in_flight.idle())
    serving.pop().cancel()
    await asyncio.sleep(0.01)
    assert in_flight.count == 2
    assert not idle.done()
    may_end.set()
    await asyncio.gather(*serving)
    await idle


async def test_everything_under_way_can_be_ended_at_once(run: Run, in_flight: InFlight) -> None:
    serving = [asyncio.ensure_future(run(watched_forever)) for _ in range(3)]
    await asyncio.sleep(0)
    in_flight.cancel_all()
    told = await asyncio.gather(*serving)
    assert [client.status for client in told] == [503] * 3
    await in_flight.idle()


def test_a_request_outside_a_task_is_a_defect() -> None:
    loop = asyncio.new_event_loop()
    seen: list[BaseException] = []

    def look() -> None:
        try:
            current_task()
        except RuntimeError as error:
            seen.append(error)

    loop.call_soon(look)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert len(seen) == 1


async def test_bytes_that_have_begun_are_never_ended_by_a_fault(run: Run) -> None:
    async def serve(arrival: Arrival) -> None:
        arrival.connection.is_opaque = True
        await arrival.connection.start(200, [])
        await arrival.connection.piece(b"half a sound")
        raise UpstreamBroken("cut")

    client = await run(serve)
    assert (client.body, client.ends) == (b"half a sound", 0)


async def test_an_upload_is_closed_however_its_call_ends(run: Run) -> None:
    closed: list[str] = []

    class Form:
        is_read = True

        async def screen(self, check: Callable[[str, str], Awaitable[str]]) -> None:
            raise AssertionError

        def streamed(self, request: ChatRequest, model: str) -> Streamed:
            raise AssertionError

        def close(self) -> None:
            closed.append("closed")

    async def serve(arrival: Arrival) -> None:
        arrival.connection.upload = Form()
        raise UpstreamBroken("cut")

    assert (await run(serve)).status == 502
    assert closed == ["closed"]
