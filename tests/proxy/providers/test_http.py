"""Connections to providers, against scripted servers: framings, deaths, reuse, and what a cancelled call leaves."""

import asyncio
import gc
import random
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.fakes.gateway import free_port
from tests.fakes.scripts import Script, Step, not_http, whole
from tests.fakes.upstream import FakeUpstream

from tollway.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.connection import HELD_BYTES, MAX_HEAD_BYTES, STALE_S, WAS_IDLE_S, WRITE_BYTES
from tollway.proxy.providers.http import HttpTransport, _head
from tollway.proxy.providers.port import UpstreamRequest, question

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n"


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


def raw(data: bytes, *ending: Step) -> Script:
    """Exactly these bytes, then ``ending`` (unless given, the connection is closed)."""
    return Script(raw_head=data, steps=ending)


def request(base_url: str, body: bytes = b"{}", connect_s: float = 10.0, **headers: str) -> UpstreamRequest:
    return UpstreamRequest(f"{base_url}/chat/completions", list(headers.items()), body, connect_s, lambda: None)


async def body_of(answer: UpstreamAnswer) -> bytes:
    pieces = []
    while (piece := await answer.piece()) is not None:
        assert piece
        pieces.append(piece)
    return b"".join(pieces)


async def ask(transport: HttpTransport, upstream: FakeUpstream, body: bytes = b"{}") -> bytes:
    """A call from its beginning to its end; the answer's body."""
    answer = await transport.send(request(upstream.base_url, body))
    try:
        return await body_of(answer)
    finally:
        await answer.close()


async def test_a_call_goes_out_as_http_with_its_headers_and_its_body(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = whole({"ok": True})
    answer = await transport.send(request(upstream.base_url, '{"a": "é"}'.encode(), authorization="Bearer k"))
    assert (answer.status, answer.header("content-type"), answer.header("missing")) == (200, "application/json", None)
    assert await body_of(answer) == b'{"ok": true}'
    await answer.close()
    (seen,) = upstream.requests
    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/chat/completions", '{"a": "é"}'.encode())
    assert seen.header("host") == f"127.0.0.1:{upstream.port}"
    assert seen.header("authorization") == "Bearer k"
    assert seen.header("accept-encoding") == "identity"
    assert (seen.header("user-agent") or "").startswith("tollway/")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "h", "http", "p", "[::1]:80"])
def test_the_path_is_what_follows_the_host_whatever_the_host_is_called(host: str) -> None:
    url = f"http://{host}/v1/chat?api-version=1"
    written = _head(host, UpstreamRequest(url, [], b"", 1.0, lambda: None))
    assert written.startswith(f"POST /v1/chat?api-version=1 HTTP/1.1\r\nhost: {host}\r\n".encode())


async def test_what_is_only_asked_for_has_no_body_and_no_length(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = whole({"data": []})
    for _ in range(2):
        answer = await transport.send(question(f"{upstream.base_url}/models?limit=1", [("x-api-key", "k")], 10.0))
        assert (answer.status, await body_of(answer), answer.secrets) == (200, b'{"data": []}', ("k",))
        await answer.close()
    seen = upstream.requests[-1]
    assert (seen.method, seen.path, seen.body) == ("GET", "/v1/models?limit=1", b"")
    assert (seen.header("x-api-key"), seen.header("content-length")) == ("k", None)
    assert upstream.connections == 1


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (CHUNKED + b"1\r\no\r\n1;ext=1\r\nk\r\n0\r\n\r\n", b"ok"),
        (CHUNKED + b"0\r\n\r\n", b""),
        (CHUNKED + b"2\r\nok\r\n0\r\nx-checksum: 1\r\n\r\n", b"ok"),
        (UNTIL_CLOSE + b"ok", b"ok"),
        (UNTIL_CLOSE, b""),
        (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok"),
        (OK.replace(b"OK\r\n", b"OK\r\nconnection: upgrade\r\nupgrade: h2,h2c\r\n"), b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n" + UNTIL_CLOSE + b"ok", b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nx-one: early\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK, b"ok"),
    ],
    ids=[
        "length",
        "length 0",
        "no content",
        "chunks",
        "no chunks",
        "trailers",
        "until close",
        "nothing until close",
        "HTTP/1.0",
        "an upgrade on offer",
        "continue",
        "continue with a length",
        "early hints",
    ],
)
@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["at once", "byte by byte"])
async def test_every_framing_is_read_to_its_end_however_it_arrives(
    transport: HttpTransport, upstream: FakeUpstream, answer: bytes, body: bytes, byte_by_byte: bool
) -> None:
    bytewise: list[Step] = [("send", answer[at : at + 1]) for at in range(len(answer))]
    upstream.default = raw(b"", *bytewise) if byte_by_byte else raw(answer)
    given = await transport.send(request(upstream.base_url))
    assert given.status in (200, 204)
    assert given.header("x-one") is None, "an interim answer's headers are not the answer's"
    assert given.header("x-checksum") is None, "nor are trailers"
    assert await body_of(given) == body
    assert await given.piece() is None
    await given.close()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (raw(b"", ("fin",)), "without an answer"),
        (raw(b"", ("rst",)), "without an answer"),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-le", ("fin",)), "without an answer"),
        (raw(b"HTTP/1.1 100 Continue\r\n\r\n", ("fin",)), "without an answer"),
        (not_http(), "not answer in HTTP"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n", ("hang",)), "not answer in HTTP"),
        (raw(b"HTTP/1.1 999999 Odd\r\n\r\n", ("hang",)), "not answer in HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", ("hang",)), "not answer in HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", ("hang",)), "not answer in HTTP"),
        (
            raw(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", ("hang",)),
            "not answer in HTTP",
        ),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"x-filler: y\r\n" * (MAX_HEAD_BYTES // 5), ("hang",)), "not answer in HTTP"),
        (raw(b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD_BYTES // 5), ("hang",)), "not answer in HTTP"),
    ],
    ids=[
        "closed",
        "reset",
        "cut in the head",
        "cut after an interim answer",
        "noise",
        "another protocol",
        "odd status",
        "negative length",
        "two lengths",
        "upgrade",
        "endless head",
        "endless interim answers",
    ],
)
async def test_what_is_no_answer_is_said_to_be_none(
    transport: HttpTransport, upstream: FakeUpstream, script: Script, message: str
) -> None:
    upstream.default = script
    with pytest.raises(UpstreamBroken, match=message):
        await transport.send(request(upstream.base_url))
    await upstream.until(lambda: upstream.open_connections == 0)


@pytest.mark.parametrize(
    ("head", "ending"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart", "fin"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart", "rst"),
        (CHUNKED + b"4\r\npart\r\n", "fin"),
        (CHUNKED + b"4\r\npart\r\n", "rst"),
        (CHUNKED + b"4\r\npart\r\n0\r\n", "fin"),
        (CHUNKED + b"4\r\npart\r\nnonsense\r\n", "hang"),
        (UNTIL_CLOSE + b"part", "rst"),
    ],
    ids=[
        "length, FIN",
        "length, RST",
        "chunks, FIN",
        "chunks, RST",
        "half an end, FIN",
        "no chunk",
        "until close, RST",
    ],
)
async def test_a_body_that_is_cut_is_told_from_one_that_has_ended(
    transport: HttpTransport, upstream: FakeUpstream, head: bytes, ending: str
) -> None:
    last: Step = ("fin",) if ending == "fin" else ("rst",) if ending == "rst" else ("hang",)
    upstream.default = raw(head, ("sleep", 0.05), last)  # a reset may overtake what was sent just before it
    answer = await transport.send(request(upstream.base_url))
    assert await answer.piece() == b"part"
    for _ in range(2):
        with pytest.raises(UpstreamBroken, match="cut before its end"):
            await answer.piece()
    await answer.close()
    await upstream.until(lambda: upstream.open_connections == 0)


async def test_a_connection_is_used_again_once_its_answer_has_ended(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = whole({"ok": True})
    for number in range(5):
        assert await ask(transport, upstream, b"%d" % number) == b'{"ok": true}'
    assert upstream.connections == 1
    assert [seen.body for seen in upstream.requests] == [b"0", b"1", b"2", b"3", b"4"]


async def test_calls_at_the_same_time_have_connections_of_their_own(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = whole({"ok": True}, delay_s=0.05)
    assert await asyncio.gather(*(ask(transport, upstream) for _ in range(4))) == [b'{"ok": true}'] * 4
    assert upstream.connections == 4
    await asyncio.gather(*(ask(transport, upstream) for _ in range(4)))
    assert upstream.connections == 4


@pytest.mark.parametrize(
    "script",
    [
        Script(steps=(("send", b"ok"),), framing="close"),
        raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", ("hang",)),
        raw(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", ("hang",)),
    ],
    ids=["until close", "connection: close", "HTTP/1.0"],
)
async def test_a_connection_that_the_provider_ends_is_not_used_again(
    transport: HttpTransport, upstream: FakeUpstream, script: Script
) -> None:
    upstream.default = script
    assert [await ask(transport, upstream) for _ in range(2)] == [b"ok", b"ok"]
    assert upstream.connections == 2
    await upstream.until(lambda: upstream.open_connections == 0)


async def test_an_answer_that_nobody_reads_to_its_end_cuts_its_connection(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = raw(CHUNKED + b"4\r\npart\r\n", ("hang",))
    answer = await transport.send(request(upstream.base_url))
    assert await answer.piece() == b"part"
    await answer.close()
    await upstream.until(lambda: len(upstream.aborts) == 1)


async def test_an_idle_connection_that_the_provider_closes_is_not_used_again(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = raw(OK, ("sleep", 0.05), ("fin",))
    assert await ask(transport, upstream) == b"ok"
    await upstream.until(lambda: upstream.open_connections == 0)
    await asyncio.sleep(0.05)
    assert await ask(transport, upstream) == b"ok"
    assert (upstream.hits, upstream.connections) == (2, 2)


@pytest.mark.parametrize(
    "garbage",
    [
        b"noise",
        b"\x00",
        b"HT",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
        b"HTTP/1.1 500 Poisoned\r\ncontent-length: 8\r\n\r\npoisoned",
    ],
    ids=["noise", "NUL", "the beginning of an answer", "a head", "another answer"],
)
@pytest.mark.parametrize("late", [False, True], ids=["with it", "later"])
async def test_bytes_behind_an_answer_never_become_part_of_it_or_of_the_next(
    transport: HttpTransport, upstream: FakeUpstream, garbage: bytes, late: bool
) -> None:
    later: tuple[Step, ...] = (("sleep", 0.02), ("send", garbage), ("hang",))
    upstream.default = raw(OK, *later) if late else raw(OK + garbage, ("hang",))
    answer = await transport.send(request(upstream.base_url))
    assert answer.status == 200
    assert await body_of(answer) == b"ok"
    await answer.close()
    await upstream.until(lambda: upstream.open_connections == 0)  # cut, whether it was idle already or not
    upstream.default = whole({"mine": True})
    assert await ask(transport, upstream) == b'{"mine": true}'
    assert upstream.connections == 2


async def test_line_ends_behind_an_answer_do_no_harm(transport: HttpTransport, upstream: FakeUpstream) -> None:
    """Old servers add one; RFC 9112, section 2.2, has it skipped."""
    upstream.default = raw(OK + b"\r\n", ("hang",))
    assert await ask(transport, upstream) == b"ok"


@pytest.mark.parametrize(
    "script", [Script(delay_s=60.0), raw(b"HTTP/1.1 200 OK\r\n", ("hang",))], ids=["silent", "in the head"]
)
async def test_a_call_that_is_cancelled_before_its_head_is_cut_at_once(
    transport: HttpTransport, upstream: FakeUpstream, script: Script
) -> None:
    upstream.default = script
    call = asyncio.create_task(transport.send(request(upstream.base_url)))
    await upstream.until(lambda: upstream.hits == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await upstream.until(lambda: len(upstream.aborts) == 1)
    assert upstream.open_connections == 0


async def test_a_read_that_is_cancelled_can_be_taken_up_again(transport: HttpTransport, upstream: FakeUpstream) -> None:
    upstream.default = raw(CHUNKED, ("sleep", 0.1), ("send", b"4\r\nlate\r\n0\r\n\r\n"))
    answer = await transport.send(request(upstream.base_url))
    reading = asyncio.create_task(answer.piece())
    await asyncio.sleep(0.01)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert await body_of(answer) == b"late"
    await answer.close()


async def test_a_slow_reader_holds_up_the_provider_instead_of_filling_memory(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    sent = bytes(1024 * 1024)
    upstream.default = Script(steps=tuple(("send", sent) for _ in range(64)), framing="chunked")
    answer = await transport.send(request(upstream.base_url))
    await asyncio.sleep(0.5)
    (seen,) = upstream.requests
    assert seen.answered_at is None, "the provider could not send all of it"
    piece = await answer.piece()
    assert piece is not None
    assert len(piece) < HELD_BYTES + 1024 * 1024, "what is held, and one read beyond it"
    assert len(piece) + len(await body_of(answer)) == 64 * len(sent)
    await answer.close()
    assert upstream.connections == 1
    assert await ask(transport, upstream) != b""
    assert upstream.connections == 1, "the connection is whole and used again"


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-a", "b\r\nx-injected: 1"), ("x-a", "b\nc"), ("x-a", "b\rc"), ("x-a\r\nx-b", "c"), ("x-a", "\r\n\r\nGET / ")],
)
async def test_a_header_with_a_line_break_is_not_sent(
    transport: HttpTransport, upstream: FakeUpstream, name: str, value: str
) -> None:
    with pytest.raises(ValueError, match="line break"):
        await transport.send(
            UpstreamRequest(upstream.base_url, [("accept", "*/*"), (name, value)], b"{}", 10.0, lambda: None)
        )
    await upstream.until(lambda: upstream.open_connections == 0)
    assert upstream.hits == 0


async def test_a_refused_connection_is_unreachable(transport: HttpTransport) -> None:
    with pytest.raises(UpstreamUnreachable) as caught:
        await transport.send(request(f"http://127.0.0.1:{free_port()}/v1"))
    assert "127.0.0.1" not in caught.value.outside
    assert caught.value.inside != caught.value.outside


async def test_a_connection_that_is_never_taken_is_given_up(transport: HttpTransport) -> None:
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # fill the queue of connections that nobody accepts
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        with pytest.raises(UpstreamTimeout, match="reached in time"):
            await transport.send(request(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1", connect_s=0.1))


async def test_a_kept_connection_that_was_closed_as_a_call_went_out_is_replaced_once(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = whole({"ok": True})
    await ask(transport, upstream)
    upstream.default = raw(b"", ("fin",))
    await asyncio.sleep(WAS_IDLE_S)
    upstream.scripts = {"again": lambda seen: whole({"ok": True}) if upstream.hits > 2 else raw(b"", ("fin",))}
    assert await ask(transport, upstream, b'{"model": "again"}') == b'{"ok": true}'
    assert upstream.connections == 2
    await asyncio.sleep(WAS_IDLE_S)
    with pytest.raises(UpstreamBroken, match="without an answer"):
        await ask(transport, upstream)
    assert upstream.connections == 3, "one try on a new connection, and no more"


@pytest.mark.parametrize(
    "second",
    [raw(b"H", ("fin",)), Script(raw_head=b"", steps=(("sleep", STALE_S + 0.2), ("fin",)))],
    ids=["after a byte of an answer", "after the provider was at work"],
)
async def test_a_call_that_may_have_been_served_is_not_sent_twice(
    transport: HttpTransport, upstream: FakeUpstream, second: Script
) -> None:
    upstream.default = whole({"ok": True})
    await ask(transport, upstream)
    upstream.default = second
    with pytest.raises(UpstreamBroken):
        await ask(transport, upstream)
    assert upstream.hits == 2


async def test_a_call_on_a_new_connection_is_not_sent_twice(transport: HttpTransport, upstream: FakeUpstream) -> None:
    upstream.default = raw(b"", ("fin",))
    with pytest.raises(UpstreamBroken):
        await ask(transport, upstream)
    assert upstream.hits == 1


async def test_a_large_body_arrives_whole_and_leaves_the_connection_whole(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = whole({"ok": True})
    for size in (WRITE_BYTES, WRITE_BYTES + 1, 20 * 1024 * 1024):
        body = random.Random(size).randbytes(size)
        assert await ask(transport, upstream, body) == b'{"ok": true}'
        assert upstream.requests[-1].body == body
    assert upstream.connections == 1


async def test_a_large_body_does_not_hold_up_the_loop_while_the_provider_reads(transport: HttpTransport) -> None:
    async with slow_server() as (base_url, go_on):
        call = asyncio.create_task(transport.send(request(base_url, bytes(20 * 1024 * 1024))))
        await asyncio.sleep(0.2)
        assert not call.done(), "the provider has not read it"
        go_on.set()
        answer = await call
        assert await body_of(answer) == b"ok"
        await answer.close()


async def test_a_provider_that_answers_before_it_has_read_all_is_heard_and_not_used_again(
    transport: HttpTransport,
) -> None:
    async with slow_server(OK) as (base_url, _):
        answer = await transport.send(request(base_url, bytes(20 * 1024 * 1024)))
        assert await body_of(answer) == b"ok"
        assert not answer._connection.is_reusable
        await answer.close()


@asynccontextmanager
async def slow_server(early: bytes = b"") -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that answers ``early`` at once, and reads and answers what it has read once it may go on."""
    go_on, served = asyncio.Event(), asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(early)
        await go_on.wait()
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
            writer.write(OK)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", go_on
    finally:
        go_on.set()
        await served.wait()
        server.close()
        await server.wait_closed()


async def test_closing_closes_what_is_idle(upstream: FakeUpstream) -> None:
    upstream.default = whole({"ok": True}, delay_s=0.05)
    transport = HttpTransport()
    await asyncio.gather(*(ask(transport, upstream) for _ in range(3)))
    assert upstream.open_connections == 3
    transport.close()
    await upstream.until(lambda: upstream.open_connections == 0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, with its key, that nobody has signed but itself."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "self-signed.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@asynccontextmanager
async def listening_with_tls(certificate: Path, said: bytearray) -> AsyncIterator[int]:
    """A TLS server that keeps what it is told; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Told(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            said.extend(data)

    server = await asyncio.get_running_loop().create_server(Told, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_certificate_that_nobody_vouches_for_is_unreachable_and_gets_no_key(
    transport: HttpTransport, certificate: Path
) -> None:
    said = bytearray()
    async with listening_with_tls(certificate, said) as port:
        with pytest.raises(UpstreamUnreachable) as caught:
            await transport.send(request(f"https://127.0.0.1:{port}/v1", authorization="Bearer secret"))
        assert "certificate" in caught.value.inside.lower()
    assert said == b""


async def test_large_bodies_go_over_tls_as_well_and_leave_the_connection_whole(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    bodies: list[bytes] = []
    gone = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                bodies.append(await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])))
                writer.write(OK)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        gone.set()

    transport = HttpTransport()
    sent = [random.Random(size).randbytes(size) for size in (10, WRITE_BYTES + 1, 20 * 1024 * 1024)]
    async with await asyncio.start_server(converse, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        for body in sent:
            answer = await transport.send(request(url, body))
            assert await body_of(answer) == b"ok"
            await answer.close()
        transport.close()
        await gone.wait()
    assert bodies == sent


async def test_plain_http_at_a_tls_port_and_tls_at_a_plain_one_fail_cleanly(
    transport: HttpTransport, upstream: FakeUpstream, certificate: Path
) -> None:
    said = bytearray()
    async with listening_with_tls(certificate, said) as port:
        with pytest.raises(UpstreamBroken):
            await transport.send(request(f"http://127.0.0.1:{port}/v1"))
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
        plain.listen()
        with pytest.raises(UpstreamTimeout):
            await transport.send(request(f"https://127.0.0.1:{plain.getsockname()[1]}/v1", connect_s=0.2))


async def test_nothing_is_left_behind(upstream: FakeUpstream) -> None:
    """Neither a socket nor a transport survives calls that end in every way: warnings of both fail a test."""
    transport = HttpTransport()
    for script in (whole({"ok": True}), raw(CHUNKED + b"2\r\nok\r\n", ("fin",)), raw(b"", ("rst",)), not_http()):
        upstream.default = script
        try:
            await ask(transport, upstream)
        except UpstreamBroken:
            continue
    transport.close()
    await upstream.until(lambda: upstream.open_connections == 0)
    await asyncio.sleep(0)
    gc.collect()
