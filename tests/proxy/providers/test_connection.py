"""Uploads to providers: bodies that are sent while they arrive, once, and no faster than they are read."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import pytest
from tests.fakes.scripts import Script, whole
from tests.fakes.upstream import FakeUpstream

from tollway.errors import InvalidRequest, UpstreamBroken
from tollway.proxy.pieces import Streamed, read_all
from tollway.proxy.providers.connection import WRITE_BYTES
from tollway.proxy.providers.http import HttpTransport
from tollway.proxy.providers.port import UpstreamRequest


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


def uploading(
    upstream: FakeUpstream, pieces: AsyncGenerator[bytes, None], length_bytes: int | None = None
) -> UpstreamRequest:
    headers = [("content-type", "application/json"), ("authorization", "Bearer x")]
    upload = Streamed("multipart/form-data; boundary=b", length_bytes, pieces)
    return UpstreamRequest(upstream.base_url, headers, b"", 10.0, lambda: None, upload=upload)


async def pieces_of(*pieces: bytes | Exception, then: asyncio.Event | None = None) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        await asyncio.sleep(0)
        if isinstance(piece, Exception):
            raise piece
        yield piece
    if then is not None:
        await then.wait()


@pytest.mark.parametrize("length_bytes", [2 * WRITE_BYTES, None])
async def test_an_upload_goes_out_as_it_comes_on_a_connection_of_its_own(
    transport: HttpTransport, upstream: FakeUpstream, length_bytes: int | None
) -> None:
    upstream.default = whole(b"ok")
    first = await transport.send(UpstreamRequest(upstream.base_url, [], b"{}", 10.0, lambda: None))
    assert await read_all(first.piece) == b"ok"
    await first.close()
    halves = b"a" * WRITE_BYTES, b"", b"b" * WRITE_BYTES
    answer = await transport.send(uploading(upstream, pieces_of(*halves), length_bytes))
    assert await read_all(answer.piece) == b"ok"
    await answer.close()
    seen = upstream.requests[-1]
    assert seen.body == b"".join(halves)
    assert seen.header("content-type") == "multipart/form-data; boundary=b"
    assert seen.header("transfer-encoding") == (None if length_bytes else "chunked")
    assert upstream.connections == 2


async def test_an_upload_that_fails_cuts_the_connection_and_says_why(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    with pytest.raises(InvalidRequest, match="no form"):
        await transport.send(uploading(upstream, pieces_of(b"half", InvalidRequest("no form")), 100))
    await upstream.until(lambda: upstream.open_connections == 0)
    assert upstream.hits == 0


async def test_an_upload_that_is_answered_early_stops(transport: HttpTransport, upstream: FakeUpstream) -> None:
    upstream.early = whole(b"enough", status=413)
    left = pieces_of(b"half", then=asyncio.Event())
    answer = await transport.send(uploading(upstream, left))
    assert (answer.status, await read_all(answer.piece)) == (413, b"enough")
    with pytest.raises(StopAsyncIteration):
        await anext(left)
    await answer.close()
    await upstream.until(lambda: upstream.open_connections == 0)


async def test_an_upload_that_is_cancelled_is_cut_at_once(transport: HttpTransport, upstream: FakeUpstream) -> None:
    call = asyncio.create_task(transport.send(uploading(upstream, pieces_of(b"half", then=asyncio.Event()))))
    await upstream.until(lambda: upstream.open_connections == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await upstream.until(lambda: upstream.open_connections == 0)


async def test_an_upload_goes_no_faster_than_the_provider_reads(
    transport: HttpTransport, upstream: FakeUpstream
) -> None:
    upstream.default = whole(b"ok")
    upstream.pause_s = 0.5
    given, total = 0, 64 * 1024 * 1024

    async def many() -> AsyncGenerator[bytes, None]:
        nonlocal given
        while given < total:
            given += WRITE_BYTES
            yield bytes(WRITE_BYTES)

    call = asyncio.create_task(transport.send(uploading(upstream, many(), total)))
    await upstream.until(lambda: upstream.open_connections == 1)
    await asyncio.sleep(0.2)
    assert 0 < given < total // 2
    answer = await call
    assert await read_all(answer.piece) == b"ok"
    await answer.close()
    assert len(upstream.requests[-1].body) == total


async def test_an_upload_to_a_provider_that_dies_is_broken(transport: HttpTransport, upstream: FakeUpstream) -> None:
    upstream.early = Script(raw_head=b"", steps=(("rst",),))
    with pytest.raises(UpstreamBroken):
        await transport.send(uploading(upstream, pieces_of(b"half", then=asyncio.Event())))
