"""The table ``guardrail_policies``. Each change is one transaction with its line in the audit trail.

A change is another version; what an old one says stays. Every gateway hears of a change as it is committed: the table
announces it. Who changes policies, or binds somebody to one, takes turns: a policy is not taken away while somebody is
being bound to it.
"""

from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import msgspec

from tollway.control.audit.queries import record
from tollway.errors import Conflict, InvalidRequest
from tollway.storage.policies import MOST_POLICIES
from tollway.storage.pool import Connection

_TURN = 0x746F6C6C67756172  # "tollguar": the key of the advisory lock, which is per database


class PolicyVersion(msgspec.Struct, frozen=True):
    """A version of a stored policy. ``policy`` is what it says, in the words of the configuration file."""

    name: str
    version: int
    is_active: bool
    created_at: datetime
    created_by: str
    policy: msgspec.Raw


class Bound(msgspec.Struct, frozen=True):
    """How many tenants and keys of the database a policy is bound to."""

    tenants: int
    keys: int


_FIND = """
    select * from guardrail_policies
    where name = $1 and case when $2::bigint is null then is_active else version = $2 end
"""

_LIST = "select * from guardrail_policies where is_active order by name limit $1"

_VERSIONS = """
    select * from guardrail_policies
    where name = $1 and ($2::bigint is null or version < $2)
    order by version desc limit $3
"""

_BOUND = """
    select (select count(*) from tenants where guardrails = $1) as tenants,
           (select count(*) from api_keys where guardrails = $1 and revoked_at is null) as keys
"""

_END = "update guardrail_policies set is_active = false where name = $1 and is_active"

_INSERT = """
    insert into guardrail_policies (name, version, body, created_by)
    values ($1, (select coalesce(max(version), 0) + 1 from guardrail_policies where name = $1), $2::jsonb, $3)
    returning *
"""


async def list_policies(connection: Connection) -> list[PolicyVersion]:
    """Every policy that holds, by name."""
    return [_version(row) for row in await connection.fetch(_LIST, MOST_POLICIES)]


async def list_versions(
    connection: Connection, name: str, *, limit: int, before: int | None = None
) -> list[PolicyVersion]:
    """At most ``limit`` versions of a policy that are older than ``before``, newest first."""
    return [_version(row) for row in await connection.fetch(_VERSIONS, name, before, limit)]


async def find_policy(connection: Connection, name: str, version: int | None = None) -> PolicyVersion | None:
    """The version that holds, or that of a number."""
    row = await connection.fetchrow(_FIND, name, version)
    return None if row is None else _version(row)


async def bound_to(connection: Connection, name: str) -> Bound:
    """To how many it is bound by name."""
    row = await connection.fetchrow(_BOUND, name)
    return Bound(**dict(row or {}))


async def put_policy(
    connection: Connection,
    name: str,
    body: bytes,
    actor: str,
    *,
    if_version: int | None = None,
    restored: int | None = None,
) -> PolicyVersion:
    """Store what a checked policy says as its next version, which holds from now on. ``restored`` is the old version
    that says the same, where it was taken from one.

    Raises:
        Conflict: the version that holds is not ``if_version`` (0: there is none), or there are too many policies.
    """
    async with connection.transaction():
        held = await _held(connection, name, if_version)
        if held is None and await _count(connection) >= MOST_POLICIES:
            raise Conflict(f"There are {MOST_POLICIES:,} policies already; delete one first.")
        await connection.execute(_END, name)
        stored = _version(await connection.fetchrow(_INSERT, name, body.decode(), actor))
        if restored is not None:
            await record(
                connection, actor, "guardrail.restored", name, {"version": stored.version, "restored": restored}
            )
        else:
            action = "guardrail.updated" if held else "guardrail.created"
            await record(connection, actor, action, name, {"version": stored.version})
        return stored


async def delete_policy(
    connection: Connection, name: str, actor: str, *, if_version: int | None = None
) -> PolicyVersion | None:
    """Let no version hold any more; they stay on record. ``None`` when none does.

    Raises:
        Conflict: it is bound to somebody, or the version that holds is not ``if_version``.
    """
    async with connection.transaction():
        held = await _held(connection, name, if_version)
        if held is None:
            return None
        bound = await bound_to(connection, name)
        if bound.tenants or bound.keys:
            raise Conflict(
                f"The policy is bound to {bound.tenants:,} tenants and {bound.keys:,} keys; bind them to another first."
            )
        await connection.execute(_END, name)
        await record(connection, actor, "guardrail.deleted", name, {"version": held.version})
        return msgspec.structs.replace(held, is_active=False)


@asynccontextmanager
async def binding(connection: Connection, name: str | None, declared: Set[str]) -> AsyncIterator[None]:
    """A transaction in which somebody is bound to the policy of a name: it is there until the end. ``declared`` are
    those of the configuration file.

    Raises:
        InvalidRequest: there is none. It would protect nobody.
    """
    if name is None or name in declared:
        yield
        return
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _TURN)
        if await find_policy(connection, name) is None:
            raise InvalidRequest("guardrails: there is no policy of this name.", param="guardrails")
        yield


async def _held(connection: Connection, name: str, if_version: int | None) -> PolicyVersion | None:
    """The version that holds, once it is our turn."""
    await connection.execute("select pg_advisory_xact_lock($1)", _TURN)
    held = await find_policy(connection, name)
    version = 0 if held is None else held.version
    if if_version is not None and version != if_version:
        said = f"version {version} holds" if held else "no version holds"
        raise Conflict(f"if_version: {said}, not {if_version}; somebody has changed the policy.", param="if_version")
    return held


async def _count(connection: Connection) -> int:
    found: int = await connection.fetchval("select count(*) from guardrail_policies where is_active")
    return found


def _version(row: asyncpg.Record | None) -> PolicyVersion:
    if row is None:
        raise AssertionError("an insert returns its row")
    return PolicyVersion(
        name=row["name"],
        version=row["version"],
        is_active=row["is_active"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        policy=msgspec.Raw(row["body"].encode()),
    )
