"""``tollway route explain``: where a call would go, without anybody being called."""

import time
from pathlib import Path

import pytest
from tests.cli.conftest import Tollway, Write, running_board

SECRET = "sk-not-to-be-shown-0001"


@pytest.fixture
def routed(tollway: Tollway, write: Write, postgres_dsn: str) -> Tollway:
    """The command, beside a configuration with a rule, a need, a tier and a tenant with few rights."""
    write(
        {
            "storage": {"postgres": postgres_dsn},
            "providers": {"fake": {"kind": "openai_compatible", "base_url": "http://127.0.0.1:1", "api_key": SECRET}},
            "models": {
                "chat": {
                    "strategy": "priority",
                    "targets": [
                        {"provider": "fake", "model": "first", "tags": ["eu"], "takes": {"images": False}},
                        {"provider": "fake", "model": "second", "priority": 2, "tags": ["eu", "stable"]},
                        {"provider": "fake", "model": "third", "priority": 3, "tags": ["us"]},
                    ],
                    "rules": [
                        {"name": "home", "when": {"header": {"x-region": ["eu"]}, "tenant": ["acme"]}, "to": ["eu"]},
                        {"name": "long", "when": {"tokens_over": 8000}, "to": ["stable"]},
                        {"name": "search", "when": {"metadata": {"team": ["search"]}}, "to": ["us"]},
                    ],
                },
                "spare": {"targets": [{"provider": "fake", "model": "first"}]},
            },
            "tenants": {"acme": {"allowed_models": ["chat"], "keys": {"ci": {"key": "file-key-of-acme-0001"}}}},
        }
    )
    return tollway


def _plan(routed: Tollway, *words: str) -> tuple[str | None, list[str], dict[str, str | None]]:
    """The rule that held, the order, and who was left out and why."""
    (plan,) = routed.json("route", "explain", "chat", *words)["plans"]
    skipped = {candidate["target"]: candidate["skipped"] for candidate in plan["candidates"] if candidate["skipped"]}
    return plan["rule"], plan["order"], skipped


def test_the_order_is_the_strategys(routed: Tollway) -> None:
    assert _plan(routed) == (None, ["fake/first", "fake/second", "fake/third"], {})


def test_what_is_told_of_the_call_decides(routed: Tollway) -> None:
    rule, order, skipped = _plan(routed, "--tenant", "acme", "--header", "X-Region=eu")
    assert (rule, order, skipped) == ("home", ["fake/first", "fake/second"], {"fake/third": "rule"})
    assert _plan(routed, "--header", "x-region=eu")[0] is None, "the rule is for one tenant"
    assert _plan(routed, "--tokens", "9000")[:2] == ("long", ["fake/second"])
    assert _plan(routed, "--metadata", "team=search")[:2] == ("search", ["fake/third"])
    assert _plan(routed, "--needs", "vision", "--stream")[2] == {"fake/first": "vision"}


def test_decisions_of_people_count(routed: Tollway) -> None:
    routed.json("targets", "drain", "fake/first")
    routed.json("targets", "open", "fake/second", "--for", "1h")
    assert _plan(routed) == (None, ["fake/third"], {"fake/first": "drained", "fake/second": "opened"})


def test_the_board_of_the_gateway_that_runs_here_counts(routed: Tollway) -> None:
    now_ms = time.time_ns() // 1_000_000
    with running_board(routed.directory) as board:
        board.open("fake/first", now_ms + 3_600_000, now_ms)
        (plan,) = routed.json("route", "explain", "chat")["plans"]
        assert plan["order"] == ["fake/second", "fake/third"]
        assert plan["candidates"][0]["state"] == "open"
        assert "no: open" in routed("route", "explain", "chat").stdout
    assert _plan(routed)[1][0] == "fake/first"


def test_a_person_gets_a_table_in_the_order_of_asking(routed: Tollway) -> None:
    ran = routed("route", "explain", "chat", "--tokens", "9000")
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert lines[1][:2] == ["1", "fake/second"]
    assert [line[:3] for line in lines[2:]] == [["no:", "rule", "fake/first"], ["no:", "rule", "fake/third"]]
    assert "by priority, by the rule long" in ran.stderr
    assert "No gateway runs here" in ran.stderr
    assert SECRET not in ran.stdout + ran.stderr
    assert not Path(routed.directory / "data").exists(), "to look makes nothing"


def test_who_may_not_use_a_model_is_told_so(routed: Tollway) -> None:
    assert "may not use" in routed.says("route", "explain", "spare", "--tenant", "acme")
    routed.json("tenants", "create", "globex", "--models", "chat")
    assert "may not use" in routed.says("route", "explain", "spare", "--tenant", "globex")
    assert _plan(routed, "--tenant", "globex")[1][0] == "fake/first"


def test_what_there_is_not_is_a_sentence(routed: Tollway) -> None:
    assert "There are: chat, spare." in routed.says("route", "explain", "caht")
    assert "no tenant nobody" in routed.says("route", "explain", "chat", "--tenant", "nobody")


def test_wrong_usage_is_told(routed: Tollway) -> None:
    assert "NAME=VALUE" in routed.says("route", "explain", "chat", "--header", "x-region", code=2)
    assert "NAME=VALUE" in routed.says("route", "explain", "chat", "--metadata", "=search", code=2)
    assert "vision" in routed.says("route", "explain", "chat", "--needs", "wings", code=2)
    assert "--tokens" in routed.says("route", "explain", "chat", "--tokens", "-1", code=2)
