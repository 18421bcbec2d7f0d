from tests.cli.conftest import Tollway


def test_a_budget_is_made_listed_changed_and_taken_away(configured: Tollway) -> None:
    tenant = configured.json("tenants", "create", "globex")
    made = configured.json(
        *("budgets", "create", "research", "--tenant", "globex", "--amount", "12.50", "--period", "week", "--rolling"),
        *("--warn-at", "80,50", "--user", "alice", "--model", "m", "--tag", "team=red", "--per", "user,model"),
    )
    assert (made["tenant_id"], made["amount_usd"], made["period"], made["rolling"]) == (
        tenant["id"],
        "12.5",
        "week",
        True,
    )
    assert (made["warn_at"], made["per"], made["tag"]) == ([50, 80], ["user", "model"], "team=red")
    assert (made["spent_usd"], made["leased_usd"], made["subjects"]) == ("0", "0", [])
    assert configured.json("budgets", "show", made["id"]) == made

    changed = configured.json("budgets", "update", made["id"], "--amount", "20", "--name", "lab", "--warn-at", "")
    assert (changed["amount_usd"], changed["name"], changed["warn_at"]) == ("20", "lab", [])
    (listed,) = configured.json("budgets", "list", "--tenant", "globex")
    assert listed == changed | {"subjects": None}

    assert "lab is gone" in configured("budgets", "delete", made["id"]).stderr
    assert configured.json("budgets", "list", "--tenant", "globex") == []


def test_a_tenants_own_budget_is_listed_with_the_tenants(configured: Tollway) -> None:
    tenant = configured.json("tenants", "create", "globex", "--monthly-budget", "99.95")
    assert tenant["monthly_budget_usd"] == "99.95"
    (own,) = configured.json("budgets", "list", "--tenant", "globex")
    assert (own["id"], own["amount_usd"], own["left_usd"]) == (f"tenant:{tenant['id']}", "99.95", "99.95")
    assert "changes with the tenant" in configured.says("budgets", "update", own["id"], "--amount", "1")
    assert configured.json("tenants", "update", "globex", "--no-monthly-budget")["monthly_budget_usd"] is None
    assert configured.json("tenants", "update", "globex", "--monthly-budget", "0")["monthly_budget_usd"] == "0"


def test_budgets_of_the_configuration_are_listed_and_not_changed(configured: Tollway) -> None:
    listed = configured.json("budgets", "list")
    assert [(budget["id"], budget["managed_by"]) for budget in listed] == [
        ("file:all", "file"),
        ("file:tenant:acme", "file"),
    ]
    assert configured.json("budgets", "show", "file:tenant:acme")["amount_usd"] == "500"
    for words in (("update", "file:all", "--amount", "1"), ("delete", "file:all")):
        assert "managed by the configuration file" in configured.says("budgets", *words)
    create = ("budgets", "create", "b", "--amount", "1", "--tenant")
    assert "managed by the configuration file" in configured.says(*create, "acme")


def test_what_can_not_be_is_refused_with_a_sentence(configured: Tollway) -> None:
    configured.json("tenants", "create", "globex")
    create = ("budgets", "create", "b", "--tenant", "globex")
    configured.json(*create, "--amount", "1")
    assert "already" in configured.says(*create, "--amount", "1")
    assert "amount_usd: " in configured.says(*create, "--amount", "0")
    assert "tag: " in configured.says(*create, "--amount", "1", "--tag", "red")
    assert "--amount" in configured.says(*create, "--amount", "much", code=2)
    assert "--warn-at" in configured.says(*create, "--amount", "1", "--warn-at", "half", code=2)
    assert "--per" in configured.says(*create, "--amount", "1", "--per", "tag", code=2)
    assert "no tenant nobody" in configured.says("budgets", "create", "b", "--tenant", "nobody", "--amount", "1")
    assert "no budget nothing" in configured.says("budgets", "show", "nothing")
    assert "nothing to change" in configured.says("budgets", "update", "nothing")


def test_a_person_gets_a_table(configured: Tollway) -> None:
    head, everything, acme = configured("budgets", "list").stdout.splitlines()
    assert head.split()[:3] == ["name", "id", "tenant"]
    assert "each user" in everything
    assert acme.split()[0] == "acme"
    assert "500" in configured("budgets", "show", "file:tenant:acme").stdout
