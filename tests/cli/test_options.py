from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from tollway.cli.options import ago, ahead, config_path, limits, load_settings, names, overridden
from tollway.contract.limits import LimitValues
from tollway.settings import Settings

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", datetime(2026, 6, 8, 12, tzinfo=UTC)),
        ("90m", datetime(2026, 6, 15, 10, 30, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T01:00:00+01:00", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_a_time_in_the_past_is_a_duration_or_a_date(text: str, moment: datetime) -> None:
    assert ago(text, NOW) == moment


def test_a_time_to_come_is_counted_from_now() -> None:
    assert ahead("30d", NOW) == datetime(2026, 7, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "7", "yesterday", "999999999d", "2026-13-01", "-7d"])
def test_another_text_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        ago(text, NOW)
    with pytest.raises(typer.BadParameter):
        ahead(text, NOW)


def test_flags_stand_in_for_the_file() -> None:
    changed = overridden(Settings(version=1), host="::1", port=9000, workers="3", data_dir="elsewhere")
    assert (changed.server.host, changed.server.port, changed.server.worker_count) == ("::1", 9000, 3)
    assert changed.storage.data_dir == "elsewhere"
    assert overridden(Settings(version=1), workers="auto") == Settings(version=1)


@pytest.mark.parametrize(
    ("flag", "value"), [("host", "a b"), ("port", 0), ("port", 70_000), ("workers", "0"), ("workers", "many")]
)
def test_a_flag_is_held_to_the_rules_of_the_file(flag: str, value: object) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        overridden(Settings(version=1), **{flag: value})  # type: ignore[arg-type]
    assert caught.value.param_hint == f"--{flag}"


def test_limits_that_are_not_given_are_none() -> None:
    assert limits(None, None, None) is None
    assert limits(1, None, 2) == LimitValues(rpm=1, concurrency=2)


def test_any_limit_can_be_given_by_its_name() -> None:
    assert limits(1, None, None, ["rps=20", "output_tpd=1000000000000"]) == LimitValues(
        rpm=1, rps=20, output_tpd=10**12
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rpw=1", "rpw is none of rps"),
        ("rps", "rps=N"),
        ("rps=", "rps=N"),
        ("rps=-1", "rps=N"),
        ("rps=1.5", "rps=N"),
        ("rps=" + "9" * 5000, "rps=N"),
    ],
)
def test_a_limit_that_is_none_is_named(text: str, why: str) -> None:
    with pytest.raises(typer.BadParameter, match=why) as caught:
        limits(None, None, None, [text])
    assert caught.value.param_hint == "--limit"


def test_names_are_split_at_commas() -> None:
    assert names(None) is None
    assert names("a, b,") == ("a", "b")


def test_the_configuration_is_looked_for_here_and_in_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config_path(None) == Path("tollway.yaml")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tollway.yaml").write_text("version: 1\n")
    assert config_path(None) == Path("config/tollway.yaml")
    (tmp_path / "tollway.yaml").write_text("version: 1\n")
    assert config_path(None) == Path("tollway.yaml")
    assert config_path(Path("other.yaml")) == Path("other.yaml")
    assert load_settings(None, "there").storage.data_dir == "there"
