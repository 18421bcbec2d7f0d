import pytest

from tollway.cli.exits import CommandFailed, Ending, explained
from tollway.errors import Conflict
from tollway.settings import BadConfiguration, Fault


def test_bad_configuration_ends_with_64_and_every_fault() -> None:
    ending = explained(BadConfiguration(__file__, [Fault("a.b", 3, 5, "is wrong"), Fault("", 1, 1, "is odd")]))
    assert ending == Ending(64, [f"{__file__}:1:1: is odd", f"{__file__}:3:5: a.b: is wrong"])


def test_a_missing_configuration_comes_with_a_hint() -> None:
    ending = explained(BadConfiguration("nowhere.yaml", [Fault("", 1, 1, "can't be read")]))
    assert ending is not None
    assert "tollway init" in ending.lines[-1]


@pytest.mark.parametrize("error", [CommandFailed("No."), Conflict("No.", inside="a secret")])
def test_a_failure_ends_with_1_and_what_may_be_said(error: Exception) -> None:
    assert explained(error) == Ending(1, ["No."])


def test_an_extension_that_does_not_load_is_explained() -> None:
    ending = explained(ModuleNotFoundError("No module named 'tollway._native'", name="tollway._native"))
    assert ending is not None
    assert ending.code == 1


@pytest.mark.parametrize("error", [KeyError("defect"), ModuleNotFoundError("No module named 'x'", name="x")])
def test_a_defect_is_not_explained_away(error: Exception) -> None:
    assert explained(error) is None
