"""``tollway guardrails``: policies changed and tried from a terminal."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.conftest import Tollway, Write

from tollway.cli.guardrails import marked
from tollway.control.guardrails.view import Finding

POLICY: dict[str, Any] = {"input": [{"check": "pii", "entities": ["email"], "action": "redact"}]}
EMAIL = "jane.doe@example.com"


@pytest.fixture
def policy(configured: Tollway) -> Path:
    """A policy in a file, as people write it."""
    path = configured.directory / "policy.yaml"
    path.write_text(yaml.safe_dump(POLICY))
    return path


def fed(tollway: Tollway, text: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command with ``text`` on its standard input."""
    return subprocess.run(
        [*tollway.command, *words],
        cwd=tollway.directory,
        env=tollway.surroundings(),
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_policy_is_made_shown_changed_restored_and_deleted(configured: Tollway, policy: Path) -> None:
    made = configured.json("guardrails", "put", "own", str(policy), "--if-version", "0")
    assert (made["version"], made["policy"], made["managed_by"]) == (1, POLICY, "database")
    assert configured.json("guardrails", "show", "own")["policy"] == POLICY
    policy.write_text(json.dumps({"mode": "monitor"}))
    assert configured.json("guardrails", "put", "own", str(policy))["version"] == 2
    assert configured.json("guardrails", "restore", "own", "1", "--if-version", "2")["policy"] == POLICY
    versions = configured.json("guardrails", "versions", "own")
    assert [(each["version"], each["is_active"]) for each in versions] == [(3, True), (2, False), (1, False)]
    assert configured.json("guardrails", "show", "own", "--version", "2")["policy"] == {"mode": "monitor"}
    assert configured.json("guardrails", "delete", "own")["is_active"] is False
    assert "no policy own" in configured.says("guardrails", "show", "own")


def test_policies_of_file_and_database_are_listed_together(configured: Tollway, policy: Path) -> None:
    configured.json("guardrails", "put", "own", str(policy))
    listed = configured.json("guardrails", "list")
    assert [(each["name"], each["managed_by"]) for each in listed] == [("own", "database"), ("strict", "file")]
    lines = configured("guardrails", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "own", "strict"]
    assert "check: pii" in configured("guardrails", "show", "strict").stdout


def test_tenants_and_keys_are_bound_from_the_terminal(configured: Tollway, policy: Path) -> None:
    configured.json("guardrails", "put", "own", str(policy))
    tenant = configured.json("tenants", "create", "globex", "--guardrails", "own")
    key = configured.json("keys", "create", "--tenant", "globex", "--name", "ci", "--guardrails", "strict")
    assert (tenant["guardrails"], key["guardrails"]) == ("own", "strict")
    assert configured.json("keys", "bind", key["id"], "own")["guardrails"] == "own"
    assert configured.json("guardrails", "show", "own")["bound"] == {"tenants": 1, "keys": 1}
    assert "1 tenants and 1 keys" in configured.says("guardrails", "delete", "own")
    assert configured.json("keys", "bind", key["id"])["guardrails"] is None
    configured.json("tenants", "update", "globex", "--default-guardrails")
    assert configured("guardrails", "delete", "own").returncode == 0
    for words in (("keys", "bind", key["id"], "own"), ("tenants", "update", "globex", "--guardrails", "own")):
        assert "no policy of this name" in configured.says(*words)
    assert "configuration file" in configured.says("keys", "bind", "acme/ci", "strict")


def test_what_can_not_be_done_is_a_sentence(configured: Tollway, policy: Path) -> None:
    says = configured.says
    assert "configuration file" in says("guardrails", "put", "strict", str(policy))
    assert "configuration file" in says("guardrails", "delete", "strict")
    assert "configuration file" in says("guardrails", "versions", "strict")
    assert "no policy nobody" in says("guardrails", "versions", "nobody")
    assert "can't be read" in says("guardrails", "put", "own", "missing.yaml")
    assert "if_version" in says("guardrails", "put", "own", str(policy), "--if-version", "3")
    policy.write_text("input: [{check: pii, action: shred}]")
    assert "input[0].action: should be one of" in says("guardrails", "put", "own", str(policy))
    for text in ("a: [", "!!python/object:x {}", "\tx", '{"a": 2026-01-01}'):
        policy.write_text(text)
        assert "Traceback" not in says("guardrails", "put", "own", str(policy))
    assert "no operation 'dance'" in says("guardrails", "test", "x", "--policy", "strict", "--request", "dance")


@pytest.fixture
def offline(tollway: Tollway, write: Write) -> Tollway:
    """The command, beside a configuration whose database is out of reach."""
    write(
        {
            "storage": {"postgres": "postgresql://nobody@127.0.0.1:1/none"},
            "guardrails": {
                "default": {
                    "input": [
                        {"check": "pii", "entities": ["email"], "action": "redact"},
                        {"check": "webhook", "url": "http://127.0.0.1:9/"},
                    ],
                    "output": [{"check": "pii", "entities": ["credit_card"], "action": "block"}],
                }
            },
        }
    )
    return tollway


def test_a_policy_of_the_file_is_tried_without_a_database(offline: Tollway) -> None:
    ran = offline("guardrails", "test", f"Write to {EMAIL}, please")
    assert ran.returncode == 0, ran.stderr
    assert f"found:   Write to ⟦{EMAIL}⟧, please" in ran.stdout
    assert "passes:  Write to [EMAIL], please" in ran.stdout
    assert "Left out, for it asks somebody else: webhook." in ran.stderr
    (found,) = offline.json("guardrails", "test", f"Write to {EMAIL}, please")["findings"]
    assert (found["check"], found["kind"], found["action"]) == ("pii", "email", "redact")
    assert (found["start"], found["end"]) == (9, 9 + len(EMAIL))


def test_a_text_that_would_be_blocked_ends_with_1(offline: Tollway) -> None:
    ran = fed(offline, "4111 1111 1111 1111", "guardrails", "test", "--direction", "output")
    assert ran.returncode == 1
    assert "It would be blocked." in ran.stderr
    assert "⟦4111 1111 1111 1111⟧" in ran.stdout
    assert "passes" not in ran.stdout


def test_a_clean_text_is_said_to_be_clean(offline: Tollway) -> None:
    ran = fed(offline, "Nothing here.\n", "guardrails", "test")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "Nothing is found." in ran.stderr


def test_a_whole_request_is_tried(offline: Tollway) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": EMAIL}]})
    found = json.loads(fed(offline, body, "guardrails", "test", "--request", "chat", "--json").stdout)
    assert found["request"]["messages"][0]["content"] == "[EMAIL]"
    assert found["findings"][0]["count"] == 1
    assert fed(offline, "{", "guardrails", "test", "--request", "chat").returncode == 1


def test_a_policy_is_tried_before_it_is_made_and_after(configured: Tollway, policy: Path) -> None:
    tried = configured.json("guardrails", "test", EMAIL, "--file", str(policy))
    assert (tried["text"], tried["blocked"]) == ("[EMAIL]", False)
    configured.json("guardrails", "put", "own", str(policy))
    assert configured.json("guardrails", "test", EMAIL, "--policy", "own") == tried
    assert "no policy other" in configured.says("guardrails", "test", EMAIL, "--policy", "other")


def test_more_than_a_trial_takes_is_refused(offline: Tollway) -> None:
    ran = fed(offline, "x" * (256 * 1024 + 1), "guardrails", "test")
    assert (ran.returncode, "larger than 256 KiB" in ran.stderr) == (1, True)


def test_marks_stand_around_everything_that_overlaps() -> None:
    places = [(0, 2), (1, 4), (4, 5), (8, 9), (None, None)]
    found = tuple(Finding(check="c", kind="k", action="flag", start=start, end=end) for start, end in places)
    assert marked("abcdefghij", found) == "⟦abcd⟧⟦e⟧fgh⟦i⟧j"
