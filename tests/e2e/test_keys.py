"""Getting in: only with a valid key, and only as long as it is valid."""

import asyncio
import json
import socket
import subprocess
import sys
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import Start
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.scripts import completion, whole
from tests.fakes.upstream import FakeUpstream

BODY = b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}'


def raw(gateway: Gateway, authorization: bytes, path: bytes = b"/v1/chat/completions") -> tuple[int, bytes]:
    """A request as bytes, past every client library's checks; returns status and body."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        head = b"POST %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: %b\r\n" % (path, authorization)
        connection.sendall(head + b"content-length: %d\r\n\r\n" % len(BODY) + BODY)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


def command(gateway: Gateway, *words: str) -> Any:
    ran = subprocess.run(
        [sys.executable, "-m", "tollway.cli", *words, "--config", str(gateway.config_path), "--json"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    return json.loads(ran.stdout)


def test_odd_keys_get_401_in_the_envelope(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    gateway = start()
    good = f"Bearer {KEY}".encode()
    assert raw(gateway, good)[0] == 200
    odd = {
        "empty": b"",
        "no secret": b"Bearer ",
        "other scheme": b"Basic " + KEY.encode(),
        "wrong": b"Bearer wrong",
        "one letter more": good + b"x",
        "one letter less": good[:-1],
        "SQL": b"Bearer ' OR '1'='1",
        "SQL that sleeps": b"Bearer '; select pg_sleep(5); --",
        "latin-1": "Bearer clé-très-secrète".encode("latin-1"),
        "UTF-8": "Bearer 鍵".encode(),
        "one megabyte": b"Bearer " + b"k" * 1_048_576,
        "well formed but unknown": b"Bearer tw_live_" + b"A" * 49,
        "template": b"Bearer {{7*7}}${jndi:ldap://x}",
    }
    for name, authorization in odd.items():
        status, body = raw(gateway, authorization)
        assert status == 401, name
        assert b'"code":"invalid_api_key"' in body, name
        assert b"megabyte" not in body
    status, body = raw(gateway, b"Bearer nul\x00key")
    assert status in (400, 401), "RFC 9110 forbids NUL in a field: the HTTP parser refuses it before a key is read"
    assert upstream.hits == 1


@pytest.mark.parametrize("path", [b"//v1/chat/completions", b"/v1/chat/completions/", b"/v1/../admin", b"/%2e/admin"])
def test_paths_that_only_look_like_ours_are_not_found(start: Start, path: bytes) -> None:
    gateway = start()
    for authorization in (f"Bearer {KEY}".encode(), b"Bearer wrong"):
        status, body = raw(gateway, authorization, path)
        assert status == 404
        assert b'"error"' in body


async def test_a_key_works_as_soon_as_it_is_made_and_is_refused_by_every_worker_once_revoked(
    start: Start, upstream: FakeUpstream
) -> None:
    upstream.default = whole(completion())
    gateway = await asyncio.to_thread(start, server={"host": "127.0.0.1", "workers": 4, "drain": "20s"})
    await asyncio.to_thread(command, gateway, "tenants", "create", "globex")
    made = await asyncio.to_thread(command, gateway, "keys", "create", "--tenant", "globex", "--name", "ci")
    headers = {"authorization": f"Bearer {made['key']}"}

    async def codes() -> set[int]:
        async def one() -> int:
            async with httpx2.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=20) as client:
                return (await client.post("/chat/completions", content=BODY)).status_code

        return set(await asyncio.gather(*(one() for _ in range(24))))

    assert await codes() == {200}
    await asyncio.to_thread(command, gateway, "keys", "revoke", made["id"])
    for _ in range(50):
        if await codes() == {401}:
            break
        await asyncio.sleep(0.1)
    assert await codes() == {401}
    assert await codes() == {401}


async def test_an_expired_key_is_refused(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    keys = {"old": {"key": "expired-key-of-acme-01", "expires": "2020-01-01"}, "ci": {"key": KEY}}
    gateway = await asyncio.to_thread(start, tenants={"acme": {"keys": keys}})
    assert raw(gateway, b"Bearer expired-key-of-acme-01")[0] == 401
    assert raw(gateway, f"Bearer {KEY}".encode())[0] == 200


async def test_a_model_outside_the_allow_list_is_forbidden_and_not_listed(start: Start, upstream: FakeUpstream) -> None:
    upstream.default = whole(completion())
    target = {"targets": [{"provider": "fake", "model": "m"}]}
    tenants = {"acme": {"keys": {"ci": {"key": KEY}}, "allowed_models": ["n"]}}
    gateway = await asyncio.to_thread(start, models={"m": target, "n": target}, tenants=tenants)
    status, body = raw(gateway, f"Bearer {KEY}".encode())
    assert status == 403
    assert b"model_not_allowed" in body
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers={"x-api-key": KEY}) as client:
        assert [model["id"] for model in (await client.get("/models")).json()["data"]] == ["n"]
