import json
import re

import pytest
from tests.cli.conftest import Tollway, Write
from tests.house import inventory

BAD = """\
version: 1
server: {port: 99999, colour: red}
storage:
  postgres: mysql://nowhere
models:
  m:
    targets: [{provider: missing, model: x}]
tenants:
  acme: {keys: {ci: {key: "${SURELY_NOT_SET_ANYWHERE}"}}}
"""

FAULTY = [
    "server.port",
    "server.colour",
    "storage.postgres",
    "models.m.targets[0].provider",
    "tenants.acme.keys.ci.key",
]


@pytest.mark.parametrize("words", [("config", "check"), ("serve",), ("tenants", "list"), ("migrate",)])
def test_a_bad_configuration_ends_with_64_and_lists_every_fault(tollway: Tollway, words: tuple[str, ...]) -> None:
    (tollway.directory / "tollway.yaml").write_text(BAD)
    lines = tollway.says(*words, code=64).splitlines()
    assert len(lines) == len(FAULTY)
    for path in FAULTY:
        (line,) = (line for line in lines if f": {path}: " in line)
        name, row, column, _ = line.split(":", 3)
        assert name == "tollway.yaml"
        assert BAD.splitlines()[int(row) - 1]
        assert int(column) >= 1


def test_the_faults_are_a_list_for_machines(tollway: Tollway) -> None:
    (tollway.directory / "tollway.yaml").write_text(BAD)
    ran = tollway("config", "check", "--json")
    assert ran.returncode == 64
    assert sorted(fault["path"] for fault in json.loads(ran.stdout)) == sorted(FAULTY)
    assert {fault["file"] for fault in json.loads(ran.stdout)} == {"tollway.yaml"}


def test_a_missing_configuration_ends_with_64_and_a_hint(tollway: Tollway) -> None:
    assert "tollway init" in tollway.says("serve", "--config", "nowhere.yaml", code=64)


def test_faults_of_the_price_list_count_too(tollway: Tollway, write: Write) -> None:
    write({})
    assert tollway.json("config", "check") == []
    (tollway.directory / "prices.yaml").write_text(
        "version: 1\nproviders: {openai: {models: {m: {input_per_1m: x}}}}\n"
    )
    assert "prices.yaml:2:" in tollway.says("config", "check", code=64)
    assert "prices.yaml:2:" in tollway.says("serve", code=64)


def test_a_good_configuration_is_summed_up(tollway: Tollway) -> None:
    shipped = str(inventory.ROOT / "config" / "tollway.yaml")
    ran = tollway("config", "check", "--config", shipped)
    assert ran.returncode == 0
    assert "no key: openai" in ran.stdout


def test_a_key_that_is_empty_among_several_is_named(tollway: Tollway, write: Write) -> None:
    keys = [{"name": "first", "api_key": "${FIRST:-}"}, {"name": "second", "api_key": "${SECOND:-}"}]
    write({"providers": {"pool": {"kind": "openai", "keys": keys}}})
    assert "(no key: pool#second)" in tollway("config", "check", FIRST="sk-0123456789").stdout
    assert "(no key: pool)" in tollway("config", "check").stdout


def test_faults_of_routing_have_their_line(tollway: Tollway) -> None:
    (tollway.directory / "tollway.yaml").write_text(
        "version: 1\nproviders: {s: {kind: simulator}}\nmodels:\n  m:\n"
        "    targets: [{provider: s, model: m}]\n    fallbacks: [n]\n    retries: {budget: 0.2}\n"
    )
    first, second = tollway.says("config", "check", code=64).splitlines()
    assert first.startswith("tollway.yaml:6:17: models.m.fallbacks[0]: ")
    assert second.startswith("tollway.yaml:7:23: models.m.retries.budget: ")


def test_the_configuration_of_the_readme_is_good(tollway: Tollway) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (inventory.ROOT / "README.md").read_text(), re.DOTALL)
    (tollway.directory / "tollway.yaml").write_text(example)
    ran = tollway("config", "check", OPENAI_API_KEY="sk-0123456789abcdef", ACME_CI_KEY="key-0123456789abcdef")
    assert ran.returncode == 0, ran.stderr


def test_the_schema_is_the_committed_one(tollway: Tollway) -> None:
    assert tollway("config", "schema").stdout == (inventory.ROOT / "config" / "tollway.schema.json").read_text()
