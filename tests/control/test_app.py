"""Who may call the control plane, and what everybody else reads."""

import asyncio
import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.control.conftest import SETTINGS, Api, Desk, Guard, Router

from tollway.contract.keys import GATEWAY_USE
from tollway.control.app import endpoints
from tollway.control.call import Endpoint
from tollway.control.paging import Position, decode, encode
from tollway.control.permissions import ADMIN, EVERY, ROLES
from tollway.errors import InvalidRequest
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.migrate import migrate
from tollway.storage.pool import connect
from tollway.telemetry.logs import Log

ENDPOINTS = pytest.mark.parametrize(
    "endpoint",
    endpoints(SETTINGS, Router(), Guard(), Desk()),
    ids=lambda endpoint: f"{endpoint.method}-{endpoint.path.removeprefix('/api/v1/')}",
)

GARBAGE = [
    b"",
    b" ",
    b"' OR '1'='1",
    b"'; select pg_sleep(5); --",
    b"\xe9\xff\xfe",
    b"\x00",
    b"tw_admin_\x00",
    b"tw_admin_" + b"A" * 49,
    b"tw_" + b"A" * 1_000_000,
    "ключ".encode(),
    b"null",
]


def _path(endpoint: Endpoint) -> str:
    return re.sub(r"\{\w+(:path)?\}", "some-id", endpoint.path)


@ENDPOINTS
async def test_no_route_answers_who_is_not_known(api: Api, endpoint: Endpoint) -> None:
    path = _path(endpoint)
    assert (await api(endpoint.method, path, key=None)).status == 401
    for secret in GARBAGE:
        reply = await api(endpoint.method, path, key=secret or b" ")
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key"), secret[:40]
    bad_headers = [
        [(b"authorization", b"Basic " + api.admin.encode())],
        [(b"authorization", api.admin.encode())],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer " + api.admin.encode())] * 2,
    ]
    for headers in bad_headers:
        assert (await api(endpoint.method, path, key=None, headers=headers)).status == 401


@ENDPOINTS
async def test_no_route_answers_an_expired_revoked_or_well_formed_but_unknown_key(api: Api, endpoint: Endpoint) -> None:
    path = _path(endpoint)
    expired = await api.new_key(expired=True)
    revoked = await api.new_key()
    assert (await api(endpoint.method, path, key=revoked)).status != 401
    await api.revoke(revoked)
    unknown = await api.new_key()
    await api.pool.execute("delete from api_keys where key_prefix = $1", unknown[: len("tw_admin_") + 6])
    for secret in (expired, revoked, unknown):
        reply = await api(endpoint.method, path, key=secret)
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
        assert reply.headers["www-authenticate"].startswith("Bearer")


@ENDPOINTS
async def test_a_gateway_key_is_forbidden_everywhere_but_where_its_scope_will_do(api: Api, endpoint: Endpoint) -> None:
    secret = await api.new_key(tenant=await api.new_tenant())
    for key in (secret, "from-file-key-0123456789"):
        reply = await api(endpoint.method, _path(endpoint), key=key)
        if endpoint.or_else == GATEWAY_USE:
            assert reply.status == 400, "the empty body is read"
        else:
            assert (reply.status, reply.error["code"]) == (403, "permission_denied")


def test_only_verdicts_on_hits_are_for_gateway_keys_too() -> None:
    table = endpoints(SETTINGS, Router(), Guard(), Desk())
    assert {endpoint.path: endpoint.or_else for endpoint in table if endpoint.or_else is not None} == {
        "/api/v1/cache/feedback": GATEWAY_USE
    }


@ENDPOINTS
async def test_a_key_that_lacks_the_one_scope_is_forbidden_and_told_which(api: Api, endpoint: Endpoint) -> None:
    lacking = await api.new_key(*(ADMIN - {endpoint.permission}))
    reply = await api(endpoint.method, _path(endpoint), key=lacking)
    assert reply.status == 403
    assert endpoint.permission in reply.error["message"]
    having = await api.new_key(endpoint.permission)
    assert (await api(endpoint.method, _path(endpoint), key=having)).status in {200, 400, 404}


@ENDPOINTS
async def test_odd_ids_queries_and_bodies_are_never_our_fault(api: Api, endpoint: Endpoint) -> None:
    for odd in ("a\x00b", "'%20OR%20''=''", "x" * 500, "..", "\ud800", "é"):
        path = re.sub(r"\{\w+\}", lambda _, odd=odd: odd, endpoint.path)  # type: ignore[misc]
        if path.isascii():
            assert (await api(endpoint.method, path)).status in {200, 400, 404}
    for query in (
        "x=1",
        "limit=0",
        "limit=a",
        "limit=1&limit=2",
        "cursor=%00",
        "cursor=bnVsbA",
        "tenant=%00",
        "cursor=WzFd",
    ):
        assert (await api(endpoint.method, f"{_path(endpoint)}?{query}")).status in {200, 400, 404}
    for raw in (b"", b"{", b"[]", b"null", b'"\xff"', b'{"name": "a\\u0000b"}', b"[" * 60_000, b"x" * 70_000):
        assert (await api(endpoint.method, _path(endpoint), raw=raw)).status in {200, 400, 404, 413}


def test_every_permission_of_a_route_and_of_a_role_exists() -> None:
    assert {endpoint.permission for endpoint in endpoints(SETTINGS, Router(), Guard(), Desk())} <= ADMIN
    assert all(role <= EVERY for role in ROLES.values())


async def test_a_method_that_a_path_lacks_is_told_to_those_who_are_known(api: Api) -> None:
    reply = await api("PUT", "/api/v1/tenants")
    assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
    assert reply.headers["allow"] == "POST, GET"
    assert (await api("PUT", "/api/v1/tenants", key=None)).status == 401


async def test_the_scheme_is_read_in_any_case(api: Api) -> None:
    headers = [(b"authorization", b"bEARER " + api.admin.encode())]
    assert (await api("GET", "/api/v1/tenants", key=None, headers=headers)).status == 200


async def test_a_harmless_request_id_comes_back_and_another_is_replaced(api: Api) -> None:
    reply = await api("GET", "/api/v1/tenants", headers=[(b"x-request-id", b"req.42")])
    assert reply.headers["x-request-id"] == "req.42"
    reply = await api("GET", "/api/v1/tenants", key=None, headers=[(b"x-request-id", b"a\r\nb: c")])
    assert re.fullmatch(r"[0-9a-f-]{36}", reply.headers["x-request-id"])


async def test_nothing_is_kept_by_caches(api: Api) -> None:
    assert (await api("GET", "/api/v1/tenants")).headers["cache-control"] == "no-store"
    assert (await api("GET", "/api/v1/tenants", key=None)).headers["cache-control"] == "no-store"


async def test_a_body_over_its_bound_is_refused(api: Api) -> None:
    reply = await api("POST", "/api/v1/tenants", raw=b'{"name": "' + b"x" * 65_536 + b'"}')
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


async def test_without_the_database_the_answer_is_503_for_keys_that_may_be_good(
    own_postgres: EmbeddedPostgres, log: Log
) -> None:
    dsn = own_postgres.start()
    await migrate(dsn)
    pool = await connect(dsn)
    api = Api(pool, log)
    api.admin = await api.new_key()
    assert (await api("GET", "/api/v1/tenants")).status == 200
    own_postgres.stop()
    reply = await api("GET", "/api/v1/tenants")
    assert (reply.status, reply.error["code"]) == (503, "dependency_unavailable")
    assert "retry-after" in reply.headers
    assert (await api("GET", "/api/v1/tenants", key=b"garbage")).status == 401
    own_postgres.start()
    assert (await api("GET", "/api/v1/tenants")).status == 200
    await pool.close()


async def test_a_defect_is_a_500_that_shows_nothing_and_is_logged_without_secrets(
    api: Api, log: Log, log_file: Path
) -> None:
    await api.pool.execute("alter table audit_logs drop column subject")
    reply = await api("POST", "/api/v1/keys", {"name": "x", "admin": True}, headers=[(b"x-request-id", b"req-7")])
    assert (reply.status, reply.error["code"]) == (500, "internal_error")
    assert "req-7" in reply.error["message"]
    assert "subject" not in reply.error["message"]
    await asyncio.to_thread(log.close)
    written = await asyncio.to_thread(log_file.read_text)
    assert "control_failed" in written
    assert "req-7" in written
    assert "tw_admin_" not in written


async def test_a_change_that_cannot_be_recorded_is_not_made(api: Api) -> None:
    await api.pool.execute("alter table audit_logs rename to elsewhere")
    before = await api.pool.fetchval("select count(*) from tenants")
    assert (await api("POST", "/api/v1/tenants", {"name": "acme"})).status in {500, 503}
    assert await api.pool.fetchval("select count(*) from tenants") == before


async def test_all_admin_keys_are_looked_up_by_digest_alone(api: Api, pool: asyncpg.Pool) -> None:
    stored = await pool.fetch("select * from api_keys")
    assert api.admin not in str([dict(row) for row in stored])
    assert api.admin[:-30] not in str([dict(row) for row in stored])


@given(st.datetimes(timezones=st.just(UTC)), st.text())
def test_a_cursor_says_again_what_it_was_made_of(at: datetime, name: str) -> None:
    assert decode(encode(Position(at, name)), Position) == Position(at, name)


@given(st.text())
def test_a_made_up_cursor_is_refused_or_read_never_a_fault(cursor: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert isinstance(decode(cursor, Position), Position)
