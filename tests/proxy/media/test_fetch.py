"""What is fetched, and what is never even knocked at."""

import asyncio
import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.fakes.authority import Authority
from tests.fakes.media import JPEG, PDF, PNG, Names, chunked, found, host, resolving

from tollway.errors import InvalidRequest, ServerBusy
from tollway.proxy.media import fetch as module
from tollway.proxy.media.address import IP, Address
from tollway.proxy.media.fetch import (
    AT_ONCE,
    AT_ONCE_PER_WORKER,
    MAX_ADDRESSES,
    Fetched,
    GuardedFetcher,
    SystemResolver,
    Wanted,
)
from tollway.proxy.media.looks import Kind

LOOPBACK = resolving("127.0.0.1")


def trusting(port: int, name: str = "files.test", **more: float) -> GuardedFetcher:
    """A fetcher whose operator trusts one place on loopback."""
    bounds = {key: value for key, value in more.items() if key == "total_s"}
    return GuardedFetcher(
        resolving("127.0.0.1"),
        allowed=frozenset({f"{name}:{port}"}),
        total_bytes=int(more.get("total_bytes", 2**20)),
        total_s=bounds.get("total_s", 10.0),
    )


async def got(fetcher: GuardedFetcher, *urls: str, kind: Kind = "image") -> list[Fetched]:
    return await fetcher.fetch([Wanted(url, kind, f"p{number}") for number, url in enumerate(urls)])


async def refused(fetcher: GuardedFetcher, *urls: str, kind: Kind = "image") -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        await got(fetcher, *urls, kind=kind)
    assert caught.value.param is not None
    told = caught.value.outside + caught.value.inside
    assert "127.0.0" not in told
    assert "10.0.0" not in told
    return caught.value


async def test_what_a_host_answers_with_arrives() -> None:
    async with host(found(PNG)) as serving:
        (fetched,) = await got(
            trusting(serving.port), f"http://files.test:{serving.port}/a b.png?c#d".replace(" ", "%20")
        )
        assert fetched == Fetched("image/png", PNG)
        (head,) = serving.heads
    first, *fields = head.decode().split("\r\n")[:-2]
    assert first == "GET /a%20b.png?c HTTP/1.1"
    names = {field.partition(":")[0] for field in fields}
    assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert f"host: files.test:{serving.port}" in fields
    assert "accept-encoding: identity" in fields


@pytest.mark.parametrize(
    "answer",
    [
        chunked(PNG[:5], PNG[5:]),
        b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n" + PNG,
        b"HTTP/1.0 200 OK\r\ncontent-type: image/png\r\n\r\n" + PNG,
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + found(PNG),
        found(PNG, "image/png", "content-encoding: identity"),
        found(PNG) + b"behind it",
    ],
    ids=["chunks", "until the end", "1.0", "interim", "identity", "more"],
)
async def test_every_framing_is_read(answer: bytes) -> None:
    async with host(answer) as serving:
        assert await got(trusting(serving.port), f"http://files.test:{serving.port}/") == [Fetched("image/png", PNG)]


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1",
        "127.0.0.2",
        "0.0.0.0",  # noqa: S104
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "\uff11\uff12\uff17.0.0.1",
        "localhost",
        "LOCALHOST.",
        "ⓛocalhost",
        "169.254.169.254",
        "user@127.0.0.1",
        "files.test@127.0.0.1",
        "files.test\\@127.0.0.1",
        "files.test\t@127.0.0.1",
        "files.test#@127.0.0.1",
        "files.test?@127.0.0.1",
        "files.test%40127.0.0.1",
    ],
)
async def test_nobody_knocks_at_a_private_door(name: str) -> None:
    async with host(found(PNG)) as canary:
        await refused(GuardedFetcher(SystemResolver()), f"http://{name}:{canary.port}/a.png")
        assert canary.hits == 0


@pytest.mark.parametrize(
    "numbers",
    [
        ["127.0.0.1"],
        ["10.0.0.7"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["fe80::1%lo"],
        ["93.184.215.14", "127.0.0.1"],
        ["2606:2800:21f:cb07::1", "fd00::1"],
        ["no number"],
        [],
    ],
    ids=",".join,
)
async def test_a_name_with_one_private_number_is_refused_as_an_unknown_one_is(numbers: list[str]) -> None:
    def unknown(_: int) -> list[str]:
        raise OSError("no such name")

    async with host(found(PNG)) as canary:
        url = f"http://inside.test:{canary.port}/"
        told = await refused(GuardedFetcher(resolving(*numbers)), url)
        assert canary.hits == 0
    assert told.outside == (await refused(GuardedFetcher(Names(unknown)), url)).outside


async def test_a_name_that_turns_to_loopback_is_asked_where_it_was_first(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[tuple[str, IP]] = []

    async def connect(address: Address, at: IP, *_: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connected.append((address.host, at))
        raise ConnectionRefusedError

    monkeypatch.setattr(module, "connect", connect)
    names = Names(lambda before: ["127.0.0.1"] if before else ["93.184.215.14"])
    async with host(found(PNG)) as canary:
        await refused(GuardedFetcher(names), f"http://rebinding.test:{canary.port}/")
        assert canary.hits == 0
    assert [(name, str(at)) for name, at in connected] == [("rebinding.test", "93.184.215.14")]
    assert names.asked == [("rebinding.test", canary.port)]


async def test_another_number_of_a_name_is_tried_when_one_is_dead() -> None:
    async with host(found(PNG)) as serving:
        place = frozenset({f"files.test:{serving.port}"})
        fetcher = GuardedFetcher(resolving("127.0.0.3", "127.0.0.1"), allowed=place)
        assert len(await got(fetcher, f"http://files.test:{serving.port}/")) == 1
        dead = GuardedFetcher(resolving("127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.1"), allowed=place)
        assert "can't be reached" in (await refused(dead, f"http://files.test:{serving.port}/")).outside


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Moved", "308 Moved"])
async def test_a_redirect_is_not_followed(status: str) -> None:
    async with host(found(PNG)) as canary:
        answer = found(b"", "text/html", f"location: http://127.0.0.1:{canary.port}/", status=status)
        async with host(answer) as serving:
            told = await refused(trusting(serving.port), f"http://files.test:{serving.port}/")
        assert "redirect" in told.outside
        assert canary.hits == 0


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (found(b"", status="404 Not Found"), "status 404"),
        (found(b"", status="204 No Content"), "status 204"),
        (found(PNG, status="206 Partial Content"), "status 206"),
        (found(gzip.compress(PNG), "image/png", "content-encoding: gzip"), "encoding"),
        (found(PNG, "image/png", "transfer-encoding: gzip"), ""),
        (found(b"<html>", "text/html"), "image"),
        (found(b"<html>", "image/png"), "type"),
        (found(PDF, "image/png"), "something else"),
        (found(PNG)[:-1], "cut"),
        (chunked(PNG)[:-7], "cut"),
        (b"HTTP/1.1 200 OK\r\ncontent-ty", "cut"),
        (b"", "cut"),
        (b"SSH-2.0-OpenSSH\r\n", "HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"xxxxxxxx: yyyyyyyy\r\n" * 5_000 + b"\r\n", "HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc", ""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n", ""),
    ],
)
async def test_anything_but_the_thing_itself_is_refused(answer: bytes, text: str) -> None:
    async with host(answer) as serving:
        assert text in (await refused(trusting(serving.port), f"http://files.test:{serving.port}/")).outside


@pytest.mark.parametrize(
    "answer",
    [
        found(PNG + bytes(2000)),
        chunked(PNG, *[bytes(100)] * 20),
        chunked(PNG, *[b"x"] * 400),
        b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n" + PNG + bytes(2000),
        b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 5000\r\n\r\n",
    ],
    ids=["length", "chunks", "chunks of a byte", "until the end", "claimed"],
)
async def test_a_body_is_bounded_however_it_is_framed(answer: bytes) -> None:
    async with host(answer, hang=True) as serving:
        fetcher = trusting(serving.port, total_bytes=1000)
        assert "1000 bytes" in (await refused(fetcher, f"http://files.test:{serving.port}/")).outside


async def test_the_room_is_for_all_addresses_of_a_request_together() -> None:
    async with host(found(PNG + bytes(400))) as serving:
        fetcher = trusting(serving.port, total_bytes=1000)
        urls = [f"http://files.test:{serving.port}/{number}" for number in range(2)]
        assert len(await got(fetcher, urls[0])) == 1
        assert len(await got(fetcher, urls[1])) == 1
        await refused(fetcher, *urls)


async def test_a_slow_host_is_given_up() -> None:
    async with host(found(PNG)[:-1], hang=True) as slow, host(found(PNG)) as quick:
        allowed = frozenset({f"files.test:{slow.port}", f"files.test:{quick.port}"})
        fetcher = GuardedFetcher(LOOPBACK, allowed=allowed, total_s=0.2)
        urls = [f"http://files.test:{port}/" for port in (quick.port, slow.port)]
        told = await refused(fetcher, *urls)
        assert "in time" in told.outside
        assert told.param == "p1"


async def test_a_host_that_drips_is_given_up_too() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n"
    async with host(head, drip_s=0.01) as serving:
        fetcher = trusting(serving.port, total_s=0.2)
        assert "in time" in (await refused(fetcher, f"http://files.test:{serving.port}/")).outside


async def test_one_refusal_ends_the_other_downloads() -> None:
    async with host(found(PNG), hang=True) as slow, host(found(b"", status="404 Not Found")) as bad:
        slow.answer = b""
        allowed = frozenset({f"files.test:{slow.port}", f"files.test:{bad.port}"})
        fetcher = GuardedFetcher(LOOPBACK, allowed=allowed)
        told = await refused(fetcher, f"http://files.test:{slow.port}/", f"http://files.test:{bad.port}/")
        assert told.param == "p1"
        await slow.until(lambda: slow.open == 0)


async def test_too_many_addresses_are_refused_before_one_is_asked() -> None:
    async with host(found(PNG)) as serving:
        url = f"http://files.test:{serving.port}/"
        told = await refused(trusting(serving.port), *[url + str(n) for n in range(MAX_ADDRESSES + 1)])
        assert told.param == f"p{MAX_ADDRESSES}"
        await refused(trusting(serving.port), url, "http://127.1/")
        assert serving.hits == 0


async def test_a_request_fetches_a_few_at_once_and_all_in_order() -> None:
    async with host(found(PNG)) as serving:
        fetcher = trusting(serving.port)
        urls = [f"http://files.test:{serving.port}/{number}" for number in range(MAX_ADDRESSES)]
        assert await got(fetcher, *urls) == [Fetched("image/png", PNG)] * MAX_ADDRESSES
        assert serving.most_open <= AT_ONCE
        assert serving.hits == MAX_ADDRESSES


async def test_a_worker_fetches_no_more_at_once_than_it_has_places_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with host(hang=True) as slow, host(found(PNG)) as quick:
        allowed = frozenset({f"files.test:{slow.port}", f"files.test:{quick.port}"})
        fetcher = GuardedFetcher(LOOPBACK, allowed=allowed)
        urls = [f"http://files.test:{slow.port}/{number}" for number in range(AT_ONCE)]
        hogs = [asyncio.create_task(got(fetcher, *urls)) for _ in range(AT_ONCE_PER_WORKER // AT_ONCE + 1)]
        await slow.until(lambda: slow.open == AT_ONCE_PER_WORKER)
        monkeypatch.setattr(fetcher, "_total_s", 0.1)
        with pytest.raises(ServerBusy):
            await got(fetcher, f"http://files.test:{quick.port}/")
        for hog in hogs:
            hog.cancel()
        await asyncio.gather(*hogs, return_exceptions=True)
        assert (slow.most_open, quick.hits) == (AT_ONCE_PER_WORKER, 0)
        monkeypatch.setattr(fetcher, "_total_s", 10.0)
        assert len(await got(fetcher, f"http://files.test:{quick.port}/")) == 1


async def test_a_caller_that_leaves_cuts_its_downloads() -> None:
    async with host(hang=True) as slow:
        task = asyncio.create_task(got(trusting(slow.port), f"http://files.test:{slow.port}/"))
        await slow.until(lambda: slow.open == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await slow.until(lambda: slow.open == 0)


@pytest.mark.parametrize("name", ["files.test", "other.test"])
async def test_tls_proves_the_name_that_was_asked_for(tmp_path: Path, name: str) -> None:
    authority = Authority(tmp_path)
    async with host(found(JPEG, "image/jpeg"), tls=authority.server("files.test")) as serving:
        allowed = frozenset({f"{name}:{serving.port}"})
        fetcher = GuardedFetcher(LOOPBACK, allowed=allowed, tls=authority.client())
        if name == "files.test":
            assert await got(fetcher, f"https://{name}:{serving.port}/") == [Fetched("image/jpeg", JPEG)]
        else:
            assert "can't be reached" in (await refused(fetcher, f"https://{name}:{serving.port}/")).outside
            assert serving.heads == []


async def test_certificates_of_strangers_are_not_trusted(tmp_path: Path) -> None:
    async with host(found(PNG), tls=Authority(tmp_path).server("files.test")) as serving:
        told = await refused(trusting(serving.port), f"https://files.test:{serving.port}/")
        assert "can't be reached" in told.outside
        assert serving.heads == []


async def test_the_systems_resolver_knows_numbers_and_ends() -> None:
    resolver = SystemResolver()
    numbers: Sequence[str] = await resolver("127.0.0.1", 80)
    assert numbers == ["127.0.0.1"]
    resolver.close()
