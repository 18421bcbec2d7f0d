"""The control plane's routes, under ``/api/v1``: identify, permit, run, answer; the one place where its errors end.

In: a pool of database connections and what the configuration file declares. Out: Starlette routes for the
composition root. It publishes nothing itself: PostgreSQL announces changes of tenants and keys by triggers.
"""

import re
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from http import HTTPMethod

import asyncpg
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from tollway.control import session
from tollway.control.billing.routes import billing_endpoints
from tollway.control.budgets.routes import budget_endpoints
from tollway.control.budgets.rules import declared_budgets
from tollway.control.cache.routes import cache_endpoints
from tollway.control.cache.view import CacheDesk, NoDesk
from tollway.control.call import Answer, Call, Endpoint
from tollway.control.guardrails.routes import guardrail_endpoints
from tollway.control.guardrails.view import GuardrailView
from tollway.control.keys.routes import key_endpoints
from tollway.control.money import written
from tollway.control.pricing.routes import pricing_endpoints
from tollway.control.routing.routes import routing_endpoints
from tollway.control.routing.view import RouterView
from tollway.control.session import DeclaredKey
from tollway.control.tenants.queries import Declared
from tollway.control.tenants.routes import tenant_endpoints
from tollway.errors import DependencyUnavailable, GatewayError, MethodNotAllowed
from tollway.settings import Settings
from tollway.storage.pool import OUT_OF_REACH
from tollway.telemetry.logs import Log
from tollway.wire.error_envelope import render

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:\-]{1,128}")


def routes(
    pool: asyncpg.Pool,
    log: Log,
    settings: Settings,
    router: RouterView,
    guardrails: GuardrailView,
    desk: CacheDesk | None = None,
) -> list[Route]:
    """Every route of the control plane, one for each path.

    What ``settings`` declare is managed in the configuration file. ``router`` is what this process sees of its host's
    targets, ``guardrails`` how it screens texts, ``desk`` what it knows of answers that may be given again.
    """
    table = endpoints(settings, router, guardrails, desk)
    declared = session.declared_keys(settings)
    by_path: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for endpoint in table:
        by_path[endpoint.path][endpoint.method] = endpoint
    return [Route(path, Resource(methods, pool, log, declared)) for path, methods in by_path.items()]


def endpoints(
    settings: Settings, router: RouterView, guardrails: GuardrailView, desk: CacheDesk | None = None
) -> Sequence[Endpoint]:
    """The table of all routes with their permissions."""
    declared = Declared(frozenset(settings.tenants), frozenset(settings.guardrails))
    return (
        *tenant_endpoints(declared),
        *pricing_endpoints(settings),
        *key_endpoints(declared),
        *billing_endpoints(settings, router),
        *budget_endpoints(declared_budgets(settings), declared),
        *routing_endpoints(router),
        *guardrail_endpoints(settings, guardrails),
        *cache_endpoints(settings, desk or NoDesk()),
    )


class Resource:
    """One path as an ASGI application. Who is not known learns nothing, not even which methods there are."""

    def __init__(
        self, methods: Mapping[str, Endpoint], pool: asyncpg.Pool, log: Log, declared: Mapping[bytes, DeclaredKey]
    ) -> None:
        self._methods = methods
        self._declared = declared
        self._pool = pool
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        request_id = _request_id(scope)
        try:
            answer = await self._answer(request)
            headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode())]
            await _send(send, answer.status, headers, msgspec.json.encode(written(answer.body)))
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 -- the boundary: everything becomes an answer
            rendered = render(self._known(error, request_id), request_id)
            await _send(send, rendered.status, [*rendered.headers, *self._allow(error)], rendered.body)

    async def _answer(self, request: Request) -> Answer:
        caller = await session.identify(request.scope["headers"], self._pool, self._declared)
        endpoint = self._methods.get(request.method)
        if endpoint is None:
            raise MethodNotAllowed(f"This path takes {', '.join(self._methods)}.")
        if endpoint.or_else not in caller.permissions:
            caller.require(endpoint.permission)
        return await endpoint.run(Call(request, caller, self._pool))

    def _known(self, error: Exception, request_id: str) -> Exception:
        if isinstance(error, OUT_OF_REACH):
            self._log.warning("control_database_out_of_reach", request_id=request_id, cause=type(error).__name__)
            return DependencyUnavailable("The database is out of reach. Try again shortly.", retry_after_s=1.0)
        if not isinstance(error, GatewayError):
            self._log.error("control_failed", request_id=request_id, error=error)
        return error

    def _allow(self, error: Exception) -> list[tuple[bytes, bytes]]:
        """RFC 9110, section 15.5.6: a 405 names the methods."""
        if not isinstance(error, MethodNotAllowed):
            return []
        return [(b"allow", ", ".join(HTTPMethod(method) for method in self._methods).encode())]


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Answers hold secrets once and other people's figures always: no cache may keep them."""
    more = [(b"cache-control", b"no-store"), (b"content-length", str(len(body)).encode())]
    start: Message = {"type": "http.response.start", "status": status, "headers": [*headers, *more]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _request_id(scope: Scope) -> str:
    """The client's, when it is harmless; else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return str(uuid.uuid4())
