import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tollway.errors import DependencyUnavailable
from tollway.storage.objects import Objects


async def _pieces(*pieces: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    if then is not None:
        raise then


def _files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def test_pieces_become_an_object_in_a_directory_that_is_made(tmp_path: Path) -> None:
    objects = Objects(f"file://{tmp_path}/a b/objects/")
    await objects.put("exports/one.csv", _pieces(b"a,", b"b\n"))
    assert _files(tmp_path) == {"a b/objects/exports/one.csv": b"a,b\n"}
    assert objects.where("exports/one.csv") == f"file://{tmp_path}/a b/objects/exports/one.csv"


async def test_a_directory_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await Objects("file://./data/objects").put("one", _pieces(b"1"))
    assert _files(tmp_path) == {"data/objects/one": b"1"}


async def test_a_large_object_is_whole(tmp_path: Path) -> None:
    piece = bytes(range(256)) * 4096
    await Objects(f"file://{tmp_path}").put("large", _pieces(*[piece] * 20))
    assert _files(tmp_path)["large"] == piece * 20


async def test_a_file_becomes_an_object(tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"parquet")
    await Objects(f"file://{tmp_path}/objects").put("one", tmp_path / "made")
    assert (tmp_path / "objects" / "one").read_bytes() == b"parquet"


async def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    objects = Objects(f"file://{tmp_path}")
    for failure in (LookupError("a defect"), ConnectionError("the database went away")):
        with pytest.raises(type(failure)):
            await objects.put("one", _pieces(b"x" * 20_000_000, then=failure))
    assert _files(tmp_path) == {}


async def test_an_object_of_the_name_is_replaced(tmp_path: Path) -> None:
    objects = Objects(f"file://{tmp_path}")
    for content in (b"first", b"second"):
        await objects.put("one", _pieces(content))
    assert _files(tmp_path) == {"one": b"second"}


@pytest.mark.parametrize("address", ["file:///proc/nowhere", "az://container/prefix"])
async def test_storage_that_can_not_be_used_is_told_without_its_address(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(DependencyUnavailable) as caught:
        await Objects(address).put("one", _pieces(b"1"))
    assert "nowhere" not in caught.value.inside + caught.value.outside


async def test_a_bucket_is_asked_by_its_cloud_s_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that speaks S3 is found by the host's variables; the object is in the request."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        heard.append(head + await reader.readexactly(int(length.split(b":")[1])))
        writer.write(b'HTTP/1.1 200 OK\r\netag: "1"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "canary-secret",
        }.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "made").write_bytes(b"a,b\n")
        await Objects("s3://bills/tollway").put("one.csv", tmp_path / "made")
    (request,) = heard
    assert request.startswith(b"PUT /bills/tollway/one.csv HTTP/1.1\r\n")
    assert b"canary-secret" not in request
    assert b"a,b\n" in request
