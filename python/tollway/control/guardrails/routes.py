"""``/api/v1/guardrails``: HTTP in, HTTP out."""

import asyncio
from collections.abc import Sequence
from http import HTTPMethod
from typing import Annotated

import msgspec

from tollway.contract.guardrails import Policy
from tollway.control import fields, paging
from tollway.control.call import Answer, Call, Endpoint
from tollway.control.guardrails import queries, rules
from tollway.control.guardrails.queries import PolicyVersion
from tollway.control.guardrails.view import GuardrailView, Trial
from tollway.errors import NotFound
from tollway.settings import Settings

Version = Annotated[int, msgspec.Meta(ge=1, le=2**53)]


class PolicyList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of the list."""

    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of one policy: the version that holds, unless another is asked for."""

    version: Version | None = None


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of a change: refused unless this version holds (0: none does)."""

    if_version: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None


class Restoring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a restoring: the version that says what is to hold again."""

    version: Version


def guardrail_endpoints(settings: Settings, view: GuardrailView) -> Sequence[Endpoint]:
    """The routes of this capability."""
    rooms = Rooms(settings, view)
    one = "/api/v1/guardrails/{name}"
    return (
        Endpoint(HTTPMethod.POST, "/api/v1/guardrails/test", "guardrails:test", rooms.test),
        Endpoint(HTTPMethod.GET, "/api/v1/guardrails", "guardrails:view", rooms.list_all),
        Endpoint(HTTPMethod.GET, one, "guardrails:view", rooms.show),
        Endpoint(HTTPMethod.PUT, one, "guardrails:update", rooms.put),
        Endpoint(HTTPMethod.DELETE, one, "guardrails:update", rooms.delete),
        Endpoint(HTTPMethod.GET, f"{one}/versions", "guardrails:view", rooms.versions),
        Endpoint(HTTPMethod.POST, f"{one}/restore", "guardrails:update", rooms.restore),
    )


class Rooms:
    """What is behind each of them. Policies are read on a thread: one may hold ten thousand words."""

    def __init__(self, settings: Settings, view: GuardrailView) -> None:
        self._settings = settings
        self._declared = settings.guardrails.keys()
        self._view = view

    async def list_all(self, call: Call) -> Answer:
        """Every policy, the file's and the database's, by name."""
        asked = call.query(PolicyList)
        after = paging.decode(asked.cursor, str) or ""
        async with call.pool.acquire() as connection:
            stored = await queries.list_policies(connection)
        shown = await asyncio.to_thread(rules.listed, stored, self._settings)
        found = [policy for policy in shown if policy.name > after][: asked.limit + 1]
        return Answer(paging.page(found, asked.limit, lambda policy: policy.name))

    async def show(self, call: Call) -> Answer:
        """One policy, or one version of it."""
        name, asked = call.part("name"), call.query(Which)
        declared = self._settings.guardrails.get(name)
        async with call.pool.acquire() as connection:
            bound = await queries.bound_to(connection, name)
            if declared is not None and asked.version is None:
                return Answer(rules.full_declared(name, declared, bound))
            stored = await queries.find_policy(connection, name, asked.version)
        return await self._shown(_found(stored), bound)

    async def versions(self, call: Call) -> Answer:
        """Every version of a policy of the database, newest first; also of one that is deleted."""
        asked = call.query(PolicyList)
        name, before = call.part("name"), paging.decode(asked.cursor, int)
        async with call.pool.acquire() as connection:
            found = await queries.list_versions(connection, name, limit=asked.limit + 1, before=before)
        if not found and before is None:
            rules.refuse_declared(name, self._declared)
            raise _unknown()
        return Answer(paging.page(found, asked.limit, lambda version: version.version))

    async def put(self, call: Call) -> Answer:
        """Make a policy, or its next version."""
        name, asked = rules.new_name(call.part("name"), self._declared), call.query(Change)
        body = await call.content()
        await asyncio.to_thread(rules.checked_policy, name, body, self._settings)
        async with call.pool.acquire() as connection:
            stored = await queries.put_policy(connection, name, body, call.caller.actor, if_version=asked.if_version)
            bound = await queries.bound_to(connection, name)
        return await self._shown(stored, bound)

    async def restore(self, call: Call) -> Answer:
        """Let hold again what an old version says, as the next one."""
        name, asked = rules.new_name(call.part("name"), self._declared), call.query(Change)
        wanted = await call.body(Restoring)
        async with call.pool.acquire() as connection:
            old = _found(await queries.find_policy(connection, name, wanted.version))
        body = bytes(old.policy)
        await asyncio.to_thread(rules.checked_policy, name, body, self._settings)
        actor, restored = call.caller.actor, wanted.version
        async with call.pool.acquire() as connection:
            stored = await queries.put_policy(
                connection, name, body, actor, if_version=asked.if_version, restored=restored
            )
            bound = await queries.bound_to(connection, name)
        return await self._shown(stored, bound)

    async def delete(self, call: Call) -> Answer:
        """Let a policy hold no more. Its versions stay on record."""
        name, asked = call.part("name"), call.query(Change)
        rules.refuse_declared(name, self._declared)
        async with call.pool.acquire() as connection:
            stored = await queries.delete_policy(connection, name, call.caller.actor, if_version=asked.if_version)
            bound = await queries.bound_to(connection, name)
        return await self._shown(_found(stored), bound)

    async def test(self, call: Call) -> Answer:
        """Try a policy. Neither what it is tried on nor what was found is kept or logged."""
        body = await call.body(rules.TestBody, largest_bytes=rules.LONGEST_TEXT_BYTES)
        request = bytes(body.request)
        if (body.text is None) == (not request):
            raise fields.refused("text", "give either a text or the body of a request.")
        trial = Trial(
            direction=body.direction,
            text=body.text,
            request=request or None,
            operation=body.operation,
            external=body.external,
        )
        return Answer(await self._view.examine(await self._meant(body.policy), trial))

    async def _meant(self, policy: msgspec.Raw) -> Policy:
        """A policy that holds, by its name, or one that is written in the request."""
        if not bytes(policy).lstrip().startswith(b'"'):
            return await asyncio.to_thread(rules.checked_policy, "inline", bytes(policy), self._settings)
        name: str = msgspec.json.decode(policy, type=str)
        found = self._view.policy(name)
        if found is None:
            raise NotFound(f"There is no policy {name[:128]!a}, or it is not understood here.", param="policy")
        return found

    async def _shown(self, stored: PolicyVersion, bound: queries.Bound) -> Answer:
        faults = await asyncio.to_thread(rules.faults_of, stored, self._settings)
        return Answer(rules.full_stored(stored, bound, faults))


def _found(stored: PolicyVersion | None) -> PolicyVersion:
    if stored is None:
        raise _unknown()
    return stored


def _unknown() -> NotFound:
    return NotFound("There is no such policy, or no such version of it.")
