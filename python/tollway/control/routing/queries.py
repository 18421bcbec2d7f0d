"""The table ``router_overrides``. Each change is one transaction with its line in the audit trail.

Every gateway hears of a change as it is committed: the table announces it.
"""

from datetime import datetime

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType

from tollway.contract.routing import FOR_GOOD_MS, Override
from tollway.control.audit.queries import record
from tollway.storage.overrides import MOST_OVERRIDES
from tollway.storage.pool import Connection


class StoredOverride(Override, frozen=True, kw_only=True):
    """An override, and who made it last, when, and why."""

    note: str | None
    updated_at: datetime
    updated_by: str


class TargetPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to change about a target; a field that is left out stays.

    ``weight`` is its share of the calls of ``model``; ``None`` is what the configuration says. ``note`` says why, and
    stays with what is changed.
    """

    drained: bool | UnsetType = UNSET
    weight: int | UnsetType | None = UNSET
    model: str | UnsetType = UNSET
    note: str | None = None


class TargetOpening(msgspec.Struct, frozen=True):
    """A target is to be left alone: for ``for_ms`` milliseconds, or (``None``) until it is closed by hand."""

    for_ms: int | None = None
    note: str | None = None


class TargetClosing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A target is to be asked again, whatever its breaker knows."""

    note: str | None = None


_NOW_MS = "(extract(epoch from clock_timestamp()) * 1000)::bigint"  # one clock for all hosts

_LIST = f"""
    select target, alias, weight, drained, opened_until_ms, closed_at_ms, note, updated_at, updated_by
    from (select * from router_overrides order by updated_at desc limit {MOST_OVERRIDES}) newest
    where $1::text is null or target = $1
    order by target, alias
"""  # noqa: S608 -- a number of ours

_DRAIN = """
    insert into router_overrides (target, drained, note, updated_by) values ($1, $2, $3, $4)
    on conflict (alias, target) do update
    set drained = excluded.drained, note = excluded.note, updated_by = excluded.updated_by
"""

_WEIGH = """
    insert into router_overrides (target, alias, weight, note, updated_by) values ($1, $2, $3, $4, $5)
    on conflict (alias, target) do update
    set weight = excluded.weight, note = excluded.note, updated_by = excluded.updated_by
"""

_OPEN = f"""
    insert into router_overrides (target, opened_until_ms, note, updated_by)
    values ($1, coalesce({_NOW_MS} + $2, {FOR_GOOD_MS}), $3, $4)
    on conflict (alias, target) do update
    set opened_until_ms = excluded.opened_until_ms, closed_at_ms = null,
        note = excluded.note, updated_by = excluded.updated_by
"""  # noqa: S608 -- numbers and a clock

_CLOSE = f"""
    insert into router_overrides (target, closed_at_ms, note, updated_by) values ($1, {_NOW_MS}, $2, $3)
    on conflict (alias, target) do update
    set opened_until_ms = null, closed_at_ms = excluded.closed_at_ms,
        note = excluded.note, updated_by = excluded.updated_by
"""  # noqa: S608 -- a clock

# A row that overrides nothing would be shown as if it did.
_TIDY = """
    delete from router_overrides
    where target = $1 and alias = '' and not drained and opened_until_ms is null and closed_at_ms is null
"""


async def list_overrides(connection: Connection, target: str | None = None) -> list[StoredOverride]:
    """Every override that is heeded, or those of one target."""
    return [StoredOverride(**dict(row)) for row in await connection.fetch(_LIST, target)]


async def change_target(connection: Connection, target: str, patch: TargetPatch, actor: str) -> None:
    """Apply a checked patch."""
    async with connection.transaction():
        if patch.drained is not UNSET:
            await connection.execute(_DRAIN, target, patch.drained, patch.note, actor)
        if patch.weight is None:
            await connection.execute(
                "delete from router_overrides where target = $1 and alias = $2", target, patch.model
            )
        elif patch.weight is not UNSET:
            await connection.execute(_WEIGH, target, patch.model, patch.weight, patch.note, actor)
        await connection.execute(_TIDY, target)
        await record(connection, actor, "target.updated", target, patch)


async def open_target(connection: Connection, target: str, opening: TargetOpening, actor: str) -> None:
    """Leave a target alone, from now on."""
    async with connection.transaction():
        await connection.execute(_OPEN, target, opening.for_ms, opening.note, actor)
        await record(connection, actor, "target.opened", target, opening)


async def close_target(connection: Connection, target: str, closing: TargetClosing, actor: str) -> None:
    """Ask a target again, from now on. One that is drained stays so."""
    async with connection.transaction():
        await connection.execute(_CLOSE, target, closing.note, actor)
        await record(connection, actor, "target.closed", target, closing)


async def reset_target(connection: Connection, target: str, actor: str) -> list[Override]:
    """Forget all that was decided about a target; returns what that was. Nothing to forget is nothing to record."""
    async with connection.transaction():
        rows = await connection.fetch(
            "delete from router_overrides where target = $1 "
            "returning target, alias, weight, drained, opened_until_ms, closed_at_ms",
            target,
        )
        forgotten = [_override(row) for row in rows]
        if forgotten:
            await record(connection, actor, "target.reset", target, {"forgotten": forgotten})
        return forgotten


def _override(row: asyncpg.Record) -> Override:
    return Override(**dict(row))
