import stat
from pathlib import Path

import asyncpg
import pytest

from tollway.cli.quickstart import FILE, TENANT, ensure
from tollway.control.keys.queries import find_key, list_keys, revoke_key
from tollway.control.tenants.queries import Declared, TenantPatch, find_tenant, update_tenant
from tollway.errors import Conflict


async def test_the_keys_stay_the_same_as_long_as_they_work(pool: asyncpg.Pool, tmp_path: Path) -> None:
    async with pool.acquire() as connection:
        keys = await ensure(connection, tmp_path, Declared())
        assert await ensure(connection, tmp_path, Declared()) == keys
        assert len(await list_keys(connection, limit=10)) == 2
        stored = await find_key(connection, keys.api_key.id)
    assert stored is not None
    assert stored.tenant == TENANT
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


async def test_a_revoked_key_is_replaced_and_the_other_one_kept(pool: asyncpg.Pool, tmp_path: Path) -> None:
    async with pool.acquire() as connection:
        keys = await ensure(connection, tmp_path, Declared())
        await revoke_key(connection, keys.api_key.id, "test")
        renewed = await ensure(connection, tmp_path, Declared())
    assert renewed.api_key != keys.api_key
    assert renewed.admin_key == keys.admin_key


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"api_key": {"id": "\xff"}}'])
async def test_a_lost_or_broken_file_means_new_keys(pool: asyncpg.Pool, tmp_path: Path, content: bytes | None) -> None:
    async with pool.acquire() as connection:
        keys = await ensure(connection, tmp_path, Declared())
        (tmp_path / FILE).unlink() if content is None else (tmp_path / FILE).write_bytes(content)
        renewed = await ensure(connection, tmp_path, Declared())
        assert await ensure(connection, tmp_path, Declared()) == renewed
    assert renewed.api_key.secret != keys.api_key.secret


async def test_a_revoked_tenant_is_let_in_again(pool: asyncpg.Pool, tmp_path: Path) -> None:
    async with pool.acquire() as connection:
        keys = await ensure(connection, tmp_path, Declared())
        tenant = await find_tenant(connection, TENANT)
        assert tenant is not None
        await update_tenant(connection, tenant.id, TenantPatch(is_active=False), "test")
        assert await ensure(connection, tmp_path, Declared()) == keys
        tenant = await find_tenant(connection, TENANT)
    assert tenant is not None
    assert tenant.is_active


async def test_a_tenant_of_the_configuration_is_left_alone(pool: asyncpg.Pool, tmp_path: Path) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(Conflict):
            await ensure(connection, tmp_path, Declared(tenants=frozenset({TENANT})))
        assert await find_tenant(connection, TENANT) is None
