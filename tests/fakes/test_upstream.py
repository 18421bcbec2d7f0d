"""The scripted upstream does what its scripts say, and sees what clients do."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from tests.fakes.records import payloads
from tests.fakes.scripts import (
    CHUNKINGS,
    Chunking,
    Script,
    completion,
    cut_after,
    deltas,
    error_after,
    hang,
    hang_after,
    not_http,
    rst_after,
    sse,
    status,
    whole,
)
from tests.fakes.upstream import FakeUpstream, Seen


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(default=whole(completion())) as running:
        yield running


@pytest.fixture
def connection(upstream: FakeUpstream) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=10)
    yield connection
    connection.close()


def ask(connection: http.client.HTTPConnection, model: str = "m", **more: Any) -> http.client.HTTPResponse:
    body = json.dumps({"model": model, **more})
    connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json", "X-Seen": "yes"})
    return connection.getresponse()


def test_a_request_is_remembered_as_it_came(upstream: FakeUpstream, connection: http.client.HTTPConnection) -> None:
    answer = ask(connection, "gpt-x", n=2)
    assert json.loads(answer.read()) == completion()
    (seen,) = upstream.requests
    assert (seen.method, seen.path, seen.model, seen.json) == (
        "POST",
        "/v1/chat/completions",
        "gpt-x",
        {"model": "gpt-x", "n": 2},
    )
    assert ("X-Seen", "yes") in seen.headers
    assert seen.header("x-seen") == "yes"
    upstream.wait_for(lambda: seen.answered_at is not None)
    assert not upstream.aborts


def test_a_connection_is_kept_for_the_next_request(
    upstream: FakeUpstream, connection: http.client.HTTPConnection
) -> None:
    for _ in range(3):
        ask(connection).read()
    assert (upstream.hits, upstream.connections, upstream.open_connections) == (3, 1, 1)
    connection.close()
    upstream.wait_for(lambda: upstream.open_connections == 0)


def test_a_chunked_request_is_read_whole(upstream: FakeUpstream, connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/v1/x", iter([b'{"model":', b'"m"}']), encode_chunked=True)
    connection.getresponse().read()
    assert upstream.requests[0].body == b'{"model":"m"}'


def test_scripts_are_chosen_by_model_and_may_be_functions(
    upstream: FakeUpstream, connection: http.client.HTTPConnection
) -> None:
    def choose(seen: Seen) -> Script:
        return whole({"asked": seen.json["n"]})

    upstream.scripts = {"busy": status(429, headers=[("retry-after", "7")]), "echo": choose}
    busy = ask(connection, "busy")
    assert (busy.status, busy.getheader("retry-after")) == (429, "7")
    assert json.loads(busy.read())["error"]["code"] == "scripted"
    assert json.loads(ask(connection, "echo", n=5).read()) == {"asked": 5}
    assert (upstream.hits_of("busy"), upstream.hits_of("echo"), upstream.hits_of("other")) == (1, 1, 0)


def test_a_model_without_a_script_is_a_404() -> None:
    with FakeUpstream() as upstream:
        connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=10)
        assert ask(connection).status == 404
        connection.close()


def test_a_failing_script_is_said_at_the_end() -> None:
    def fail(seen: Seen) -> Script:
        raise LookupError(seen.path)

    upstream = FakeUpstream(default=fail)
    connection = http.client.HTTPConnection("127.0.0.1", 0, timeout=10)

    def run() -> None:
        with upstream:
            connection.port = upstream.port
            connection.request("POST", "/v1/x", "{}")
            connection.sock.recv(1)

    with pytest.raises(ExceptionGroup, match="own failures"):
        run()
    connection.close()


@pytest.mark.parametrize("chunking", CHUNKINGS)
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_every_chunking_carries_the_same_events(
    upstream: FakeUpstream, connection: http.client.HTTPConnection, chunking: Chunking, framing: Any
) -> None:
    events = deltas("Grüß ", "Gott 🚏 ", "高速道路")
    script = sse(events, chunking)
    upstream.scripts["m"] = Script(script.status, script.headers, script.steps, framing)
    text = ask(connection).read().decode()
    assert payloads(text) == events
    assert text.count("[DONE]") == 1
    assert ("\r\n" in text) == (chunking == "crlf")


def test_a_cut_has_no_proper_end(upstream: FakeUpstream, connection: http.client.HTTPConnection) -> None:
    upstream.scripts["m"] = cut_after(3)
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(connection).read()
    assert len(payloads(caught.value.partial.decode())) == 1 + 3


def test_a_reset_comes_after_the_deltas(upstream: FakeUpstream, connection: http.client.HTTPConnection) -> None:
    upstream.scripts["m"] = rst_after(2)
    answer = ask(connection)
    text = b"".join(answer.readline() for _ in range(6)).decode()
    assert len(payloads(text)) == 1 + 2
    with pytest.raises(ConnectionResetError):
        answer.read()


def test_an_error_event_ends_with_done(upstream: FakeUpstream, connection: http.client.HTTPConnection) -> None:
    upstream.scripts["m"] = error_after(1)
    *told, error = payloads(ask(connection).read().decode())
    assert len(told) == 1 + 1
    assert "error" in error


def test_an_answer_may_be_no_http(upstream: FakeUpstream, connection: http.client.HTTPConnection) -> None:
    upstream.scripts["m"] = not_http()
    with pytest.raises(http.client.BadStatusLine):
        ask(connection)


@pytest.mark.parametrize("script", [hang(), hang_after(2), sse(deltas("a", "b"), gap_s=60), whole({}, delay_s=60)])
def test_a_client_that_leaves_is_seen(upstream: FakeUpstream, script: Script) -> None:
    upstream.scripts["m"] = script
    with socket.create_connection(("127.0.0.1", upstream.port)) as client:
        client.sendall(b'POST / HTTP/1.1\r\ncontent-length: 13\r\n\r\n{"model":"m"}')
        upstream.wait_for(lambda: upstream.hits == 1)
        assert not upstream.aborts
    upstream.wait_for(lambda: len(upstream.aborts) == 1)
    (seen,) = upstream.aborts
    assert seen.aborted_at is not None
    assert seen.answered_at is None


def test_a_client_that_leaves_after_the_end_is_no_abort(upstream: FakeUpstream) -> None:
    upstream.scripts["m"] = sse(deltas("a", "b"))
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=10)
        answer = ask(connection)
        while b"[DONE]" not in answer.readline():
            pass
        connection.close()
        answer.close()
    upstream.wait_for(lambda: upstream.open_connections == 0)
    assert not upstream.aborts


def test_it_stops_while_calls_hang() -> None:
    with FakeUpstream(default=hang()) as upstream, socket.create_connection(("127.0.0.1", upstream.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        upstream.wait_for(lambda: upstream.hits == 1)


async def test_an_async_client_streams_from_it(upstream: FakeUpstream) -> None:
    upstream.scripts["m"] = sse(deltas("Hel", "lo"), "one_byte")
    async with AsyncOpenAI(base_url=upstream.base_url, api_key="k", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        texts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        assert "".join(texts) == "Hello"
        upstream.scripts["m"] = hang()
        with pytest.raises(openai.APITimeoutError):
            await client.with_options(timeout=0.2).chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hi"}]
            )
        await upstream.until(lambda: len(upstream.aborts) == 1)


def test_waiting_for_what_never_happens_fails(upstream: FakeUpstream) -> None:
    with pytest.raises(AssertionError, match="not within"):
        upstream.wait_for(lambda: upstream.hits == 1, timeout_s=0.05)


def test_a_used_connection_is_closed_when_it_idles(
    upstream: FakeUpstream, connection: http.client.HTTPConnection
) -> None:
    upstream.idle_s = 0.05
    ask(connection).read()
    upstream.wait_for(lambda: upstream.open_connections == 0)
    assert upstream.hits == 1


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_a_used_connection_ends_as_the_next_request_comes(
    upstream: FakeUpstream, connection: http.client.HTTPConnection, end: Any
) -> None:
    ask(connection).read()
    upstream.crossing = end
    with pytest.raises(ConnectionError):
        ask(connection)
    upstream.wait_for(lambda: upstream.open_connections == 0)
    assert (upstream.hits, upstream.crossed) == (1, 1)
    connection.close()  # a reset while it was sending leaves the client in the middle of its request
    assert json.loads(ask(connection).read()) == completion(), "a new one is answered"


def test_a_body_is_cut_where_it_is_told(upstream: FakeUpstream, connection: http.client.HTTPConnection) -> None:
    upstream.body_cuts.extend([None, 30])
    ask(connection).read()
    with pytest.raises(ConnectionError):
        ask(connection, filler="x" * 100)
    assert upstream.hits == 1
    assert json.loads(ask(connection).read()) == completion()
