"""The control plane's routes on a real database, called as ASGI so that any bytes can be sent."""

import asyncio
import hashlib
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from starlette.applications import Starlette

from tollway.contract.keys import GATEWAY_USE
from tollway.control.app import routes
from tollway.control.keys import queries, rules
from tollway.control.permissions import ADMIN
from tollway.control.tenants.queries import Declared, TenantDraft, insert_tenant
from tollway.telemetry.logs import Log, open_log

DECLARED = Declared(tenants=frozenset({"from-file"}), policies=frozenset({"default", "strict"}))


class Reply(msgspec.Struct):
    """What came back. ``body`` is decoded JSON."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        """The envelope's inside."""
        error: dict[str, Any] = self.body["error"]
        return error


class Api:
    """Calls the routes, as the admin unless another ``key`` is given (``None``: without a key)."""

    def __init__(self, pool: asyncpg.Pool, log: Log) -> None:
        self.app = Starlette(routes=routes(pool, log, lambda: DECLARED))
        self.pool = pool
        self.admin = ""

    async def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | bytes | None = "",
        raw: bytes | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> Reply:
        path, _, query = path.partition("?")
        sent = list(headers)
        if key is not None:
            secret = key or self.admin
            sent.append((b"authorization", b"Bearer " + (secret if isinstance(secret, bytes) else secret.encode())))
        content = raw if raw is not None else b"" if body is None else msgspec.json.encode(body)
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": sent,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
        }
        pieces = [content[at : at + 10_000] for at in range(0, len(content), 10_000)] or [b""]
        incoming = iter(enumerate(pieces, start=1))
        outgoing: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            number, piece = next(incoming)
            return {"type": "http.request", "body": piece, "more_body": number < len(pieces)}

        async def send(message: Any) -> None:
            outgoing.append(message)
            await asyncio.sleep(0)

        await self.app(scope, receive, send)
        start, *rest = outgoing
        text = b"".join(message.get("body", b"") for message in rest)
        answered = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Reply(start["status"], answered, msgspec.json.decode(text) if text else None)

    async def new_tenant(self, name: str = "acme") -> str:
        """The id of a new tenant."""
        async with self.pool.acquire() as connection:
            return (await insert_tenant(connection, TenantDraft(name), "test")).id

    async def new_key(self, *scopes: str, tenant: str | None = None, expired: bool = False) -> str:
        """The secret of a new key: a gateway key when a ``tenant`` is given, else an admin key."""
        now = datetime.now(UTC)
        draft = rules.KeyDraft("test", tenant, admin=tenant is None, scopes=scopes or None)
        made = rules.new_key(rules.checked_draft(draft, ADMIN | {GATEWAY_USE}, now), tenant)
        record = msgspec.structs.replace(made.record, expires_at=now - timedelta(seconds=1) if expired else None)
        async with self.pool.acquire() as connection:
            await queries.insert_key(connection, record, "test")
        return made.secret

    async def revoke(self, secret: str) -> None:
        """Revoke a key by its secret."""
        digest = hashlib.sha256(secret.encode()).digest()
        async with self.pool.acquire() as connection:
            key_id = await connection.fetchval("select id from api_keys where key_hash = $1", digest)
            assert await queries.revoke_key(connection, key_id, "test")


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(log_file: Path) -> Iterator[Log]:
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT, 0o600)
    opened = open_log("debug", descriptor=descriptor)
    yield opened
    opened.close()
    os.close(descriptor)


@pytest.fixture
async def api(pool: asyncpg.Pool, log: Log) -> Api:
    """The routes, and the secret of an admin key with every permission."""
    opened = Api(pool, log)
    opened.admin = await opened.new_key()
    return opened
