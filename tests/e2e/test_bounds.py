"""Bounds: of bodies, of time, of what is understood. Errors say what is wrong."""

import asyncio
import json
import socket
import time

import httpx2
import pytest
from tests.e2e.conftest import Start, StartFor
from tests.fakes.gateway import KEY, Gateway, config, models
from tests.fakes.scripts import completion, deltas, hang, sse, whole
from tests.fakes.upstream import FakeUpstream

HEADERS = {"authorization": f"Bearer {KEY}"}
SMALL = {"host": "127.0.0.1", "workers": 1, "drain": "20s", "max_body": "64KiB"}


@pytest.fixture(scope="module")
def lasting(start_for: StartFor, lasting_dsn: str, lasting_upstream: FakeUpstream) -> Gateway:
    """One for tests whose requests it refuses."""
    return start_for(config(lasting_dsn, lasting_upstream.base_url))


def post(gateway: Gateway, content: bytes, **headers: str) -> httpx2.Response:
    with httpx2.Client(base_url=gateway.base_url, timeout=30) as client:
        return client.post("/chat/completions", content=content, headers={**HEADERS, **headers})


def test_a_declared_body_over_the_cap_is_refused_before_it_is_sent(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(server=SMALL)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        connection.sendall(f"{head}content-length: 10737418240\r\n\r\n".encode())
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert upstream.hits == 0


def test_a_chunked_body_over_the_cap_is_refused_while_it_comes(start: Start, upstream: FakeUpstream) -> None:
    gateway = start(server=SMALL)
    sent = 0

    def endless() -> "list[bytes]":
        nonlocal sent
        sent += 1
        return [b"x" * 8192] * 40

    with httpx2.Client(base_url=gateway.base_url, timeout=30) as client:
        try:
            answer = client.post("/chat/completions", content=iter(endless()), headers=HEADERS)
        except httpx2.WriteError:
            return  # the gateway answered and closed before everything was written: also right
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"
    assert upstream.hits == 0


def test_a_body_over_the_cap_costs_nothing_without_a_key(start: Start) -> None:
    gateway = start(server=SMALL)
    with httpx2.Client(base_url=gateway.base_url, timeout=30) as client:
        answer = client.post("/chat/completions", content=b"x" * 30_000, headers={"authorization": "Bearer wrong"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"not json", None),
        (b"[]", None),
        (b'{"messages": [{"role": "user", "content": "Hi"}]}', "model"),
        (b'{"model": 5, "messages": [{"role": "user", "content": "Hi"}]}', "model"),
        (b'{"model": "m"}', "messages"),
        (b'{"model": "m", "messages": []}', "messages"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": "yes"}', "stream"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 0}', "n"),
        (b'{"model": "m", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
        (b'{"model": "m", "messages": [{"role": "user", "content": "\xff\xfe"}]}', None),
    ],
)
def test_what_is_no_chat_request_gets_400_and_is_told_why(
    lasting: Gateway, lasting_upstream: FakeUpstream, body: bytes, param: str | None
) -> None:
    answer = post(lasting, body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert error["message"]
    assert lasting_upstream.hits == 0


def test_other_methods_and_paths_are_told_apart(lasting: Gateway) -> None:
    with httpx2.Client(base_url=lasting.url, headers=HEADERS, timeout=10) as client:
        assert client.get("/v1/chat/completions").status_code == 405
        assert client.post("/v1/models").status_code == 405
        missing = client.get("/v1/nothing")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "not_found"
    assert missing.headers["x-request-id"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_hangs_is_given_up_at_the_first_token_limit(
    start: Start, upstream: FakeUpstream, stream: bool
) -> None:
    upstream.default = hang()
    gateway = await asyncio.to_thread(start, models=models("m", timeouts={"first_token": "500ms"}))
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    answer = await asyncio.to_thread(post, gateway, json.dumps(body).encode())
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "upstream_timeout"
    await upstream.until(lambda: len(upstream.aborts) == 1)
    (row,) = await asyncio.to_thread(gateway.wait_for_rows, 1)
    assert row["status"] == "timeout"
    assert row["prompt_tokens"] > 0


def test_a_connection_that_is_never_taken_is_given_up_at_the_connect_limit(
    start: Start, upstream: FakeUpstream
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:  # fill the queue of connections that nobody accepts
            each.setblocking(False)
            each.connect_ex(deaf.getsockname())
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        gateway = start(
            providers={
                "deaf": {"kind": "vllm", "base_url": url},
                "fake": {"kind": "vllm", "base_url": upstream.base_url},
            },
            models={
                "m": {"targets": [{"provider": "deaf", "model": "m"}], "timeouts": {"connect": "300ms"}},
                "served": {"targets": [{"provider": "fake", "model": "served"}]},
            },
        )
        began = time.monotonic()
        answer = post(gateway, b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}')
        for each in waiting:
            each.close()
    assert answer.status_code == 504
    assert "reached in time" in answer.json()["error"]["message"]
    assert time.monotonic() - began < 25, "not the default of 60 s"
    upstream.default = whole(completion())
    post(gateway, b'{"model": "served", "messages": [{"role": "user", "content": "Hi"}]}')
    (row,) = gateway.wait_for_rows(1)
    assert row["model"] == "served", "of the first, nothing was sent"


async def test_the_total_limit_ends_a_stream_that_never_stalls(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = sse(deltas(*["x"] * 200), gap_s=0.1)
    gateway = await asyncio.to_thread(start, models=models("m", timeouts={"total": "1s"}))
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    answer = await asyncio.to_thread(post, gateway, json.dumps(body).encode())
    assert '"code":"upstream_timeout"' in answer.text
    assert "[DONE]" not in answer.text
    (row,) = await asyncio.to_thread(gateway.wait_for_rows, 1)
    assert (row["status"], row["usage_source"]) == ("timeout", "estimated")


def test_a_redirect_of_a_provider_is_not_followed(start: Start, upstream: FakeUpstream) -> None:
    upstream.scripts = {"m": whole({}, status=302, headers=[("location", f"{upstream.base_url}/elsewhere")])}
    gateway = start()
    post(gateway, b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}')
    assert upstream.hits == 1


def test_usage_that_the_provider_does_not_tell_is_counted(start: Start, upstream: FakeUpstream) -> None:
    untold = completion("Hello there.")
    del untold["usage"]
    upstream.scripts = {"gpt-4o": whole(untold), "streamed": sse(deltas("Hello", " there.", usage=None))}
    gateway = start(models=models("gpt-4o", "streamed"))
    post(gateway, b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}')
    post(gateway, b'{"model": "streamed", "messages": [{"role": "user", "content": "Hi"}], "stream": true}')
    rows = gateway.wait_for_rows(2)
    # "Hi" is one token, 3 for the message, 1 for its role, 3 for the reply; "Hello there." is three.
    assert [(row["prompt_tokens"], row["completion_tokens"], row["usage_source"]) for row in rows] == [
        (8, 3, "counted")
    ] * 2
