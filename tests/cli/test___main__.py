import subprocess
import sys
import tomllib

import pytest
from tests.cli.conftest import Tollway
from tests.house import inventory

import tollway as package
from tollway import cli

WITHOUT_EXTENSION = "import sys; sys.modules['tollway._native'] = None; from tollway.cli import main; main()"


def test_the_version_is_printed(tollway: Tollway) -> None:
    ran = tollway("--version")
    assert (ran.returncode, ran.stdout) == (0, f"tollway {package.__version__}\n")


def test_the_console_script_is_the_same_command() -> None:
    project = tomllib.loads((inventory.ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"tollway": f"{cli.__name__}:{cli.main.__name__}"}


def test_an_unknown_verb_is_wrong_usage_and_the_one_that_was_meant_is_named(tollway: Tollway) -> None:
    assert "'tenants'" in tollway.says("tenant", code=2)


def test_without_a_verb_the_help_lists_all_of_them(tollway: Tollway) -> None:
    ran = tollway()
    assert ran.returncode in (0, 2)
    listed = ran.stdout + ran.stderr
    assert [verb for verb in cli.VERBS if f" {verb} " not in listed] == []


@pytest.mark.parametrize("verb", ["tenants", "serve"])
def test_a_verb_explains_itself(tollway: Tollway, verb: str) -> None:
    ran = tollway(verb, "--help")
    assert ran.returncode == 0
    assert f"tollway {verb}" in ran.stdout


def test_a_missing_extension_is_a_sentence_and_not_a_traceback(tollway: Tollway) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTENSION, "keys", "list"], cwd=tollway.directory, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert "make build" in ran.stderr
    assert "Traceback" not in ran.stderr
