import json

from tests.cli.conftest import Tollway, Write
from tests.house import inventory


def test_what_is_missing_is_told_then_applied_once(tollway: Tollway, write: Write, empty_dsn: str) -> None:
    write({"storage": {"postgres": empty_dsn}})
    versions = list(range(1, len(inventory.migrations()) + 1))
    checked = tollway("migrate", "--check", "--json")
    assert checked.returncode == 1
    assert [migration["version"] for migration in json.loads(checked.stdout)] == versions
    assert "tollway migrate" in tollway.says("tenants", "list"), "checking changes nothing"
    assert [migration["version"] for migration in tollway.json("migrate")] == versions
    assert tollway.json("migrate") == []
    assert tollway("migrate", "--check").returncode == 0


def test_a_database_can_be_named_without_a_configuration(tollway: Tollway, empty_dsn: str) -> None:
    applied = tollway("migrate", "--dsn", empty_dsn)
    assert applied.returncode == 0
    assert "tenants_and_keys" in applied.stdout


def test_a_database_that_does_not_answer_is_a_sentence(tollway: Tollway) -> None:
    assert "does not answer" in tollway.says("migrate", "--dsn", "postgresql://tollway@127.0.0.1:1/tollway")
