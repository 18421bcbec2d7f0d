"""The keys that ``tollway serve --quickstart`` prints: the same ones at every start, as long as they work.

Their secrets are in ``<data_dir>/quickstart.json``, which only the gateway's account can read. It is a convenience
for a first hour on one's own machine; keys for others are made with ``tollway keys create``, which keeps no secret.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tollway._native import keys as native
from tollway.cli.database import actor
from tollway.cli.keys import store
from tollway.control.keys.queries import find_key
from tollway.control.keys.rules import KeyDraft, checked_draft
from tollway.control.permissions import EVERY
from tollway.control.tenants.queries import (
    Declared,
    TenantDraft,
    TenantPatch,
    find_tenant,
    insert_tenant,
    update_tenant,
)
from tollway.control.tenants.rules import refuse_declared
from tollway.storage.pool import Connection

TENANT = "quickstart"
FILE = "quickstart.json"


class KeptKey(msgspec.Struct, frozen=True):
    """A key with its secret."""

    id: str
    secret: str


class QuickstartKeys(msgspec.Struct, frozen=True):
    """What is printed: a key for models and one for ``/api/v1/``."""

    api_key: KeptKey
    admin_key: KeptKey


async def ensure(connection: Connection, data_dir: Path, declared: Declared) -> QuickstartKeys:
    """The kept keys; where one is lost, revoked or somebody else's database's, a new one.

    Raises:
        Conflict: the configuration declares a tenant of this name.
        OSError: they can't be kept.
    """
    refuse_declared(TENANT, declared)
    await _ensure_tenant(connection)
    kept = read_kept(data_dir / FILE)
    keys = QuickstartKeys(
        await _good(connection, kept.api_key if kept else None, KeyDraft(name=TENANT, tenant=TENANT)),
        await _good(connection, kept.admin_key if kept else None, KeyDraft(name=TENANT, admin=True)),
    )
    if keys != kept:
        _write(data_dir / FILE, keys)
    return keys


async def _ensure_tenant(connection: Connection) -> None:
    tenant = await find_tenant(connection, TENANT)
    if tenant is None:
        await insert_tenant(connection, TenantDraft(TENANT), actor())
    elif not tenant.is_active:
        await update_tenant(connection, tenant.id, TenantPatch(is_active=True), actor())


async def _good(connection: Connection, kept: KeptKey | None, draft: KeyDraft) -> KeptKey:
    """``kept`` if it still does all that a key of ``draft`` would do, else a new one."""
    wanted = checked_draft(draft, EVERY, datetime.now(UTC))
    if kept is not None:
        found = await find_key(connection, kept.id)
        if found is not None and found.is_active and found.expires_at is None and found.tenant == wanted.tenant:
            if found.prefix == native.prefix(kept.secret) and set(wanted.scopes or ()) <= set(found.scopes):
                return kept
    key, secret = await store(connection, wanted)
    return KeptKey(key.id, secret)


def read_kept(path: Path) -> QuickstartKeys | None:
    """The keys of an earlier start, ``None`` where there are none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=QuickstartKeys)
    except (OSError, ValueError):  # not there, or no keys: msgspec's own is a ValueError
        return None


def _write(path: Path, keys: QuickstartKeys) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(keys), indent=2))
    unfinished.replace(path)
