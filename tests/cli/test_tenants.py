from tests.cli.conftest import Tollway


def test_a_tenant_is_made_listed_changed_and_revoked(configured: Tollway) -> None:
    made = configured.json("tenants", "create", "globex", "--rpm", "60", "--tpm", "1000", "--models", "m,n")
    assert made["limits"] == {"rpm": 60, "tpm": 1000}
    assert made["allowed_models"] == ["m", "n"]
    assert configured.json("tenants", "show", "globex") == configured.json("tenants", "show", made["id"]) == made

    changed = configured.json(
        "tenants", "update", "globex", "--rpm", "5", "--all-models", "--name", "Globex Inc", "--guardrails", "strict"
    )
    assert changed["limits"] == {"rpm": 5, "tpm": 1000}, "what is not mentioned stays"
    assert changed["allowed_models"] is None
    assert (changed["name"], changed["guardrails"]) == ("Globex Inc", "strict")
    reset = configured.json("tenants", "update", made["id"], "--default-limits", "--default-guardrails")
    assert (reset["limits"], reset["guardrails"], reset["name"]) == (None, None, "Globex Inc")

    assert configured.json("tenants", "revoke", "Globex Inc")["is_active"] is False
    listed = {tenant["name"]: tenant for tenant in configured.json("tenants", "list")}
    assert listed["Globex Inc"]["is_active"] is False
    assert configured.json("tenants", "update", "Globex Inc", "--active")["is_active"] is True


def test_tenants_of_the_configuration_are_listed_and_not_changed(configured: Tollway) -> None:
    (acme,) = configured.json("tenants", "list")
    assert (acme["name"], acme["managed_by"]) == ("acme", "file")
    assert acme["limits"] == {"rpm": 7}
    assert configured.json("tenants", "show", "acme") == acme
    for words in (("create", "acme"), ("update", "acme", "--rpm", "1"), ("revoke", "acme")):
        assert "managed by the configuration file" in configured.says("tenants", *words)


def test_what_can_not_be_is_refused_with_a_sentence(configured: Tollway) -> None:
    configured.json("tenants", "create", "globex")
    assert "already" in configured.says("tenants", "create", "globex")
    assert "name: " in configured.says("tenants", "create", " blank ")
    assert "guardrails: " in configured.says("tenants", "create", "other", "--guardrails", "missing")
    assert "no tenant nobody" in configured.says("tenants", "show", "nobody")
    assert "nothing to change" in configured.says("tenants", "update", "globex")
    assert "--rpm" in configured.says("tenants", "update", "globex", "--rpm", "0", code=2)


def test_a_person_gets_a_table(configured: Tollway) -> None:
    configured("tenants", "create", "globex", "--concurrency", "3")
    head, acme, globex = configured("tenants", "list").stdout.splitlines()
    assert head.split()[:2] == ["name", "id"]
    assert acme.split()[0] == "acme"
    assert acme.split()[-1] == "file"
    assert "concurrency 3" in globex
