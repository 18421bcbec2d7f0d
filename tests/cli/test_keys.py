import asyncio
import json
from datetime import UTC, datetime, timedelta

import asyncpg
from tests.cli.conftest import FILE_KEY, Tollway

from tollway._native import keys


def test_a_key_is_made_listed_and_revoked(configured: Tollway) -> None:
    configured.json("tenants", "create", "globex")
    made = configured.json(
        *("keys", "create", "--tenant", "globex", "--name", "ci", "--environment", "test"),
        *("--expires", "30d", "--rpm", "60", "--models", "m"),
    )
    assert keys.well_formed(made["key"].encode())
    assert made["key"].startswith("tw_test_")
    assert made["limits"]["rpm"] == 60
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)

    listed = configured.json("keys", "list", "--tenant", "globex")
    assert [key["id"] for key in listed] == [made["id"]]
    assert made["key"] not in json.dumps(configured.json("keys", "list")), "a secret is shown once"

    assert configured.json("keys", "revoke", made["id"])["is_active"] is False
    assert configured.json("keys", "list", "--tenant", "globex")[0]["revoked_at"]
    assert configured("keys", "revoke", made["id"]).returncode == 0, "revoking again changes nothing"


def test_the_secret_stands_alone_on_stdout(configured: Tollway) -> None:
    configured.json("tenants", "create", "globex")
    ran = configured("keys", "create", "--tenant", "globex", "--name", "ci")
    assert keys.well_formed(ran.stdout.strip().encode())
    assert "globex" in ran.stderr
    assert ran.stdout.strip() not in ran.stderr


def test_an_admin_key_needs_no_tenant_and_has_every_scope_of_the_control_plane(configured: Tollway) -> None:
    made = configured.json("keys", "create", "--admin", "--name", "ops")
    assert made["key"].startswith("tw_admin_")
    assert made["tenant"] is None
    assert "tenants:update" in made["scopes"]
    assert "gateway:use" not in made["scopes"]


def test_keys_of_the_configuration_are_listed_without_their_secret_and_not_changed(configured: Tollway) -> None:
    ran = configured("keys", "list", "--tenant", "acme", "--json")
    (key,) = json.loads(ran.stdout)
    assert (key["id"], key["managed_by"]) == ("acme/ci", "file")
    assert FILE_KEY not in ran.stdout
    assert "managed by the configuration file" in configured.says("keys", "revoke", "acme/ci")
    assert "managed by the configuration file" in configured.says("keys", "create", "--tenant", "acme", "--name", "x")


def test_what_can_not_be_is_refused_with_a_sentence(configured: Tollway) -> None:
    assert "no tenant nobody" in configured.says("keys", "create", "--tenant", "nobody", "--name", "x")
    assert "tenant: " in configured.says("keys", "create", "--name", "x")
    assert "no key nothing" in configured.says("keys", "revoke", "nothing")
    assert "--expires" in configured.says("keys", "create", "--admin", "--name", "x", "--expires", "soon", code=2)
    assert "expires_at" in configured.says("keys", "create", "--admin", "--name", "x", "--expires", "2020-01-01")


def test_the_audit_trail_names_the_account_and_holds_no_secret(configured: Tollway, postgres_dsn: str) -> None:
    made = configured.json("keys", "create", "--admin", "--name", "ops")
    configured.json("keys", "revoke", made["id"])

    async def trail() -> list[tuple[str, str, str]]:
        connection = await asyncpg.connect(postgres_dsn)
        try:
            rows = await connection.fetch("select actor, action, detail::text from audit_logs order by id")
            return [(row["actor"], row["action"], row["detail"]) for row in rows]
        finally:
            await connection.close()

    found = asyncio.run(trail())
    assert [action for _, action, _ in found] == ["key.created", "key.revoked"]
    assert all(actor.startswith("cli:") for actor, _, _ in found)
    assert made["key"] not in str(found)


def test_a_person_gets_a_table(configured: Tollway) -> None:
    configured("keys", "create", "--admin", "--name", "ops")
    head, file, admin = configured("keys", "list").stdout.splitlines()
    assert head.split()[0] == "name"
    assert file.split()[-1] == "file"
    assert "(admin)" in admin
