"""``/api/v1/router``: HTTP in, HTTP out.

A target is named ``provider/model`` in the path as everywhere; both may hold slashes, so the name is all the rest of
the path, and what is done to it (``/open``, ``/close``) stands at its very end.
"""

import asyncio
import time
from collections.abc import Sequence
from http import HTTPMethod
from itertools import islice
from typing import Literal

import msgspec

from tollway.contract.keys import KeyRecord
from tollway.control import paging
from tollway.control.call import Answer, Call, Endpoint
from tollway.control.pricing.queries import find_prices
from tollway.control.routing import queries, rules
from tollway.control.routing.queries import TargetClosing, TargetPatch
from tollway.control.routing.standing import Layout, ShownModel, ShownTarget, Standing
from tollway.control.routing.view import RouterView
from tollway.control.tenants.queries import find_tenant
from tollway.errors import InvalidRequest, NotFound

LONGEST_TARGET = 400
"""Characters of a target's name: a provider's and a model's."""


class ModelQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of the list of models."""

    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None
    model: str | None = None


class TargetQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of the list of targets."""

    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None
    provider: str | None = None
    model: str | None = None
    state: Literal["closed", "open", "half_open", "cooling"] | None = None
    available: bool | None = None


def routing_endpoints(view: RouterView) -> Sequence[Endpoint]:
    """The routes of this capability."""
    rooms = Rooms(view)
    target = "/api/v1/router/targets/{target:path}"
    return (
        Endpoint(HTTPMethod.GET, "/api/v1/router/models", "router:view", rooms.models),
        Endpoint(HTTPMethod.GET, "/api/v1/router/targets", "router:view", rooms.targets),
        Endpoint(HTTPMethod.GET, "/api/v1/router/health", "router:view", rooms.health),
        Endpoint(HTTPMethod.POST, "/api/v1/router/explain", "router:view", rooms.explain),
        Endpoint(HTTPMethod.GET, target, "router:view", rooms.show),
        Endpoint(HTTPMethod.PATCH, target, "router:update", rooms.change),
        Endpoint(HTTPMethod.POST, target, "router:update", rooms.open_or_close),
        Endpoint(HTTPMethod.DELETE, target, "router:update", rooms.reset),
    )


class Rooms:
    """What is behind each of them. There may be thousands of targets: all of them are looked at on a thread, so that no
    call waits behind it."""

    def __init__(self, view: RouterView) -> None:
        self._view = view
        self._layout = Layout(view.snapshot)

    async def models(self, call: Call) -> Answer:
        """Every model, and how its calls find a target."""
        asked = call.query(ModelQuery)
        after = paging.decode(asked.cursor, str) or ""
        if asked.model is not None:
            rules.known_model(asked.model, self._view.snapshot)
        standing = await self._standing(call)

        def found() -> list[ShownModel]:
            wanted = (model for model in standing.models(after) if asked.model in (None, model.alias))
            return list(islice(wanted, asked.limit + 1))

        return Answer(paging.page(await asyncio.to_thread(found), asked.limit, lambda model: model.alias))

    async def targets(self, call: Call) -> Answer:
        """Every target, as this host sees it."""
        asked = call.query(TargetQuery)
        after = paging.decode(asked.cursor, str) or ""
        standing = await self._standing(call)

        def found() -> list[ShownTarget]:
            wanted = (target for target in standing.targets(after) if _is_wanted(target, asked))
            return list(islice(wanted, asked.limit + 1))

        return Answer(paging.page(await asyncio.to_thread(found), asked.limit, lambda target: target.name))

    async def health(self, call: Call) -> Answer:
        """How many targets are in which state, and which models can be served."""
        standing = await self._standing(call)
        return Answer(await asyncio.to_thread(standing.health))

    async def show(self, call: Call) -> Answer:
        """One target."""
        return await self._shown(call, _name(call))

    async def change(self, call: Call) -> Answer:
        """Drain a target, or weigh it under a model."""
        name = rules.known_target(_name(call), self._view.snapshot)
        patch = rules.checked_patch(await call.body(TargetPatch), name, self._view.snapshot)
        async with call.pool.acquire() as connection:
            await queries.change_target(connection, name, patch, call.caller.actor)
        return await self._shown(call, name)

    async def open_or_close(self, call: Call) -> Answer:
        """Leave a target alone, or ask it again."""
        path, _, action = _name(call).rpartition("/")
        match action:
            case "open":
                name = rules.known_target(path, self._view.snapshot)
                opening = rules.checked_opening(await call.body(rules.OpeningBody, may_be_empty=True))
                async with call.pool.acquire() as connection:
                    await queries.open_target(connection, name, opening, call.caller.actor)
            case "close":
                name = rules.known_target(path, self._view.snapshot)
                closing = rules.checked_closing(await call.body(TargetClosing, may_be_empty=True))
                async with call.pool.acquire() as connection:
                    await queries.close_target(connection, name, closing, call.caller.actor)
            case _:
                raise NotFound("A target is opened at …/open and closed at …/close; there is nothing else to POST to.")
        return await self._shown(call, name)

    async def reset(self, call: Call) -> Answer:
        """Take back all that was decided about a target; it need not be declared any more."""
        name = _name(call)
        async with call.pool.acquire() as connection:
            if not await queries.reset_target(connection, name, call.caller.actor):
                rules.known_target(name, self._view.snapshot)
        return Answer((await self._standing(call)).target(name))

    async def explain(self, call: Call) -> Answer:
        """Where a call would go."""
        body = await call.body(rules.ExplainBody)
        rules.known_model(body.model, self._view.snapshot)
        record = None if body.tenant is None else await self._record(call, body.tenant)
        return Answer(self._view.explain(rules.described(body, record)))

    async def _record(self, call: Call, tenant: str) -> KeyRecord:
        declared = rules.declared_record(tenant, self._view.snapshot)
        if declared is not None:
            return declared
        async with call.pool.acquire() as connection:
            found, own = await find_tenant(connection, tenant), await find_prices(connection, tenant)
        if found is None:
            raise InvalidRequest("tenant: there is no such tenant, or the file declares no key of it.", param="tenant")
        return rules.record_of(found, own.prices if own else None)

    async def _shown(self, call: Call, name: str) -> Answer:
        standing = await self._standing(call)
        return Answer(standing.target(name if standing.knows(name) else rules.known_target(name, self._view.snapshot)))

    async def _standing(self, call: Call) -> Standing:
        async with call.pool.acquire() as connection:
            overrides = await queries.list_overrides(connection)
        if self._layout.snapshot is not self._view.snapshot:
            self._layout = Layout(self._view.snapshot)
        statuses = await asyncio.to_thread(self._view.statuses)
        return Standing(self._layout, overrides, statuses, time.time_ns() // 1_000_000)


def _name(call: Call) -> str:
    return call.part("target", longest=LONGEST_TARGET + len("/close"))


def _is_wanted(target: ShownTarget, asked: TargetQuery) -> bool:
    return (
        asked.provider in (None, target.provider)
        and (asked.model is None or any(share.model == asked.model for share in target.shares))
        and asked.state in (None, target.state)
        and asked.available in (None, target.is_available)
    )
