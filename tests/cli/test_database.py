"""Commands beside a gateway, without one, and with several at once."""

import subprocess
from pathlib import Path

import pytest
from tests.cli.conftest import Tollway, Write

from tollway.charge import Places
from tollway.cli.database import serving
from tollway.storage.embedded import EmbeddedPostgres
from tollway.supervisor import hold


@pytest.fixture
def embedded(tollway: Tollway, write: Write, postgres_home: Path) -> Tollway:
    write({"storage": {"postgres": "embedded", "data_dir": str(postgres_home)}})
    return tollway


def test_without_a_gateway_postgresql_is_started_for_the_command(embedded: Tollway, postgres_home: Path) -> None:
    assert embedded.json("tenants", "create", "globex")["name"] == "globex", "the schema is made as well"
    assert EmbeddedPostgres(postgres_home).running_dsn() is None, "and it is stopped again"
    assert [tenant["name"] for tenant in embedded.json("tenants", "list")] == ["globex"]


def test_commands_at_once_wait_for_each_other(embedded: Tollway) -> None:
    words = [*embedded.command, "keys", "create", "--admin", "--json", "--name"]
    running = [
        subprocess.Popen([*words, str(number)], cwd=embedded.directory, stdout=subprocess.DEVNULL)
        for number in range(3)
    ]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert sorted(key["name"] for key in embedded.json("keys", "list")) == ["0", "1", "2"]


def test_the_server_of_a_running_gateway_is_used_and_left_running(embedded: Tollway, postgres_home: Path) -> None:
    places = Places(postgres_home)
    places.make()
    with hold(places.lock), EmbeddedPostgres(postgres_home) as dsn:
        assert embedded("migrate").returncode == 0
        assert embedded.json("tenants", "create", "globex")["name"] == "globex"
        assert EmbeddedPostgres(postgres_home).running_dsn() == dsn


def test_a_gateway_that_runs_here_is_known_and_a_look_does_not_get_in_its_way(postgres_home: Path) -> None:
    places = Places(postgres_home)
    assert not serving(places)
    assert not places.lock.exists()
    places.make()
    with hold(places.lock):
        assert serving(places)
    assert not serving(places)
    with hold(places.lock):
        assert serving(places)


def test_a_schema_of_another_version_is_a_sentence(tollway: Tollway, write: Write, empty_dsn: str) -> None:
    write({"storage": {"postgres": empty_dsn}})
    assert "tollway migrate" in tollway.says("keys", "list")


def test_a_database_that_does_not_answer_is_a_sentence_without_its_password(tollway: Tollway, write: Write) -> None:
    write({"storage": {"postgres": "postgresql://tollway:hunter2hunter2@127.0.0.1:1/tollway"}})
    said = tollway.says("tenants", "list")
    assert "does not answer" in said
    assert "hunter2" not in said


def test_a_data_directory_that_can_not_be_used_is_a_sentence(tollway: Tollway, write: Write) -> None:
    (tollway.directory / "file").write_text("")
    write({"storage": {"data_dir": "file"}})
    assert "file" in tollway.says("tenants", "list")
