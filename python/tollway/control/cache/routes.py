"""``/api/v1/cache``, and ``…/cache`` of tenants and keys: HTTP in, HTTP out.

A removal is in the database, and in the trail, before this worker forgets anything: whoever can't be reached now hears
of it there.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPMethod

import msgspec

from tollway.contract.cache import CachePolicy, Selection
from tollway.contract.keys import GATEWAY_USE
from tollway.control import paging
from tollway.control.cache import queries, rules
from tollway.control.cache.policies import declared_cache
from tollway.control.cache.queries import FoundPolicy, Owner
from tollway.control.cache.rules import EntriesQuery, FeedbackBody, Judged, RemovalQuery, Removed, StatsQuery
from tollway.control.cache.view import CacheDesk
from tollway.control.call import Answer, Call, Endpoint
from tollway.control.tenants.queries import find_tenant
from tollway.errors import NotFound
from tollway.settings import Settings
from tollway.storage.feedback import insert_feedback

VIEW, UPDATE = "cache:view", "cache:update"


def cache_endpoints(settings: Settings, desk: CacheDesk) -> Sequence[Endpoint]:
    """The routes of this capability."""
    rooms, base = Rooms(settings, desk), "/api/v1/cache"
    tenant, key = "/api/v1/tenants/{tenant}/cache", "/api/v1/keys/{key}/cache"
    return (
        Endpoint(HTTPMethod.GET, f"{base}/stats", VIEW, rooms.stats),
        Endpoint(HTTPMethod.GET, f"{base}/entries", VIEW, rooms.entries),
        Endpoint(HTTPMethod.DELETE, f"{base}/entries", UPDATE, rooms.remove),
        Endpoint(HTTPMethod.GET, f"{base}/entries/{{key}}", VIEW, rooms.show),
        Endpoint(HTTPMethod.DELETE, f"{base}/entries/{{key}}", UPDATE, rooms.remove_one),
        Endpoint(HTTPMethod.POST, f"{base}/flush", UPDATE, rooms.flush),
        Endpoint(HTTPMethod.POST, f"{base}/feedback", UPDATE, rooms.feedback, or_else=GATEWAY_USE),
        Endpoint(HTTPMethod.GET, tenant, VIEW, partial(rooms.policy, "tenant")),
        Endpoint(HTTPMethod.PUT, tenant, UPDATE, partial(rooms.put_policy, "tenant")),
        Endpoint(HTTPMethod.DELETE, tenant, UPDATE, partial(rooms.delete_policy, "tenant")),
        Endpoint(HTTPMethod.GET, key, VIEW, partial(rooms.policy, "key")),
        Endpoint(HTTPMethod.PUT, key, UPDATE, partial(rooms.put_policy, "key")),
        Endpoint(HTTPMethod.DELETE, key, UPDATE, partial(rooms.delete_policy, "key")),
    )


class Rooms:
    """What is behind each of them."""

    def __init__(self, settings: Settings, desk: CacheDesk) -> None:
        self._settings = settings
        self._desk = desk

    async def stats(self, call: Call) -> Answer:
        """What this worker knows of, and what hits have saved, by day."""
        asked = call.query(StatsQuery)
        tenant_id = await self._tenant_id(call, asked.tenant_id)
        since = rules.first_day(asked.days, datetime.now(UTC))
        async with call.pool.acquire() as connection:
            days = await queries.saved_by_day(connection, since, tenant_id, asked.model)
        return Answer(rules.shown_stats(self._desk.stats(), days))

    async def entries(self, call: Call) -> Answer:
        """The entries that this worker knows of, in the order of their keys."""
        asked = call.query(EntriesQuery)
        cursor = paging.decode(asked.cursor, str)
        after = rules.entry_key(cursor) if cursor is not None else b""
        meant = Selection(
            tenant_id=await self._tenant_id(call, asked.tenant_id), key_id=asked.key_id, model=asked.model
        )
        found = self._desk.entries(meant, asked.limit + 1, after)
        return Answer(paging.page([rules.shown_entry(entry) for entry in found], asked.limit, lambda entry: entry.key))

    async def show(self, call: Call) -> Answer:
        """One entry."""
        found = self._desk.find(rules.entry_key(call.part("key")))
        if found is None:
            raise NotFound("There is no such entry, or it has expired.")
        return Answer(rules.shown_entry(found))

    async def remove(self, call: Call) -> Answer:
        """Forget the entries that are meant; naming none of them is refused."""
        asked = call.query(RemovalQuery)
        tenant_id = await self._tenant_id(call, asked.tenant_id)
        return await self._remove(call, rules.selected(asked, tenant_id, datetime.now(UTC)), "cache.deleted")

    async def remove_one(self, call: Call) -> Answer:
        """Forget one entry, whether this worker knows of it or not: another one may."""
        return await self._remove(call, Selection(key=rules.entry_key(call.part("key"))), "cache.deleted")

    async def flush(self, call: Call) -> Answer:
        """Forget everything."""
        await call.body(_Nothing, may_be_empty=True)
        return await self._remove(call, Selection(), "cache.flushed")

    async def feedback(self, call: Call) -> Answer:
        """A verdict on a hit. The row is its own record: clients would fill the trail."""
        feedback = rules.checked_feedback(await call.body(FeedbackBody), call.caller, self._settings)
        async with call.pool.acquire() as connection:
            return Answer(Judged(await insert_feedback(connection, feedback)), 201)

    async def policy(self, owner: Owner, call: Call) -> Answer:
        """What a tenant or a key says of the cache."""
        owner_id = call.part(owner)
        if owner == "tenant" and (declared := self._settings.tenants.get(owner_id)) is not None:
            return Answer(rules.shown_policy(owner, FoundPolicy(owner_id, declared_cache(declared.cache))))
        async with call.pool.acquire() as connection:
            return _found(owner, await queries.find_policy(connection, owner, owner_id))

    async def put_policy(self, owner: Owner, call: Call) -> Answer:
        """A policy of its own, in the words of the configuration file."""
        body = await call.content()
        # On a thread: packages and files are looked for.
        policy = await asyncio.to_thread(rules.checked_policy, body, self._settings)
        return await self._set(owner, call, policy, msgspec.Raw(body))

    async def delete_policy(self, owner: Owner, call: Call) -> Answer:
        """The tenant's again, or the file's."""
        return await self._set(owner, call, None, None)

    async def _set(self, owner: Owner, call: Call, policy: CachePolicy | None, detail: object) -> Answer:
        rules.refuse_declared(owner, call.part(owner), self._settings)
        async with call.pool.acquire() as connection:
            found = await queries.set_policy(connection, owner, call.part(owner), policy, call.caller.actor, detail)
        return _found(owner, found)

    async def _remove(self, call: Call, selection: Selection, action: str) -> Answer:
        async with call.pool.acquire() as connection:
            await queries.insert_removal(connection, selection, call.caller.actor, action)
        return Answer(Removed(await self._desk.remove(selection)))

    async def _tenant_id(self, call: Call, id_or_name: str | None) -> str | None:
        """Entries of a tenant that is no more are named by its id."""
        if id_or_name is None or id_or_name in self._settings.tenants:
            return id_or_name
        async with call.pool.acquire() as connection:
            tenant = await find_tenant(connection, id_or_name)
        return id_or_name if tenant is None else tenant.id


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body that says nothing."""


def _found(owner: Owner, found: FoundPolicy | None) -> Answer:
    if found is None:
        raise NotFound(f"There is no such {owner}.")
    return Answer(rules.shown_policy(owner, found))
