"""The control plane's routes on a real database, called as ASGI so that any bytes can be sent."""

import asyncio
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from starlette.applications import Starlette

from tollway.contract.cache import EntryFacts, Selection, ShelfFacts
from tollway.contract.described import Described
from tollway.contract.guardrails import Policy
from tollway.contract.keys import GATEWAY_USE, KeyRecord
from tollway.contract.limits import LimitValues
from tollway.contract.routing import Rule, TargetStatus, When
from tollway.contract.snapshot import ProviderAccess, ProviderKey, Route, Shadow, Snapshot, Target, Timeouts
from tollway.control.app import routes
from tollway.control.guardrails.view import Examined, Finding, Trial
from tollway.control.keys import queries, rules
from tollway.control.permissions import ADMIN
from tollway.control.tenants.queries import TenantDraft, insert_tenant
from tollway.settings import read
from tollway.telemetry.logs import Log, open_log

SETTINGS = read(
    """
version: 1
providers: {mistral: {kind: mistral, api_key: provider-key-canary}}
models: {moderation: {targets: [{provider: mistral, model: mistral-moderation-latest}]}}
cache: {exact: {ttl: 5m}}
guardrails:
  default: {input: [{check: pii, entities: [email], action: redact, threshold: 0.25}], mode: monitor, sample: 5%}
  strict: {output: [{check: webhook, url: "https://dlp.test/judge", secret: signing-canary-0123, timeout: 250ms}]}
tenants:
  from-file:
    monthly_budget_usd: 20
    cache: {semantic: {threshold: 0.9}, scope: key}
    keys:
      ci: {key: from-file-key-0123456789}
      old: {key: from-file-key-expired-01, expires: 2001-01-01}
budgets: [{name: all, amount_usd: 100, period: day}]
""",
    {},
)


def _target(provider: str, model: str, weight: int = 1, *keys: str, tags: frozenset[str] = frozenset()) -> Target:
    access = ProviderAccess(name=provider, kind="openai", base_url="http://x", api_key="sk-first-secret")
    own = tuple(ProviderKey(msgspec.structs.replace(access, key_name=key, api_key=f"sk-{key}-secret")) for key in keys)
    return Target(provider=access, model=model, weight=weight, price=None, keys=own, tags=tags)


SNAPSHOT = Snapshot(
    version=1,
    routes={
        "chat": Route(
            alias="chat",
            targets=(
                _target("openai", "mini", 3, "a", "b", tags=frozenset({"stable", "eu"})),
                _target("hub", "org/mini:v1"),
            ),
            timeouts=Timeouts(),
            rules=(Rule(name="eu", to=frozenset({"eu"}), when=When(headers={"x-region": frozenset({"eu"})})),),
            fallbacks={"error": ("spare",)},
            shadow=Shadow(target=_target("hub", "new"), share=0.1),
        ),
        "spare": Route(alias="spare", targets=(_target("hub", "org/mini:v1"),), timeouts=Timeouts()),
    },
    policies={},
    default_limits=LimitValues(),
    file_keys=(
        (
            b"digest",
            KeyRecord("from-file/ci", "ci", "from-file", "from-file", frozenset({GATEWAY_USE}), is_active=True),
        ),
    ),
)


class Router:
    """A worker's view of its host that says what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.snapshot = SNAPSHOT
        self.seen: dict[str, TargetStatus] = {}
        self.asked: list[Described] = []

    def statuses(self) -> Sequence[TargetStatus]:
        return list(self.seen.values())

    def explain(self, call: Described) -> object:
        self.asked.append(call)
        return {"model": call.model, "order": ["openai/mini"]}


class Guard:
    """A worker's screening that finds what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.policies: dict[str, Policy] = {}
        self.asked: list[tuple[Policy, Trial]] = []

    def policy(self, name: str) -> Policy | None:
        return self.policies.get(name)

    async def examine(self, policy: Policy, trial: Trial) -> Examined:
        self.asked.append((policy, trial))
        finding = Finding(check="pii", kind="email", action="redact", start=0, end=5, confidence=0.9)
        return Examined(blocked=False, findings=(finding,), text="[EMAIL]")


class Desk:
    """A worker's answers: those it is given, and what it was told to forget."""

    def __init__(self) -> None:
        self.kept: list[EntryFacts] = []
        self.removed: list[Selection] = []
        self.reaches_everybody = True

    def stats(self) -> ShelfFacts:
        count = len(self.kept)
        return ShelfFacts(
            entries=count, questions=1, namespaces=1, bytes=99, is_shared=False, evicted=2, expired=3, removed=4
        )

    def entries(self, selection: Selection, most: int, after: bytes) -> Sequence[EntryFacts]:
        wanted = (entry for entry in self.kept if selection.tenant_id in (None, entry.tenant_id))
        wanted = (entry for entry in wanted if selection.key_id in (None, entry.key_id))
        wanted = (entry for entry in wanted if selection.model in (None, entry.model) and entry.key > after)
        return sorted(wanted, key=lambda entry: entry.key)[:most]

    def find(self, key: bytes) -> EntryFacts | None:
        return next((entry for entry in self.kept if entry.key == key), None)

    async def remove(self, selection: Selection) -> bool:
        self.removed.append(selection)
        return self.reaches_everybody


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
        self.router = Router()
        self.guard = Guard()
        self.desk = Desk()
        self.app = Starlette(routes=routes(pool, log, SETTINGS, self.router, self.guard, self.desk))
        self.pool = pool
        self.log = log
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
