"""``tollway targets``: decisions about targets, by whoever has the database; states, where a gateway runs."""

import time

import pytest
from tests.cli.conftest import Tollway, Write, running_board


@pytest.fixture
def routed(tollway: Tollway, write: Write, postgres_dsn: str) -> Tollway:
    """The command, beside a configuration with two models and two targets."""
    write(
        {
            "storage": {"postgres": postgres_dsn},
            "providers": {"fake": {"kind": "simulator"}},
            "models": {
                "chat": {
                    "targets": [
                        {"provider": "fake", "model": "org/mini:v1", "weight": 3},
                        {"provider": "fake", "model": "large"},
                    ]
                },
                "spare": {"targets": [{"provider": "fake", "model": "large"}]},
            },
        }
    )
    return tollway


def test_targets_are_listed_with_their_weights_and_without_states_where_no_gateway_runs(routed: Tollway) -> None:
    large, mini = routed.json("targets", "list")
    assert (large["name"], large["state"], large["in_flight"]) == ("fake/large", None, None)
    assert [(share["model"], share["weight"]) for share in large["shares"]] == [("chat", 1), ("spare", 1)]
    assert (mini["name"], mini["provider"], mini["model"]) == ("fake/org/mini:v1", "fake", "org/mini:v1")
    ran = routed("targets", "list")
    assert ran.stdout.splitlines()[1].split()[:2] == ["fake/large", "-"]
    assert "not known" in ran.stderr
    assert not (routed.directory / "data").exists(), "to look makes nothing"
    assert [target["name"] for target in routed.json("targets", "list", "--model", "spare")] == ["fake/large"]
    assert routed.json("targets", "list", "--provider", "other") == []


def test_states_are_those_of_the_gateway_that_runs_here(routed: Tollway) -> None:
    now_ms = time.time_ns() // 1_000_000
    with running_board(routed.directory) as board:
        board.open("fake/large", now_ms + 3_600_000, now_ms)
        large, mini = routed.json("targets", "list")
        assert (large["state"], large["is_available"], large["opened"]) == ("open", False, False)
        assert (mini["state"], mini["in_flight"], mini["is_available"]) == ("closed", 0, True)
        assert "open until" in routed("targets", "list").stdout
    large, _ = routed.json("targets", "list")
    assert large["state"] is None, "of a gateway that has ended nothing is told"


def test_a_target_is_drained_and_filled_again(routed: Tollway) -> None:
    drained = routed.json("targets", "drain", "fake/org/mini:v1", "--note", "maintenance")
    assert (drained["drained"], drained["is_available"], drained["decided"]["note"]) == (True, False, "maintenance")
    assert drained["decided"]["by"].startswith("cli:")
    assert "drained by cli:" in routed("targets", "list").stdout
    filled = routed.json("targets", "undrain", "fake/org/mini:v1")
    assert (filled["drained"], filled["decided"]) == (False, None)


def test_a_weight_is_given_and_taken_back(routed: Tollway) -> None:
    given = routed.json("targets", "weight", "fake/large", "7", "--model", "chat")
    assert [(share["weight"], share["declared_weight"]) for share in given["shares"]] == [(7, 1), (1, 1)]
    assert "chat 7 (declared 1), spare 1" in routed("targets", "list").stdout
    back = routed.json("targets", "weight", "fake/large", "default", "--model", "chat")
    assert [share["weight"] for share in back["shares"]] == [1, 1]


def test_a_target_is_opened_closed_and_reset(routed: Tollway) -> None:
    opened = routed.json("targets", "open", "fake/large", "--for", "1h")
    assert (opened["opened"], opened["is_available"]) == (True, False)
    assert opened["opened_until"] is not None
    assert routed.json("targets", "open", "fake/large")["opened_until"] is None
    assert "opened until it is closed" in routed("targets", "list").stdout
    closed = routed.json("targets", "close", "fake/large")
    assert (closed["opened"], closed["is_available"]) == (False, True)
    routed.json("targets", "drain", "fake/large")
    routed.json("targets", "weight", "fake/large", "0", "--model", "spare")
    reset = routed.json("targets", "reset", "fake/large")
    assert (reset["drained"], reset["closed_at"], reset["decided"]) == (False, None, None)
    assert [share["weight"] for share in reset["shares"]] == [1, 1]
    assert routed.json("targets", "reset", "fake/large") == reset, "nothing to take back is fine"


def test_a_person_gets_the_target_as_it_stands_now(routed: Tollway) -> None:
    said = routed("targets", "drain", "fake/large", "--note", "tired").stdout
    assert "fake/large" in said
    assert "drained by cli:" in said
    assert "tired" in said


def test_what_there_is_not_is_a_sentence_that_says_what_there_is(routed: Tollway) -> None:
    for words in (("drain",), ("undrain",), ("open",), ("close",), ("reset",)):
        assert "There are: fake/large, fake/org/mini:v1." in routed.says("targets", *words, "fake/small")
    said = routed.says("targets", "weight", "fake/org/mini:v1", "3", "--model", "spare")
    assert "There are: chat." in said
    assert "There are: chat, spare." in routed.says("targets", "list", "--model", "caht")


def test_wrong_usage_is_told(routed: Tollway) -> None:
    assert "WEIGHT" in routed.says("targets", "weight", "fake/large", "heavy", "--model", "chat", code=2)
    assert "weight" in routed.says("targets", "weight", "fake/large", "1000001", "--model", "chat")
    assert "for: " in routed.says("targets", "open", "fake/large", "--for", "soon")
    assert "note" in routed.says("targets", "drain", "fake/large", "--note", "x" * 501)
